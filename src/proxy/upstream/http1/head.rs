//! The head of a response (RFC 9112 §4): found in what was read, and taken apart.

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode, Version, response};
use hyper::ext::ReasonPhrase;

use super::fault::Malformed;
use super::fields::{Bounds, Lines, field};
use super::framing::{self, BodyReader, Framing};

/// More than any server sends, and little enough to be held for each connection. Envoy takes 60 KiB, HAProxy 16.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
pub const FIELDS_MAX: usize = 100;

/// The fields, and the status line.
const BOUNDS: Bounds = Bounds { bytes: HEAD_BYTES_MAX, lines: FIELDS_MAX + 1 };

/// Reads one head as it arrives.
#[derive(Debug, Default)]
pub struct HeadReader {
    lines: Lines,
}

/// A head that was read, and what follows from it for the body.
#[derive(Debug)]
pub struct Head {
    pub parts: response::Parts,
    pub body: BodyReader,
    /// The server will take another request on this connection (RFC 9112 §9.3).
    pub keeps_alive: bool,
}

impl HeadReader {
    /// Takes a whole head out of `input`; `None` where it is not there yet. Its fields are put into `headers`, which is
    /// empty before, and after a failure.
    ///
    /// `to_head`: it answers a HEAD request, and so has no body.
    pub fn take(
        &mut self,
        input: &mut BytesMut,
        to_head: bool,
        headers: &mut HeaderMap,
    ) -> Result<Option<Head>, Malformed> {
        // Some servers send a line break too many after the response before it.
        loop {
            match &input[..] {
                [b'\n', ..] => input.advance(1),
                [b'\r', b'\n', ..] => input.advance(2),
                [] | [b'\r'] => return Ok(None),
                _ => break,
            }
        }
        if !input.iter().zip(b"HTTP/1.").all(|(b, expected)| b == expected) {
            return Err(Malformed::StatusLine);
        }
        let Some(end) = self.lines.find_end(input, BOUNDS).map_err(|_| Malformed::HeadTooLarge)? else {
            return Ok(None);
        };
        let section = input.split_to(end).freeze();
        let head = parse(&section, &self.lines, to_head, headers);
        head.map(Some).inspect_err(|_| headers.clear())
    }
}

fn parse(section: &Bytes, lines: &Lines, to_head: bool, headers: &mut HeaderMap) -> Result<Head, Malformed> {
    let mut lines = lines.of(section);
    let (version, status, reason) = lines.next().and_then(status_line).ok_or(Malformed::StatusLine)?;
    let mut framing = Framing::default();
    headers.reserve(lines.len());
    for line in lines {
        let (name, value) = field(section, line).ok_or(Malformed::Field)?;
        match name {
            header::CONTENT_LENGTH => framing.content_length(value.as_bytes())?,
            header::TRANSFER_ENCODING => framing.transfer_encoding(value.as_bytes())?,
            // Said to weir alone, and heard.
            header::CONNECTION if !framing.connection(value.as_bytes()) => continue,
            _ => {}
        }
        headers.append(name, value);
    }
    let body = framing.body_of(status, version, to_head)?;
    if framing.lengths > 1 {
        collapse_length(headers);
    }
    let mut parts = Response::new(()).into_parts().0;
    parts.status = status;
    parts.version = version;
    parts.headers = std::mem::take(headers);
    if let Some(reason) = reason {
        parts.extensions.insert(reason);
    }
    let keeps_alive = framing.keeps_alive(version) && !matches!(body, BodyReader::UntilClose);
    Ok(Head { parts, body, keeps_alive })
}

/// `HTTP/1.1 200 OK`; the reason where it is not the usual one. It may be missing, and the space before it too.
fn status_line(line: &[u8]) -> Option<(Version, StatusCode, Option<ReasonPhrase>)> {
    let (version, rest) = match line.strip_prefix(b"HTTP/1.")? {
        [b'1', b' ', rest @ ..] => (Version::HTTP_11, rest),
        [b'0', b' ', rest @ ..] => (Version::HTTP_10, rest),
        _ => return None,
    };
    let (code, rest) = rest.split_at_checked(3)?;
    let status = StatusCode::from_bytes(code).ok()?;
    let reason = match rest {
        [] => b"",
        [b' ', reason @ ..] => reason,
        _ => return None,
    };
    if status.canonical_reason().is_some_and(|usual| usual.as_bytes() == reason) {
        return Some((version, status, None));
    }
    Some((version, status, Some(ReasonPhrase::try_from(reason).ok()?)))
}

