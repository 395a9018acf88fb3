//! How busy an upstream is, and which accounts take an unreasonable share of it.

use std::sync::Arc;
use std::time::Duration;

use super::report::{Utilisation, level, permille};
use super::windows::{TICK, Windows};
use super::{Busy, LoadEvent, LoadFinding, Resource, UpstreamLoad};
use crate::policy::UpstreamId;
use crate::policy::load::{Load, LoadWindow, Unreasonable};
use crate::time::Moment;

/// A finding ends when it has not held for this long: one that comes and goes is one finding.
const QUIET: Duration = Duration::from_secs(60);
/// How often idle accounts are looked for.
const FORGET_EVERY: Duration = Duration::from_secs(60);
/// How often the weights of accounts are halved.
const FADE_EVERY: Duration = Duration::from_secs(1800);

/// What a sweep keeps from one to the next.
#[derive(Debug)]
pub(super) struct Watch {
    /// Requests in flight and places, as sampled by the sweeps.
    samples: Windows<2>,
    /// The first sweep. A window that began before it is not whole, and nothing is found in it.
    began: Option<Moment>,
    forgot: Moment,
    faded: Moment,
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    finding: LoadFinding,
    held: Moment,
}

impl Default for Watch {
    fn default() -> Self {
        Watch {
            samples: Windows::starting(Moment::ORIGIN),
            began: None,
            forgot: Moment::ORIGIN,
            faded: Moment::ORIGIN,
            open: Vec::new(),
        }
    }
}

impl Watch {
    /// The mean over the samples of a window, which is off by what happened between them: with one a second, by
    /// less than 0.07 (one standard error, were requests to come and go at random between them) over a minute.
    pub(super) fn utilisation(&mut self, window: LoadWindow, now: Moment) -> Option<Utilisation> {
        self.samples.roll(now);
        let [in_flight, capacity] = self.samples.sums(window);
        (capacity > 0).then_some(Utilisation { in_flight, capacity })
    }

    fn sample(&mut self, busy: Option<Busy>, now: Moment) {
        self.began.get_or_insert(now);
        self.samples.roll(now);
        if let Some(Busy { in_flight, capacity }) = busy {
            self.samples.add([in_flight.into(), capacity.into()]);
        }
    }

    /// Whether the whole of a window was watched.
    fn has_seen(&self, window: LoadWindow, now: Moment) -> bool {
        self.began.is_some_and(|began| now.since(began) + TICK >= window.length())
    }

    /// Notes what holds now, and tells what that changes.
    fn update(&mut self, holding: Vec<LoadFinding>, now: Moment) -> Vec<LoadEvent> {
        let mut events = Vec::new();
        for finding in holding {
            let same = |open: &&mut Open| {
                open.finding.account == finding.account && open.finding.resource == finding.resource
            };
            if let Some(open) = self.open.iter_mut().find(same) {
                open.finding = LoadFinding { since: open.finding.since, ..finding };
                open.held = now;
            } else {
                self.open.push(Open { finding: finding.clone(), held: now });
                events.push(LoadEvent::Began(finding));
            }
        }
        let ended = self.open.extract_if(.., |open| now.since(open.held) >= QUIET);
        events.extend(ended.map(|Open { finding, held }| {
            let lasted = held.since(finding.since);
            LoadEvent::Ended { finding, lasted }
        }));
        events
    }
}

impl UpstreamLoad {
    /// Samples how busy the upstream is, and looks for accounts whose share of it is unreasonable. About once a
    /// second.
    pub(in crate::engine) fn sweep(
        &self,
        upstream: UpstreamId,
        load: &Load,
        busy: Option<Busy>,
        now: Moment,
    ) -> Vec<LoadEvent> {
        let mut watch = self.watch.lock();
        watch.sample(busy, now);
        if now.since(watch.forgot) >= FORGET_EVERY {
            watch.forgot = now;
            self.shards.iter().for_each(|shard| shard.forget_idle(now));
        }
        if now.since(watch.faded) >= FADE_EVERY {
            watch.faded = now;
            self.shards.iter().for_each(|shard| shard.fade());
        }
        let holding = load.unreasonable.map_or(Vec::new(), |rule| {
            let utilisation = watch.utilisation(rule.over, now);
            let utilisation = utilisation.filter(|_| watch.has_seen(rule.over, now));
            utilisation.map_or(Vec::new(), |u| self.unreasonable(upstream, load, rule, u, now))
        });
        watch.update(holding, now)
    }

    fn unreasonable(
        &self,
        upstream: UpstreamId,
        load: &Load,
        rule: Unreasonable,
        utilisation: Utilisation,
        now: Moment,
    ) -> Vec<LoadFinding> {
        if !utilisation.is_at_least(rule.when_utilisation_permille) {
            return Vec::new();
        }
        let rows = self.rows(rule.over, now);
        let mut found = Vec::new();
        for resource in Resource::ALL {
            let total = rows.total[resource as usize];
            let level = level(&rows, resource, Some(utilisation), load);
            for (account, amounts) in &rows.accounts {
                let used = amounts[resource as usize];
                let is_large = u128::from(used) * 1000 > u128::from(total) * u128::from(rule.share_permille);
                if is_large && level.is_none_or(|level| used > level) {
                    found.push(LoadFinding {
                        upstream,
                        account: Arc::clone(account),
                        resource,
                        window: rule.over,
                        share_permille: permille(used, total),
                        fair_permille: permille(level.unwrap_or(used), total),
                        utilisation_permille: utilisation.permille(),
                        since: now,
                    });
                }
            }
        }
        found
    }
}
