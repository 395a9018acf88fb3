//! The retry budget: retries stay a small share of requests, so that they cannot multiply an outage.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::policy::Retry;
use crate::time::Moment;

/// The share is taken over windows of this length.
const WINDOW: Duration = Duration::from_secs(10);

/// Counts requests without a lock and judges retries, which are rare, under one.
#[derive(Debug)]
pub struct Budget {
    rule: Retry,
    requests: AtomicU64,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    start: Moment,
    requests_before: u64,
    retries: u64,
}

impl Budget {
    pub fn new(rule: Retry) -> Self {
        Budget { rule, requests: AtomicU64::new(0), window: Mutex::default() }
    }

    pub fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether one more retry is within the budget; if so it is charged.
    pub fn allow_retry(&self, now: Moment) -> bool {
        if self.rule.budget_permille == 0 {
            return false;
        }
        let requests = self.requests.load(Ordering::Relaxed);
        let mut window = self.window.lock();
        if now.since(window.start) >= WINDOW {
            *window = Window { start: now, requests_before: requests, retries: 0 };
        }
        let share = (requests - window.requests_before) * u64::from(self.rule.budget_permille) / 1000;
        let floor = u64::from(self.rule.floor_per_second) * WINDOW.as_secs();
        let allowed = window.retries < share.max(floor);
        window.retries += u64::from(allowed);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: when everything fails, retries are the stated share of requests and no more.
    #[test]
    fn retries_stay_a_share_of_requests() {
        let budget = Budget::new(Retry { budget_permille: 200, floor_per_second: 1 });
        let now = Moment::ORIGIN.after(Duration::from_secs(60));
        assert!(budget.allow_retry(now), "the floor allows the first");
        let allowed = (0..1000)
            .filter(|_| {
                budget.count_request();
                budget.allow_retry(now)
            })
            .count();
        assert_eq!(allowed + 1, 200);
        assert!(budget.allow_retry(now.after(WINDOW)), "a new window has its floor again");
    }

    /// Promise: a budget of zero turns retries off.
    #[test]
    fn zero_is_off() {
        let budget = Budget::new(Retry { budget_permille: 0, floor_per_second: 10 });
        assert!(!budget.allow_retry(Moment::ORIGIN));
    }
}
