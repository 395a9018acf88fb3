//! A chunked body, taken apart (RFC 9112 §7.1).

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName};
use http_body::Frame;
use httparse::Status;

use super::fault::Malformed;
use super::head::{Found, find_end, value_of};

/// The size of a 64-bit number, leading zeros included.
const SIZE_DIGITS_MAX: u8 = 16;
/// For the whole body: extensions mean nothing here, and one that never ends would be an endless body without a byte.
const EXTENSION_BYTES_MAX: usize = 16 * 1024;
const TRAILER_BYTES_MAX: usize = 16 * 1024;
const TRAILERS_MAX: usize = 100;

/// Where in the body the next byte stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chunks {
    state: State,
    /// Of the current chunk: its size while that is read, then what is left of its data.
    left: u64,
    size_digits: u8,
    extension_bytes: usize,
    /// Of the trailers: as in [`find_end`].
    scanned: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    /// White space after the size, which old servers pad it with (`BWS`).
    SizeEnd,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// After the last chunk.
    Trailers,
    Ended,
}

impl Chunks {
    /// The next piece of data, or the trailers. Framing behind it that is there already is taken as well, so that the
    /// end of the body is known with its last piece.
    pub fn take(&mut self, input: &mut BytesMut) -> Result<Option<Frame<Bytes>>, Malformed> {
        self.skip_framing(input)?;
        match self.state {
            State::Data if !input.is_empty() => {
                let here = usize::try_from(self.left).map_or(input.len(), |left| left.min(input.len()));
                let data = input.split_to(here).freeze();
                self.left -= here as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                    // A fault is found again by the next call: the data before it is sound.
                    let _ = self.skip_framing(input);
                    self.skip_empty_trailers(input);
                }
                Ok(Some(Frame::data(data)))
            }
            State::Trailers => Ok(self.take_trailers(input)?.map(Frame::trailers)),
            _ => Ok(None),
        }
    }

    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Reads up to the next byte that is data or trailers.
    fn skip_framing(&mut self, input: &mut BytesMut) -> Result<(), Malformed> {
        while let Some(&b) = input.first()
            && !matches!(self.state, State::Data | State::Trailers | State::Ended)
        {
            self.state = self.step(b)?;
            input.advance(1);
        }
        Ok(())
    }

    fn step(&mut self, b: u8) -> Result<State, Malformed> {
        match (self.state, b) {
            (State::Size, _) if b.is_ascii_hexdigit() => self.size_digit(b),
            (State::Size, b' ' | b'\t' | b'\r' | b';') if self.size_digits == 0 => Err(Malformed::Chunk),
            (State::Size | State::SizeEnd | State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Size | State::SizeEnd, b' ' | b'\t') => self.extension().map(|_| State::SizeEnd),
            (State::Size | State::SizeEnd, b';') | (State::Extension, b'\t' | b' '..=b'~' | 0x80..) => {
                self.extension()
            }
            (State::SizeLf, b'\n') => {
                self.size_digits = 0;
                Ok(if self.left == 0 { State::Trailers } else { State::Data })
            }
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size),
            _ => Err(Malformed::Chunk),
        }
    }

    fn size_digit(&mut self, b: u8) -> Result<State, Malformed> {
        let digit = char::from(b).to_digit(16).ok_or(Malformed::Chunk)?;
        if self.size_digits == SIZE_DIGITS_MAX {
            return Err(Malformed::Chunk);
        }
        self.left = self.left << 4 | u64::from(digit);
        self.size_digits += 1;
        Ok(State::Size)
    }

    fn extension(&mut self) -> Result<State, Malformed> {
        self.extension_bytes += 1;
        if self.extension_bytes > EXTENSION_BYTES_MAX { Err(Malformed::Chunk) } else { Ok(State::Extension) }
    }

    fn skip_empty_trailers(&mut self, input: &mut BytesMut) {
        if self.state == State::Trailers && input.starts_with(b"\r\n") {
            input.advance(2);
            self.state = State::Ended;
        }
    }

    fn take_trailers(&mut self, input: &mut BytesMut) -> Result<Option<HeaderMap>, Malformed> {
        if self.scanned == 0 {
            self.skip_empty_trailers(input);
            match input.first() {
                Some(b'\n') => return Err(Malformed::Trailers),
                _ if self.is_ended() || matches!(&**input, b"" | b"\r") => return Ok(None),
                _ => {}
            }
        }
        match find_end(input, self.scanned, TRAILER_BYTES_MAX) {
            Found::NotYet(scanned) => {
                self.scanned = scanned;
                Ok(None)
            }
            Found::TooFar => Err(Malformed::Trailers),
            Found::At(end) => {
                self.state = State::Ended;
                parse_trailers(&input.split_to(end).freeze()).map(Some)
            }
        }
    }
}

