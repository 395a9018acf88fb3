//! So many units in each calendar month. (A quota over a window that rolls is a sliding window.)

use std::num::NonZeroU64;
use std::time::Duration;

use super::debt::{Ledger, MonthDebt, MonthRule};
use super::instant::{instant, moment};
use super::saved::SavedMonth;
use super::{Check, Status};
use crate::time::{Moment, WallTime};

/// At most so many units in each month (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaRule(MonthRule);

impl QuotaRule {
    /// Moments count from `origin`.
    pub const fn month(units: NonZeroU64, origin: WallTime) -> Self {
        QuotaRule(MonthRule::new(units, origin))
    }
}

/// What one principal has used of a quota.
#[derive(Clone, Copy, Debug, Default)]
pub struct QuotaCell(MonthDebt);

impl QuotaCell {
    pub fn check(&mut self, QuotaRule(rule): &QuotaRule, cost: u64, now: Moment) -> Check {
        self.0.advance(rule, instant(now));
        let capacity = MonthDebt::capacity(rule);
        if self.0.owed(rule).checked_add(cost).is_some_and(|used| used <= capacity) {
            return Check::Within;
        }
        let keep_max = capacity.checked_sub(cost);
        let back = keep_max.map(|keep_max| self.0.owed_below_at(rule, keep_max.saturating_add(1)));
        Check::Over { retry_after: back.map(|at| moment(at).since(now)) }
    }

    pub fn charge(&mut self, QuotaRule(rule): &QuotaRule, cost: u64) {
        self.0.spend(rule, cost);
    }

    pub fn status(&mut self, QuotaRule(rule): &QuotaRule, now: Moment) -> Status {
        self.0.advance(rule, instant(now));
        let reset = match self.0.owed(rule) {
            0 => Duration::ZERO,
            _ => moment(self.0.owed_below_at(rule, 1)).since(now),
        };
        Status::new(MonthDebt::capacity(rule), self.0.owed(rule), Some(reset))
    }

    pub fn is_idle(&self, now: Moment) -> bool {
        self.0.is_clear(instant(now))
    }

    pub(super) const fn save(&self) -> SavedMonth {
        self.0.save()
    }

    pub(super) fn restore(saved: SavedMonth, origin: WallTime) -> Option<Self> {
        MonthDebt::restore(saved, origin).map(QuotaCell)
    }
}
