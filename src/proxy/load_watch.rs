//! Who takes more of an upstream than is reasonable: looked for every second, told when it begins and ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::{Live, Shared, watching};
use crate::clause::{Behaviour, Clause};
use crate::engine::{LoadEvent, LoadFinding};
use crate::facts::Principal;
use crate::metrics::{LoadSnapshot, UpstreamSnapshot};
use crate::policy::Policy;
use crate::policy::load::Load;
use crate::time::Moment;

const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Sweeps for as long as weir runs.
pub(super) async fn watch(shared: Arc<Shared>) {
    let mut ticks = interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        sweep(&shared);
    }
}

/// What a scrape tells of load.
pub(super) fn snapshot(shared: &Shared, live: &Live, now: Moment) -> LoadSnapshot {
    let reports = shared.engine.load(&live.binding, now);
    let upstreams =
        reports.into_iter().zip(&live.upstreams).map(|((_, report), upstream)| UpstreamSnapshot {
            name: upstream.rule.name.clone(),
            third_party: upstream.rule.third_party.clone(),
            busy: upstream.busy(),
            report,
        });
    let Load { unreasonable, .. } = live.policy.load;
    LoadSnapshot { upstreams: upstreams.collect(), unreasonable }
}

fn sweep(shared: &Shared) {
    let (live, now) = (shared.live.load(), shared.clock.now());
    let busy = live.upstreams.iter().map(|upstream| upstream.busy());
    for event in shared.engine.sweep(&live.binding, busy, now) {
        tell(&live, &event);
        let (LoadEvent::Began(finding) | LoadEvent::Ended { finding, .. }) = &event;
        shared.findings.name(Principal::account(&finding.account), &finding.account);
        let events = shared.engine.note_load(&live.binding, &event, now);
        watching::tell(shared, &live, events, &[]);
    }
}

fn tell(live: &Live, event: &LoadEvent) {
    let (LoadEvent::Began(finding) | LoadEvent::Ended { finding, .. }) = event;
    let LoadFinding { account, resource, .. } = finding;
    let Some(upstream) = live.policy.upstreams.get(usize::from(finding.upstream.0)) else { return };
    let (upstream, third_party) = (&upstream.name, upstream.third_party.as_deref().unwrap_or_default());
    let (window, resource_name) = (finding.window.name(), resource.name());
    let clause = clause(&live.policy);
    let [share, fair, utilisation] =
        [finding.share_permille, finding.fair_permille, finding.utilisation_permille].map(fraction);
    match event {
        LoadEvent::Began(_) => {
            live.metrics.upstream(finding.upstream).load_finding(*resource);
            tracing::warn!(
                %account, upstream, third_party, clause, resource = resource_name, window, share, fair, utilisation,
                "an account takes an unreasonable share of an upstream"
            );
        }
        LoadEvent::Ended { lasted, .. } => tracing::info!(
            %account, upstream, third_party, clause, resource = resource_name, window, share, fair, utilisation,
            lasted_seconds = lasted.as_secs(),
            "an account no longer takes an unreasonable share of an upstream"
        ),
    }
}

/// The clause of the operator's policy that forbids it; weir's own name for it where none does.
fn clause(policy: &Policy) -> &str {
    let forbids = |clause: &&Clause| clause.forbids.contains(&Behaviour::Load);
    policy.clauses.iter().find(forbids).map_or(Behaviour::Load.name(), |clause| &clause.id)
}

fn fraction(permille: u32) -> f64 {
    f64::from(permille) / 1000.0
}
