//! The cells behind limits: pure, bounded, `now` is an argument. Only the engine calls them.
//!
//! A [`Rule`] is what a limit allows, compiled once; a [`Cell`] is what one principal has used of it. The rule
//! is passed to every call and never kept, so that new numbers take effect at once and refill nothing.
//!
//! [`Cell::check`] asks, [`Cell::charge`] takes. They are apart because all limits of a request are one
//! decision: what one of them refuses must cost nothing in the others. A charge of requests in flight is given
//! back by [`Cell::release`], one of costs known only afterwards is paid by [`Cell::settle`].
//!
//! Which rule a limit needs follows from what it counts and when that is known:
//!
//! | | requests, by weight | bytes, upstream time |
//! |---|---|---|
//! | sliding window, quota that rolls | [`Rule::Sliding`] | [`Rule::WindowDebt`] |
//! | GCRA | [`Rule::Gcra`] | [`Rule::PacedDebt`] |
//! | quota by calendar month | [`Rule::Quota`] | [`Rule::MonthDebt`] |
//! | in flight | [`Rule::Concurrency`] | |
//!
//! New cells and checks allocate nothing; a cell's [`heap_bytes`](Cell::heap_bytes) grow only when it is charged
//! or settled.

mod adaptive;
mod calendar;
mod concurrency;
mod debt;
mod gcra;
mod instant;
mod memory;
mod quota;
mod saved;
mod sliding;

pub use adaptive::AdaptiveLimit;
pub use concurrency::{ConcurrencyCell, ConcurrencyRule};
pub use debt::{
    DebtCell, DebtRule, Ledger, MonthDebt, MonthRule, PacedDebt, PacedRule, WindowDebt, WindowRule,
};
pub use gcra::{GcraCell, GcraRule};
pub use memory::allocated;
pub use quota::{QuotaCell, QuotaRule};
pub use saved::{SavedCell, SavedDebt, SavedGcra, SavedMonth, SavedPaced, SavedWindow};
pub use sliding::{SlidingCell, SlidingRule};

use std::time::Duration;

use crate::time::Moment;

/// How much a limit allows, ready to be checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Sliding(SlidingRule),
    Gcra(GcraRule),
    Concurrency(ConcurrencyRule),
    Quota(QuotaRule),
    WindowDebt(DebtRule<WindowRule>),
    PacedDebt(DebtRule<PacedRule>),
    MonthDebt(DebtRule<MonthRule>),
}

impl Rule {
    /// Whether a request counts until it ends: then it has to be released or settled.
    pub const fn is_held(&self) -> bool {
        matches!(self, Rule::Concurrency(_) | Rule::WindowDebt(_) | Rule::PacedDebt(_) | Rule::MonthDebt(_))
    }
}

/// What one principal has used of one limit.
#[derive(Clone, Debug)]
pub enum Cell {
    Sliding(SlidingCell),
    Gcra(GcraCell),
    Concurrency(ConcurrencyCell),
    Quota(QuotaCell),
    WindowDebt(DebtCell<WindowDebt>),
    PacedDebt(DebtCell<PacedDebt>),
    MonthDebt(DebtCell<MonthDebt>),
}

/// Whether a charge would fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    Within,
    /// It does not fit. After `retry_after` it will, if nobody else uses the cell; `None` where that cannot be
    /// said: requests in flight end when they end, and a cost above the whole limit never fits.
    Over {
        retry_after: Option<Duration>,
    },
}

impl Check {
    pub const fn is_within(self) -> bool {
        matches!(self, Check::Within)
    }
}

/// How a cell stands, for people and for `RateLimit` fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// N; of paced limits the burst, and of concurrency the places.
    pub limit: u64,
    /// Units that are away: taken, spent and owed, or held in flight. More than `limit` where debts are, or where
    /// the limit was lowered.
    pub used: u64,
    /// Units that would fit now.
    pub remaining: u64,
    /// Until all units are back, if nobody uses the cell; `None` while that waits for requests in flight.
    pub reset_after: Option<Duration>,
}

impl Status {
    const fn new(limit: u64, used: u64, reset_after: Option<Duration>) -> Self {
        Status { limit, used, remaining: limit.saturating_sub(used), reset_after }
    }
}

