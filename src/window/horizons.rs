//! Events over several horizons at once.

use std::time::Duration;

use crate::time::Moment;

/// How far back to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum Horizon {
    TenSeconds,
    Minute,
    TenMinutes,
    Hour,
    Day,
}

impl Horizon {
    pub const ALL: [Horizon; 5] =
        [Horizon::TenSeconds, Horizon::Minute, Horizon::TenMinutes, Horizon::Hour, Horizon::Day];

    pub const fn length(self) -> Duration {
        Duration::from_secs(match self {
            Horizon::TenSeconds => 10,
            Horizon::Minute => 60,
            Horizon::TenMinutes => 600,
            Horizon::Hour => 3600,
            Horizon::Day => 86_400,
        })
    }

    /// The number of the part that is being filled at `now`. Each divisor is a constant, and so no division.
    fn part(self, now: Moment) -> u32 {
        const fn length(horizon: Horizon) -> u64 {
            horizon.length().as_secs() * 1_000_000_000 / PARTS as u64
        }
        let now = now.as_nanos();
        let number = match self {
            Horizon::TenSeconds => now / const { length(Horizon::TenSeconds) },
            Horizon::Minute => now / const { length(Horizon::Minute) },
            Horizon::TenMinutes => now / const { length(Horizon::TenMinutes) },
            Horizon::Hour => now / const { length(Horizon::Hour) },
            Horizon::Day => now / const { length(Horizon::Day) },
        };
        u32::try_from(number).unwrap_or(u32::MAX)
    }
}

/// Parts that a window is cut into. One more is kept: the part that is being filled.
const PARTS: usize = 8;

/// Events in the last 10 s, 1 min, 10 min, 1 h and 24 h. Each window is the last eight whole parts and the current
/// one: it never misses an event of the true window, and reaches back at most an eighth further. Counts stop at
/// 65,535 a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Horizons {
    rings: [Ring; Horizon::ALL.len()],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ring {
    /// The number of the part that is being filled, since the origin of time.
    current: u32,
    counts: [u16; PARTS + 1],
}

impl Horizons {
    /// Counts `n` events. Time that runs backwards counts as standing still.
    pub fn add(&mut self, n: u16, now: Moment) {
        for (ring, horizon) in self.rings.iter_mut().zip(Horizon::ALL) {
            ring.advance(horizon.part(now));
            let count = &mut ring.counts[ring.current as usize % (PARTS + 1)];
            *count = count.saturating_add(n);
        }
    }

    /// Events in the last `horizon`.
    pub fn count(&self, horizon: Horizon, now: Moment) -> u32 {
        let mut ring = self.rings[horizon as usize];
        ring.advance(horizon.part(now));
        ring.counts.iter().map(|count| u32::from(*count)).sum()
    }
}

impl Ring {
    fn advance(&mut self, number: u32) {
        let passed = number.saturating_sub(self.current);
        if passed as usize > PARTS {
            self.counts = [0; PARTS + 1];
        } else {
            for part in 1..=passed {
                self.counts[(self.current + part) as usize % (PARTS + 1)] = 0;
            }
        }
        self.current = self.current.max(number);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::nanos;

    proptest! {
        /// Promise: a count holds every event of its window and none that is older than the window and an eighth.
        #[test]
        fn counts_are_bounded_by_two_exact_windows(gaps in prop::collection::vec(0..90_000_u64, 1..200)) {
            let (mut horizons, mut times, mut now) = (Horizons::default(), Vec::new(), 1_000_000_000_u64);
            for gap in gaps {
                now += gap * 1_000_000;
                horizons.add(1, Moment::from_nanos(now));
                times.push(now);
                for horizon in Horizon::ALL {
                    let length = nanos(horizon.length());
                    let within = |span: u64| times.iter().filter(|t| now - **t < span).count();
                    let count = horizons.count(horizon, Moment::from_nanos(now)) as usize;
                    prop_assert!(within(length) <= count && count <= within(length + length / 8));
                }
            }
        }
    }

    /// Promise: a jump of time forgets, and time that runs backwards neither forgets nor panics.
    #[test]
    fn jumps() {
        let mut horizons = Horizons::default();
        horizons.add(3, Moment::from_nanos(5_000_000_000));
        assert_eq!(horizons.count(Horizon::Day, Moment::ORIGIN), 3);
        assert_eq!(horizons.count(Horizon::Minute, Moment::from_nanos(u64::MAX)), 0);
    }
}
