//! Numbers as people write them: `10s`, `64KiB`, `100/10s`, `20%`.
//!
//! Nothing here overflows: whatever does not fit is refused like any other bad value.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::policy::Period;

/// What a [`Rate`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Requests, weighted by their routes: `100`, `1M`.
    Count(NonZeroU64),
    /// Upstream time: `120s`.
    Time(Duration),
    /// Bytes: `2GiB`.
    Bytes(NonZeroU64),
}

/// An amount per window: `100/10s`, `5/min`, `120s/min`, `2GiB/h`, `1M/30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub amount: Amount,
    /// Between [`WINDOW_MIN`] and [`WINDOW_MAX`].
    pub window: Duration,
}

/// An amount per period: `1M/30d`, `100GiB/month`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub amount: Amount,
    /// A rolling one is as a [`Rate`]'s window.
    pub period: Period,
}

impl Amount {
    /// In what the engine counts: requests, bytes, or microseconds.
    pub fn units(self) -> Option<NonZeroU64> {
        match self {
            Amount::Count(units) | Amount::Bytes(units) => Some(units),
            Amount::Time(time) => NonZeroU64::new(u64::try_from(time.as_micros()).ok()?),
        }
    }
}

/// Below this a window says nothing that arrives over a network.
pub const WINDOW_MIN: Duration = Duration::from_millis(1);
/// A year and a day.
pub const WINDOW_MAX: Duration = Duration::from_secs(366 * DAY_S);
/// The largest count in a rate: beyond it a limit limits nothing.
pub const COUNT_MAX: u64 = 1_000_000_000_000;

const DAY_S: u64 = 24 * 60 * 60;

const TIME_UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("sec", 1_000),
    ("m", 60_000),
    ("min", 60_000),
    ("h", 3_600_000),
    ("d", DAY_S * 1_000),
];

const BYTE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KB", 1_000),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

const COUNT_UNITS: &[(&str, u64)] =
    &[("", 1), ("k", 1_000), ("K", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)];

/// `10s`, `1500ms`, `5min`, `24h`, `7d`; a bare `0` too. Whole numbers only.
pub fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    scaled(text, TIME_UNITS).map(Duration::from_millis)
}

/// `512B`, `64KiB`, `10MB`; a bare number is bytes.
pub fn bytes(text: &str) -> Option<u64> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { scaled(text, BYTE_UNITS) }
}

/// `100/10s`, `5/min`, `120s/min`, `2GiB/h`, `1M/30d`. The error says what is wrong with it.
pub fn rate(text: &str) -> Result<Rate, &'static str> {
    let (amount, window) = text.split_once('/').ok_or("it has no `/`")?;
    let window = self::window(window.trim()).ok_or("the part after `/` is not a window")?;
    if !(WINDOW_MIN..=WINDOW_MAX).contains(&window) {
        return Err("its window is not between 1ms and 366d");
    }
    let amount = self::amount(amount.trim())?;
    Ok(Rate { amount, window })
}

/// A rate over a long time; also `1M/month`, a month of the calendar. The error says what is wrong with it.
pub fn quota(text: &str) -> Result<Quota, &'static str> {
    if let Some((amount, "month")) = text.split_once('/').map(|(amount, period)| (amount, period.trim())) {
        return Ok(Quota { amount: self::amount(amount.trim())?, period: Period::Month });
    }
    let Rate { amount, window } = rate(text)?;
    Ok(Quota { amount, period: Period::Rolling(window) })
}

/// `20%`, `12.5%`, in thousandths, 0 to 1000.
pub fn permille(text: &str) -> Option<u32> {
    let number = text.strip_suffix('%')?.trim_end();
    let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
    if tenth.len() != 1 {
        return None;
    }
    let whole = scaled(whole, &[("", 10)])?;
    let tenth = scaled(tenth, &[("", 1)])?;
    let sum = whole.checked_add(tenth)?;
    u32::try_from(sum).ok().filter(|&p| p <= 1000)
}

/// `0.5`, `0.125`, `1`, in thousandths. Finer than a thousandth is refused, not rounded.
pub fn fraction_permille(text: &str) -> Option<u32> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let decimals = decimals.trim_end_matches('0');
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if decimals.len() > 3 || whole.is_empty() || !digits(whole) || !digits(decimals) {
        return None;
    }
    let thousandths: u32 = format!("{decimals:0<3}").parse().ok()?;
    whole.parse::<u32>().ok()?.checked_mul(1000)?.checked_add(thousandths)
}

/// A length of time as [`duration`] reads it, in the largest unit that leaves no fraction; finer than a
/// millisecond is cut off.
pub fn time_text(time: Duration) -> String {
    let ms = time.as_millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)];
    match units.into_iter().find(|(_, unit)| ms != 0 && ms.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", ms / unit),
        None if ms == 0 => "0s".to_owned(),
        None => format!("{ms}ms"),
    }
}

/// A size as [`bytes()`] reads it, in the largest unit that leaves no fraction.
pub fn bytes_text(bytes: u64) -> String {
    let fits = |unit: &&(&str, u64)| bytes != 0 && bytes.is_multiple_of(unit.1);
    let (name, unit) = BYTE_UNITS.iter().filter(fits).max_by_key(|(_, unit)| *unit).unwrap_or(&("B", 1));
    format!("{}{name}", bytes / unit)
}

