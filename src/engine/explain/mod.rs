//! Why a request would be decided as it would be: every limit, whose numbers it has and from which layer, how much is
//! used, and what weakens it. Asking changes nothing.

mod question;
pub mod report;
mod whose;

pub use question::{Question, Unanswerable};

use std::sync::Arc;

use ipnet::IpNet;
use smallvec::SmallVec;

use super::decide::{self, Terms};
use super::{Binding, Engine, ModeOverride};
use crate::facts::{Facts, Principal, PrincipalKind};
use crate::policy::{Bound, ClauseId, Cost, Layer, LimitId, Match, Missing, Policy, TermsId, WhoPart};
use crate::remedy::{Decision, LimitDetail, Mode, Verdict};

/// Everything that decides about one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What would be decided now, with the numbers of every check as they are.
    pub decision: Decision,
    /// The switch for everything, as it is now.
    pub enforcement: Mode,
    /// Who threw it, if it is not as the policy has it.
    pub overridden: Option<ModeOverride>,
    /// It is refused because an account of it is suspended, under this clause, and no limit is asked.
    pub suspended: Option<ClauseId>,
    /// It is refused because its route is for other plans, under this clause, and no limit is asked.
    pub barred: Option<ClauseId>,
    /// One for each of the decision's details, in the same order.
    pub applies: Vec<Applies>,
    /// The limits that are not asked, in file order.
    pub others: Vec<Other>,
}

/// A limit that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applies {
    pub detail: LimitDetail,
    /// Whose budget it is, for people: `account acme`.
    pub whose: String,
    pub numbers: Numbers,
    /// Everything that keeps it from being enforced; nothing if it is.
    pub weakened: Vec<Weakened>,
}

/// What a limit allows somebody, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers {
    pub bound: Bound,
    pub layer: Layer,
    /// The plan, or the account with the agreement.
    pub from: Option<Arc<str>>,
    /// The agreement's own.
    pub reference: Option<Arc<str>>,
    /// What the layers below say, the nearest first.
    pub overridden: SmallVec<[(Layer, Bound); 2]>,
}

/// Why a limit is counted, but not enforced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Weakened {
    /// `[enforcement] mode`.
    Enforcement(Mode),
    /// The switch as it was thrown at run time.
    Override(Mode),
    /// Under `never_refuse` or `never_refuse_accounts`.
    NeverRefuse(Who),
    /// Under the limit's `exempt`.
    Exempt(Who),
    /// The limit's own `mode`.
    Own(Mode),
}

/// By what somebody is excepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    Range(IpNet),
    Account(Arc<str>),
}

/// A limit that is not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    pub limit: LimitId,
    pub why: WhyNot,
}

/// Why a limit is not asked: the first of these that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyNot {
    /// Its mode is `off`.
    Off,
    /// This part of its match does not fit.
    Match(&'static str),
    /// It counts upstream time, which a stream has none of.
    Stream,
    /// The request lacks what it counts by.
    Lacks(String),
}

impl Engine {
    /// What [`admit`](Self::admit) would say of this request now, and why. Nothing is charged, and nobody is
    /// remembered, forgotten or kept for longer because somebody asked.
    pub fn explain(&self, binding: &Binding, facts: &Facts<'_>) -> Explanation {
        let policy = binding.policy();
        let overridden = self.switch.get(facts.at);
        let enforcement = overridden.map_or(policy.enforcement.mode, |to| to.mode);
        let terms = Terms { binding, keyed: &self.keyed, mode: enforcement, details: true };
        let accounts = || facts.who.accounts.iter().map(|account| &account.id);
        let suspended = accounts().find_map(|id| policy.accounts.suspension(id));
        let may_refuse = self.may_refuse(binding, facts.address, accounts(), facts.at);
        let suspended = suspended.filter(|_| may_refuse);
        let gate = policy.gate_against(facts.route, &facts.who.accounts).filter(|_| may_refuse);
        let mut decision = decide::foresee(&self.table, terms, facts);
        if enforcement == Mode::Enforce
            && let Some(conviction) = self.conviction(binding, facts)
        {
            decision.verdict = Verdict::Convict(conviction);
        }
        let general = weakened_for_all(policy, overridden, facts);
        let details = decision.details.iter().enumerate();
        let applies = details.map(|(at, detail)| {
            let of_limit = decision.details.iter().take(at).filter(|other| other.limit == detail.limit);
            applies(policy, *detail, of_limit.count(), &general, facts)
        });
        let (ids, details) = ((0..=u16::MAX).map(LimitId), &decision.details);
        let unasked = ids.zip(&policy.limits).filter(|(id, _)| details.iter().all(|d| d.limit != *id));
        Explanation {
            applies: applies.collect(),
            others: unasked.map(|(limit, _)| Other { limit, why: why_not(binding, limit, facts) }).collect(),
            enforcement,
            overridden,
            suspended,
            barred: gate.map(|gate| gate.clause),
            decision,
        }
    }
}

