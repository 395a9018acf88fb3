//! Times as the two formats write them, in UTC. A second is formatted once and kept, because the lines of a
//! busy second share it.

use std::fmt::Write;

use crate::time::{WallTime, civil};

#[derive(Debug, Default)]
pub(super) struct Timestamp {
    /// Unix second of `combined` and of `rfc3339` up to the fraction.
    second: Option<u64>,
    combined: String,
    rfc3339: String,
}

/// Characters of an RFC 3339 time before the fraction: `2026-11-24T05:56:12`, for years of four digits.
const BEFORE_FRACTION: usize = 19;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Timestamp {
    /// `24/Nov/2026:05:56:12 +0000`
    pub(super) fn combined(&mut self, at: WallTime) -> &str {
        self.refresh(at.unix_ms.min(WallTime::LATEST_MS) / 1000);
        &self.combined
    }

    /// `2026-11-24T05:56:12.345Z` (RFC 3339)
    pub(super) fn rfc3339(&mut self, at: WallTime) -> &str {
        let unix_ms = at.unix_ms.min(WallTime::LATEST_MS);
        self.refresh(unix_ms / 1000);
        self.rfc3339.truncate(BEFORE_FRACTION);
        // Writing to a String cannot fail.
        let _ = write!(self.rfc3339, ".{:03}Z", unix_ms % 1000);
        &self.rfc3339
    }

    fn refresh(&mut self, second: u64) {
        if self.second == Some(second) {
            return;
        }
        self.second = Some(second);
        let (year, month, day) = civil(second / 86_400);
        let (hour, minute, second) = (second / 3600 % 24, second / 60 % 60, second % 60);
        let name = MONTHS[month - 1];
        self.combined.clear();
        self.rfc3339.clear();
        let _ = write!(self.combined, "{day:02}/{name}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000");
        let _ = write!(self.rfc3339, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: both formats name the right second, over leap days and century rules. Expected values are from
    /// `date -u -d @SECONDS`.
    #[test]
    fn known_times() {
        let mut time = Timestamp::default();
        for (unix_ms, combined, rfc3339) in [
            (0, "01/Jan/1970:00:00:00 +0000", "1970-01-01T00:00:00.000Z"),
            (951_782_400_001, "29/Feb/2000:00:00:00 +0000", "2000-02-29T00:00:00.001Z"),
            (951_782_400_999, "29/Feb/2000:00:00:00 +0000", "2000-02-29T00:00:00.999Z"),
            (1_709_251_199_000, "29/Feb/2024:23:59:59 +0000", "2024-02-29T23:59:59.000Z"),
            (4_107_542_400_000, "01/Mar/2100:00:00:00 +0000", "2100-03-01T00:00:00.000Z"),
            (u64::MAX, "31/Dec/9999:23:59:59 +0000", "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(time.combined(WallTime { unix_ms }), combined);
            assert_eq!(time.rfc3339(WallTime { unix_ms }), rfc3339);
        }
    }
}
