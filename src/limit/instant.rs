//! The cells' own time scale: that of [`Moment`], moved so that it reaches back before the process began.
//!
//! What was taken before a restart has a time before `Moment::ORIGIN`. And as both moments and windows are
//! bounded here, once, no sum of them overflows anywhere in the cells.

use crate::time::{Moment, WallTime};

/// 73 years in nanoseconds. Later moments and longer windows are taken as this.
pub(super) const HORIZON: u64 = 1 << 61;

/// `Moment::ORIGIN` on this scale: 13,000 days fit before it, which is a whole number of parts of most windows that
/// people write.
pub(super) const ORIGIN: u64 = 13_000 * 86_400_000_000_000;

const NANOS_PER_MILLI: i128 = 1_000_000;

pub(super) fn instant(moment: Moment) -> u64 {
    ORIGIN + moment.as_nanos().min(HORIZON)
}

/// Before the process began is as good as then: it is over.
pub(super) const fn moment(instant: u64) -> Moment {
    Moment::from_nanos(instant.saturating_sub(ORIGIN))
}

/// As nanoseconds since the Unix epoch, in a process whose moments began at `origin`.
pub(super) fn to_unix(instant: u64, origin: WallTime) -> u64 {
    let unix = i128::from(instant) - i128::from(ORIGIN) + i128::from(origin.unix_ms) * NANOS_PER_MILLI;
    u64::try_from(unix.max(0)).unwrap_or(u64::MAX)
}

/// A time of an earlier process. None is later than the origin of this one: clocks that were set back in between
/// do not make a unit come from the future.
pub(super) fn from_unix(unix_ns: u64, origin: WallTime) -> u64 {
    let instant = i128::from(unix_ns) - i128::from(origin.unix_ms) * NANOS_PER_MILLI + i128::from(ORIGIN);
    u64::try_from(instant.max(0)).unwrap_or(u64::MAX).min(ORIGIN)
}
