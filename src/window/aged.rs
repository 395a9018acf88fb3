//! Counters over a long window that fade instead of being kept one by one.

use std::time::Duration;

use crate::time::{Moment, nanos};

/// Something that adds up and can fade.
pub trait Fade: Clone + Default {
    /// What is left of `self` and `older`, of which `share` (0 to 256 parts of 256) is still in the window.
    fn with_share_of(&self, older: &Self, share: u32) -> Self;
}

/// Sums over a window: the half that is being filled, and the half before it, of which the part that is still in
/// the window counts, as if its events had been spread evenly (Cloudflare's sliding counter).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aged<T> {
    half: u32,
    current: T,
    older: T,
}

impl<T: Fade> Aged<T> {
    /// What is being filled. Moves on first.
    pub fn current(&mut self, window: Duration, now: Moment) -> &mut T {
        let half = half_of(window, now);
        if half > self.half {
            let last = std::mem::take(&mut self.current);
            self.older = if half - self.half == 1 { last } else { T::default() };
            self.half = half;
        }
        &mut self.current
    }

    /// The sums over the last `window`.
    pub fn sum(&self, window: Duration, now: Moment) -> T {
        let half = half_of(window, now).saturating_sub(self.half);
        let into = nanos(window) / 2;
        let passed = now.as_nanos() % into.max(1);
        let left = u32::try_from((into - passed).saturating_mul(256) / into.max(1)).unwrap_or(256);
        match half {
            0 => self.current.with_share_of(&self.older, left),
            1 => T::default().with_share_of(&self.current, left),
            _ => T::default(),
        }
    }
}

fn half_of(window: Duration, now: Moment) -> u32 {
    u32::try_from(now.as_nanos() / (nanos(window) / 2).max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    struct Count(u32);

    impl Fade for Count {
        fn with_share_of(&self, older: &Self, share: u32) -> Self {
            Count(self.0 + older.0 * share / 256)
        }
    }

    /// Promise: what is younger than half a window counts in full, what is older than the window not at all.
    #[test]
    fn old_counts_fade() {
        let (window, at) = (Duration::from_secs(100), |s: u64| Moment::from_nanos(s * 1_000_000_000));
        let mut aged = Aged::<Count>::default();
        aged.current(window, at(210)).0 += 8;
        assert_eq!(aged.sum(window, at(249)), Count(8));
        assert_eq!(aged.sum(window, at(275)), Count(4));
        aged.current(window, at(275)).0 += 1;
        assert_eq!(aged.sum(window, at(275)), Count(5));
        assert_eq!(aged.sum(window, at(400)), Count(0));
    }
}
