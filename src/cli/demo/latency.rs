//! How long things took: the few numbers that people ask for.

use std::time::Duration;

use serde::Serialize;

/// Times, kept whole: the demo is short.
#[derive(Clone, Debug, Default)]
pub(super) struct Latencies(Vec<Duration>);

/// What is said about them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct LatencySummary {
    pub count: usize,
    pub median_ms: f64,
    pub slowest_ms: f64,
}

impl Latencies {
    pub(super) fn add(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// Half of them took at most so long (nearest rank); `None` without any.
    pub(super) fn median(&self) -> Option<Duration> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len().saturating_sub(1) / 2).copied()
    }

    pub(super) fn summary(&self) -> Option<LatencySummary> {
        Some(LatencySummary {
            count: self.0.len(),
            median_ms: tenths_of_ms(self.median()?),
            slowest_ms: tenths_of_ms(*self.0.iter().max()?),
        })
    }
}

/// Milliseconds, to a tenth.
fn tenths_of_ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ms: &[u64]) -> Latencies {
        Latencies(ms.iter().copied().map(Duration::from_millis).collect())
    }

    /// Promise: the median is one of the times, with at least half of them at or below it.
    #[test]
    fn the_median_is_the_nearest_rank() {
        assert_eq!(of(&[]).median(), None);
        assert_eq!(of(&[7]).median(), Some(Duration::from_millis(7)));
        assert_eq!(of(&[9, 1]).median(), Some(Duration::from_millis(1)));
        assert_eq!(of(&[9, 1, 5]).median(), Some(Duration::from_millis(5)));
        assert_eq!(of(&[4, 3, 2, 1]).median(), Some(Duration::from_millis(2)));
    }

    /// Promise: a summary counts everything and rounds to tenths of a millisecond.
    #[test]
    fn a_summary_counts_and_rounds() {
        let mut latencies = of(&[2]);
        latencies.add(Duration::from_micros(1_349));
        latencies.add(Duration::from_micros(88_061));
        let expected = LatencySummary { count: 3, median_ms: 2.0, slowest_ms: 88.1 };
        assert_eq!(latencies.summary(), Some(expected));
        assert_eq!(of(&[]).summary(), None);
    }
}
