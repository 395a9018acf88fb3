//! The body of a message as it goes over the wire (RFC 9112 §6, §7).

use std::io::Write as _;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};

use super::fields::write_field;

/// How the rest of a body is framed.
#[derive(Debug)]
pub enum BodyWriter {
    /// So many bytes are still to come.
    Length(u64),
    /// With those trailers that the head announced, if they come.
    Chunked { announced: Vec<HeaderName> },
}

/// The body is not of the length that was announced for it.
#[derive(Debug, thiserror::Error)]
#[error("the body is not as long as its Content-Length said")]
pub struct WrongLength;

impl BodyWriter {
    /// In chunks, with those trailers that the head announces.
    pub fn chunked(head: &HeaderMap) -> Self {
        BodyWriter::Chunked { announced: announced(head) }
    }

    /// Appends what goes before `data` to `wire` and returns what goes behind it. `last`: the body ends here.
    pub fn frame(
        &mut self,
        data: &Bytes,
        last: bool,
        wire: &mut Vec<u8>,
    ) -> Result<&'static [u8], WrongLength> {
        match self {
            BodyWriter::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or(WrongLength)?;
                if last && *left > 0 { Err(WrongLength) } else { Ok(b"") }
            }
            // A chunk without data would be the last.
            BodyWriter::Chunked { .. } if data.is_empty() => Ok(if last { b"0\r\n\r\n" } else { b"" }),
            BodyWriter::Chunked { .. } => {
                // Writing to a Vec cannot fail.
                let _ = write!(wire, "{:x}\r\n", data.len());
                Ok(if last { b"\r\n0\r\n\r\n" } else { b"\r\n" })
            }
        }
    }

    /// Appends the end of a body whose last frame did not say that it was.
    pub fn end(&mut self, trailers: Option<&HeaderMap>, wire: &mut Vec<u8>) -> Result<(), WrongLength> {
        match self {
            BodyWriter::Length(0) => Ok(()),
            BodyWriter::Length(_) => Err(WrongLength),
            BodyWriter::Chunked { announced } => {
                wire.extend_from_slice(b"0\r\n");
                for (name, value) in trailers.into_iter().flatten() {
                    if announced.contains(name) && may_trail(name) {
                        write_field(name, value, wire);
                    }
                }
                wire.extend_from_slice(b"\r\n");
                Ok(())
            }
        }
    }
}

/// The fields that `Trailer` names.
fn announced(headers: &HeaderMap) -> Vec<HeaderName> {
    let lists = headers.get_all(header::TRAILER).iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}

/// RFC 9110 §6.5.1: not what frames, routes, authenticates or describes the content.
pub fn may_trail(name: &HeaderName) -> bool {
    !matches!(
        *name,
        header::AUTHORIZATION
            | header::CACHE_CONTROL
            | header::CONTENT_ENCODING
            | header::CONTENT_LENGTH
            | header::CONTENT_RANGE
            | header::CONTENT_TYPE
            | header::HOST
            | header::MAX_FORWARDS
            | header::SET_COOKIE
            | header::TE
            | header::TRAILER
            | header::TRANSFER_ENCODING
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: RFC 9112 §6.2: never more bytes than were announced, nor fewer: the next request would begin elsewhere.
    #[test]
    fn a_length_is_kept() {
        let (mut wire, data) = (Vec::new(), Bytes::from("hello"));
        assert!(BodyWriter::Length(5).frame(&data, true, &mut wire).is_ok());
        assert!(BodyWriter::Length(4).frame(&data, true, &mut wire).is_err());
        assert!(BodyWriter::Length(6).frame(&data, true, &mut wire).is_err());
        assert!(BodyWriter::Length(6).frame(&data, false, &mut wire).is_ok());
        assert!(BodyWriter::Length(1).end(None, &mut wire).is_err());
        assert!(BodyWriter::Length(0).end(None, &mut wire).is_ok());
        assert!(wire.is_empty());
    }

    /// Promise: RFC 9112 §7.1: each piece is a chunk, an empty one is none, and the last chunk comes once.
    #[test]
    fn chunks() {
        let mut writer = BodyWriter::Chunked { announced: vec![] };
        let mut sent = Vec::new();
        for (data, last) in [("hello", false), ("", false), ("0123456789abcdef", true)] {
            let tail = writer.frame(&Bytes::from(data), last, &mut sent).unwrap();
            sent.extend_from_slice(data.as_bytes());
            sent.extend_from_slice(tail);
        }
        assert_eq!(sent, b"5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n");
        assert_eq!(writer.frame(&Bytes::new(), true, &mut sent).unwrap(), b"0\r\n\r\n");
    }
}