fn applies(
    policy: &Policy,
    detail: LimitDetail,
    nth: usize,
    general: &[Weakened],
    facts: &Facts<'_>,
) -> Applies {
    let limit = policy.limit(detail.limit);
    let mut weakened = general.to_vec();
    weakened.extend(excepted(&limit.exempt.ranges, &limit.exempt.accounts, facts).map(Weakened::Exempt));
    weakened.extend((limit.mode != Mode::Enforce).then_some(Weakened::Own(limit.mode)));
    let shared = detail.principal == Principal::EVERYONE && limit.key.missing == Missing::Shared;
    let whose = match detail.principal.kind() {
        // Nobody asked for it: it stands for somebody for whom there is no room.
        PrincipalKind::Network if limit.key.who != [WhoPart::Network] => whose::stand_in(policy, facts),
        _ => whose::name(policy, &limit.key, facts, if shared { None } else { Some(nth) }),
    };
    Applies { detail, whose, numbers: Numbers::of(policy, detail.limit, detail.terms), weakened }
}

impl Numbers {
    /// What a limit allows whoever has these terms.
    pub fn of(policy: &Policy, limit: LimitId, terms: TermsId) -> Self {
        let own = policy.limit(limit).bound;
        let terms = policy.terms(terms);
        let other = terms.and_then(|terms| terms.numbers_of(limit));
        let (Some(terms), Some(other)) = (terms, other) else {
            let overridden = SmallVec::new();
            return Numbers { bound: own, layer: Layer::Policy, from: None, reference: None, overridden };
        };
        let agreed = other.layer == Layer::Agreement;
        let below = other.overridden.map(|bound| (Layer::Plan, bound)).into_iter();
        Numbers {
            bound: other.bound,
            layer: other.layer,
            from: if agreed { terms.agreement.clone() } else { terms.plan.clone() },
            reference: terms.reference.clone().filter(|_| agreed),
            overridden: below.chain([(Layer::Policy, own)]).collect(),
        }
    }
}

/// What weakens every limit for this request.
fn weakened_for_all(policy: &Policy, overridden: Option<ModeOverride>, facts: &Facts<'_>) -> Vec<Weakened> {
    let enforcement = &policy.enforcement;
    let thrown = match overridden {
        Some(to) => Some(Weakened::Override(to.mode)).filter(|_| to.mode != Mode::Enforce),
        None => Some(Weakened::Enforcement(enforcement.mode)).filter(|_| enforcement.mode != Mode::Enforce),
    };
    let never = excepted(&enforcement.never_refuse, &enforcement.never_refuse_accounts, facts);
    thrown.into_iter().chain(never.map(Weakened::NeverRefuse)).collect()
}

fn excepted(ranges: &[IpNet], accounts: &[Arc<str>], facts: &Facts<'_>) -> Option<Who> {
    let range = ranges.iter().find(|range| range.contains(&facts.address)).copied().map(Who::Range);
    let mut known = facts.who.accounts.iter().filter(|account| accounts.contains(&account.id));
    range.or_else(|| known.next().map(|account| Who::Account(Arc::clone(&account.id))))
}

fn why_not(binding: &Binding, id: LimitId, facts: &Facts<'_>) -> WhyNot {
    let policy = binding.policy();
    let limit = policy.limit(id);
    if limit.mode == Mode::Off {
        return WhyNot::Off;
    }
    let Match { paths, methods, hosts, headers, plans, accounts, clients, not } = limit.matches.clone();
    let any = Match::default;
    let parts = [
        ("path", Match { paths, ..any() }),
        ("method", Match { methods, ..any() }),
        ("host", Match { hosts, ..any() }),
        ("header", Match { headers, ..any() }),
        ("plan", Match { plans, ..any() }),
        ("account", Match { accounts, ..any() }),
        ("client", Match { clients, ..any() }),
        ("not", Match { not, ..any() }),
    ];
    if let Some((name, _)) = parts.iter().find(|(_, part)| !binding.fits(part, facts.into(), true)) {
        return WhyNot::Match(name);
    }
    let route = policy.routes.get(usize::from(facts.route.0));
    if limit.cost == Cost::UpstreamTime && route.is_some_and(|route| route.stream) {
        return WhyNot::Stream;
    }
    WhyNot::Lacks(whose::lacking(&limit.key, facts))
}
