//! A policy joined to the engine's cells: for each route, the limits that can apply, ready to be checked.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, Method};

use crate::facts::{Facts, Who};
use crate::policy::{Cost, Exempt, Limit, LimitId, Match, Policy, Route, RouteId, UpstreamId};
use crate::remedy::Mode;
use crate::time::WallTime;

use super::load::{self, Seats, UpstreamLoad};
use super::names::{Algorithm, CellName, CellNames, SlotKey};
use super::queue::Queues;
use super::rules::{self, Rules};
use super::subject::Subject;
use super::watch::Panel;

/// A policy, joined to the engine's state: which cell belongs to which limit. Made once per reload.
#[derive(Clone, Debug)]
pub struct Binding {
    policy: Arc<Policy>,
    /// By route.
    routes: Vec<Vec<BoundLimit>>,
    pub(super) queues: Queues,
    /// By upstream.
    load: Vec<Arc<UpstreamLoad>>,
    counts_load: bool,
    panel: Arc<Panel>,
}

/// One limit on one route.
#[derive(Clone, Debug)]
pub(super) struct BoundLimit {
    pub(super) id: LimitId,
    pub(super) rules: Rules,
    pub(super) subject: Subject,
    pub(super) cost: Cost,
    /// Units that one request costs, where requests are counted.
    weight: u64,
    /// The limit's own. Never `Off`.
    pub(super) mode: Mode,
    slot: SlotKey,
    per_method: bool,
    coverage: Coverage,
    has_exempt: bool,
}

/// What a match looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fit<'a> {
    pub(super) method: &'a Method,
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) who: &'a Who,
    pub(super) address: IpAddr,
}

impl<'a> From<&Facts<'a>> for Fit<'a> {
    fn from(facts: &Facts<'a>) -> Self {
        let Facts { method, host, path, headers, who, address, .. } = *facts;
        Fit { method, host, path, headers, who, address }
    }
}

/// What of a limit's match has to be looked at for each request on the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coverage {
    /// Nothing: the limit covers the whole route.
    Whole,
    /// Method, host and path.
    Some,
    /// Those, and who asks.
    Who,
}

impl Binding {
    pub(super) fn new(
        policy: Arc<Policy>,
        names: &mut CellNames,
        load: Vec<Arc<UpstreamLoad>>,
        origin: WallTime,
    ) -> Self {
        let ids = || (0..=u16::MAX).map(LimitId);
        let rules: Vec<Rules> =
            ids().zip(&policy.limits).map(|(id, limit)| Rules::new(&policy, id, limit, origin)).collect();
        let routes = policy.routes.iter().map(|route| {
            let limits = ids().zip(&policy.limits).zip(&rules);
            limits.filter_map(|((id, limit), rules)| bind(&policy, route, id, limit, rules, names)).collect()
        });
        let routes = routes.collect();
        let queues = Queues::of(&policy);
        let counts_load = load::is_measured(&policy);
        let panel = Arc::new(Panel::new(&policy));
        Binding { policy, routes, queues, load, counts_load, panel }
    }

    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The detectors, with this policy's thresholds.
    pub(super) fn panel(&self) -> &Panel {
        &self.panel
    }

    /// Whether anybody looks at conduct.
    pub fn is_watching(&self) -> bool {
        self.policy.conduct.is_watching()
    }

    /// Whether anybody looks at requests.
    pub fn reads_requests(&self) -> bool {
        self.policy.conduct.reads_requests()
    }

    /// Counts a request as load on its upstream until it ends.
    pub(super) fn begin_load(&self, facts: &Facts<'_>) -> Seats {
        if !self.counts_load {
            return Seats::default();
        }
        let UpstreamId(upstream) = self.policy.route(facts.route).upstream;
        self.load.get(usize::from(upstream)).map_or_else(Seats::default, |load| load.begin(facts))
    }

    pub(super) fn load(&self) -> impl Iterator<Item = (UpstreamId, &UpstreamLoad)> {
        (0..).map(UpstreamId).zip(self.load.iter().map(Arc::as_ref))
    }

    /// The limits that apply to a request, in file order.
    pub(super) fn applicable<'a>(&'a self, facts: &Facts<'_>) -> impl Iterator<Item = &'a BoundLimit> {
        let RouteId(route) = facts.route;
        let limits = self.routes.get(usize::from(route)).map_or(&[][..], Vec::as_slice);
        limits.iter().filter(|limit| {
            limit.coverage == Coverage::Whole || {
                let matches = &self.policy.limit(limit.id).matches;
                self.fits(matches, facts.into(), limit.coverage == Coverage::Who)
            }
        })
    }

