//! GCRA, the leaky bucket as a meter (ITU-T I.371, annex A): paced, with a burst. The algorithm is governor's;
//! the state and the time are ours.
//!
//! governor keeps one number, the theoretical arrival time: when everything taken so far would have been paid
//! off at the steady rate. It reads and replaces that number through a `StateStore`, and the time through a
//! `Clock`; both are given to it for one call, so a check is the same call that stores nothing. It adds and
//! multiplies unchecked: of its four terms, each at most `HORIZON`, no sum overflows.

use std::cell;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

use super::instant::{HORIZON, instant, to_unix};
use super::saved::SavedGcra;
use super::{Check, Status};
use crate::time::{Moment, WallTime, nanos};

/// So many units per window, evenly paced, and a burst at once: at most units + burst in any window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GcraRule {
    quota: Quota,
    /// Nanoseconds that one unit takes to come back.
    interval: u64,
}

impl GcraRule {
    /// The pace is rounded to whole nanoseconds, down: one unit takes at least a nanosecond to come back.
    /// A burst that would take longer than 73 years to come back is cut to what comes back in that time.
    pub fn new(units: NonZeroU64, window: Duration, burst: NonZeroU32) -> Self {
        let interval = nanos(window).min(HORIZON).div_ceil(units.get()).max(1);
        let burst_max = u32::try_from(HORIZON / interval).unwrap_or(u32::MAX);
        let burst = NonZeroU32::new(burst.get().min(burst_max)).unwrap_or(NonZeroU32::MIN);
        let paced = Quota::with_period(Duration::from_nanos(interval)).unwrap_or(Quota::per_second(burst));
        GcraRule { quota: paced.allow_burst(burst), interval }
    }
}

/// When all that was taken will have been paid off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GcraCell {
    /// The theoretical arrival time, in nanoseconds of `Moment`. In the past: nothing is owed.
    paid_off: u64,
    /// The rule's interval when `paid_off` was written: `(paid_off - now) / interval` units are owed.
    interval: u64,
    /// The latest time this cell was given.
    seen: u64,
}

impl GcraCell {
    pub fn check(&mut self, rule: &GcraRule, cost: u64, now: Moment) -> Check {
        self.advance(rule, now);
        match self.measure(rule, cost, Keep::Nothing) {
            Answer::Fits => Check::Within,
            Answer::FitsAt(at) => Check::Over { retry_after: Some(Moment::from_nanos(at).since(now)) },
            Answer::Never => Check::Over { retry_after: None },
        }
    }

    /// What does not fit is owed all the same.
    pub fn charge(&mut self, rule: &GcraRule, cost: u64) {
        if self.measure(rule, cost, Keep::Charge) != Answer::Fits {
            let owed = self.paid_off.max(self.seen).saturating_add(cost.saturating_mul(rule.interval));
            self.paid_off = owed.min(HORIZON);
        }
    }

    /// Of the burst: that is all there is to be had at once.
    pub fn status(&mut self, rule: &GcraRule, now: Moment) -> Status {
        self.advance(rule, now);
        let owed = self.paid_off.saturating_sub(self.seen);
        let reset = Moment::from_nanos(self.paid_off).since(now);
        Status::new(rule.quota.burst_size().get().into(), owed.div_ceil(rule.interval), Some(reset))
    }

    pub const fn is_idle(self, now: Moment) -> bool {
        self.paid_off <= now.as_nanos()
    }

    pub(super) fn save(&self, origin: WallTime) -> SavedGcra {
        let paid_off = instant(Moment::from_nanos(self.paid_off));
        SavedGcra { paid_off_unix_ns: to_unix(paid_off, origin), interval_ns: self.interval }
    }

    /// Nothing where all is paid off by now. What a clock that was set back has moved far into the future stays
    /// owed: a cell does not know by how much.
    pub(super) fn restore(saved: SavedGcra, origin: WallTime) -> Option<Self> {
        let paid_off = saved.paid_off_unix_ns.saturating_sub(origin.unix_ms.saturating_mul(1_000_000));
        let cell = GcraCell { paid_off: paid_off.min(HORIZON), interval: saved.interval_ns, seen: 0 };
        (paid_off > 0).then_some(cell)
    }

    /// Moves to `now`, never backwards, and keeps what is owed in units when the pace has changed.
    fn advance(&mut self, rule: &GcraRule, now: Moment) {
        self.seen = self.seen.max(now.as_nanos().min(HORIZON));
        if self.interval != rule.interval {
            let owed = u128::from(self.paid_off.saturating_sub(self.seen));
            let owed = (owed * u128::from(rule.interval)).div_ceil(u128::from(self.interval.max(1)));
            self.paid_off = self.seen.saturating_add(u64::try_from(owed).unwrap_or(HORIZON)).min(HORIZON);
            self.interval = rule.interval;
        }
    }

