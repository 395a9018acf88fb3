//! HAProxy's HTTP log (its Configuration Manual, section 8.2.3), with or without what syslog writes in front.
//!
//! Header fields are there only if they are captured, and without their names: a URL is taken for the Referer, a name
//! with dots for the host, and anything else for the user agent.

use memchr::memchr;

use super::text::{address, days, field, month, number, quoted, request_line, word};
use crate::replay::Entry;

/// Reads lines of one log.
#[derive(Clone, Debug, Default)]
pub struct Haproxy {
    /// `dd/Mon/yyyy:HH:MM` as written, and its milliseconds.
    last: Option<([u8; 17], u64)>,
}

impl Haproxy {
    /// The request of a line; `None` where it is not of this format. It has no time zone, and is taken for UTC.
    pub fn read<'a>(&mut self, line: &'a [u8]) -> Option<Entry<'a>> {
        // syslog's own `haproxy[4711]:` has no space before its bracket.
        let mut from = 0;
        let (open, rest) = loop {
            let at = from + memchr(b'[', line.get(from..)?)?;
            if at > 0 && line.get(at - 1) == Some(&b' ') {
                break (at, line.get(at + 1..)?);
            }
            from = at + 1;
        };
        let before = line.get(..open - 1)?;
        let peer = before.rsplit(|byte| *byte == b' ').next()?;
        let colon = memchr::memrchr(b':', peer)?;
        number(peer.get(colon + 1..)?)?;
        let client = address(peer.get(..colon)?)?;
        let close = memchr(b']', rest)?;
        let unix_ms = self.time(rest.get(..close)?)?;
        let rest = rest.get(close + 1..)?.strip_prefix(b" ")?;
        let (_frontend, rest) = word(rest)?;
        let (server, rest) = word(rest)?;
        let (timers, rest) = word(rest)?;
        let (status, rest) = word(rest)?;
        let (bytes, rest) = word(rest)?;
        if memchr(b'/', server).is_none() || memchr::memchr_iter(b'/', timers).count() < 4 {
            return None;
        }
        let request = memchr(b'"', rest).and_then(|_| quoted(rest)).map_or(&b""[..], |(text, _)| text);
        let captured = rest.get(..memchr(b'"', rest).unwrap_or(rest.len()))?;
        let (method, target, version) = request_line(request);
        let entry = Entry {
            method,
            target,
            is_http_1_0: version == "HTTP/1.0",
            // -1 where the client left before there was one.
            status: number(status).unwrap_or(0).try_into().ok()?,
            bytes: number(bytes.strip_prefix(b"+").unwrap_or(bytes))?,
            // `<NOSRV>` where no server was chosen: the proxy answered.
            by_proxy: server.ends_with(b"/<NOSRV>"),
            ..Entry::of(client, unix_ms)
        };
        Some(with_captured(entry, captured))
    }

    /// `24/Nov/2026:10:00:00.123`
    fn time(&mut self, text: &[u8]) -> Option<u64> {
        let minute: [u8; 17] = text.get(..17)?.try_into().ok()?;
        let ms = number(text.get(18..20)?)? * 1000 + text.get(21..24).and_then(number).unwrap_or(0);
        if let Some((last, of_minute)) = self.last
            && last == minute
        {
            return Some(of_minute + ms);
        }
        let day = days(number(&minute[7..11])?, month(&minute[3..6])?, number(&minute[..2])?)?;
        let of_minute = (day * 1440 + number(&minute[12..14])? * 60 + number(&minute[15..17])?) * 60_000;
        self.last = Some((minute, of_minute));
        Some(of_minute + ms)
    }
}

/// With what is captured of the request's header: the first braces of a line.
fn with_captured<'a>(mut entry: Entry<'a>, text: &'a [u8]) -> Entry<'a> {
    let Some(open) = memchr(b'{', text) else { return entry };
    let inner = text.get(open + 1..).unwrap_or_default();
    let inner = inner.get(..memchr(b'}', inner).unwrap_or(inner.len())).unwrap_or_default();
    for part in inner.split(|byte| *byte == b'|') {
        let Some(text) = field(part) else { continue };
        if text.starts_with("http://") || text.starts_with("https://") {
            entry.referer = Some(text);
        } else if text.contains('.') && !text.contains([' ', '/']) {
            entry.host = Some(text);
        } else {
            entry.user_agent = Some(text);
        }
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: the line of the manual is read field by field, behind syslog's prefix and with captured fields.
    #[test]
    fn the_manuals_line() {
        let line = br#"Feb  6 12:14:14 localhost haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {www.example.com|http://x/|Mozilla/5.0 (X11)} {} "GET /index.html?a=1 HTTP/1.0""#;
        let entry = Haproxy::default().read(line).expect("a request");
        // `date -u -d '2009-02-06 12:14:14' +%s`
        assert_eq!(entry.unix_ms, 1_233_922_454_655);
        assert_eq!((entry.client.to_string().as_str(), entry.status, entry.bytes), ("10.0.1.2", 200, 2750));
        assert_eq!((entry.method, entry.target, entry.is_http_1_0), ("GET", "/index.html?a=1", true));
        assert_eq!((entry.host, entry.referer), (Some("www.example.com"), Some("http://x/")));
        assert_eq!(entry.user_agent, Some("Mozilla/5.0 (X11)"));
    }

    /// Promise: what the proxy answered itself is told apart; a bad request has no method; IPv6 and a status that
    /// never came are read.
    #[test]
    fn odd_lines() {
        let mut reader = Haproxy::default();
        let bad = br#"2001:db8::1:33317 [06/Feb/2009:12:14:14.655] http-in http-in/<NOSRV> -1/-1/-1/-1/0 400 187 - - PR-- 1/1/0/0/0 0/0 "<BADREQ>""#;
        let entry = reader.read(bad).expect("a request");
        assert_eq!(
            (entry.client.to_string().as_str(), entry.method, entry.by_proxy),
            ("2001:db8::1", "", true)
        );
        let left = br#"10.0.1.2:33317 [06/Feb/2009:12:14:15.000] http-in app/srv1 10/0/30/-1/109 -1 0 - - CD-- 1/1/1/1/0 0/0 "GET / HTTP/1.1""#;
        assert_eq!(reader.read(left).map(|entry| (entry.status, entry.by_proxy)), Some((0, false)));
    }
}
