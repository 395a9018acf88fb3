//! The numbers of a limit: its own, and those of plans and agreements.

use std::sync::Arc;
use std::time::Duration;

use crate::facts::{Account, Facts};
use crate::limit::{ConcurrencyRule, DebtRule, GcraRule, QuotaRule, Rule, SlidingRule};
use crate::policy::{Bound, Cost, Limit, LimitId, Period, Policy, TermsId};
use crate::time::WallTime;

use super::names::Algorithm;

/// How long a month is taken to be when a quota by the calendar is compared with another.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

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
    pub(super) fn new(policy: &Policy, id: LimitId, limit: &Limit, origin: WallTime) -> Self {
        let ids = (0..=u32::MAX).map(TermsId);
        let others = ids.zip(&policy.terms).filter_map(|(terms, numbers)| {
            let other = numbers.numbers_of(id)?;
            Some((terms, Numbers::new(other.bound, limit.cost, origin)))
        });
        Rules { own: Numbers::new(limit.bound, limit.cost, origin), others: others.collect() }
    }

    /// For somebody with these terms.
    #[inline]
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

    #[inline]
    fn numbers(&self, terms: TermsId) -> &Numbers {
        if self.others.is_empty() {
            return &self.own;
        }
        match self.others.binary_search_by_key(&terms, |(terms, _)| *terms) {
            Ok(at) => self.others.get(at).map_or(&self.own, |(_, numbers)| numbers),
            Err(_) => &self.own,
        }
    }
}

impl Numbers {
    #[expect(clippy::cast_precision_loss, reason = "only compared")]
    fn new(bound: Bound, cost: Cost, origin: WallTime) -> Self {
        let per_second = |units: u64, window: Duration| units as f64 / window.as_secs_f64();
        let generosity = match bound {
            Bound::SlidingWindow { units, window }
            | Bound::Gcra { units, window, .. }
            | Bound::Quota { units, period: Period::Rolling(window) } => per_second(units.get(), window),
            // A month is as good as thirty days here.
            Bound::Quota { units, period: Period::Month } => per_second(units.get(), MONTH),
            Bound::Concurrency { requests } => f64::from(requests.get()),
        };
        Numbers { rule: rule(bound, cost, origin), generosity }
    }
}

fn rule(bound: Bound, cost: Cost, origin: WallTime) -> Rule {
    match (bound, cost.is_settled()) {
        (Bound::Concurrency { requests }, _) => Rule::Concurrency(ConcurrencyRule::new(requests)),
        (Bound::Gcra { units, window, burst }, false) => Rule::Gcra(GcraRule::new(units, window, burst)),
        (Bound::Gcra { units, window, burst }, true) => {
            Rule::PacedDebt(accruing(DebtRule::paced(units, window, burst.into()), cost))
        }
        (
            Bound::SlidingWindow { units, window } | Bound::Quota { units, period: Period::Rolling(window) },
            false,
        ) => Rule::Sliding(SlidingRule::new(units, window)),
        (
            Bound::SlidingWindow { units, window } | Bound::Quota { units, period: Period::Rolling(window) },
            true,
        ) => Rule::WindowDebt(accruing(DebtRule::window(units, window), cost)),
        (Bound::Quota { units, period: Period::Month }, false) => {
            Rule::Quota(QuotaRule::month(units, origin))
        }
        (Bound::Quota { units, period: Period::Month }, true) => {
            Rule::MonthDebt(accruing(DebtRule::month(units, origin), cost))
        }
    }
}

/// Time is spent while a request is in flight; bytes are counted when it ends.
fn accruing<R>(rule: DebtRule<R>, cost: Cost) -> DebtRule<R> {
    if cost == Cost::UpstreamTime { rule.accruing(Duration::from_micros(1)) } else { rule }
}

/// How a limit counts.
pub(super) fn algorithm(bound: Bound, cost: Cost) -> Algorithm {
    match (bound, cost.is_settled()) {
        (Bound::Concurrency { .. }, _) => Algorithm::Concurrency,
        (Bound::Gcra { .. }, false) => Algorithm::Gcra,
        (Bound::Gcra { .. }, true) => Algorithm::PacedDebt,
        (Bound::SlidingWindow { .. } | Bound::Quota { period: Period::Rolling(_), .. }, false) => {
            Algorithm::Sliding
        }
        (Bound::SlidingWindow { .. } | Bound::Quota { period: Period::Rolling(_), .. }, true) => {
            Algorithm::WindowDebt
        }
        (Bound::Quota { period: Period::Month, .. }, false) => Algorithm::Month,
        (Bound::Quota { period: Period::Month, .. }, true) => Algorithm::MonthDebt,
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;
    use crate::limit::Cell;
    use crate::time::Moment;

    /// Promise: who waits on the upstream for two minutes in every minute is kept in 4 bytes a part of the window, as
    /// everybody is: a block of 512 bytes beside the book itself.
    #[test]
    fn upstream_time_is_kept_narrow() {
        let units = NonZeroU64::new(120_000_000).unwrap_or(NonZeroU64::MIN);
        let bound = Bound::SlidingWindow { units, window: Duration::from_secs(60) };
        let rule = rule(bound, Cost::UpstreamTime, WallTime { unix_ms: 0 });
        let mut cell = Cell::new(&rule);
        let one = Moment::from_nanos(0);
        cell.settle(&rule, 0, 1, one, one);
        let book = cell.heap_bytes();
        for at in (0..60_000).step_by(100) {
            let now = Moment::from_nanos(at * 1_000_000);
            cell.settle(&rule, 0, 200_000, now, now);
        }
        assert_eq!(cell.status(&rule, Moment::from_nanos(59_900_000_000)).used, 120_000_001);
        assert_eq!(cell.heap_bytes() - book, 512);
    }

    /// Promise: of two accounts the stricter number holds, also between a month and a window that rolls: a million a
    /// month is less than a million a day, and more than a thousand a day.
    #[test]
    fn a_month_is_compared_with_a_window() {
        let origin = WallTime { unix_ms: 0 };
        let day = Period::Rolling(Duration::from_secs(24 * 3600));
        let generosity = |units: u64, period| {
            let units = NonZeroU64::new(units).unwrap_or(NonZeroU64::MIN);
            Numbers::new(Bound::Quota { units, period }, Cost::Requests, origin).generosity
        };
        assert!(generosity(1_000_000, Period::Month) < generosity(1_000_000, day));
        assert!(generosity(1_000_000, Period::Month) > generosity(1_000, day));
    }
}
