//! How regularly something comes.

use std::time::Duration;

/// Longer is a pause, and says nothing of a rhythm.
const PAUSE: Duration = Duration::from_secs(3600);
/// From so many on, all count half.
const HALVE_AT: u32 = 1024;

/// The mean and the standard deviation of the times between events, in milliseconds, each time rounded down to one: of
/// up to 1,023 exactly, as whole numbers; of more, those before the last 512 at least count half, a quarter and so on.
/// 24 bytes. Times of an hour or more are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Intervals {
    count: u32,
    sum_ms: u64,
    /// At most 1,023 times 3,600,000 squared: a seven-hundredth of what fits.
    squares: u64,
}

impl Intervals {
    /// Counts the time between two events that follow each other.
    pub fn add(&mut self, between: Duration) {
        if between >= PAUSE {
            return;
        }
        let ms = u64::try_from(between.as_millis()).unwrap_or(u64::MAX);
        self.count += 1;
        self.sum_ms += ms;
        self.squares += ms * ms;
        if self.count >= HALVE_AT {
            self.count /= 2;
            self.sum_ms /= 2;
            self.squares /= 2;
        }
    }

    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Rounded down; 0 of nothing.
    pub fn mean_ms(&self) -> u64 {
        self.sum_ms.checked_div(self.count.into()).unwrap_or(0)
    }

    /// The root of the mean square of what each differs from the mean; rounded down, and 0 of nothing.
    pub fn deviation_ms(&self) -> u64 {
        let count = u128::from(self.count);
        // n² times the variance is n Σx² - (Σx)²: never negative, but for what halving rounds off.
        let scaled = (count * u128::from(self.squares)).saturating_sub(u128::from(self.sum_ms).pow(2));
        let root = scaled.isqrt().checked_div(count).unwrap_or(0);
        u64::try_from(root).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(times_ms: impl IntoIterator<Item = u64>) -> Intervals {
        let mut intervals = Intervals::default();
        times_ms.into_iter().for_each(|ms| intervals.add(Duration::from_millis(ms)));
        intervals
    }

    /// Promise: a clock has no deviation; of 2, 4, 4, 4, 5, 5, 7 and 9 the mean is 5 and the deviation 2; of nothing
    /// both are 0; pauses are left out.
    #[test]
    fn known_values() {
        let clock = of([60_000; 50]);
        assert_eq!((clock.count(), clock.mean_ms(), clock.deviation_ms()), (50, 60_000, 0));
        let spread = of([2, 4, 4, 4, 5, 5, 7, 9, 3_600_000]);
        assert_eq!((spread.count(), spread.mean_ms(), spread.deviation_ms()), (8, 5, 2));
        assert_eq!((of([]).mean_ms(), of([]).deviation_ms()), (0, 0));
        assert_eq!(size_of::<Intervals>(), 24);
    }

    /// Promise: however many there were, a new rhythm is known after twice as many as are kept.
    #[test]
    fn a_new_rhythm_is_learned() {
        let changed = of(std::iter::repeat_n(3_599_999, 1_000_000).chain(std::iter::repeat_n(10, 20_000)));
        assert!(
            changed.count() < HALVE_AT && changed.mean_ms() <= 10 && changed.deviation_ms() <= 10,
            "{changed:?}"
        );
    }

    proptest! {
        /// Promise: mean and deviation are those of a plain list, to the millisecond.
        #[test]
        fn as_of_a_list(times in prop::collection::vec(0..3_600_000_u32, 1..1000)) {
            let intervals = of(times.iter().map(|ms| u64::from(*ms)));
            let count = f64::from(intervals.count());
            prop_assert_eq!(intervals.count() as usize, times.len());
            let mean = times.iter().map(|ms| f64::from(*ms)).sum::<f64>() / count;
            let variance = times.iter().map(|ms| (f64::from(*ms) - mean).powi(2)).sum::<f64>() / count;
            let is_near = |ours: u64, exact: f64| (f64::from(u32::try_from(ours).unwrap()) - exact).abs() <= 1.01;
            prop_assert!(is_near(intervals.mean_ms(), mean));
            prop_assert!(is_near(intervals.deviation_ms(), variance.sqrt()));
        }
    }
}
