//! Limits and layers as JSON: what is counted, how much is allowed, and for whom something else holds.

use std::time::Duration;

use serde_json::{Value, json};

use super::seconds;
use crate::policy::template::Template;
use crate::policy::{
    Bound, Cost, Exempt, Limit, LimitKey, Match, Missing, Over, Override, Period, Policy, Terms, WhoPart,
};

pub(super) fn limit(limit: &Limit, policy: &Policy) -> Value {
    json!({
        "name": limit.name,
        "clause": policy.clause(limit.clause).id,
        "key": limit.key.parts(),
        "missing": match limit.key.missing {
            Missing::Skip => "skip",
            Missing::Shared => "shared",
        },
        "match": matches(&limit.matches),
        "exempt": exempt(&limit.exempt),
        "bound": bound(limit.bound, limit.cost),
        "cost": limit.cost.name(),
        "over": match limit.over {
            Over::Reject => json!("reject"),
            Over::Delay { wait_max, queue_max } => {
                json!({ "wait_max": seconds(wait_max), "queue_max": queue_max })
            }
        },
        "mode": limit.mode.name(),
    })
}

/// What plans and agreements say instead. [`TermsId::NONE`](crate::policy::TermsId::NONE), which says nothing, is left out.
pub(super) fn terms(policy: &Policy) -> Vec<Value> {
    let one = |terms: &Terms| {
        json!({
            "plan": terms.plan.as_deref(),
            "agreement": terms.agreement.as_deref(),
            "reference": terms.reference.as_deref(),
            "limits": terms.overrides.iter().map(|o| override_of(o, policy)).collect::<Vec<_>>(),
        })
    };
    policy.terms.iter().skip(1).map(one).collect()
}

/// In the unit of the cost: requests, bytes, or seconds.
pub(super) fn bound(bound: Bound, cost: Cost) -> Value {
    let amount = |units: u64| match cost {
        Cost::UpstreamTime => json!(seconds(Duration::from_nanos(units))),
        Cost::Requests | Cost::RequestBytes | Cost::ResponseBytes | Cost::Bytes => json!(units),
    };
    let unit = match cost {
        Cost::Requests => "requests",
        Cost::RequestBytes | Cost::ResponseBytes | Cost::Bytes => "bytes",
        Cost::UpstreamTime => "seconds",
    };
    let rated = |algorithm: &str, units: u64, window: Value| json!({ "algorithm": algorithm, "units": amount(units), "unit": unit, "window": window });
    match bound {
        Bound::SlidingWindow { units, window } => {
            rated("sliding-window", units.get(), json!(seconds(window)))
        }
        Bound::Gcra { units, window, burst } => {
            let mut bound = rated("gcra", units.get(), json!(seconds(window)));
            if let Some(bound) = bound.as_object_mut().filter(|_| cost == Cost::Requests) {
                bound.insert("burst".to_owned(), json!(burst));
            }
            bound
        }
        Bound::Concurrency { requests } => json!({ "algorithm": "concurrency", "requests": requests }),
        Bound::Quota { units, period: Period::Rolling(window) } => {
            rated("quota", units.get(), json!(seconds(window)))
        }
        Bound::Quota { units, period: Period::Month } => rated("quota", units.get(), json!("month")),
    }
}

fn override_of(other: &Override, policy: &Policy) -> Value {
    let limit = policy.limit(other.limit);
    json!({
        "name": limit.name,
        "bound": bound(other.bound, limit.cost),
        "layer": other.layer.name(),
        "overridden": other.overridden.map(|plan| bound(plan, limit.cost)),
    })
}

pub(super) fn matches(matches: &Match) -> Value {
    json!({
        "path": matches.paths.iter().map(Template::as_str).collect::<Vec<_>>(),
        "method": matches.methods.iter().map(http::Method::as_str).collect::<Vec<_>>(),
        "host": matches.hosts,
        "header": matches.headers.iter().map(http::HeaderName::as_str).collect::<Vec<_>>(),
        "plan": matches.plans.iter().map(|plan| &**plan).collect::<Vec<_>>(),
        "account": matches.accounts.iter().map(|account| &**account).collect::<Vec<_>>(),
        "client": matches.clients,
        "not": matches.not.as_deref().map(self::matches),
    })
}

pub(super) fn exempt(exempt: &Exempt) -> Value {
    json!({
        "ranges": exempt.ranges,
        "accounts": exempt.accounts.iter().map(|account| &**account).collect::<Vec<_>>(),
    })
}

impl LimitKey {
    /// The parts as a configuration names them: who comes first.
    pub fn parts(&self) -> Vec<String> {
        let mut parts: Vec<String> = self.who.iter().map(WhoPart::name).collect();
        if parts.is_empty() {
            parts.push("everyone".to_owned());
        }
        let rest = [(self.per_route, "route"), (self.per_upstream, "upstream"), (self.per_method, "method")];
        parts.extend(rest.into_iter().filter(|(is, _)| *is).map(|(_, name)| name.to_owned()));
        parts
    }
}

impl WhoPart {
    /// As a configuration names it.
    pub fn name(&self) -> String {
        match self {
            WhoPart::Client => "client".to_owned(),
            WhoPart::Network => "network".to_owned(),
            WhoPart::Account => "account".to_owned(),
            WhoPart::Session => "session".to_owned(),
            WhoPart::Fingerprint => "fingerprint".to_owned(),
            WhoPart::Header(name) => format!("header:{name}"),
        }
    }

    /// Whether a request may lack it. Every request has an address, and so a client and a network.
    pub const fn can_be_missing(&self) -> bool {
        matches!(self, WhoPart::Account | WhoPart::Session | WhoPart::Fingerprint | WhoPart::Header(_))
    }
}
