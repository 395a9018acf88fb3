//! For each clause, what upholds it.

use serde_json::{Value, json};

use crate::clause::Behaviour;
use crate::policy::{ClauseId, Policy};
use crate::remedy::Mode;

/// A limit, a route or a detector that stands for a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upholder<'a> {
    pub by: Means<'a>,
    /// Its own, weakened by `[enforcement]`: `Enforce` or `Shadow`.
    pub mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means<'a> {
    /// A limit, by its name.
    Limit(&'a str),
    /// A route that only some plans may use, by its name.
    Route(&'a str),
    Detector(Behaviour),
    /// One of the operator's own rules, by its name.
    Rule(&'a str),
}

impl Policy {
    /// For each clause, in order, the limits, routes, detectors and rules that stand for it, unless they are off.
    pub fn upheld_by(&self) -> Vec<Vec<Upholder<'_>>> {
        let limits = self.limits.iter().map(|limit| (limit.clause, Means::Limit(&limit.name), limit.mode));
        let detectors =
            self.conduct.detectors.iter().map(|one| (one.clause, Means::Detector(one.behaviour), one.mode));
        let routes = self.routes.iter().filter_map(|route| {
            Some((route.gate.as_ref()?.clause, Means::Route(&route.name), Mode::Enforce))
        });
        let rules = self.conduct.rules.iter().map(|rule| (rule.clause, Means::Rule(&rule.name), rule.mode));
        let mut upheld = vec![Vec::new(); self.clauses.len()];
        for (ClauseId(clause), by, own) in limits.chain(routes).chain(detectors).chain(rules) {
            let mode = own.at_most(self.enforcement.mode);
            if let (Some(upholders), true) = (upheld.get_mut(usize::from(clause)), mode != Mode::Off) {
                upholders.push(Upholder { by, mode });
            }
        }
        upheld
    }
}

/// What upholds a clause, and what only watches for its sake, apart.
pub(super) fn clauses(policy: &Policy) -> Vec<Value> {
    let named = |upholders: &[Upholder<'_>], mode: Mode| -> Vec<String> {
        let name = |upholder: &Upholder<'_>| match upholder.by {
            Means::Limit(name) => name.to_owned(),
            Means::Route(name) => format!("routes.{name}"),
            Means::Detector(behaviour) => format!("detectors.{behaviour}"),
            Means::Rule(name) => format!("rules.{name}"),
        };
        upholders.iter().filter(|upholder| upholder.mode == mode).map(name).collect()
    };
    let each = policy.clauses.iter().zip(policy.upheld_by());
    each.map(|(clause, upholders)| {
        json!({
            "id": clause.id,
            "title": clause.title,
            "text": clause.text,
            "forbids": clause.forbids.iter().map(|b| b.name()).collect::<Vec<_>>(),
            "upheld_by": named(&upholders, Mode::Enforce),
            "watched_by": named(&upholders, Mode::Shadow),
        })
    })
    .collect()
}
