//! The cells behind limits: pure, bounded, `now` is an argument. Only the engine calls them.
//!
//! A [`Rule`] is what a limit allows, compiled once; a [`Cell`] is what one principal has used of it. The rule
//! is passed to every call and never kept, so that new numbers take effect at once and refill nothing.
//!
//! [`Cell::check`] asks, [`Cell::charge`] takes. They are apart because all limits of a request are one
//! decision: what one of them refuses must cost nothing in the others.

mod concurrency;
mod gcra;
mod sliding;

pub use concurrency::{ConcurrencyCell, ConcurrencyRule};
pub use gcra::{GcraCell, GcraRule};
pub use sliding::{SlidingCell, SlidingRule};

use std::time::Duration;

use crate::time::Moment;

/// How much a limit allows, ready to be checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Sliding(SlidingRule),
    Gcra(GcraRule),
    Concurrency(ConcurrencyRule),
}

/// What one principal has used of one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Sliding(SlidingCell),
    Gcra(GcraCell),
    Concurrency(ConcurrencyCell),
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

impl Cell {
    /// A cell of which nothing is used.
    pub fn new(rule: &Rule) -> Self {
        match rule {
            Rule::Sliding(_) => Cell::Sliding(SlidingCell::default()),
            Rule::Gcra(_) => Cell::Gcra(GcraCell::default()),
            Rule::Concurrency(_) => Cell::Concurrency(ConcurrencyCell::default()),
        }
    }

    /// Whether `cost` units fit at `now`. Takes nothing, but forgets what has expired.
    ///
    /// A cell never sees time run backwards: an earlier `now` counts as the latest one it was given. A cell of
    /// another algorithm than the rule starts afresh.
    pub fn check(&mut self, rule: &Rule, cost: u64, now: Moment) -> Check {
        match (&mut *self, rule) {
            (Cell::Sliding(cell), Rule::Sliding(rule)) => cell.check(rule, cost, now),
            (Cell::Gcra(cell), Rule::Gcra(rule)) => cell.check(rule, cost, now),
            (Cell::Concurrency(cell), Rule::Concurrency(rule)) => cell.check(rule),
            _ => {
                *self = Cell::new(rule);
                self.check(rule, cost, now)
            }
        }
    }

    /// Takes `cost` units, which the [`check`](Self::check) just before found, at the time of that check.
    pub fn charge(&mut self, rule: &Rule, cost: u64) {
        match (self, rule) {
            (Cell::Sliding(cell), Rule::Sliding(rule)) => cell.charge(rule, cost),
            (Cell::Gcra(cell), Rule::Gcra(rule)) => cell.charge(rule, cost),
            (Cell::Concurrency(cell), Rule::Concurrency(_)) => cell.charge(),
            _ => debug_assert!(false, "charged without a check"),
        }
    }

    /// Gives back one request in flight; nothing in cells that do not count those.
    pub fn release(&mut self) {
        if let Cell::Concurrency(cell) = self {
            cell.release();
        }
    }

    /// Whether the cell is worth no more than a new one, under the rule it was last charged by.
    pub fn is_idle(&self, now: Moment) -> bool {
        match self {
            Cell::Sliding(cell) => cell.is_idle(now),
            Cell::Gcra(cell) => cell.is_idle(now),
            Cell::Concurrency(cell) => cell.is_idle(),
        }
    }

    /// Bytes held outside the cell itself, with the allocator's own.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Cell::Sliding(cell) => cell.heap_bytes(),
            Cell::Gcra(_) | Cell::Concurrency(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    use super::*;

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
