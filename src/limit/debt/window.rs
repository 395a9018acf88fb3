//! What was spent comes back a window later. What exceeds the limit waits until units come back, and is spent
//! then: a request that cost ten times N fills ten windows.

use std::num::NonZeroU64;
use std::time::Duration;

use super::Ledger;
use crate::limit::instant::{ORIGIN, from_unix, to_unix};
use crate::limit::saved::SavedDebt;
use crate::limit::sliding::{SlidingCell, SlidingRule};
use crate::time::WallTime;

/// At most so many units spent in every window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowRule(SlidingRule);

impl WindowRule {
    pub(super) fn new(units: NonZeroU64, window: Duration) -> Self {
        WindowRule(SlidingRule::in_parts(units, window))
    }
}

/// What was spent in the last window, and what waits to be.
#[derive(Clone, Debug, Default)]
pub struct WindowDebt {
    spent: SlidingCell,
    /// Not zero only when `spent` holds at least N.
    waiting: u64,
    /// N of the rule it was last asked by.
    units: u64,
}

impl Ledger for WindowDebt {
    type Rule = WindowRule;

    fn capacity(rule: &WindowRule) -> u64 {
        rule.0.units()
    }

    fn advance(&mut self, WindowRule(rule): &WindowRule, at: u64) {
        if self.waiting == 0 {
            self.units = rule.units();
            self.spent.advance(rule, at);
            return;
        }
        if let Some(units) = NonZeroU64::new(self.units) {
            let old = SlidingRule::in_parts(units, Duration::from_nanos(self.spent.window()));
            if old != *rule {
                // Until now it was another limit.
                self.pass_until(&old, at);
            }
        }
        self.pass_until(rule, at);
    }

    fn owed(&self, _: &WindowRule) -> u64 {
        self.spent.used().saturating_add(self.waiting)
    }

    fn owe(&mut self, units: u64) {
        self.waiting = self.waiting.saturating_add(units);
    }

    fn spend(&mut self, WindowRule(rule): &WindowRule, units: u64) {
        self.owe(units);
        self.spend_waiting(rule);
    }

    fn owed_below_at(&self, _: &WindowRule, below: u64) -> u64 {
        self.below_at(below)
    }

    fn is_clear(&self, at: u64) -> bool {
        (self.spent.used() == 0 && self.waiting == 0) || self.below_at(1) <= at
    }

    fn heap_bytes(&self) -> usize {
        self.spent.heap_bytes()
    }
}

impl WindowDebt {
    pub(in crate::limit) fn save(&self, origin: WallTime) -> SavedDebt {
        let (spent, at_unix_ns) = (self.spent.save(origin), to_unix(self.spent.seen(), origin));
        SavedDebt { spent, waiting: self.waiting, units: self.units, at_unix_ns }
    }

    /// As it was when it was saved: what has come back since then is found at the first check.
    pub(in crate::limit) fn restore(saved: SavedDebt, origin: WallTime) -> Option<Self> {
        let seen = from_unix(saved.at_unix_ns, origin);
        let spent = SlidingCell::restore_in_parts(saved.spent, origin, seen);
        let debt = WindowDebt { spent, waiting: saved.waiting, units: saved.units };
        (!debt.is_clear(ORIGIN)).then_some(debt)
    }

    fn pass_until(&mut self, rule: &SlidingRule, at: u64) {
        self.units = rule.units();
        // What it may find changed: N is higher, or W another.
        self.spent.advance(rule, self.spent.seen());
        self.spend_waiting(rule);
        while self.waiting > 0 {
            self.skip_full_windows(rule, at);
            let Some(back_at) = self.spent.back_at(1).filter(|&back_at| back_at <= at) else { break };
            self.spent.advance(rule, back_at);
            self.spend_waiting(rule);
        }
        self.spent.advance(rule, at);
    }

    /// Units come back in the order in which they were spent, and as they do, those that wait take their places
    /// and come back a window later in the same order.
    fn below_at(&self, below: u64) -> u64 {
        let (used, full, window) = (self.spent.used(), self.units.max(1), self.spent.window());
        let returning = self.waiting.saturating_add(used.saturating_sub(below)).saturating_add(1);
        let Some(again) = returning.checked_sub(used).and_then(|more| more.checked_sub(1)) else {
            return self.spent.back_at(returning).unwrap_or_else(|| self.spent.seen());
        };
        let (windows, place) = (1 + again / full, again % full);
        let first = self.spent.back_at(used.saturating_sub(full) + place + 1);
        first.unwrap_or_else(|| self.spent.seen()).saturating_add(window.saturating_mul(windows))
    }

    fn spend_waiting(&mut self, rule: &SlidingRule) {
        let units = self.waiting.min(rule.units().saturating_sub(self.spent.used()));
        self.spent.charge(rule, units);
        self.waiting -= units;
    }

    /// While N units wait behind N that come back, nothing changes but the time: it is not worth a loop.
    fn skip_full_windows(&mut self, rule: &SlidingRule, at: u64) {
        if self.spent.used() == rule.units() && self.waiting >= rule.units() {
            let by_time = at.saturating_sub(self.spent.all_back_at()) / rule.window();
            let windows = (self.waiting / rule.units()).min(by_time) & !1;
            self.spent.skip_windows(windows);
            self.waiting -= windows * rule.units();
        }
    }
}
