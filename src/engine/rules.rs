//! The numbers of a limit: its own, and those of plans and agreements.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::facts::{Account, Facts};
use crate::limit::{ConcurrencyRule, GcraRule, Rule, SlidingRule};
use crate::policy::{Bound, Cost, Limit, LimitId, Period, Policy, TermsId};

use super::names::Algorithm;

/// What a limit allows whom.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    own: Numbers,
    /// Sorted.
    others: Arc<[(TermsId, Numbers)]>,
}

#[derive(Clone, Copy, Debug)]
struct Numbers {
    rule: Rule,
    /// Units per second, or at once: to tell which of two is the stricter.
    generosity: f64,
}

impl Rules {
    pub(super) fn new(policy: &Policy, id: LimitId, limit: &Limit) -> Self {
        let ids = (0..=u32::MAX).map(TermsId);
        let others = ids.zip(&policy.terms).filter_map(|(terms, numbers)| {
            let other = numbers.overrides.iter().find(|other| other.limit == id)?;
            Some((terms, Numbers::new(other.bound, limit.cost)))
        });
        Rules { own: Numbers::new(limit.bound, limit.cost), others: others.collect() }
    }

    /// For somebody with these terms.
    pub(super) fn of(&self, terms: TermsId) -> &Rule {
        &self.numbers(terms).rule
    }

    /// Whose numbers hold for whoever asks: of several accounts, the stricter.
    pub(super) fn terms_of(&self, facts: &Facts<'_>) -> TermsId {
        if self.others.is_empty() {
            return TermsId::NONE;
        }
        let generosity = |terms: TermsId| self.numbers(terms).generosity;
        let theirs = facts.who.accounts.iter().map(|Account { terms, .. }| *terms);
        theirs.min_by(|a, b| generosity(*a).total_cmp(&generosity(*b))).unwrap_or_default()
    }

    fn numbers(&self, terms: TermsId) -> &Numbers {
        match self.others.binary_search_by_key(&terms, |(terms, _)| *terms) {
            Ok(at) => self.others.get(at).map_or(&self.own, |(_, numbers)| numbers),
            Err(_) => &self.own,
        }
    }
}

impl Numbers {
    #[expect(clippy::cast_precision_loss, reason = "only compared")]
    fn new(bound: Bound, cost: Cost) -> Self {
        let per_second = |units: u64, window: std::time::Duration| units as f64 / window.as_secs_f64();
        let generosity = match bound {
            Bound::SlidingWindow { units, window }
            | Bound::Gcra { units, window, .. }
            | Bound::Quota { units, period: Period::Rolling(window) } => per_second(units.get(), window),
            Bound::Quota { units, period: Period::Month } => units.get() as f64,
            Bound::Concurrency { requests } => f64::from(requests.get()),
        };
        Numbers { rule: rule(bound, cost), generosity }
    }
}

fn rule(bound: Bound, _cost: Cost) -> Rule {
    match bound {
        Bound::SlidingWindow { units, window } => Rule::Sliding(SlidingRule::new(units, window)),
        Bound::Gcra { units, window, burst } => Rule::Gcra(GcraRule::new(units, window, burst)),
        Bound::Concurrency { requests } => Rule::Concurrency(ConcurrencyRule::new(requests)),
        // No policy compiles to quotas yet.
        Bound::Quota { .. } => Rule::Concurrency(ConcurrencyRule::new(NonZeroU32::MAX)),
    }
}

/// How a limit counts.
pub(super) fn algorithm(bound: Bound, _cost: Cost) -> Algorithm {
    match bound {
        Bound::SlidingWindow { .. } => Algorithm::Sliding,
        Bound::Gcra { .. } => Algorithm::Gcra,
        Bound::Concurrency { .. } | Bound::Quota { .. } => Algorithm::Concurrency,
    }
}