fn parse_trailers(section: &Bytes) -> Result<HeaderMap, Malformed> {
    let mut fields = [httparse::EMPTY_HEADER; TRAILERS_MAX];
    let parsed = match httparse::parse_headers(section, &mut fields) {
        Ok(Status::Complete((length, parsed))) if length == section.len() => parsed,
        _ => return Err(Malformed::Trailers),
    };
    let mut trailers = HeaderMap::with_capacity(parsed.len());
    for field in parsed {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Malformed::Trailers)?;
        trailers.append(name, value_of(section, field.value).map_err(|_| Malformed::Trailers)?);
    }
    Ok(trailers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data, the trailers as lines, whether it ended, and what is left.
    type Read = (Vec<u8>, Vec<String>, bool, Vec<u8>);

    fn read(bytes: &[u8]) -> Result<Read, Malformed> {
        let (mut chunks, mut input) = (Chunks::default(), BytesMut::from(bytes));
        let (mut data, mut lines) = (Vec::new(), Vec::new());
        while let Some(frame) = chunks.take(&mut input)? {
            match frame.into_data() {
                Ok(piece) => data.extend_from_slice(&piece),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap();
                    lines.extend(trailers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())));
                }
            }
        }
        Ok((data, lines, chunks.is_ended(), input.to_vec()))
    }

    /// Promise: RFC 9112 §7.1: the data is that of the chunks, in order, and what follows the body is left.
    #[test]
    fn chunks_are_joined() {
        for (body, data) in [
            ("5\r\nhello\r\n0\r\n\r\n", "hello"),
            ("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"),
            ("00A\r\n0123456789\r\n000\r\n\r\n", "0123456789"),
            ("3 \t\r\nabc\r\n0\r\n\r\n", "abc"),
            ("0\r\n\r\n", ""),
        ] {
            let read = read(format!("{body}HTTP/1.1").as_bytes()).unwrap();
            assert_eq!(read, (data.as_bytes().to_vec(), vec![], true, b"HTTP/1.1".to_vec()), "{body:?}");
        }
    }

    /// Promise: RFC 9112 §7.1.1: extensions are skipped, up to a bound for the whole body.
    #[test]
    fn extensions_are_skipped() {
        let (data, ..) = read(b"5;a=1;b=\"c d\"\r\nhello\r\n0 ; last\r\n\r\n").unwrap();
        assert_eq!(data, b"hello");
        let chunk = format!("1;{}\r\nx\r\n", "e".repeat(EXTENSION_BYTES_MAX / 2));
        assert_eq!(read(chunk.repeat(2).as_bytes()), Err(Malformed::Chunk));
        assert_eq!(read(b"1;a=\x01\r\nx"), Err(Malformed::Chunk));
        assert_eq!(read(b"1;a=1\nx"), Err(Malformed::Chunk));
    }

    /// Promise: RFC 9112 §7.1: what is not framed exactly is no chunk; no two readers may find its end elsewhere.
    #[test]
    fn chunks_with_two_readings_are_refused() {
        for body in [
            "\r\n",
            ";a\r\n",
            " 5\r\nhello",
            "-5\r\n",
            "+5\r\nhello",
            "0x5\r\nhello",
            "5\nhello",
            "5\rhello",
            "5 5\r\nhello",
            "g\r\n",
            "10000000000000000\r\n",
        ] {
            assert_eq!(read(body.as_bytes()), Err(Malformed::Chunk), "{body:?}");
        }
    }

    /// Promise: a chunk that is longer or shorter than its size is noticed, after what is sound was handed out.
    #[test]
    fn chunks_end_where_they_say() {
        for body in ["3\r\nabcd\r\n", "3\r\nabc\n", "3\r\nabc\rX"] {
            let (mut chunks, mut input) = (Chunks::default(), BytesMut::from(body));
            let data = chunks.take(&mut input).unwrap().unwrap().into_data().unwrap();
            assert_eq!(&data[..], b"abc");
            assert!(chunks.take(&mut input).is_err(), "{body:?}");
        }
    }

    /// Promise: the largest size that 64 bits hold is a size, not an overflow.
    #[test]
    fn the_largest_size() {
        let (data, _, ended, _) = read(b"ffffffffffffffff\r\nx").unwrap();
        assert_eq!((data, ended), (b"x".to_vec(), false));
    }

    /// Promise: RFC 9112 §7.1.2: trailers are fields like any other, and are bounded.
    #[test]
    fn trailers() {
        let (data, lines, ended, rest) = read(b"1\r\nx\r\n0\r\nX-Sum: 1\r\nx-other:2 \r\n\r\nrest").unwrap();
        assert_eq!((&data[..], ended, &rest[..]), (&b"x"[..], true, &b"rest"[..]));
        assert_eq!(lines, ["x-sum: 1", "x-other: 2"]);
        for section in ["no colon\r\n\r\n", "A : 1\r\n\r\n", "A: 1\r\n folded\r\n\r\n", "A: \0\r\n\r\n", "\n"]
        {
            assert_eq!(read(format!("0\r\n{section}").as_bytes()), Err(Malformed::Trailers), "{section:?}");
        }
        let many = "A: 1\r\n".repeat(TRAILERS_MAX + 1);
        assert_eq!(read(format!("0\r\n{many}\r\n").as_bytes()), Err(Malformed::Trailers));
        let endless = format!("0\r\nA: {}", "x".repeat(TRAILER_BYTES_MAX));
        assert_eq!(read(endless.as_bytes()), Err(Malformed::Trailers));
    }

    /// Promise: the end of a body is known with its last piece, where it came in one piece with it.
    #[test]
    fn the_end_comes_with_the_last_piece() {
        let (mut chunks, mut input) = (Chunks::default(), BytesMut::from("1\r\nx\r\n0\r\n\r\n"));
        assert!(chunks.take(&mut input).unwrap().is_some());
        assert!(chunks.is_ended());
    }
}