    fn measure(&mut self, rule: &GcraRule, cost: u64, keep: Keep) -> Answer {
        // governor compares a cost with the burst only after a multiplication that a huge one overflows.
        let Some(cost) = u32::try_from(cost).ok().filter(|&cost| cost <= rule.quota.burst_size().get())
        else {
            return Answer::Never;
        };
        let Some(cost) = NonZeroU32::new(cost) else { return Answer::Fits };
        let tat = cell::Cell::new(self.paid_off);
        let store = Store { tat: &tat, keep };
        let limiter = RateLimiter::<_, _, _, NoOpMiddleware<Nanos>>::new(rule.quota, store, Given::default());
        limiter.clock().set(self.seen);
        let answer = limiter.check_n(cost);
        self.paid_off = tat.get();
        match answer {
            Ok(Ok(())) => Answer::Fits,
            Ok(Err(not_until)) => Answer::FitsAt(not_until.earliest_possible().as_u64()),
            Err(_above_burst) => Answer::Never,
        }
    }
}

/// What governor said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Fits,
    /// At this time, in nanoseconds of `Moment`.
    FitsAt(u64),
    Never,
}

/// What a call leaves in the cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    Nothing,
    Charge,
}

/// One cell's number, lent to governor for one call.
struct Store<'a> {
    tat: &'a cell::Cell<u64>,
    keep: Keep,
}

impl StateStore for Store<'_> {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (answer, next) = f(Some(Nanos::new(self.tat.get())))?;
        if self.keep == Keep::Charge {
            self.tat.set(next.as_u64());
        }
        Ok(answer)
    }
}

/// A clock that shows what it was set to. governor takes its first reading as the origin, so it starts at zero.
#[derive(Debug, Default)]
struct Given(cell::Cell<u64>);

impl Given {
    fn set(&self, nanos: u64) {
        self.0.set(nanos);
    }
}

impl Clock for Given {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(units: u64, window_ns: u64, burst: u32) -> GcraRule {
        let (units, burst) = (NonZeroU64::new(units).unwrap(), NonZeroU32::new(burst).unwrap());
        GcraRule::new(units, Duration::from_nanos(window_ns), burst)
    }

    fn take(cell: &mut GcraCell, rule: &GcraRule, cost: u64, at: u64) -> Check {
        let now = Moment::from_nanos(at);
        let check = cell.check(rule, cost, now);
        if check.is_within() {
            cell.charge(rule, cost);
        }
        check
    }

    fn wait(ns: u64) -> Check {
        Check::Over { retry_after: Some(Duration::from_nanos(ns)) }
    }

    /// Promise: the burst at once, then one unit per interval; the wait that is told is exact.
    #[test]
    fn burst_then_pace() {
        let rule = rule(10, 1000, 3);
        let mut cell = GcraCell::default();
        for _ in 0..3 {
            assert_eq!(take(&mut cell, &rule, 1, 5000), Check::Within);
        }
        assert_eq!(take(&mut cell, &rule, 1, 5000), wait(100));
        assert_eq!(take(&mut cell, &rule, 1, 5099), wait(1));
        assert_eq!(take(&mut cell, &rule, 2, 5100), wait(100));
        assert_eq!(take(&mut cell, &rule, 1, 5100), Check::Within);
    }

    /// Promise: a check takes nothing, however often it is asked.
    #[test]
    fn checks_are_free() {
        let rule = rule(10, 1000, 1);
        let mut cell = GcraCell::default();
        for _ in 0..100 {
            assert!(cell.check(&rule, 1, Moment::from_nanos(7)).is_within());
        }
        assert_eq!(take(&mut cell, &rule, 1, 7), Check::Within);
    }

    /// Promise: changed numbers keep what is owed in units: a pace ten times faster pays it off ten times faster.
    #[test]
    fn a_changed_pace_keeps_the_debt_in_units() {
        let (slow, fast) = (rule(1, 1000, 4), rule(10, 1000, 4));
        let mut cell = GcraCell::default();
        for _ in 0..4 {
            assert!(take(&mut cell, &slow, 1, 0).is_within());
        }
        assert_eq!(take(&mut cell, &fast, 1, 0), wait(100));
        assert_eq!(take(&mut cell, &slow, 1, 0), wait(1000));
    }

    /// Promise: numbers and times at the edge of what 64 bits hold are answered, never a panic.
    #[test]
    fn extremes_do_not_overflow() {
        let rules = [rule(1, u64::MAX, u32::MAX), rule(u64::MAX, 1, u32::MAX), rule(u64::MAX, u64::MAX, 1)];
        for rule in &rules {
            let mut cell = GcraCell::default();
            for at in [0, u64::MAX, 1 << 62, 5] {
                for cost in [0, 1, u64::from(u32::MAX), u64::MAX] {
                    take(&mut cell, rule, cost, at);
                }
            }
        }
    }
}
