//! Time as data. Nothing here can read a clock; only `src/clock.rs` does.

use std::fmt;
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

impl WallTime {
    /// The last millisecond of the year 9999: later times do not fit the formats that people use.
    pub(crate) const LATEST_MS: u64 = 253_402_300_799_999;
}

/// RFC 3339, in UTC: `2026-11-24T05:56:12.345Z`.
impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unix_ms = self.unix_ms.min(Self::LATEST_MS);
        let (second, ms) = (unix_ms / 1000, unix_ms % 1000);
        let (year, month, day) = civil(second / 86_400);
        let (hour, minute, second) = (second / 3600 % 24, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }
}

/// Year, month (1 to 12) and day (1 to 31) of a day since 1970-01-01, in the Gregorian calendar.
pub(crate) fn civil(mut day: u64) -> (u64, usize, u64) {
    let mut year = 1970;
    // 400 years are always 146,097 days; within them, count years and months off one by one.
    year += day / 146_097 * 400;
    day %= 146_097;
    while day >= days_in_year(year) {
        day -= days_in_year(year);
        year += 1;
    }
    let february = if days_in_year(year) == 366 { 29 } else { 28 };
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    (year, month, day + 1)
}

fn days_in_year(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if leap { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: a time is written as `date -u --rfc-3339` would, to the millisecond.
    #[test]
    fn wall_times_are_rfc_3339() {
        assert_eq!(WallTime { unix_ms: 1_709_251_199_007 }.to_string(), "2024-02-29T23:59:59.007Z");
        assert_eq!(WallTime { unix_ms: u64::MAX }.to_string(), "9999-12-31T23:59:59.999Z");
    }

    /// Promise: time that stands still or runs backwards yields zero, never a panic or a huge span.
    #[test]
    fn since_saturates() {
        let (a, b) = (Moment::from_nanos(5), Moment::from_nanos(9));
        assert_eq!(b.since(a), Duration::from_nanos(4));
        assert_eq!(a.since(b), Duration::ZERO);
        assert_eq!(Moment::from_nanos(u64::MAX).after(Duration::MAX).as_nanos(), u64::MAX);
    }
}
