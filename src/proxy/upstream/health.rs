//! What is known of one server's health: failures seen in passing, and the answers to active checks.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::policy::{Ejection, HealthCheck};
use crate::time::Moment;

/// Health of one server, read on every pick without a lock.
///
/// Failures are ours alone: a connection that could not be made, broke, or answered nothing that is HTTP, and
/// time-outs. A 5xx is the app's answer and ejects nobody: one broken page must not take a server away.
#[derive(Debug, Default)]
pub struct Health {
    failures_in_a_row: AtomicU32,
    /// Ejections without a success in between; the next lasts twice as long.
    ejections_in_a_row: AtomicU32,
    ejected_until: AtomicU64,
    check_failed: AtomicBool,
    check_streak: AtomicU32,
}

impl Health {
    /// Whether active checks let traffic through. True where there are none.
    pub fn passes_checks(&self) -> bool {
        !self.check_failed.load(Ordering::Relaxed)
    }

    pub fn is_ejected(&self, now: Moment) -> bool {
        self.ejected_until.load(Ordering::Relaxed) > now.as_nanos()
    }

    /// When it is tried again, if it is left alone for its failures.
    pub fn back_in(&self, now: Moment) -> Option<Duration> {
        let until = Moment::from_nanos(self.ejected_until.load(Ordering::Relaxed));
        (self.passes_checks() && until > now).then(|| until.since(now))
    }

    pub fn is_healthy(&self, now: Moment) -> bool {
        self.passes_checks() && !self.is_ejected(now)
    }

    pub fn succeeded(&self) {
        // Almost always zero already: a load is cheaper than a store that other cores must see.
        if self.failures_in_a_row.load(Ordering::Relaxed) != 0 {
            self.failures_in_a_row.store(0, Ordering::Relaxed);
        }
        if self.ejections_in_a_row.load(Ordering::Relaxed) != 0 {
            self.ejections_in_a_row.store(0, Ordering::Relaxed);
            self.ejected_until.store(0, Ordering::Relaxed);
        }
    }

    /// Counts a failure; true when it ejects the server.
    pub fn failed(&self, now: Moment, rule: &Ejection) -> bool {
        let failures = self.failures_in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
        if failures < rule.failures.get() || self.is_ejected(now) {
            return false;
        }
        let before = self.ejections_in_a_row.fetch_add(1, Ordering::Relaxed);
        let stay = rule.base.saturating_mul(1 << before.min(16)).min(rule.max);
        self.ejected_until.store(now.after(stay).as_nanos(), Ordering::Relaxed);
        true
    }

    /// Forgets what active checks said; for when they are no longer made, or made differently.
    pub fn forget_checks(&self) {
        self.check_failed.store(false, Ordering::Relaxed);
        self.check_streak.store(0, Ordering::Relaxed);
    }

    /// Takes the result of one active check; true when it changed what [`Health::passes_checks`] says.
    pub fn checked(&self, passed: bool, rule: &HealthCheck) -> bool {
        let failed_before = self.check_failed.load(Ordering::Relaxed);
        if passed != failed_before {
            self.check_streak.store(0, Ordering::Relaxed);
            return false;
        }
        let needed = if passed { rule.healthy_after } else { rule.unhealthy_after };
        let streak = self.check_streak.fetch_add(1, Ordering::Relaxed) + 1;
        if streak < needed.get() {
            return false;
        }
        self.check_streak.store(0, Ordering::Relaxed);
        self.check_failed.store(!passed, Ordering::Relaxed);
        if passed {
            self.succeeded();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rule() -> Ejection {
        Ejection { failures: NonZeroU32::new(2).unwrap(), base: SECOND, max: 3 * SECOND }
    }

    /// Promise: a server that fails in a row is left alone, twice as long each time up to the maximum, and
    /// one success forgives everything.
    #[test]
    fn ejects_with_backoff_and_forgives() {
        let (health, mut now) = (Health::default(), Moment::from_nanos(1));
        assert!(!health.failed(now, &rule()));
        for stay in [SECOND, 2 * SECOND, 3 * SECOND, 3 * SECOND] {
            assert!(health.failed(now, &rule()));
            let last = Moment::from_nanos(now.after(stay).as_nanos() - 1);
            assert!(health.is_ejected(last));
            now = now.after(stay);
            assert!(!health.is_ejected(now));
        }
        health.succeeded();
        assert!(!health.failed(now, &rule()), "counts from zero again");
    }

    /// Promise: active checks need the stated number of answers in a row, either way.
    #[test]
    fn checks_need_a_streak() {
        let rule = HealthCheck {
            path: "/".into(),
            interval: SECOND,
            timeout: SECOND,
            unhealthy_after: NonZeroU32::new(2).unwrap(),
            healthy_after: NonZeroU32::new(3).unwrap(),
        };
        let health = Health::default();
        let passes: Vec<bool> = [false, true, false, false, true, true, false, true, true, true]
            .map(|passed| {
                health.checked(passed, &rule);
                health.passes_checks()
            })
            .into();
        assert_eq!(passes, [true, true, true, false, false, false, false, false, false, true]);
        for _ in 0..2 {
            health.checked(false, &rule);
        }
        assert!(!health.passes_checks());
        health.forget_checks();
        assert!(health.passes_checks(), "a check that is gone keeps no server away");
    }
}
