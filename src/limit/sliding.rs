//! The sliding window: at most N units in every window of length W, whatever the arrivals.
//!
//! The cell remembers when each unit was taken. Up to N = 128 the stamps are exact. Above, a stamp is rounded
//! up to the next multiple of W/128, so that a unit comes back at most W/128 late and never early.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::time::Duration;

use super::Check;
use crate::time::{Moment, nanos};

/// Up to so many units are stamped exactly; above, a window is cut into so many parts.
const STAMPS: u64 = 128;

/// What the allocator needs for one block, on top of what was asked for.
const ALLOCATION_OVERHEAD: usize = 16;

/// At most `units` in every half-open window of length `window`: what was taken at `t` is back at `t + window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingRule {
    units: u64,
    /// Nanoseconds, at least one.
    window: u64,
    /// Stamps are multiples of this many nanoseconds.
    grain: u64,
}

impl SlidingRule {
    pub fn new(units: NonZeroU64, window: Duration) -> Self {
        let (units, window) = (units.get(), nanos(window).max(1));
        let grain = if units <= STAMPS { 1 } else { window.div_ceil(STAMPS) };
        SlidingRule { units, window, grain }
    }

    /// The first multiple of the grain that is not before `at`.
    const fn round_up(&self, at: u64) -> u64 {
        match at.checked_next_multiple_of(self.grain) {
            Some(stamp) => stamp,
            None => u64::MAX,
        }
    }

    /// More distinct stamps than this cannot be in one window, as long as the rule does not change.
    fn entries_max(&self) -> usize {
        usize::try_from(self.units.min(STAMPS + 1)).unwrap_or(usize::MAX)
    }
}

/// The units that were taken and are not back yet, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlidingCell {
    /// Units in all entries.
    used: u64,
    /// The latest time this cell was given.
    seen: u64,
    /// The window of the rule it was last asked by.
    window: u64,
    /// The oldest entry, in place: one request from a client that never returns costs no allocation.
    /// No units: the cell is empty.
    oldest: Entry,
    newer: VecDeque<Entry>,
}

/// Units that come back together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Entry {
    /// No earlier than any of these units was taken, in nanoseconds of `Moment`.
    stamp: u64,
    units: u64,
}

impl SlidingCell {
    pub fn check(&mut self, rule: &SlidingRule, cost: u64, now: Moment) -> Check {
        self.advance(rule, now);
        if self.used.saturating_add(cost) <= rule.units {
            return Check::Within;
        }
        let retry_after = self.back_at(rule, cost).map(|at| at.since(now));
        Check::Over { retry_after }
    }

    pub fn charge(&mut self, rule: &SlidingRule, cost: u64) {
        if cost > 0 {
            self.used = self.used.saturating_add(cost);
            self.push(Entry { stamp: rule.round_up(self.seen), units: cost }, rule);
        }
    }

    pub fn is_idle(&self, now: Moment) -> bool {
        let newest = self.newer.back().unwrap_or(&self.oldest);
        self.used == 0 || newest.stamp.saturating_add(self.window) <= now.as_nanos()
    }

    pub fn heap_bytes(&self) -> usize {
        match self.newer.capacity() {
            0 => 0,
            entries => entries * size_of::<Entry>() + ALLOCATION_OVERHEAD,
        }
    }

    /// Moves to `now`, never backwards, and forgets what is back.
    fn advance(&mut self, rule: &SlidingRule, now: Moment) {
        self.seen = self.seen.max(now.as_nanos());
        self.window = rule.window;
        while self.oldest.units > 0 && self.oldest.stamp.saturating_add(rule.window) <= self.seen {
            self.used = self.used.saturating_sub(self.oldest.units);
            self.oldest = self.newer.pop_front().unwrap_or_default();
        }
    }

    /// When enough units will be back for `cost`; never, when it is more than the whole limit.
    fn back_at(&self, rule: &SlidingRule, cost: u64) -> Option<Moment> {
        let keep_max = rule.units.checked_sub(cost)?;
        let mut used = self.used;
        for entry in std::iter::once(&self.oldest).chain(&self.newer) {
            used = used.saturating_sub(entry.units);
            if used <= keep_max {
                return Some(Moment::from_nanos(entry.stamp.saturating_add(rule.window)));
            }
        }
        None
    }

