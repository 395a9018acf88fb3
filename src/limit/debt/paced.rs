//! What was spent comes back evenly: a bucket that leaks, with its level in exact fractions of a unit, so that a
//! tebibyte a second and a unit in a month are the same arithmetic. (GCRA's cell counts whole nanoseconds per
//! unit, and ends at a gigabyte a second.)

use std::num::NonZeroU64;
use std::time::Duration;

use super::Ledger;
use crate::limit::instant::{HORIZON, ORIGIN, from_unix, to_unix};
use crate::limit::saved::SavedPaced;
use crate::time::{WallTime, nanos};

/// So many units come back in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacedRule {
    units: u64,
    /// Nanoseconds, from 1 to `HORIZON`.
    window: u64,
    burst: u64,
}

impl PacedRule {
    pub(super) fn new(units: NonZeroU64, window: Duration, burst: NonZeroU64) -> Self {
        PacedRule { units: units.get(), window: nanos(window).clamp(1, HORIZON), burst: burst.get() }
    }
}

/// The level of the bucket.
#[derive(Clone, Copy, Debug)]
pub struct PacedDebt {
    /// In units divided by `window`: a unit is `window` of these, and `units` of them come back in a nanosecond.
    level: u128,
    /// Of the rule it was last asked by.
    window: u64,
    units: u64,
    /// When that was its level.
    seen: u64,
}

impl Default for PacedDebt {
    fn default() -> Self {
        PacedDebt { level: 0, window: 1, units: 1, seen: 0 }
    }
}

impl Ledger for PacedDebt {
    type Rule = PacedRule;

    fn capacity(rule: &PacedRule) -> u64 {
        rule.burst
    }

    fn advance(&mut self, rule: &PacedRule, at: u64) {
        // Until now it was the old rule that gave back.
        let elapsed = at.saturating_sub(self.seen);
        self.level = self.level.saturating_sub(u128::from(elapsed) * u128::from(self.units));
        self.seen = self.seen.max(at);
        if self.window != rule.window {
            self.level = self.level_in(rule.window);
        }
        (self.window, self.units) = (rule.window, rule.units);
    }

    fn owed(&self, _: &PacedRule) -> u64 {
        self.owed_units()
    }

    fn owe(&mut self, units: u64) {
        let level_max = u128::from(u64::MAX) * u128::from(self.window);
        self.level = (self.level + u128::from(units) * u128::from(self.window)).min(level_max);
    }

    fn spend(&mut self, _: &PacedRule, units: u64) {
        self.owe(units);
    }

    fn owed_below_at(&self, rule: &PacedRule, below: u64) -> u64 {
        // At most below - 1, as a part of a unit counts as one.
        let excess = self.level.saturating_sub(u128::from(below - 1) * u128::from(self.window));
        let wait = excess.div_ceil(u128::from(rule.units));
        self.seen.saturating_add(u64::try_from(wait).unwrap_or(u64::MAX))
    }

    fn is_clear(&self, at: u64) -> bool {
        u128::from(at.saturating_sub(self.seen)) * u128::from(self.units) >= self.level
    }

    fn heap_bytes(&self) -> usize {
        0
    }
}

impl PacedDebt {
    pub(in crate::limit) fn save(&self, origin: WallTime) -> SavedPaced {
        SavedPaced {
            owed: self.owed_units(),
            units: self.units,
            window_ns: self.window,
            at_unix_ns: to_unix(self.seen, origin),
        }
    }

    /// As it was when it was saved: what has come back since then is found at the first check.
    pub(in crate::limit) fn restore(saved: SavedPaced, origin: WallTime) -> Option<Self> {
        let (window, units) = (saved.window_ns.clamp(1, HORIZON), saved.units.max(1));
        let level = u128::from(saved.owed) * u128::from(window);
        let debt = PacedDebt { level, window, units, seen: from_unix(saved.at_unix_ns, origin) };
        (!debt.is_clear(ORIGIN)).then_some(debt)
    }

    fn owed_units(&self) -> u64 {
        u64::try_from(self.level.div_ceil(u128::from(self.window))).unwrap_or(u64::MAX)
    }

    /// As many units under another window, rounded up.
    fn level_in(&self, window: u64) -> u128 {
        let (old, new) = (u128::from(self.window), u128::from(window));
        self.level / old * new + (self.level % old * new).div_ceil(old)
    }
}
