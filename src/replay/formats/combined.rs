//! Apache's Common and Combined Log Format, as nginx and many others write it too; a virtual host in front of the
//! address is taken for one.

use memchr::memchr;

use super::text::{address, days, field, month, number, quoted, request_line, word};
use crate::replay::Entry;

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
            host,
            method,
            target,
            is_http_1_0: version == "HTTP/1.0",
            status: number(status)?.try_into().ok()?,
            bytes: number(bytes).unwrap_or(0),
            referer: referer.and_then(|(text, _)| field(text)),
            user_agent: user_agent.and_then(|(text, _)| field(text)),
            ..Entry::of(client, unix_ms)
        })
    }

    /// `20/Feb/2016:00:00:45 -0500`
    pub(super) fn time(&mut self, text: &[u8]) -> Option<u64> {
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
