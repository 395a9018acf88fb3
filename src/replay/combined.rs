//! Apache's Common and Combined Log Format, as nginx and many others write it too; a virtual host in front of the
//! address is taken for one.

use std::net::IpAddr;

use memchr::{memchr, memchr2};

use super::entry::Entry;

/// Reads lines of one log: remembers the last time stamp, which is mostly that of the next line.
#[derive(Clone, Debug, Default)]
pub struct Combined {
    /// `dd/Mon/yyyy:HH:MM` and the zone, as written, and their milliseconds.
    last: Option<([u8; 17], [u8; 5], u64)>,
}

impl Combined {
    /// The request of a line; `None` where it is not of this format.
    pub fn read<'a>(&mut self, line: &'a [u8]) -> Option<Entry<'a>> {
        let (first, rest) = word(line)?;
        let (client, host, rest) = if let Some(client) = address(first) {
            (client, None, rest)
        } else {
            let (second, rest) = word(rest)?;
            (address(second)?, std::str::from_utf8(first).ok(), rest)
        };
        let open = memchr(b'[', rest)?;
        let rest = rest.get(open + 1..)?;
        let close = memchr(b']', rest)?;
        let unix_ms = self.time(rest.get(..close)?)?;
        let rest = rest.get(close + 1..)?;
        let (request, rest) = quoted(rest)?;
        let (status, rest) = word(rest.strip_prefix(b" ").unwrap_or(rest))?;
        let (bytes, rest) = word(rest).unwrap_or((rest, b""));
        let referer = quoted(rest);
        let user_agent = referer.and_then(|(_, rest)| quoted(rest));
        let (method, target, version) = request_line(request);
        Some(Entry {
            unix_ms,
            client,
            host,
            method,
            target,
            is_http_1_0: version == "HTTP/1.0",
            status: number(status)?.try_into().ok()?,
            bytes: number(bytes).unwrap_or(0),
            referer: referer.and_then(|(text, _)| field(text)),
            user_agent: user_agent.and_then(|(text, _)| field(text)),
        })
    }

    /// `20/Feb/2016:00:00:45 -0500`
    fn time(&mut self, text: &[u8]) -> Option<u64> {
        let minute: [u8; 17] = text.get(..17)?.try_into().ok()?;
        let zone: [u8; 5] = text.get(21..26)?.try_into().ok()?;
        let second = number(text.get(18..20)?)?;
        if let Some((last, last_zone, ms)) = self.last
            && last == minute
            && last_zone == zone
        {
            return Some(ms + second * 1000);
        }
        let day = number(&minute[..2])?;
        let month = month(&minute[3..6])?;
        let year = number(&minute[7..11])?;
        let (hour, min) = (number(&minute[12..14])?, number(&minute[15..17])?);
        let offset = number(&zone[1..3])? * 3600 + number(&zone[3..5])? * 60;
        let seconds = days(year, month, day)?.checked_mul(86_400)? + hour * 3600 + min * 60;
        let seconds = if zone[0] == b'-' { seconds + offset } else { seconds.checked_sub(offset)? };
        self.last = Some((minute, zone, seconds * 1000));
        Some((seconds + second) * 1000)
    }
}

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
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
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

fn month(name: &[u8]) -> Option<u64> {
    const NAMES: [&[u8; 3]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    NAMES.iter().position(|known| known.as_slice() == name).map(|at| at as u64 + 1)
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// Up to the next space, and what follows it.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    match memchr(b' ', text) {
        Some(at) => Some((text.get(..at)?, text.get(at + 1..)?)),
        None => (!text.is_empty()).then_some((text, &b""[..])),
    }
}

/// What stands between the next two quotes, and what follows; a backslash keeps a quote from ending it.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
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
fn address(text: &[u8]) -> Option<IpAddr> {
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
fn request_line(line: &[u8]) -> (&str, &str, &str) {
    let Ok(line) = std::str::from_utf8(line) else { return ("", "", "") };
    let Some((method, rest)) = line.split_once(' ') else { return ("", "", "") };
    match rest.rsplit_once(' ') {
        Some((target, version)) if version.starts_with("HTTP/") => (method, target, version),
        _ => (method, rest, ""),
    }
}

fn field(text: &[u8]) -> Option<&str> {
    std::str::from_utf8(text).ok().filter(|text| !text.is_empty() && *text != "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: a line of the Combined format is read field by field; the time worked out by hand.
    #[test]
    fn combined() {
        let line = br#"192.0.2.7 - bob [20/Feb/2016:00:00:45 -0500] "GET /a?b=\"c HTTP/1.0" 200 24810 "http://x/" "M \"y\"""#;
        let entry = Combined::default().read(line).expect("a line");
        // 2016-02-20 05:00:45 UTC.
        assert_eq!(entry.unix_ms, 1_455_944_445_000);
        assert_eq!((entry.method, entry.target), ("GET", "/a?b=\\\"c"));
        assert_eq!((entry.status, entry.bytes, entry.is_http_1_0), (200, 24_810, true));
        assert_eq!((entry.referer, entry.user_agent), (Some("http://x/"), Some("M \\\"y\\\"")));
    }

    /// Promise: Common lines, `-` for no bytes, IPv6 and a virtual host in front are read; rubbish is not.
    #[test]
    fn variants() {
        let mut reader = Combined::default();
        let line = b"www.example.com 2001:db8::1 - - [01/Jan/1970:00:00:01 +0000] \"-\" 408 -";
        let entry = reader.read(line).expect("a line");
        assert_eq!(
            (entry.host, entry.unix_ms, entry.bytes, entry.method),
            (Some("www.example.com"), 1000, 0, "")
        );
        for bad in [
            &b""[..],
            b"x",
            b"192.0.2.1 - - [",
            b"192.0.2.1 - - [99/Foo/2016:00:00:45 -0500] \"GET / HTTP/1.1\" 200 1",
        ] {
            assert_eq!(reader.read(bad), None);
        }
    }
}