/// `10s`, or a bare unit: `min` is one minute.
fn window(text: &str) -> Option<Duration> {
    match TIME_UNITS.iter().find(|(unit, _)| *unit == text) {
        Some((_, ms)) => Some(Duration::from_millis(*ms)),
        None => duration(text),
    }
}

fn amount(text: &str) -> Result<Amount, &'static str> {
    const ZERO: &str = "its amount is zero";
    if let Some(count) = scaled(text, COUNT_UNITS) {
        let count = NonZeroU64::new(count).ok_or(ZERO)?;
        return if count.get() <= COUNT_MAX {
            Ok(Amount::Count(count))
        } else {
            Err("its count is above 1000G")
        };
    }
    if let Some(bytes) = scaled(text, BYTE_UNITS) {
        return NonZeroU64::new(bytes).map(Amount::Bytes).ok_or(ZERO);
    }
    match scaled(text, TIME_UNITS).map(Duration::from_millis) {
        Some(Duration::ZERO) => Err(ZERO),
        Some(time) if time <= WINDOW_MAX => Ok(Amount::Time(time)),
        Some(_) => Err("its time is above 366d"),
        None => Err("the part before `/` is not a count, a size or a time"),
    }
}

/// A whole number followed by one of `units`, multiplied out; `None` also when it does not fit.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(n: u64) -> Amount {
        Amount::Count(NonZeroU64::new(n).unwrap())
    }

    /// Promise: rates are read as people write them.
    #[test]
    fn rates_as_people_write_them() {
        let s = Duration::from_secs;
        assert_eq!(rate("100/10s"), Ok(Rate { amount: count(100), window: s(10) }));
        assert_eq!(rate("5/min"), Ok(Rate { amount: count(5), window: s(60) }));
        assert_eq!(rate("120s/min"), Ok(Rate { amount: Amount::Time(s(120)), window: s(60) }));
        let two_gib = Amount::Bytes(NonZeroU64::new(2 << 30).unwrap());
        assert_eq!(rate("2GiB/h"), Ok(Rate { amount: two_gib, window: s(3600) }));
        assert_eq!(rate("1M/30d"), Ok(Rate { amount: count(1_000_000), window: s(30 * DAY_S) }));
        assert_eq!(rate("100 / 10 s"), rate("100/10s"));
    }

    /// Promise: zero, negative, endless and overflowing numbers are refused, never wrapped.
    #[test]
    fn absurd_numbers_are_refused() {
        for bad in [
            "100 per banana",
            "100",
            "0/s",
            "-1/s",
            "1/0s",
            "1/banana",
            "1/400d",
            "18446744073709551616/s",
            "1/18446744073709551615d",
            "18446744073709551615GiB/h",
            "1001G/s",
            "1.5/s",
            "/s",
            "5/",
            "",
        ] {
            assert!(rate(bad).is_err(), "{bad}");
        }
        assert_eq!(duration("18446744073709551615d"), None);
        assert_eq!(bytes("18446744073709551615KiB"), None);
    }

    /// Promise: a time that is shown is one that can be written.
    #[test]
    fn times_are_shown_as_they_are_written() {
        for text in ["0s", "1ms", "1500ms", "10s", "2min", "1h", "30d"] {
            assert_eq!(time_text(duration(text).unwrap()), text);
        }
    }

    /// Promise: a size that is shown is one that can be written, and means the same.
    #[test]
    fn sizes_are_shown_as_they_are_written() {
        for text in ["0B", "1B", "1023B", "64KiB", "10MB", "1500kB", "2GiB"] {
            assert_eq!(bytes_text(bytes(text).unwrap()), text);
        }
    }

    /// Promise: shares are between nothing and all.
    #[test]
    fn percents() {
        assert_eq!(permille("20%"), Some(200));
        assert_eq!(permille("12.5%"), Some(125));
        assert_eq!(permille("100%"), Some(1000));
        for bad in ["101%", "20", "%", "1.25%", "-1%", "18446744073709551615%"] {
            assert_eq!(permille(bad), None, "{bad}");
        }
    }

    /// Promise: a fraction is read as it stands, or not at all.
    #[test]
    fn fractions() {
        for (text, permille) in [("0.5", 500), ("0.125", 125), ("1", 1000), ("1.0", 1000), ("0.7000", 700)] {
            assert_eq!(fraction_permille(text), Some(permille), "{text}");
        }
        for bad in ["", ".5", "0.1234", "1e-3", "-0.5", "+0.5", "nan", "0.5_0", "4294967296"] {
            assert_eq!(fraction_permille(bad), None, "{bad}");
        }
    }

    /// Promise: a quota is a rate over a long time, or over a month of the calendar.
    #[test]
    fn quotas() {
        let rolling = Period::Rolling(Duration::from_secs(30 * DAY_S));
        assert_eq!(quota("1M/30d"), Ok(Quota { amount: count(1_000_000), period: rolling }));
        let bytes = Amount::Bytes(NonZeroU64::new(100 << 30).unwrap());
        assert_eq!(quota("100GiB / month"), Ok(Quota { amount: bytes, period: Period::Month }));
        for bad in ["0/month", "1M", "1M/2month", "1M/year", "/month", "-1/month"] {
            assert!(quota(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        /// Promise: no text, however strange, makes the readers panic, and what they accept is in range.
        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            duration(&text);
            bytes(&text);
            permille(&text);
            fraction_permille(&text);
            let _ = quota(&text);
            if let Ok(rate) = rate(&text) {
                prop_assert!((WINDOW_MIN..=WINDOW_MAX).contains(&rate.window));
            }
        }
    }
}
