//! Where the body of a response ends (RFC 9112 §6.3), and reading up to there.

use bytes::{Bytes, BytesMut};
use http::{StatusCode, Version};
use http_body::{Frame, SizeHint};

use super::chunked::Chunks;
use super::fault::{Http1Error, Malformed};

/// What the fields of a head say of the message's length and of its connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Framing {
    length: Option<u64>,
    /// How often the length is said.
    pub lengths: usize,
    is_chunked: bool,
    says_close: bool,
    says_keep_alive: bool,
}

impl Framing {
    /// RFC 9112 §6.3, item 5: several lengths are one if they are all the same.
    pub(super) fn content_length(&mut self, value: &[u8]) -> Result<(), Malformed> {
        let length = length(value).ok_or(Malformed::ContentLength)?;
        self.lengths += value.split(|&b| b == b',').count();
        match self.length.replace(length) {
            Some(other) if other != length => Err(Malformed::ContentLength),
            _ => Ok(()),
        }
    }

    /// RFC 9112 §6.1. No other coding was asked for (`TE`), and what remains of one would be taken for the content.
    pub(super) fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Malformed> {
        if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Malformed::TransferEncoding);
        }
        self.is_chunked = true;
        Ok(())
    }

    /// Whether it says anything but what becomes of the connection (RFC 9110 §7.6.1).
    pub(super) fn connection(&mut self, value: &[u8]) -> bool {
        let mut says_more = false;
        for option in value.split(|&b| b == b',').map(<[u8]>::trim_ascii) {
            let closes = option.eq_ignore_ascii_case(b"close");
            let keeps = option.eq_ignore_ascii_case(b"keep-alive");
            self.says_close |= closes;
            self.says_keep_alive |= keeps;
            says_more |= !closes && !keeps;
        }
        says_more
    }

    /// RFC 9112 §6.3. What a field says wrongly is refused, also where no body follows and it would frame none.
    pub(super) fn body_of(
        &self,
        status: StatusCode,
        version: Version,
        to_head: bool,
    ) -> Result<BodyReader, Malformed> {
        if self.is_chunked && self.length.is_some() {
            return Err(Malformed::LengthAndCoding);
        }
        if self.is_chunked && version < Version::HTTP_11 {
            return Err(Malformed::TransferEncoding);
        }
        let has_none = to_head
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        Ok(match self.length {
            _ if has_none => BodyReader::Ended,
            _ if self.is_chunked => BodyReader::Chunked(Chunks::default()),
            Some(0) => BodyReader::Ended,
            Some(length) => BodyReader::Length(length),
            None => BodyReader::UntilClose,
        })
    }

    /// RFC 9112 §9.3.
    pub(super) fn keeps_alive(&self, version: Version) -> bool {
        !self.says_close && (version == Version::HTTP_11 || self.says_keep_alive)
    }
}

/// The length that a `Content-Length` gives, all members of a list being the same (RFC 9110 §8.6).
pub(super) fn length(value: &[u8]) -> Option<u64> {
    let mut members = value.split(|&b| b == b',').map(|member| digits(member.trim_ascii()));
    let first = members.next()??;
    members.all(|other| other == Some(first)).then_some(first)
}

/// `1*DIGIT`: no sign, no space, no overflow.
fn digits(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |length, b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    })
}

/// The rest of a body.
#[derive(Debug)]
pub enum BodyReader {
    /// So many bytes, never 0.
    Length(u64),
    Chunked(Chunks),
    UntilClose,
    Ended,
}

impl BodyReader {
    /// The next piece of the body in `input`; `None` where more has to be read first, or the body has ended.
    pub fn take(&mut self, input: &mut BytesMut) -> Result<Option<Frame<Bytes>>, Malformed> {
        if input.is_empty() {
            return Ok(None);
        }
        match self {
            BodyReader::Length(left) => {
                let here = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                *left -= here as u64;
                if *left == 0 {
                    *self = BodyReader::Ended;
                }
                Ok(Some(Frame::data(input.split_to(here).freeze())))
            }
            BodyReader::Chunked(chunks) => {
                let frame = chunks.take(input)?;
                if chunks.is_ended() {
                    *self = BodyReader::Ended;
                }
                Ok(frame)
            }
            BodyReader::UntilClose => Ok(Some(Frame::data(input.split().freeze()))),
            BodyReader::Ended => Ok(None),
        }
    }

    /// The server closed: the end of the body, or of nothing.
    pub fn close(&mut self) -> Result<(), Http1Error> {
        match self {
            BodyReader::UntilClose | BodyReader::Ended => {
                *self = BodyReader::Ended;
                Ok(())
            }
            BodyReader::Length(_) | BodyReader::Chunked(_) => Err(Http1Error::Incomplete),
        }
    }

    pub fn is_ended(&self) -> bool {
        matches!(self, BodyReader::Ended)
    }

