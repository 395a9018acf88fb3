//! Calendar months (UTC): which one a time is in, and when the next begins.
//!
//! The arithmetic is that of Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": a year begins in
//! March, so that the leap day is its last, and days are counted from 1 March 0000.

use super::instant::ORIGIN;
use crate::time::WallTime;

/// 1 March 0000 to 1 January 1970, in days and in months.
const DAYS_TO_1970: u64 = 719_468;
const MONTHS_TO_1970: u64 = 1969 * 12 + 10;

/// Ten million years.
const MONTH_MAX: u32 = 120_000_000;

const DAYS_IN_ERA: u64 = 146_097;
const YEARS_IN_ERA: u64 = 400;

const MILLIS_PER_DAY: u64 = 86_400_000;
const NANOS_PER_MILLI: i128 = 1_000_000;

/// Months since January 1970 of a time of `limit::instant`, where moments are counted from `origin`.
pub(super) fn month_of(instant: u64, origin: WallTime) -> u32 {
    let since_origin_ms = (i128::from(instant) - i128::from(ORIGIN)).div_euclid(NANOS_PER_MILLI);
    let unix_ms = i128::from(origin.unix_ms) + since_origin_ms;
    let month = month_of_day(u64::try_from(unix_ms.max(0)).unwrap_or(u64::MAX) / MILLIS_PER_DAY);
    u32::try_from(month).unwrap_or(u32::MAX).min(MONTH_MAX)
}

/// When a month begins, on the scale of `limit::instant`.
pub(super) fn month_begins(month: u32, origin: WallTime) -> u64 {
    let unix_ms = i128::from(first_day_of(month.into())) * i128::from(MILLIS_PER_DAY);
    let instant = (unix_ms - i128::from(origin.unix_ms)) * NANOS_PER_MILLI + i128::from(ORIGIN);
    u64::try_from(instant.max(0)).unwrap_or(u64::MAX)
}

fn month_of_day(unix_day: u64) -> u64 {
    let day = unix_day + DAYS_TO_1970;
    let (era, day) = (day / DAYS_IN_ERA, day % DAYS_IN_ERA);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    (era * YEARS_IN_ERA + year) * 12 + month - MONTHS_TO_1970
}

fn first_day_of(month: u64) -> u64 {
    let month = month + MONTHS_TO_1970;
    let (year, month) = (month / 12, month % 12);
    year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 - DAYS_TO_1970
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: months begin when the calendar says. Days since 1970 from `date -u -d DATE +%s`, over 86400.
    #[test]
    fn months_are_those_of_the_calendar() {
        for (month, first_day) in [
            (0, 0),                            // 1970-01-01
            (1, 31),                           // 1970-02-01
            (2, 59),                           // 1970-03-01
            ((2000 - 1970) * 12, 10_957),      // 2000-01-01
            ((2000 - 1970) * 12 + 2, 11_017),  // 2000-03-01, after 29 February
            ((2024 - 1970) * 12 + 2, 19_783),  // 2024-03-01, after 29 February
            ((2026 - 1970) * 12 + 11, 20_788), // 2026-12-01
            ((2100 - 1970) * 12 + 2, 47_541),  // 2100-03-01, after 28 February
        ] {
            assert_eq!(first_day_of(month), first_day, "month {month}");
            assert_eq!(month_of_day(first_day), month);
            assert_eq!(month_of_day(first_day.saturating_sub(1)), month.saturating_sub(1));
        }
    }

    /// Promise: every day of 2000 years is in the month whose beginning it follows, and no month is skipped.
    #[test]
    fn every_day_is_in_its_month() {
        let mut month = 0;
        for day in 0..2000 * 366 {
            month += u64::from(first_day_of(month + 1) == day);
            assert_eq!(month_of_day(day), month, "day {day}");
        }
        assert!(month > 2000 * 12);
    }
}
