//! What the formats have in common: words, quotes, numbers, addresses and dates.

use std::net::IpAddr;

use memchr::{memchr, memchr2};

/// `2016-02-20T00:00:45-05:00`, with or without a fraction, in milliseconds since the Unix epoch (RFC 3339).
pub(super) fn rfc3339(text: &[u8]) -> Option<u64> {
    let part = |from: usize, to: usize| number(text.get(from..to)?);
    let day = days(part(0, 4)?, part(5, 7)?, part(8, 10)?)?;
    let seconds = day.checked_mul(86_400)? + part(11, 13)? * 3600 + part(14, 16)? * 60 + part(17, 19)?;
    let rest = text.get(19..)?;
    let zone = rest
        .iter()
        .position(|byte| matches!(byte, b'Z' | b'z' | b'+' | b'-'))
        .map_or(&b""[..], |at| &rest[at..]);
    let offset = match zone {
        [_, h1, h2, b':', m1, m2] => number(&[*h1, *h2])? * 3600 + number(&[*m1, *m2])? * 60,
        _ => 0,
    };
    let seconds = if zone.first() == Some(&b'-') { seconds + offset } else { seconds.checked_sub(offset)? };
    Some(seconds * 1000)
}

/// Days since 1970-01-01 of a date of the Gregorian calendar, from 1970 on.
pub(super) fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) {
        return None;
    }
    // Counted from March, so that the leap day is the last of its year (Hinnant, "chrono-compatible low-level date
    // algorithms").
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    (era * 146_097 + of_era).checked_sub(719_468)
}

pub(super) fn month(name: &[u8]) -> Option<u64> {
    const NAMES: [&[u8; 3]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    NAMES.iter().position(|known| known.as_slice() == name).map(|at| at as u64 + 1)
}

pub(super) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// Up to the next space, and what follows it.
pub(super) fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    match memchr(b' ', text) {
        Some(at) => Some((text.get(..at)?, text.get(at + 1..)?)),
        None => (!text.is_empty()).then_some((text, &b""[..])),
    }
}

/// What stands between the next two quotes, and what follows; a backslash keeps a quote from ending it.
pub(super) fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let open = memchr(b'"', text)?;
    let text = text.get(open + 1..)?;
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text.get(at) == Some(&b'"') {
            return Some((text.get(..at)?, text.get(at + 1..)?));
        }
        at += 2;
    }
}

/// IPv4 by hand: most lines have one, and the standard parser is several times slower.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    let octet = |part: &[u8]| number(part).filter(|_| part.len() <= 3).and_then(|n| u8::try_from(n).ok());
    let mut parts = text.split(|byte| *byte == b'.').map(octet);
    let four =
        [parts.next().flatten(), parts.next().flatten(), parts.next().flatten(), parts.next().flatten()];
    match (four, parts.next()) {
        ([Some(a), Some(b), Some(c), Some(d)], None) => Some(IpAddr::from([a, b, c, d])),
        _ => std::str::from_utf8(text).ok()?.parse().ok(),
    }
}

/// Method, target and version; all empty where it is no request line.
pub(super) fn request_line(line: &[u8]) -> (&str, &str, &str) {
    let Ok(line) = std::str::from_utf8(line) else { return ("", "", "") };
    let Some((method, rest)) = line.split_once(' ') else { return ("", "", "") };
    match rest.rsplit_once(' ') {
        Some((target, version)) if version.starts_with("HTTP/") => (method, target, version),
        _ => (method, rest, ""),
    }
}

pub(super) fn field(text: &[u8]) -> Option<&str> {
    std::str::from_utf8(text).ok().filter(|text| !text.is_empty() && *text != "-")
}
