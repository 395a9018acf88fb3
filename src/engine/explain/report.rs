//! Explanations and decisions as they are printed and sent: names instead of ids, times in seconds, JSON by serde.
//!
//! The admin listener writes these, `weir explain` reads them. docs/operating.md lists their members; they are only
//! ever added to.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Applies, Explanation, Numbers, Weakened, Who, WhyNot};
use crate::facts::{Account, Facts};
use crate::policy::{Bound, ClauseId, Cost, LimitId, Period, Policy};
use crate::remedy::{Conviction, Delay, Mode, Refusal, Usage, Verdict};
use crate::time::Moment;

/// Why one request would be decided as it would be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub request: AskedRequest,
    /// The first of `accounts`.
    pub account: Option<AskedAccount>,
    /// All that it is charged to.
    #[serde(default)]
    pub accounts: Vec<AskedAccount>,
    /// Whether it has a credential that nobody has, and none that is known.
    #[serde(default)]
    pub unknown_credential: bool,
    pub route: AskedRoute,
    pub enforcement: EnforcementReport,
    /// `forward`, `delay` or `refuse`.
    pub verdict: String,
    /// The clause under which an account of it is suspended: nothing but that refuses it.
    #[serde(default)]
    pub suspended: Option<String>,
    /// The clause under which its route is not for its accounts' plans: nothing but that refuses it.
    #[serde(default)]
    pub barred: Option<String>,
    /// Whether its route is for clients alone that showed a certificate; what is said here is said of those.
    #[serde(default)]
    pub needs_certificate: bool,
    /// The limit because of which it would not be forwarded.
    pub limit: Option<String>,
    /// The finding because of which it would not be; then no limit is asked.
    #[serde(default)]
    pub finding: Option<ConvictionReport>,
    /// Seconds until a retry would be admitted, or until the delay is over.
    pub wait: Option<f64>,
    /// Every limit that is asked, in file order.
    pub limits: Vec<LimitReport>,
    /// Every other.
    pub others: Vec<OtherReport>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AskedRequest {
    pub method: String,
    pub host: String,
    /// As routes and limits see it.
    pub path: String,
    pub client: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AskedAccount {
    pub id: String,
    /// Whether the accounts file or an agreement names it.
    pub known: bool,
    pub plan: Option<String>,
    /// The agreement's; `None` also where there is no agreement.
    pub reference: Option<String>,
    /// The clause under which it is suspended, whatever the mode.
    #[serde(default)]
    pub suspended: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AskedRoute {
    pub name: String,
    pub upstream: String,
    /// How many requests one counts for.
    pub weight: u32,
}

/// The switch for everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnforcementReport {
    /// In force.
    pub mode: String,
    /// As the configuration has it.
    pub policy: String,
    /// Whether it was thrown at run time.
    pub overridden: bool,
    /// Seconds until the policy's own mode is back; `None`: until somebody gives it back.
    pub expires_in: Option<f64>,
}

/// A finding because of which somebody is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConvictionReport {
    /// As in `/api/v1/findings/ID`.
    pub id: u64,
    pub detector: String,
    pub clause: String,
    /// The kind of principal that it is about.
    pub principal: String,
    /// With which requests are answered.
    pub status: u16,
    /// Seconds until it is over.
    pub ends_in: f64,
}

/// One limit that is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LimitReport {
    pub name: String,
    pub clause: String,
    /// What it is for this request: `enforce`, `shadow` or `off`.
    pub mode: String,
    /// Why it is not enforced, a phrase each.
    pub weakened_by: Vec<String>,
    /// Whose budget it is.
    pub counts: String,
    /// What it counts: `requests`, `bytes`, …
    pub cost: String,
    #[serde(flatten)]
    pub numbers: NumbersReport,
    pub within: bool,
    /// Seconds until this one would admit it.
    pub retry_after: Option<f64>,
    pub usage: UsageReport,
}

/// What a limit allows, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumbersReport {
    pub bound: BoundReport,
    /// `agreement`, `plan`, `policy` or `default`.
    pub layer: String,
    /// The plan, or the account with the agreement.
    pub from: Option<String>,
    pub reference: Option<String>,
    /// What the layers below say, the nearest first.
    pub overrides: Vec<OverriddenReport>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverriddenReport {
    pub layer: String,
    pub bound: BoundReport,
}

