//! The head of a response (RFC 9112 §4, §5): found in what was read, then taken apart.
//!
//! Strict where a second reading is possible: no folding, no space before a colon, no bare CR, no control octet in a
//! value. A bare LF ends a line, as §2.2 lets recipients read it: it changes no meaning here, and old applications
//! send it.

use std::mem::MaybeUninit;

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode, Version, response};
use httparse::{ParserConfig, Status};
use hyper::ext::ReasonPhrase;

use super::fault::Malformed;
use super::framing::{self, BodyReader, Fields};

/// More than any server sends, and little enough to be held for each connection. Envoy takes 60 KiB, HAProxy 16.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
pub const FIELDS_MAX: usize = 100;

/// Looks for the end of a head. Each byte is looked at once, however the head arrives.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadReader {
    /// No line break before this place ends the head.
    scanned: usize,
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
    /// Takes a whole head out of `input`, its last line break included; `None` where it is not there yet.
    pub fn take(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, Malformed> {
        // Some servers send a line break too many after the response before it.
        while input.first().is_some_and(|b| matches!(b, b'\r' | b'\n')) {
            input.advance(1);
        }
        if !input.iter().zip(b"HTTP/1.").all(|(b, expected)| b == expected) {
            return Err(Malformed::StatusLine);
        }
        match find_end(input, self.scanned, HEAD_BYTES_MAX) {
            Found::At(end) => Ok(Some(input.split_to(end).freeze())),
            Found::TooFar => Err(Malformed::HeadTooLarge),
            Found::NotYet(scanned) => {
                self.scanned = scanned;
                Ok(None)
            }
        }
    }
}

/// Where the empty line is that ends a head or a trailer section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It ends before this byte.
    At(usize),
    /// Not within the bound.
    TooFar,
    /// Look again from here on.
    NotYet(usize),
}

/// Looks in `bytes` from `from` on for a line break with an empty line after it.
pub(super) fn find_end(bytes: &[u8], from: usize, max: usize) -> Found {
    let within = bytes.get(..max).unwrap_or(bytes);
    for at in memchr::memchr_iter(b'\n', within.get(from..).unwrap_or_default()).map(|at| from + at) {
        match within.get(at + 1..) {
            Some([b'\n', ..]) => return Found::At(at + 2),
            Some([b'\r', b'\n', ..]) => return Found::At(at + 3),
            Some([] | [b'\r']) => {
                return if bytes.len() >= max { Found::TooFar } else { Found::NotYet(at) };
            }
            _ => {}
        }
    }
    if bytes.len() >= max { Found::TooFar } else { Found::NotYet(bytes.len()) }
}

/// Takes a whole head apart. Its fields are put into `headers`, which is empty before and after a failure.
///
/// `to_head`: it answers a HEAD request, and so has no body.
pub fn parse(head: &Bytes, to_head: bool, headers: &mut HeaderMap) -> Result<Head, Malformed> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut parsed = httparse::Response::new(&mut []);
    let complete = ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, head, &mut fields);
    match complete {
        Ok(Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(Malformed::Field),
        Err(error) => return Err(fault_of(error)),
    }
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Malformed::StatusLine)?;
    let version = if parsed.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };

    let read = read_fields(head, parsed.headers, headers);
    let framed = read.and_then(|seen| Ok((framing::body_of(status, version, to_head, &seen)?, seen)));
    let (body, seen) = framed.inspect_err(|_| headers.clear())?;
    if seen.lengths > 1 {
        collapse_length(headers);
    }
    let keeps_alive = match version {
        Version::HTTP_11 => !seen.says_close,
        _ => seen.says_keep_alive && !seen.says_close,
    };
    let keeps_alive = keeps_alive && !matches!(body, BodyReader::UntilClose);

    let mut parts = Response::new(()).into_parts().0;
    parts.status = status;
    parts.version = version;
    parts.headers = std::mem::take(headers);
    let reason = parsed.reason.filter(|reason| Some(*reason) != status.canonical_reason());
    if let Some(reason) = reason.and_then(|reason| ReasonPhrase::try_from(reason.as_bytes()).ok()) {
        parts.extensions.insert(reason);
    }
    Ok(Head { parts, body, keeps_alive })
}

fn read_fields(
    head: &Bytes,
    fields: &[httparse::Header<'_>],
    headers: &mut HeaderMap,
) -> Result<Fields, Malformed> {
    let mut seen = Fields::default();
    headers.reserve(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Malformed::Field)?;
        let value = value_of(head, field.value)?;
        match name {
            header::CONTENT_LENGTH => seen.content_length(value.as_bytes())?,
            header::TRANSFER_ENCODING => seen.transfer_encoding(value.as_bytes())?,
            header::CONNECTION => seen.connection(value.as_bytes()),
            _ => {}
        }
        headers.append(name, value);
    }
    Ok(seen)
}

/// The value as part of `head`, without a copy.
pub(super) fn value_of(head: &Bytes, value: &[u8]) -> Result<HeaderValue, Malformed> {
    HeaderValue::from_maybe_shared(head.slice_ref(value)).map_err(|_| Malformed::Field)
}

/// RFC 9112 §6.3, item 5: what said the same length several times goes on saying it once.
fn collapse_length(headers: &mut HeaderMap) {
    let first = headers.get(header::CONTENT_LENGTH).and_then(|value| framing::length(value.as_bytes()));
    if let Some(length) = first {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

fn fault_of(error: httparse::Error) -> Malformed {
    match error {
        httparse::Error::Status | httparse::Error::Version => Malformed::StatusLine,
        httparse::Error::TooManyHeaders => Malformed::HeadTooLarge,
        _ => Malformed::Field,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Head, Malformed> {
        let mut input = BytesMut::from(bytes);
        let head = HeadReader::default().take(&mut input)?.expect("the head is whole");
        parse(&head, false, &mut HeaderMap::new())
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
        ] {
            assert_eq!(fault(format!("{line}\r\n\r\n")), Malformed::StatusLine, "{line:?}");
        }
    }

    /// Promise: garbage is known as such at once, and not waited on for a line break that never comes.
    #[test]
    fn garbage_is_not_waited_on() {
        let mut input = BytesMut::from(&b"\0\x01"[..]);
        assert_eq!(HeadReader::default().take(&mut input), Err(Malformed::StatusLine));
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
        assert_eq!(HeadReader::default().take(&mut input), Err(Malformed::HeadTooLarge));
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
            let head = Bytes::from(format!("HTTP/1.1 200 OK\r\n{refused}\r\n\r\n"));
            assert!(parse(&head, false, &mut headers).is_err());
            assert!(headers.is_empty());
        }
    }
}