    /// How much is still to come.
    pub fn size_hint(&self) -> SizeHint {
        match self {
            BodyReader::Length(left) => SizeHint::with_exact(*left),
            BodyReader::Ended => SizeHint::with_exact(0),
            BodyReader::Chunked(_) | BodyReader::UntilClose => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::super::head::{Head, HeadReader};
    use super::*;

    fn read(status: &str, fields: &str, to_head: bool) -> Result<Head, Malformed> {
        let mut input = BytesMut::from(format!("{status}\r\n{fields}\r\n").as_bytes());
        let head = HeadReader::default().take(&mut input, to_head, &mut HeaderMap::new());
        head.map(|head| head.expect("the head is whole"))
    }

    fn body(status: &str, fields: &str) -> BodyReader {
        read(status, fields, false).unwrap().body
    }

    fn fault(status: &str, fields: &str) -> Malformed {
        read(status, fields, false).unwrap_err()
    }

    const OK: &str = "HTTP/1.1 200 OK";

    /// Promise: RFC 9112 §6.3, items 1 and 7: HEAD, 1xx, 204 and 304 have no body, whatever their fields say.
    #[test]
    fn responses_without_a_body() {
        for status in ["HTTP/1.1 103 Early Hints", "HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified"] {
            for fields in ["", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
                assert!(body(status, fields).is_ended(), "{status} {fields:?}");
            }
        }
        let head = read(OK, "Content-Length: 5\r\n", true).unwrap();
        assert!(head.body.is_ended());
        assert_eq!(head.parts.headers.get("content-length").unwrap(), "5");
        assert!(body(OK, "Content-Length: 0\r\n").is_ended());
    }

    /// Promise: RFC 9112 §6.3, items 4, 6 and 8: chunks, a length, or the end of the connection end a body.
    #[test]
    fn responses_with_a_body() {
        assert!(matches!(body(OK, "Transfer-Encoding: Chunked \r\n"), BodyReader::Chunked(_)));
        assert!(matches!(body(OK, "Content-Length:\t42 \r\n"), BodyReader::Length(42)));
        assert!(matches!(body(OK, ""), BodyReader::UntilClose));
    }

    /// Promise: RFC 9112 §6.3, item 5: a length that is none, or two, is an error that nothing can mend.
    #[test]
    fn lengths_that_are_none() {
        for value in ["", "-5", "+5", "0x5", "5 5", "5.0", "5,", ",5", "5, 6", "18446744073709551616", "٥"] {
            let fields = format!("Content-Length: {value}\r\n");
            assert_eq!(fault(OK, &fields), Malformed::ContentLength, "{value:?}");
        }
        assert_eq!(fault(OK, "Content-Length: 1\r\nContent-Length: 2\r\n"), Malformed::ContentLength);
        // Refused also where it frames nothing: it would be handed on.
        assert_eq!(fault("HTTP/1.1 304 Not Modified", "Content-Length: x\r\n"), Malformed::ContentLength);
    }

    /// Promise: RFC 9112 §6.3, item 5: the same length said several times is that length, and is handed on once.
    #[test]
    fn a_repeated_length_is_said_once() {
        for fields in ["Content-Length: 42\r\nContent-Length: 42\r\n", "Content-Length: 42, 42\r\n"] {
            let head = read(OK, fields, false).unwrap();
            assert!(matches!(head.body, BodyReader::Length(42)));
            let lengths: Vec<_> = head.parts.headers.get_all("content-length").iter().collect();
            assert_eq!(lengths, ["42"]);
        }
    }

    /// Promise: RFC 9112 §6.3, item 3: both lengths may be response splitting, and are an error.
    #[test]
    fn both_lengths_are_refused() {
        for fields in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        ] {
            assert_eq!(fault(OK, fields), Malformed::LengthAndCoding);
        }
    }

    /// Promise: RFC 9112 §6.1: no coding but `chunked`, once, and none in HTTP/1.0; what is left of another would be
    /// taken for the content.
    #[test]
    fn odd_codings_are_refused() {
        for value in [
            "",
            "gzip",
            "gzip, chunked",
            "chunked, gzip",
            "chunked, chunked",
            "identity",
            "xchunked",
            "chunked;a=1",
        ] {
            let fields = format!("Transfer-Encoding: {value}\r\n");
            assert_eq!(fault(OK, &fields), Malformed::TransferEncoding, "{value:?}");
        }
        let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
        assert_eq!(fault(OK, twice), Malformed::TransferEncoding);
        assert_eq!(fault("HTTP/1.0 200 OK", "Transfer-Encoding: chunked\r\n"), Malformed::TransferEncoding);
    }

    /// Promise: RFC 9112 §8: a body that ends before its framing says so is incomplete, and one without framing is not.
    #[test]
    fn the_end_of_the_connection() {
        let mut input = BytesMut::from("hel");
        let mut five = BodyReader::Length(5);
        assert!(five.take(&mut input).unwrap().is_some());
        assert!(matches!(five.close(), Err(Http1Error::Incomplete)));
        assert!(matches!(BodyReader::Chunked(Chunks::default()).close(), Err(Http1Error::Incomplete)));
        let mut until_close = BodyReader::UntilClose;
        assert!(until_close.close().is_ok() && until_close.is_ended());
    }

    /// Promise: RFC 9112 §6.2: a body takes as many bytes as its length says and leaves the rest.
    #[test]
    fn a_length_takes_no_more() {
        let mut input = BytesMut::from("hello, and more");
        let mut body = BodyReader::Length(5);
        let data = body.take(&mut input).unwrap().unwrap().into_data().unwrap();
        assert_eq!((&data[..], &input[..], body.is_ended()), (&b"hello"[..], &b", and more"[..], true));
    }
}