    /// Adds to the newest entry if it has the same stamp. One with a later stamp, from a coarser rule before a
    /// reload, takes it too: late, never early.
    fn push(&mut self, entry: Entry, rule: &SlidingRule) {
        if self.oldest.units == 0 {
            self.oldest = entry;
            return;
        }
        let newest = self.newer.back_mut().unwrap_or(&mut self.oldest);
        if newest.stamp >= entry.stamp {
            newest.units = newest.units.saturating_add(entry.units);
            return;
        }
        if self.newer.len() + 1 >= rule.entries_max() {
            self.coarsen(rule);
        }
        if self.newer.len() == self.newer.capacity() {
            let left = rule.entries_max().saturating_sub(1 + self.newer.len());
            self.newer.reserve_exact(self.newer.len().max(3).min(left).max(1));
        }
        self.newer.push_back(entry);
    }

    /// Rounds every stamp up to the rule's grain and joins those that meet. Without a reload this joins nothing;
    /// after one, it is what keeps the cell within its bound.
    fn coarsen(&mut self, rule: &SlidingRule) {
        let old = std::mem::take(&mut self.newer);
        self.oldest.stamp = rule.round_up(self.oldest.stamp);
        for mut entry in old {
            entry.stamp = rule.round_up(entry.stamp);
            let newest = self.newer.back_mut().unwrap_or(&mut self.oldest);
            if newest.stamp >= entry.stamp {
                newest.units = newest.units.saturating_add(entry.units);
            } else {
                self.newer.push_back(entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(units: u64, window: u64) -> SlidingRule {
        SlidingRule::new(NonZeroU64::new(units).unwrap(), Duration::from_nanos(window))
    }

    fn take(cell: &mut SlidingCell, rule: &SlidingRule, cost: u64, at: u64) -> Check {
        let check = cell.check(rule, cost, Moment::from_nanos(at));
        if check.is_within() {
            cell.charge(rule, cost);
        }
        check
    }

    fn wait(ns: u64) -> Check {
        Check::Over { retry_after: Some(Duration::from_nanos(ns)) }
    }

    /// Promise: a window is half open: what was taken at `t` is back at `t + W`, not before.
    #[test]
    fn units_come_back_one_by_one() {
        let (rule, mut cell) = (rule(2, 100), SlidingCell::default());
        assert_eq!(take(&mut cell, &rule, 1, 10), Check::Within);
        assert_eq!(take(&mut cell, &rule, 1, 60), Check::Within);
        assert_eq!(take(&mut cell, &rule, 1, 109), wait(1));
        assert_eq!(take(&mut cell, &rule, 2, 109), wait(51));
        assert_eq!(take(&mut cell, &rule, 1, 110), Check::Within);
        assert_eq!(take(&mut cell, &rule, 3, 110), Check::Over { retry_after: None });
    }

    /// Promise: a client that asks once costs no allocation.
    #[test]
    fn one_request_allocates_nothing() {
        let (rule, mut cell) = (rule(1000, 100), SlidingCell::default());
        take(&mut cell, &rule, 1, 10);
        assert_eq!(cell.heap_bytes(), 0);
    }

    /// Promise: a window made longer by a reload counts what the cell still knows, and the cell is not idle
    /// before that is back.
    #[test]
    fn a_longer_window_counts_at_once() {
        let (short, long, mut cell) = (rule(1, 100), rule(1, 1000), SlidingCell::default());
        take(&mut cell, &short, 1, 10);
        assert_eq!(take(&mut cell, &long, 1, 510), wait(500));
        assert!(!cell.is_idle(Moment::from_nanos(1009)));
        assert!(cell.is_idle(Moment::from_nanos(1010)));
    }

    /// Promise: times and numbers at the edge of 64 bits are answered, never a panic, and never a free unit.
    #[test]
    fn extremes_do_not_overflow() {
        for rule in [rule(u64::MAX, u64::MAX), rule(1, u64::MAX), rule(u64::MAX, 0)] {
            let mut cell = SlidingCell::default();
            for at in [0, u64::MAX - 1, u64::MAX, 7] {
                for cost in [0, 1, u64::MAX] {
                    take(&mut cell, &rule, cost, at);
                }
            }
        }
    }
}
