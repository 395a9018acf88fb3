//! What was spent comes back when the next calendar month begins (UTC). What exceeds the limit waits, and is
//! spent in the months that follow.

use std::num::NonZeroU64;

use super::Ledger;
use crate::limit::calendar::{month_begins, month_of};
use crate::limit::instant::ORIGIN;
use crate::limit::saved::SavedMonth;
use crate::time::WallTime;

/// In nanoseconds.
const LONG_MONTH: u64 = 31 * 86_400_000_000_000;

/// At most so many units in a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonthRule {
    units: u64,
    /// The wall time of `Moment::ORIGIN`.
    origin: WallTime,
}

impl MonthRule {
    pub(in crate::limit) const fn new(units: NonZeroU64, origin: WallTime) -> Self {
        MonthRule { units: units.get(), origin }
    }
}

/// What was spent this month, and what waits to be.
#[derive(Clone, Copy, Debug, Default)]
pub struct MonthDebt {
    /// Counted from January 1970, up to ten million years.
    month: u32,
    /// When the next one begins.
    ends_at: u64,
    spent: u64,
    /// Not zero only when `spent` is at least N.
    waiting: u64,
    /// N of the rule it was last asked by.
    units: u64,
}

impl Ledger for MonthDebt {
    type Rule = MonthRule;

    fn capacity(rule: &MonthRule) -> u64 {
        rule.units
    }

    fn advance(&mut self, rule: &MonthRule, at: u64) {
        self.units = rule.units;
        if at >= self.ends_at {
            let month = month_of(at, rule.origin);
            let paid = u64::from(month.saturating_sub(self.month).saturating_sub(1));
            self.waiting = self.waiting.saturating_sub(paid.saturating_mul(rule.units));
            self.spent = 0;
            (self.month, self.ends_at) = (month, month_begins(month + 1, rule.origin));
        }
        self.spend(rule, 0);
    }

    fn owed(&self, _: &MonthRule) -> u64 {
        self.spent.saturating_add(self.waiting)
    }

    fn owe(&mut self, units: u64) {
        self.waiting = self.waiting.saturating_add(units);
    }

    fn spend(&mut self, rule: &MonthRule, units: u64) {
        self.owe(units);
        let units = self.waiting.min(rule.units.saturating_sub(self.spent));
        self.spent += units;
        self.waiting -= units;
    }

    fn owed_below_at(&self, rule: &MonthRule, below: u64) -> u64 {
        let months = self.waiting.saturating_sub(below - 1).div_ceil(rule.units);
        let months = u32::try_from(months).unwrap_or(u32::MAX);
        month_begins(self.month.saturating_add(1).saturating_add(months), rule.origin)
    }

    /// With months taken as long: a debt that outlives this one is clear some days late.
    fn is_clear(&self, at: u64) -> bool {
        let months = self.waiting.div_ceil(self.units.max(1));
        let clear_at = self.ends_at.saturating_add(months.saturating_mul(LONG_MONTH));
        clear_at <= at || (self.spent == 0 && self.waiting == 0)
    }

    fn heap_bytes(&self) -> usize {
        0
    }
}

impl MonthDebt {
    pub(in crate::limit) const fn save(&self) -> SavedMonth {
        SavedMonth { month: self.month, spent: self.spent, waiting: self.waiting, units: self.units }
    }

    pub(in crate::limit) fn restore(saved: SavedMonth, origin: WallTime) -> Option<Self> {
        let SavedMonth { month, spent, waiting, units } = saved;
        // A clock that was set back does not make a month come from the future.
        let month = month.min(month_of(ORIGIN, origin));
        let debt = MonthDebt { month, ends_at: month_begins(month + 1, origin), spent, waiting, units };
        (!debt.is_clear(ORIGIN)).then_some(debt)
    }
}
