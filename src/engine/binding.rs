//! A policy joined to the engine's cells: for each route, the limits that can apply, ready to be checked.

use std::sync::Arc;

use crate::facts::{Facts, PrincipalKind};
use crate::limit::{ConcurrencyRule, GcraRule, Rule, SlidingRule};
use crate::policy::{Bound, Limit, LimitId, Match, Policy, Route, RouteId, WhoPart};
use crate::remedy::Mode;

use super::names::{Algorithm, CellName, CellNames, SlotKey};

/// A policy, joined to the engine's state: which cell belongs to which limit. Made once per reload.
#[derive(Clone, Debug)]
pub struct Binding {
    policy: Arc<Policy>,
    /// By route.
    plans: Vec<Vec<BoundLimit>>,
}

/// One limit on one route.
#[derive(Clone, Debug)]
pub(super) struct BoundLimit {
    pub(super) id: LimitId,
    pub(super) rule: Rule,
    /// Units that one request costs.
    pub(super) cost: u64,
    /// The limit's own, weakened by `[enforcement]`. Never `Off`.
    pub(super) mode: Mode,
    pub(super) principal: PrincipalKind,
    slot: SlotKey,
    per_method: bool,
    coverage: Coverage,
}

/// Whether a limit's match has to be looked at for each request on the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coverage {
    Whole,
    Some,
}

impl Binding {
    pub(super) fn new(policy: Arc<Policy>, names: &mut CellNames) -> Self {
        let plans = policy.routes.iter().map(|route| plan(&policy, route, names)).collect();
        Binding { policy, plans }
    }

    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The limits that apply to a request, in file order.
    pub(super) fn applicable<'a>(&'a self, facts: &Facts<'_>) -> impl Iterator<Item = &'a BoundLimit> {
        let RouteId(route) = facts.route;
        let plan = self.plans.get(usize::from(route)).map_or(&[][..], Vec::as_slice);
        plan.iter().filter(|limit| match limit.coverage {
            Coverage::Whole => true,
            Coverage::Some => {
                let matches = &self.policy.limit(limit.id).matches;
                matches.covers(facts.method, facts.host, facts.path)
            }
        })
    }

    /// Whether this request is counted but never refused.
    pub(super) fn never_refuses(&self, facts: &Facts<'_>) -> bool {
        self.policy.enforcement.never_refuse.iter().any(|range| range.contains(&facts.address))
    }
}

impl BoundLimit {
    /// The cell of this request in its principal's record.
    pub(super) fn slot(&self, facts: &Facts<'_>) -> SlotKey {
        if self.per_method { self.slot.for_method(facts.method) } else { self.slot }
    }
}

fn plan(policy: &Policy, route: &Route, names: &mut CellNames) -> Vec<BoundLimit> {
    let ids = (0..=u16::MAX).map(LimitId);
    let limits = ids.zip(&policy.limits);
    limits.filter_map(|(id, limit)| bind(policy, route, id, limit, names)).collect()
}

fn bind(
    policy: &Policy,
    route: &Route,
    id: LimitId,
    limit: &Limit,
    names: &mut CellNames,
) -> Option<BoundLimit> {
    let mode = limit.mode.at_most(policy.enforcement.mode);
    if mode == Mode::Off {
        return None;
    }
    let (rule, algorithm) = rule(limit.bound);
    let upstream = limit.key.per_upstream.then(|| policy.upstream(route.upstream).name.clone());
    let slot = names.slot(CellName {
        limit: limit.name.clone(),
        algorithm,
        route: limit.key.per_route.then(|| route.name.clone()),
        upstream,
    });
    let cost = match algorithm {
        Algorithm::Concurrency => 1,
        Algorithm::Sliding | Algorithm::Gcra => u64::from(route.weight.get()),
    };
    Some(BoundLimit {
        id,
        rule,
        cost,
        mode,
        principal: if limit.key.who.contains(&WhoPart::Client) {
            PrincipalKind::Client
        } else {
            PrincipalKind::Everyone
        },
        slot,
        per_method: limit.key.per_method,
        coverage: coverage(&limit.matches, route),
    })
}

fn rule(bound: Bound) -> (Rule, Algorithm) {
    match bound {
        Bound::SlidingWindow { units, window } => {
            (Rule::Sliding(SlidingRule::new(units, window)), Algorithm::Sliding)
        }
        Bound::Gcra { units, window, burst } => {
            (Rule::Gcra(GcraRule::new(units, window, burst)), Algorithm::Gcra)
        }
        // Not compiled yet.
        Bound::Quota { units, .. } => {
            (Rule::Sliding(SlidingRule::new(units, std::time::Duration::MAX)), Algorithm::Sliding)
        }
        Bound::Concurrency { requests } => {
            (Rule::Concurrency(ConcurrencyRule::new(requests)), Algorithm::Concurrency)
        }
    }
}

fn coverage(matches: &Match, route: &Route) -> Coverage {
    let hosts = matches.hosts.is_empty() || route.host.as_ref().is_some_and(|h| matches.hosts.contains(h));
    let paths = matches.paths.is_empty() || matches.paths.contains(&route.path);
    if matches.methods.is_empty() && hosts && paths { Coverage::Whole } else { Coverage::Some }
}
