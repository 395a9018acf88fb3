//! Counters over 1 m, 10 m and 1 h at once, in sub-windows of 10 s, 1 m and 5 m.
//!
//! An addition goes into the current 10 s alone; when these are over, they are folded into their minute and their
//! five minutes. Read, a window is its current sub-window and the whole ones before it: the last 50 to 60 s, 9 to
//! 10 min and 55 to 60 min. All that is compared is read over the same span, so that a share has no error from this.

use std::time::Duration;

use crate::policy::load::LoadWindow;
use crate::time::{Moment, nanos};

/// The shortest sub-window.
pub(super) const TICK: Duration = Duration::from_secs(10);
const TICKS_PER_MINUTE: u64 = 6;
const TICKS_PER_FIVE: u64 = 30;
const SHORT: usize = 6;
const MINUTES: usize = 10;
const FIVES: usize = 12;
/// What is older is in no window.
const TICKS_KEPT: u64 = TICKS_PER_FIVE * FIVES as u64;

/// `N` counters that are always added to together.
#[derive(Clone, Debug)]
pub(super) struct Windows<const N: usize> {
    /// Ticks since the origin of time: which one is current.
    tick: u64,
    short: [[u64; N]; SHORT],
    minutes: [[u64; N]; MINUTES],
    fives: [[u64; N]; FIVES],
}

impl<const N: usize> Windows<N> {
    pub(super) fn starting(now: Moment) -> Self {
        Windows {
            tick: tick_of(now),
            short: [[0; N]; SHORT],
            minutes: [[0; N]; MINUTES],
            fives: [[0; N]; FIVES],
        }
    }

    /// Adds to the current tick, whichever [`step`](Self::step) has made current.
    pub(super) fn add(&mut self, amounts: [u64; N]) {
        plus(&mut self.short[at(self.tick, SHORT)], &amounts);
    }

    /// The sums over a window that ends now; call [`roll`](Self::roll) or [`step`](Self::step) before.
    pub(super) fn sums(&self, window: LoadWindow) -> [u64; N] {
        let mut sums = [0; N];
        match window {
            LoadWindow::Minute => self.short.iter().for_each(|part| plus(&mut sums, part)),
            LoadWindow::TenMinutes => self.minutes.iter().for_each(|part| plus(&mut sums, part)),
            LoadWindow::Hour => self.fives.iter().for_each(|part| plus(&mut sums, part)),
        }
        if window != LoadWindow::Minute {
            plus(&mut sums, &self.short[at(self.tick, SHORT)]);
        }
        sums
    }

    /// The end of the current tick, while `now` is not within it. An earlier `now` counts as within.
    pub(super) fn boundary_before(&self, now: Moment) -> Option<Moment> {
        (tick_of(now) > self.tick).then(|| Moment::from_nanos((self.tick + 1).saturating_mul(nanos(TICK))))
    }

    /// Ends the current tick and begins the next.
    pub(super) fn step(&mut self) {
        let done = self.short[at(self.tick, SHORT)];
        plus(&mut self.minutes[at(self.tick / TICKS_PER_MINUTE, MINUTES)], &done);
        plus(&mut self.fives[at(self.tick / TICKS_PER_FIVE, FIVES)], &done);
        self.tick += 1;
        self.short[at(self.tick, SHORT)] = [0; N];
        if self.tick.is_multiple_of(TICKS_PER_MINUTE) {
            self.minutes[at(self.tick / TICKS_PER_MINUTE, MINUTES)] = [0; N];
        }
        if self.tick.is_multiple_of(TICKS_PER_FIVE) {
            self.fives[at(self.tick / TICKS_PER_FIVE, FIVES)] = [0; N];
        }
    }

    /// Forgets everything if all of it is older than the longest window, and is then in the earliest tick of it.
    pub(super) fn skip_what_is_past(&mut self, now: Moment) {
        let oldest = tick_of(now).saturating_sub(TICKS_KEPT);
        if oldest > self.tick {
            *self = Windows { tick: oldest, ..Windows::starting(now) };
        }
    }

    /// Makes the tick of `now` current.
    pub(super) fn roll(&mut self, now: Moment) {
        self.skip_what_is_past(now);
        while self.boundary_before(now).is_some() {
            self.step();
        }
    }
}

fn tick_of(now: Moment) -> u64 {
    now.as_nanos() / nanos(TICK)
}

/// A ring's place, of which there are few enough for every integer type.
#[expect(clippy::cast_possible_truncation, reason = "a remainder by a small number")]
fn at(number: u64, places: usize) -> usize {
    (number % places as u64) as usize
}

fn plus<const N: usize>(sums: &mut [u64; N], more: &[u64; N]) {
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum = sum.saturating_add(*more);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: u64 = 1_000_000_000;

    proptest! {
        #![proptest_config(crate::engine::load::tests::seeded(128))]

        /// Promise: each window holds what was added in its current sub-window and in the whole ones before it, and
        /// nothing else: the same as a list of everything that was ever added.
        #[test]
        fn windows_equal_a_list(steps in prop::collection::vec((0..1500_u64, 0..100_u64), 1..80)) {
            let (mut windows, mut list, mut now) = (Windows::<1>::starting(Moment::ORIGIN), Vec::new(), 0);
            for (later_s, amount) in steps {
                now += later_s;
                windows.roll(Moment::from_nanos(now * S));
                windows.add([amount]);
                list.push((now, amount));
                for (window, sub_s, parts) in
                    [(LoadWindow::Minute, 10, 6), (LoadWindow::TenMinutes, 60, 10), (LoadWindow::Hour, 300, 12)]
                {
                    let within = |at: u64| now / sub_s - at / sub_s < parts;
                    let sum: u64 = list.iter().filter(|(at, _)| within(*at)).map(|(_, amount)| amount).sum();
                    prop_assert_eq!(windows.sums(window), [sum], "{:?} at {} s", window, now);
                }
            }
        }
    }

    /// Promise: time that runs backwards adds to the current sub-window, and years of silence cost no loop over them.
    #[test]
    fn odd_times_are_harmless() {
        let mut windows = Windows::<1>::starting(Moment::from_nanos(100 * S));
        windows.roll(Moment::from_nanos(5 * S));
        windows.add([1]);
        assert_eq!(windows.sums(LoadWindow::Minute), [1]);
        windows.roll(Moment::from_nanos(u64::MAX));
        assert_eq!(windows.sums(LoadWindow::Hour), [0]);
    }
}
