//! Plain models of the limits: every admitted unit with its exact time, and nothing clever.

/// A sliding window: at most `units` admitted in any window of `window` nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct SlidingModel {
    pub(crate) units: u64,
    pub(crate) window: u64,
    admitted: Vec<(u64, u64)>,
    latest: u64,
}

impl SlidingModel {
    pub(crate) fn new(units: u64, window: u64) -> Self {
        SlidingModel { units, window, admitted: Vec::new(), latest: 0 }
    }

    /// Time never runs backwards in it.
    pub(crate) fn fits(&mut self, cost: u64, now: u64) -> bool {
        self.latest = self.latest.max(now);
        self.used_since(self.window) + cost <= self.units
    }

    pub(crate) fn charge(&mut self, cost: u64) {
        self.admitted.push((self.latest, cost));
    }

    /// Units admitted in the last `window` nanoseconds.
    pub(crate) fn used_since(&self, window: u64) -> u64 {
        let recent = self.admitted.iter().filter(|(at, _)| at + window > self.latest);
        recent.map(|(_, units)| units).sum()
    }
}

/// The most units in any window of `window`, of admitted `(time, units)` in order of time.
pub(crate) fn worst_window(admitted: &[(u64, u64)], window: u64) -> u64 {
    let from = |(first, &(start, _)): (usize, &(u64, u64))| {
        let inside = admitted[first..].iter().take_while(|(at, _)| *at < start + window);
        inside.map(|(_, units)| units).sum()
    };
    admitted.iter().enumerate().map(from).max().unwrap_or(0)
}
