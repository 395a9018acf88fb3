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
    /// The window of the rule it was last charged by.
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
        self.window = rule.window;
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
