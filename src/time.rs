//! Time as data. Nothing here can read a clock; only `src/clock.rs` does.

use std::time::Duration;

/// A monotonic instant: nanoseconds since an origin that the driver chose.
///
/// Comparable only with moments of the same driver (the running proxy, one replay, one test).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    pub const ORIGIN: Moment = Moment(0);

    pub const fn from_nanos(nanos: u64) -> Self {
        Moment(nanos)
    }

    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Later by `by`, saturating after 584 years.
    pub fn after(self, by: Duration) -> Self {
        Moment(self.0.saturating_add(nanos(by)))
    }

    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in whole nanoseconds, saturating after 584 years.
pub fn nanos(of: Duration) -> u64 {
    u64::try_from(of.as_nanos()).unwrap_or(u64::MAX)
}

/// Wall-clock time: milliseconds since the Unix epoch. For people and files, never for arithmetic on limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime {
    pub unix_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: time that stands still or runs backwards yields zero, never a panic or a huge span.
    #[test]
    fn since_saturates() {
        let (a, b) = (Moment::from_nanos(5), Moment::from_nanos(9));
        assert_eq!(b.since(a), Duration::from_nanos(4));
        assert_eq!(a.since(b), Duration::ZERO);
        assert_eq!(Moment::from_nanos(u64::MAX).after(Duration::MAX).as_nanos(), u64::MAX);
    }
}