/// Numbers of a limit: units (requests, bytes, or microseconds of upstream time) and seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "algorithm", rename_all = "kebab-case")]
pub enum BoundReport {
    SlidingWindow {
        units: u64,
        window: f64,
    },
    Gcra {
        units: u64,
        window: f64,
        burst: u32,
    },
    Concurrency {
        requests: u32,
    },
    /// `window` is `None` for a month of the calendar.
    Quota {
        units: u64,
        window: Option<f64>,
    },
}

/// How much is used, in units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsageReport {
    pub limit: u64,
    pub used: u64,
    pub remaining: u64,
    /// Seconds until nothing is used, if nobody uses it further.
    pub reset_after: Option<f64>,
}

/// A limit that is not asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OtherReport {
    pub name: String,
    pub why: String,
}

impl Report {
    pub(super) fn new(policy: &Policy, facts: &Facts<'_>, explained: &Explanation) -> Self {
        let accounts: Vec<AskedAccount> =
            facts.who.accounts.iter().map(|account| AskedAccount::new(policy, account)).collect();
        let route = policy.route(facts.route);
        let (verdict, limit, wait) = match explained.decision.verdict {
            _ if explained.suspended.or(explained.barred).is_some() => ("refuse", None, None),
            Verdict::Forward => ("forward", None, None),
            Verdict::Delay(Delay { limit, wait }) => ("delay", Some(limit), Some(wait)),
            Verdict::Refuse(Refusal { limit, retry_after }) => ("refuse", Some(limit), retry_after),
            Verdict::Convict(Conviction { until, .. }) => ("refuse", None, Some(until.since(facts.at))),
        };
        let name = |limit: LimitId| policy.limit(limit).name.clone();
        Report {
            request: AskedRequest {
                method: facts.method.to_string(),
                host: facts.host.to_owned(),
                path: facts.path.to_owned(),
                client: facts.address.to_string(),
            },
            account: accounts.first().cloned(),
            accounts,
            unknown_credential: facts.who.unknown.is_some(),
            route: AskedRoute {
                name: route.name.clone(),
                upstream: policy.upstream(route.upstream).name.clone(),
                weight: route.weight.get(),
            },
            enforcement: EnforcementReport {
                mode: explained.enforcement.name().to_owned(),
                policy: policy.enforcement.mode.name().to_owned(),
                overridden: explained.overridden.is_some(),
                expires_in: explained.overridden.and_then(|to| Some(to.until?.since(facts.at).as_secs_f64())),
            },
            verdict: verdict.to_owned(),
            suspended: explained.suspended.map(|clause| clause_id(policy, clause)),
            barred: explained.barred.map(|clause| clause_id(policy, clause)),
            needs_certificate: route.needs_certificate,
            limit: limit.map(name),
            finding: match &explained.decision.verdict {
                Verdict::Convict(conviction) => {
                    let clause = policy.clauses.get(usize::from(conviction.clause.0));
                    let clause = clause.map_or("", |clause| &clause.id);
                    let detector = policy.conduct.name_of(conviction.behaviour);
                    Some(ConvictionReport::new(conviction, &detector, clause, facts.at))
                }
                Verdict::Forward | Verdict::Delay(_) | Verdict::Refuse(_) => None,
            },
            wait: seconds(wait),
            limits: explained.applies.iter().map(|applies| LimitReport::new(policy, applies)).collect(),
            others: explained
                .others
                .iter()
                .map(|other| OtherReport { name: name(other.limit), why: other.why.phrase() })
                .collect(),
        }
    }
}

impl ConvictionReport {
    pub(crate) fn new(conviction: &Conviction, detector: &str, clause: &str, now: Moment) -> Self {
        ConvictionReport {
            id: conviction.finding.0,
            detector: detector.to_owned(),
            clause: clause.to_owned(),
            principal: conviction.principal.kind().name().to_owned(),
            status: conviction.answer.status(),
            ends_in: conviction.until.since(now).as_secs_f64(),
        }
    }
}