impl Cell {
    /// A cell of which nothing is used.
    pub fn new(rule: &Rule) -> Self {
        match rule {
            Rule::Sliding(_) => Cell::Sliding(SlidingCell::default()),
            Rule::Gcra(_) => Cell::Gcra(GcraCell::default()),
            Rule::Concurrency(_) => Cell::Concurrency(ConcurrencyCell::default()),
            Rule::Quota(_) => Cell::Quota(QuotaCell::default()),
            Rule::WindowDebt(_) => Cell::WindowDebt(DebtCell::default()),
            Rule::PacedDebt(_) => Cell::PacedDebt(DebtCell::default()),
            Rule::MonthDebt(_) => Cell::MonthDebt(DebtCell::default()),
        }
    }

    /// Whether `cost` units fit at `now`; for debts, whether anything is left, whatever the cost. Takes nothing,
    /// but forgets what has expired.
    ///
    /// A cell never sees time run backwards: an earlier `now` counts as the latest one it was given. A cell of
    /// another algorithm than the rule starts afresh.
    #[inline]
    pub fn check(&mut self, rule: &Rule, cost: u64, now: Moment) -> Check {
        match (&mut *self, rule) {
            (Cell::Sliding(cell), Rule::Sliding(rule)) => cell.check(rule, cost, now),
            _ => self.check_other(rule, cost, now),
        }
    }

    fn check_other(&mut self, rule: &Rule, cost: u64, now: Moment) -> Check {
        match (&mut *self, rule) {
            (Cell::Gcra(cell), Rule::Gcra(rule)) => cell.check(rule, cost, now),
            (Cell::Concurrency(cell), Rule::Concurrency(rule)) => cell.check(rule),
            (Cell::Quota(cell), Rule::Quota(rule)) => cell.check(rule, cost, now),
            (Cell::WindowDebt(cell), Rule::WindowDebt(rule)) => cell.check(rule, now),
            (Cell::PacedDebt(cell), Rule::PacedDebt(rule)) => cell.check(rule, now),
            (Cell::MonthDebt(cell), Rule::MonthDebt(rule)) => cell.check(rule, now),
            _ => {
                *self = Cell::new(rule);
                self.check(rule, cost, now)
            }
        }
    }

    /// Takes `cost` units, which the [`check`](Self::check) just before found, at the time of that check. For
    /// debts, `cost` is what a request in flight is known to cost at least, and counts until it is settled.
    #[inline]
    pub fn charge(&mut self, rule: &Rule, cost: u64) {
        match (self, rule) {
            (Cell::Sliding(cell), Rule::Sliding(rule)) => cell.charge(rule, cost),
            (other, rule) => other.charge_other(rule, cost),
        }
    }

    fn charge_other(&mut self, rule: &Rule, cost: u64) {
        match (self, rule) {
            (Cell::Gcra(cell), Rule::Gcra(rule)) => cell.charge(rule, cost),
            (Cell::Concurrency(cell), Rule::Concurrency(_)) => cell.charge(),
            (Cell::Quota(cell), Rule::Quota(rule)) => cell.charge(rule, cost),
            (Cell::WindowDebt(cell), Rule::WindowDebt(rule)) => cell.charge(rule, cost),
            (Cell::PacedDebt(cell), Rule::PacedDebt(rule)) => cell.charge(rule, cost),
            (Cell::MonthDebt(cell), Rule::MonthDebt(rule)) => cell.charge(rule, cost),
            _ => debug_assert!(false, "charged without a check"),
        }
    }

    /// Pays for a request that has ended, exactly once for each charge of a debt, also of cancelled requests.
    ///
    /// `reserved` is the cost that was charged, `started` the `now` of the check before that, and `actual` what was
    /// really used. A cell that does not know the request, because it was made anew since, is charged all the
    /// same. Nothing in cells without debts.
    pub fn settle(&mut self, rule: &Rule, reserved: u64, actual: u64, started: Moment, now: Moment) {
        match (&mut *self, rule) {
            (Cell::WindowDebt(cell), Rule::WindowDebt(rule)) => {
                cell.settle(rule, reserved, actual, started, now);
            }
            (Cell::PacedDebt(cell), Rule::PacedDebt(rule)) => {
                cell.settle(rule, reserved, actual, started, now);
            }
            (Cell::MonthDebt(cell), Rule::MonthDebt(rule)) => {
                cell.settle(rule, reserved, actual, started, now);
            }
            (_, Rule::WindowDebt(_) | Rule::PacedDebt(_) | Rule::MonthDebt(_)) => {
                *self = Cell::new(rule);
                self.settle(rule, reserved, actual, started, now);
            }
            _ => {}
        }
    }