/// RFC 9112 §6.3, item 5: what said the same length several times goes on saying it once.
fn collapse_length(headers: &mut HeaderMap) {
    let first = headers.get(header::CONTENT_LENGTH).and_then(|value| framing::length(value.as_bytes()));
    if let Some(length) = first {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(input: &mut BytesMut) -> Result<Option<Head>, Malformed> {
        HeadReader::default().take(input, false, &mut HeaderMap::new())
    }

    fn read(bytes: &[u8]) -> Result<Head, Malformed> {
        take(&mut BytesMut::from(bytes)).map(|head| head.expect("the head is whole"))
    }

    /// What is wrong with a response that begins with this head.
    fn fault(head: impl AsRef<[u8]>) -> Malformed {
        read(head.as_ref()).expect_err("it is refused")
    }

    fn ok(head: &str) -> Head {
        read(head.as_bytes()).expect("it is taken")
    }

    /// Promise: a status line is what RFC 9112 §4 says, and nothing else begins a response.
    #[test]
    fn status_lines() {
        let head = ok("HTTP/1.1 299 Quite well\r\n\r\n");
        assert_eq!((head.parts.status.as_u16(), head.parts.version), (299, Version::HTTP_11));
        assert_eq!(head.parts.extensions.get::<ReasonPhrase>().unwrap().as_bytes(), b"Quite well");
        assert!(ok("HTTP/1.1 200 OK\r\n\r\n").parts.extensions.is_empty());
        assert_eq!(ok("HTTP/1.0 200\r\n\r\n").parts.version, Version::HTTP_10);
        for line in [
            "HTTP/2 200 OK",
            "HTTP/1.2 200 OK",
            "HTTP/0.9 200 OK",
            "http/1.1 200 OK",
            "HTTP/1.1  200 OK",
            "HTTP/1.1 20 OK",
            "HTTP/1.1 2000 OK",
            "HTTP/1.1 099 OK",
            "HTTP/1.1 banana",
            "HTTP/1.1 200 O\0K",
            "SSH-2.0-OpenSSH_9.2",
            // No line break, and not what other readers skip.
            "\rHTTP/1.1 200 OK",
        ] {
            assert_eq!(fault(format!("{line}\r\n\r\n")), Malformed::StatusLine, "{line:?}");
        }
    }

    /// Promise: garbage is known as such at once, and not waited on for a line break that never comes.
    #[test]
    fn garbage_is_not_waited_on() {
        assert_eq!(take(&mut BytesMut::from(&b"\0\x01"[..])).unwrap_err(), Malformed::StatusLine);
    }

    /// Promise: RFC 9112 §5: a field has one line, no white space before its colon, and no control octet; §5.2:
    /// obsolete folding is not unfolded; RFC 9110 §5.5: neither NUL nor a bare CR stands in a value.
    #[test]
    fn fields_with_two_readings_are_refused() {
        for field in [
            "no colon here",
            ": no name",
            "Space : before",
            " Leading: space",
            "A: 1\r\n folded",
            "A: 1\r\n\tfolded",
            "A: nul\0",
            "A: bare\rreturn",
            "A: escape\u{1b}",
            "A: delete\u{7f}",
            "A(B): 1",
            "Ä: 1",
        ] {
            assert_eq!(fault(format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n")), Malformed::Field, "{field:?}");
        }
    }

    /// Promise: a value is what stands between the white space around it (RFC 9112 §5.1), obs-text included, and
    /// repeated fields stay repeated and in order.
    #[test]
    fn values_pass_as_they_are() {
        let bytes = b"HTTP/1.1 200 OK\r\nA: \t one two \t\r\nempty:\r\nSet-Cookie: a=1\r\nset-cookie:b=2\r\nHigh: \xe9\r\n\r\n";
        let headers = read(bytes).unwrap().parts.headers;
        let all = |name| headers.get_all(name).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
        assert_eq!(all("a"), [b"one two"]);
        assert_eq!(all("empty"), [b""]);
        assert_eq!(all("set-cookie"), [b"a=1", b"b=2"]);
        assert_eq!(all("high"), [b"\xe9"]);
    }

    /// Promise: RFC 9112 §2.2: a bare LF may end a line, and empty lines before a response are no part of it.
    #[test]
    fn line_breaks() {
        let head = ok("\r\n\nHTTP/1.1 200 OK\nA: 1\nB: 2\r\n\n");
        assert_eq!(head.parts.headers.len(), 2);
    }

    /// Promise: no server makes weir hold more than the bound, and exactly the bound is taken.
    #[test]
    fn heads_are_bounded() {
        let head = |padding| format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(padding));
        let largest = HEAD_BYTES_MAX - head(0).len();
        assert!(read(head(largest).as_bytes()).is_ok());
        assert_eq!(fault(head(largest + 1)), Malformed::HeadTooLarge);
        let fields = |count| format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: 1\r\n".repeat(count));
        assert!(read(fields(FIELDS_MAX).as_bytes()).is_ok());
        assert_eq!(fault(fields(FIELDS_MAX + 1)), Malformed::HeadTooLarge);
        let mut input = BytesMut::zeroed(0);
        input.extend_from_slice(b"HTTP/1.1 200 OK\r\nEndless: ");
        input.resize(HEAD_BYTES_MAX, b'x');
        assert_eq!(take(&mut input).unwrap_err(), Malformed::HeadTooLarge);
    }

    /// Promise: RFC 9112 §9.3: HTTP/1.1 keeps the connection unless it says close, HTTP/1.0 closes it unless it says
    /// keep-alive, and who says both means close.
    #[test]
    fn keeping_a_connection() {
        for (head, keeps) in [
            ("HTTP/1.1 204 No Content", true),
            ("HTTP/1.1 204 No Content\r\nConnection: x, Close", false),
            ("HTTP/1.1 204 No Content\r\nConnection: close\r\nConnection: keep-alive", false),
            ("HTTP/1.0 204 No Content", false),
            ("HTTP/1.0 204 No Content\r\nConnection: Keep-Alive", true),
            ("HTTP/1.0 204 No Content\r\nConnection: keep-alive, close", false),
            // The end of the body is the end of the connection.
            ("HTTP/1.1 200 OK", false),
            ("HTTP/1.0 200 OK\r\nConnection: keep-alive", false),
        ] {
            assert_eq!(ok(&format!("{head}\r\n\r\n")).keeps_alive, keeps, "{head:?}");
        }
    }

    /// Promise: a head that was refused leaves nothing behind for the next one.
    #[test]
    fn a_refused_head_leaves_no_fields() {
        let mut headers = HeaderMap::new();
        for refused in
            ["A: 1\r\nContent-Length: x", "A: 1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked"]
        {
            let head = format!("HTTP/1.1 200 OK\r\n{refused}\r\n\r\n");
            let mut input = BytesMut::from(head.as_bytes());
            assert!(HeadReader::default().take(&mut input, false, &mut headers).is_err());
            assert!(headers.is_empty());
        }
    }
}