impl AskedAccount {
    fn new(policy: &Policy, account: &Account) -> Self {
        let known = &policy.accounts;
        let terms = policy.terms(account.terms);
        let text = |text: Option<&std::sync::Arc<str>>| text.map(ToString::to_string);
        AskedAccount {
            id: account.id.to_string(),
            known: known.with_id(&account.id).is_some() || known.agreements.contains_key(&account.id),
            plan: text(terms.and_then(|terms| terms.plan.as_ref())),
            reference: text(terms.and_then(|terms| terms.reference.as_ref())),
            suspended: known.suspension(&account.id).map(|clause| clause_id(policy, clause)),
        }
    }
}

impl LimitReport {
    fn new(policy: &Policy, applies: &Applies) -> Self {
        let Applies { detail, whose, numbers, weakened } = applies;
        let limit = policy.limit(detail.limit);
        LimitReport {
            name: limit.name.clone(),
            clause: clause_id(policy, limit.clause),
            mode: detail.mode.name().to_owned(),
            weakened_by: weakened.iter().map(Weakened::phrase).collect(),
            counts: whose.clone(),
            cost: cost_of(limit.bound, limit.cost).to_owned(),
            numbers: numbers.into(),
            within: detail.within,
            retry_after: seconds(detail.retry_after),
            usage: detail.usage.into(),
        }
    }
}

fn clause_id(policy: &Policy, clause: ClauseId) -> String {
    policy.clauses.get(usize::from(clause.0)).map(|clause| clause.id.clone()).unwrap_or_default()
}

/// What a limit counts.
pub(crate) fn cost_of(bound: Bound, cost: Cost) -> &'static str {
    if matches!(bound, Bound::Concurrency { .. }) { "requests in flight" } else { cost.name() }
}

impl From<&Numbers> for NumbersReport {
    fn from(numbers: &Numbers) -> Self {
        let overridden = numbers.overridden.iter();
        NumbersReport {
            bound: numbers.bound.into(),
            layer: numbers.layer.name().to_owned(),
            from: numbers.from.as_ref().map(ToString::to_string),
            reference: numbers.reference.as_ref().map(ToString::to_string),
            overrides: overridden
                .map(|(layer, bound)| OverriddenReport {
                    layer: layer.name().to_owned(),
                    bound: (*bound).into(),
                })
                .collect(),
        }
    }
}

impl From<Bound> for BoundReport {
    fn from(bound: Bound) -> Self {
        match bound {
            Bound::SlidingWindow { units, window } => {
                BoundReport::SlidingWindow { units: units.get(), window: window.as_secs_f64() }
            }
            Bound::Gcra { units, window, burst } => {
                BoundReport::Gcra { units: units.get(), window: window.as_secs_f64(), burst: burst.get() }
            }
            Bound::Concurrency { requests } => BoundReport::Concurrency { requests: requests.get() },
            Bound::Quota { units, period } => {
                let window = match period {
                    Period::Rolling(window) => Some(window.as_secs_f64()),
                    Period::Month => None,
                };
                BoundReport::Quota { units: units.get(), window }
            }
        }
    }
}

impl From<Usage> for UsageReport {
    fn from(usage: Usage) -> Self {
        let Usage { limit, used, remaining, reset_after } = usage;
        UsageReport { limit, used, remaining, reset_after: seconds(reset_after) }
    }
}

impl Weakened {
    fn phrase(&self) -> String {
        let who = |who: &Who| match who {
            Who::Range(range) => range.to_string(),
            Who::Account(id) => format!("account {id}"),
        };
        match self {
            Weakened::Enforcement(mode) => format!("enforcement.mode is {}", mode.name()),
            Weakened::Override(mode) => format!("the mode was set to {} at run time", mode.name()),
            Weakened::NeverRefuse(by) => format!("never_refuse has {}", who(by)),
            Weakened::Exempt(by) => format!("the limit's exempt has {}", who(by)),
            Weakened::Own(Mode::Enforce) => "its own mode is enforce".to_owned(),
            Weakened::Own(mode) => format!("its own mode is {}", mode.name()),
        }
    }
}

impl WhyNot {
    fn phrase(&self) -> String {
        match self {
            WhyNot::Off => "its mode is off".to_owned(),
            WhyNot::Match("not") => "its match leaves this request out (not)".to_owned(),
            WhyNot::Match(part) => format!("another {part} than its match has"),
            WhyNot::Stream => "it counts upstream time, and the route is a stream".to_owned(),
            WhyNot::Lacks(what) => format!("the request has no {what}"),
        }
    }
}

pub(crate) fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}