    /// Whether a request fits a match; `who`: also those parts that no route settles.
    pub(super) fn fits(&self, matches: &Match, fit: Fit<'_>, who: bool) -> bool {
        matches.covers(fit.method, fit.host, fit.path) && (!who || self.fits_who(matches, fit))
    }

    fn fits_who(&self, matches: &Match, facts: Fit<'_>) -> bool {
        let on_plan = |plan: &Arc<str>| {
            let mut plans =
                facts.who.accounts.iter().filter_map(|a| self.policy.terms(a.terms)?.plan.as_ref());
            plans.any(|its| its == plan)
        };
        matches.headers.iter().all(|name| facts.headers.contains_key(name))
            && (matches.plans.is_empty() || matches.plans.iter().any(on_plan))
            && (matches.accounts.is_empty() || is_any(&matches.accounts, facts.who))
            && (matches.clients.is_empty() || matches.clients.iter().any(|r| r.contains(&facts.address)))
            && !matches.not.as_ref().is_some_and(|not| self.fits(not, facts, true))
    }

    /// Whether anything in a request can tell whose account it is.
    pub(super) fn names_accounts(&self) -> bool {
        let identity = &self.policy.identity;
        !identity.sources.is_empty() || identity.learn_from.is_some()
    }

    /// Whether this request is counted but never refused.
    pub(super) fn never_refuses(&self, address: IpAddr, who: &Who) -> bool {
        let enforcement = &self.policy.enforcement;
        enforcement.never_refuse.iter().any(|range| range.contains(&address))
            || who.accounts.iter().any(|account| self.never_refuses_account(&account.id))
    }

    pub(super) fn never_refuses_account(&self, id: &Arc<str>) -> bool {
        self.policy.enforcement.never_refuse_accounts.contains(id)
    }

    /// The mode in which a limit meets this request, before the switch for everything.
    pub(super) fn mode(&self, limit: &BoundLimit, facts: &Facts<'_>) -> Mode {
        if !limit.has_exempt {
            return limit.mode;
        }
        let Exempt { ranges, accounts } = &self.policy.limit(limit.id).exempt;
        let exempt = ranges.iter().any(|range| range.contains(&facts.address)) || is_any(accounts, facts.who);
        if exempt { limit.mode.at_most(Mode::Shadow) } else { limit.mode }
    }
}

fn is_any(accounts: &[Arc<str>], who: &Who) -> bool {
    who.accounts.iter().any(|account| accounts.contains(&account.id))
}

impl BoundLimit {
    /// The cell of this request in a principal's record.
    pub(super) fn slot(&self, facts: &Facts<'_>) -> SlotKey {
        if self.per_method { self.slot.for_method(facts.method) } else { self.slot }
    }

    /// What is charged at admission. Of a cost that is known only afterwards, the part that the head gives away.
    pub(super) fn cost_at_admission(&self, facts: &Facts<'_>) -> u64 {
        match self.cost {
            Cost::Requests => self.weight,
            Cost::RequestBytes | Cost::Bytes => facts.request_bytes.unwrap_or(0),
            Cost::ResponseBytes | Cost::UpstreamTime => 0,
        }
    }
}

fn bind(
    policy: &Policy,
    route: &Route,
    id: LimitId,
    limit: &Limit,
    rules: &Rules,
    names: &mut CellNames,
) -> Option<BoundLimit> {
    // What is long-lived by nature counts by concurrency and bytes alone.
    let untimed = route.stream && limit.cost == Cost::UpstreamTime;
    if limit.mode == Mode::Off || untimed {
        return None;
    }
    let algorithm = rules::algorithm(limit.bound, limit.cost);
    let upstream = limit.key.per_upstream.then(|| policy.upstream(route.upstream).name.clone());
    let slot = names.slot(CellName {
        limit: limit.name.clone(),
        algorithm,
        timed: limit.cost == Cost::UpstreamTime,
        route: limit.key.per_route.then(|| route.name.clone()),
        upstream,
    });
    Some(BoundLimit {
        id,
        rules: rules.clone(),
        subject: Subject::of(&limit.key, &policy.network),
        cost: limit.cost,
        weight: if algorithm == Algorithm::Concurrency { 1 } else { u64::from(route.weight.get()) },
        mode: limit.mode,
        slot,
        per_method: limit.key.per_method,
        coverage: coverage(&limit.matches, route),
        has_exempt: !limit.exempt.is_empty(),
    })
}

fn coverage(matches: &Match, route: &Route) -> Coverage {
    if matches.asks_who() {
        return Coverage::Who;
    }
    let hosts = matches.hosts.is_empty() || route.host.as_ref().is_some_and(|h| matches.hosts.contains(h));
    let paths = matches.paths.is_empty() || matches.paths.contains(&route.path);
    if matches.methods.is_empty() && hosts && paths { Coverage::Whole } else { Coverage::Some }
}
