//! How regular the time between events is.

use crate::time::Moment;

/// Mean and variance of the logarithm of the gaps between events (Welford 1962). The logarithm, because a pause of
/// an hour among gaps of seconds would drown everything else.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gaps {
    last: Option<Moment>,
    count: u32,
    mean: f32,
    squares: f32,
}

impl Gaps {
    #[expect(clippy::cast_precision_loss, reason = "a statistic")]
    pub fn add(&mut self, now: Moment) {
        if let Some(last) = self.last {
            // A log's clock ticks in seconds: what is shorter than one is taken for half of it.
            let gap = now.since(last).as_secs_f32().max(0.5).ln();
            self.count = self.count.saturating_add(1);
            let off = gap - self.mean;
            self.mean += off / self.count as f32;
            self.squares += off * (gap - self.mean);
        }
        self.last = Some(now);
    }

    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The standard deviation of the logarithm; `None` before there are two gaps.
    #[expect(clippy::cast_precision_loss, reason = "a statistic")]
    pub fn spread(&self) -> Option<f32> {
        (self.count >= 2).then(|| (self.squares / (self.count - 1) as f32).max(0.0).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: a metronome has no spread; gaps of e and 1/e times a second have the spread worked out by hand.
    #[test]
    fn spread_by_hand() {
        let at = |s: f64| Moment::ORIGIN.after(std::time::Duration::from_secs_f64(s));
        let mut regular = Gaps::default();
        (0..10).for_each(|n| regular.add(at(f64::from(n) * 5.0)));
        assert_eq!(regular.spread().map(|s| s < 1e-3), Some(true));
        // ln of the gaps: 1, 3. Mean 2, variance ((1)² + (1)²) / 1 = 2.
        let mut two = Gaps::default();
        let (e, e3) = (std::f64::consts::E, std::f64::consts::E.powi(3));
        for s in [0.0, e, e + e3] {
            two.add(at(s));
        }
        assert!((two.spread().unwrap() - 2_f32.sqrt()).abs() < 1e-3);
    }
}