    /// Gives back one request in flight; nothing in cells that do not count those.
    pub fn release(&mut self) {
        if let Cell::Concurrency(cell) = self {
            cell.release();
        }
    }

    /// How the cell stands at `now`. Like a check, it forgets what has expired.
    pub fn status(&mut self, rule: &Rule, now: Moment) -> Status {
        match (&mut *self, rule) {
            (Cell::Sliding(cell), Rule::Sliding(rule)) => cell.status(rule, now),
            (Cell::Gcra(cell), Rule::Gcra(rule)) => cell.status(rule, now),
            (Cell::Concurrency(cell), Rule::Concurrency(rule)) => cell.status(rule),
            (Cell::Quota(cell), Rule::Quota(rule)) => cell.status(rule, now),
            (Cell::WindowDebt(cell), Rule::WindowDebt(rule)) => cell.status(rule, now),
            (Cell::PacedDebt(cell), Rule::PacedDebt(rule)) => cell.status(rule, now),
            (Cell::MonthDebt(cell), Rule::MonthDebt(rule)) => cell.status(rule, now),
            _ => {
                *self = Cell::new(rule);
                self.status(rule, now)
            }
        }
    }

    /// Whether more than half of the limit is used, after a check at `now`. What [`status`](Self::status) says, for less.
    #[inline]
    pub fn is_half_used(&mut self, rule: &Rule, now: Moment) -> bool {
        if let (Cell::Sliding(cell), Rule::Sliding(rule)) = (&*self, rule) {
            return cell.is_half_used(rule);
        }
        let Status { limit, used, .. } = self.status(rule, now);
        used > limit / 2
    }

    /// Whether the cell is worth no more than a new one, under the rule it was last asked by.
    pub fn is_idle(&self, now: Moment) -> bool {
        match self {
            Cell::Sliding(cell) => cell.is_idle(now),
            Cell::Gcra(cell) => cell.is_idle(now),
            Cell::Concurrency(cell) => cell.is_idle(),
            Cell::Quota(cell) => cell.is_idle(now),
            Cell::WindowDebt(cell) => cell.is_idle(now),
            Cell::PacedDebt(cell) => cell.is_idle(now),
            Cell::MonthDebt(cell) => cell.is_idle(now),
        }
    }

    /// Bytes held outside the cell itself, as the allocator gives them: see [`allocated`].
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Cell::Sliding(cell) => cell.heap_bytes(),
            Cell::Gcra(_) | Cell::Concurrency(_) | Cell::Quota(_) => 0,
            _ => self.debt_bytes(),
        }
    }

    fn debt_bytes(&self) -> usize {
        match self {
            Cell::Sliding(_) | Cell::Gcra(_) | Cell::Concurrency(_) | Cell::Quota(_) => 0,
            Cell::WindowDebt(cell) => cell.heap_bytes(),
            Cell::PacedDebt(cell) => cell.heap_bytes(),
            Cell::MonthDebt(cell) => cell.heap_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    use super::*;

    /// Promise: a cell costs a record no more than 48 bytes.
    #[test]
    fn cells_are_small() {
        assert!(size_of::<Cell>() <= 48, "{} bytes", size_of::<Cell>());
    }

    /// Promise: a changed algorithm starts the cell afresh instead of misreading what the old one counted.
    #[test]
    fn another_algorithm_starts_afresh() {
        let window = Duration::from_secs(1);
        let sliding = Rule::Sliding(SlidingRule::new(NonZeroU64::MIN, window));
        let gcra = Rule::Gcra(GcraRule::new(NonZeroU64::MIN, window, NonZeroU32::MIN));
        let mut cell = Cell::new(&sliding);
        assert!(cell.check(&sliding, 1, Moment::ORIGIN).is_within());
        cell.charge(&sliding, 1);
        assert!(!cell.check(&sliding, 1, Moment::ORIGIN).is_within());
        assert!(cell.check(&gcra, 1, Moment::ORIGIN).is_within());
    }
}
