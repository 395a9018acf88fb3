//! Whether a client that is waited for moves its bytes fast enough: slow is measured against progress, not silence.
//!
//! A client begins with some patience. Waiting for it uses patience up; every byte that it moves gives some back, never
//! more than it began with. So a pause is forgiven up to the whole patience, and a steady trickle below the least rate
//! comes to an end, however often it moves. Time in which the client is not waited for, as while the app takes its
//! time, costs nothing.
//!
//! Whoever polls a socket calls [`Pace::wait`] where it is pending, [`Pace::moved`] where it was not, and
//! [`Pace::rest`] where it stops asking. Streams are not paced at all.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::time::{Moment, nanos};

/// What is asked of a client in one direction of one body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaceRule {
    /// The longest silence.
    pub patience: Duration,
    /// Bytes a second, the least over time. `None`: any byte makes up for any wait.
    pub least: Option<NonZeroU64>,
}

/// How a client does.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    rule: PaceRule,
    /// Nanoseconds of waiting that are left, as of `since` where the client is waited for.
    left: u64,
    since: Option<Moment>,
}

impl Pace {
    pub fn new(rule: PaceRule) -> Self {
        Pace { rule, left: nanos(rule.patience), since: None }
    }

    /// From here on only silence counts.
    pub fn ask_no_rate(&mut self) {
        self.rule.least = None;
    }

    /// The client is waited for, from `now` on unless it is already. Once the moment returned has come without
    /// [`moved`](Self::moved), the client is too slow. The time is asked for only where it matters.
    pub fn wait(&mut self, now: impl FnOnce() -> Moment) -> Moment {
        let since = *self.since.get_or_insert_with(now);
        since.after(Duration::from_nanos(self.left))
    }

    /// It moved `bytes`, and is not waited for until the next [`wait`](Self::wait).
    pub fn moved(&mut self, bytes: usize, now: impl FnOnce() -> Moment) {
        self.rest(now);
        let full = nanos(self.rule.patience);
        let back = self.rule.least.map_or(u64::MAX, |least| worth(bytes, least));
        if bytes > 0 {
            self.left = self.left.saturating_add(back).min(full);
        }
    }

    /// Nobody waits for it: the next thing is somebody else's to do.
    pub fn rest(&mut self, now: impl FnOnce() -> Moment) {
        if let Some(since) = self.since.take() {
            self.left = self.left.saturating_sub(nanos(now().since(since)));
        }
    }
}

/// Nanoseconds in which `bytes` are due at `least` bytes a second.
fn worth(bytes: usize, least: NonZeroU64) -> u64 {
    const SECOND: u128 = 1_000_000_000;
    u64::try_from(bytes as u128 * SECOND / u128::from(least.get())).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn pace(least: u64) -> Pace {
        Pace::new(PaceRule { patience: PATIENCE, least: NonZeroU64::new(least) })
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos(seconds * 1_000_000_000)
    }

    /// When a client that moves `bytes` every `gap` seconds, and is always waited for, is found too slow.
    fn ends_at(mut pace: Pace, bytes: usize, gap: u64) -> Option<Moment> {
        for round in 1..10_000 {
            let due = pace.wait(|| at((round - 1) * gap));
            if due <= at(round * gap) {
                return Some(due);
            }
            pace.moved(bytes, || at(round * gap));
        }
        None
    }

    /// Promise: one byte every 29 seconds does not live for ever: 30 s of patience, of which the first byte gives 10 ms
    /// back.
    #[test]
    fn a_trickle_ends() {
        let due = ends_at(pace(100), 1, 29).unwrap();
        assert_eq!(due, Moment::from_nanos(30_010_000_000));
    }

    /// Promise: a client at half the least rate has twice the patience, and one at the least rate has for ever.
    #[test]
    fn the_least_rate_decides() {
        // Each second costs 1 s and gives half a second back: 58 of them leave 1 s.
        assert_eq!(ends_at(pace(100), 50, 1), Some(at(59)));
        assert_eq!(ends_at(pace(100), 100, 1), None);
        assert_eq!(ends_at(pace(100), 2900, 29), None, "however unevenly");
        assert_eq!(ends_at(pace(100), 1 << 20, 31), Some(at(30)), "but never silent for longer");
    }

    /// Promise: without a least rate only silence counts.
    #[test]
    fn without_a_rate_any_byte_will_do() {
        assert_eq!(ends_at(pace(0), 1, 29), None);
        assert_eq!(ends_at(pace(0), 1, 30), Some(at(30)));
    }

    /// Promise: an app that takes its time costs the client nothing, and a wake-up without a byte gains it nothing.
    #[test]
    fn only_waiting_for_the_client_counts() {
        let mut pace = pace(100);
        assert_eq!(pace.wait(|| at(0)), at(30));
        pace.rest(|| at(10));
        assert_eq!(pace.wait(|| at(1000)), at(1020));
        pace.moved(0, || at(1010));
        assert_eq!(pace.wait(|| at(1010)), at(1020));
        assert_eq!(pace.wait(|| at(1015)), at(1020), "asking again changes nothing");
    }

    proptest! {
        /// Promise: whoever keeps the least rate, and never falls silent for longer than the patience, is never too
        /// slow; and over any stretch of waiting nobody lives on fewer bytes than the least rate over all but the
        /// patience.
        #[test]
        fn verdicts_agree_with_sums(
            least in 1_u64..10_000,
            steps in prop::collection::vec((0_u64..40_000, 0_usize..200_000), 1..60),
        ) {
            let rule = PaceRule { patience: PATIENCE, least: NonZeroU64::new(least) };
            let mut pace = Pace::new(rule);
            let (mut now, mut sums) = (0_u64, Vec::<(u128, u128)>::new());
            let mut kept_pace = true;
            for (wait_ms, bytes) in steps {
                let due = pace.wait(|| Moment::from_nanos(now));
                let moves_at = Moment::from_nanos(now + wait_ms * 1_000_000);
                // From each earlier step on: time waited, in ns, and bytes moved before this wait.
                sums.push((0, 0));
                for (waited, _) in &mut sums {
                    *waited += u128::from(wait_ms) * 1_000_000;
                }
                kept_pace &= u128::from(wait_ms) < PATIENCE.as_millis()
                    && bytes as u128 * 1000 >= u128::from(wait_ms) * u128::from(least);
                let is_slow = due <= moves_at;
                prop_assert!(!(kept_pace && is_slow), "ended although it kept pace");
                // Integer nanoseconds may lose one at each step.
                let starved = sums.iter().any(|(waited, moved)| {
                    *waited > PATIENCE.as_nanos() + moved * 1_000_000_000 / u128::from(least) + 60
                });
                prop_assert!(!starved || is_slow, "lives on too little");
                if is_slow {
                    break;
                }
                pace.moved(bytes, || moves_at);
                for (_, moved) in &mut sums {
                    *moved += bytes as u128;
                }
                now = moves_at.as_nanos();
            }
        }
    }
}
