//! What one account, or all together, took of one upstream.

use super::Resource;
use super::windows::Windows;
use crate::policy::load::LoadWindow;
use crate::time::{Moment, nanos};

/// Amounts by resource, in the order of [`Resource::ALL`]: nanoseconds of upstream time, requests, bytes, and
/// nanoseconds in flight (whose mean over a window is the mean concurrency).
pub(super) type Amounts = [u64; Resource::ALL.len()];

/// Counters of one user of an upstream, and how many of its requests are in flight.
///
/// Time in flight counts as it passes, the rest when a request ends.
#[derive(Clone, Debug)]
pub(super) struct Usage {
    windows: Windows<{ Resource::ALL.len() }>,
    in_flight: u32,
    /// Up to when time in flight is counted.
    counted_to: Moment,
}

/// What one request took, once it has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) upstream_ns: u64,
    pub(super) requests: u64,
    pub(super) bytes: u64,
}

impl Usage {
    pub(super) fn starting(now: Moment) -> Self {
        Usage { windows: Windows::starting(now), in_flight: 0, counted_to: now }
    }

    pub(super) fn begin(&mut self, now: Moment) {
        self.count_to(now);
        self.in_flight = self.in_flight.saturating_add(1);
    }

    pub(super) fn end(&mut self, taken: Taken, now: Moment) {
        self.count_to(now);
        self.in_flight = self.in_flight.saturating_sub(1);
        self.windows.add([taken.upstream_ns, taken.requests, taken.bytes, 0]);
    }

    pub(super) fn sums(&mut self, window: LoadWindow, now: Moment) -> Amounts {
        self.count_to(now);
        self.windows.sums(window)
    }

    /// Whether nothing of it is in any window.
    pub(super) fn is_idle(&mut self, now: Moment) -> bool {
        self.in_flight == 0 && self.sums(LoadWindow::Hour, now) == Amounts::default()
    }

    pub(super) const fn is_in_use(&self) -> bool {
        self.in_flight > 0
    }

    /// Counts the time in flight up to `now`, each part in the sub-window in which it passed.
    fn count_to(&mut self, now: Moment) {
        self.windows.skip_what_is_past(now);
        while let Some(boundary) = self.windows.boundary_before(now) {
            self.pass(boundary);
            self.windows.step();
        }
        self.pass(now);
    }

    fn pass(&mut self, to: Moment) {
        if self.in_flight > 0 {
            let passed = nanos(to.since(self.counted_to));
            self.windows.add([0, 0, 0, passed.saturating_mul(self.in_flight.into())]);
        }
        self.counted_to = self.counted_to.max(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos(seconds * S)
    }

    /// Promise: time in flight counts while it passes, where it passed, also of requests that have not ended: two
    /// requests from 5 s on, one until 25 s. At 95 s the last minute is 40 s to 95 s.
    #[test]
    fn time_in_flight_counts_as_it_passes() {
        let mut usage = Usage::starting(at(0));
        usage.begin(at(5));
        usage.begin(at(5));
        usage.end(Taken { upstream_ns: 3, requests: 1, bytes: 7 }, at(25));
        assert_eq!(usage.sums(LoadWindow::Minute, at(25)), [3, 1, 7, 2 * 20 * S]);
        assert_eq!(usage.sums(LoadWindow::Minute, at(95)), [0, 0, 0, 55 * S]);
        assert_eq!(usage.sums(LoadWindow::TenMinutes, at(95)), [3, 1, 7, (2 * 20 + 70) * S]);
    }

    /// Promise: a request in flight for longer than the longest window fills it and counts no more than that: at
    /// 10,000 s the last hour begins at 6,600 s, eleven whole sub-windows before the current one.
    #[test]
    fn what_is_longer_than_a_window_fills_it() {
        let mut usage = Usage::starting(at(0));
        usage.begin(at(0));
        assert_eq!(usage.sums(LoadWindow::Hour, at(10_000)), [0, 0, 0, 3_400 * S]);
        assert!(!usage.is_idle(at(10_000)));
        usage.end(Taken::default(), at(10_000));
        assert!(usage.is_idle(at(20_000)));
    }
}
