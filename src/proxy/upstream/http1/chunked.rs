//! A chunked body, taken apart (RFC 9112 §7.1).

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;
use http_body::Frame;

use super::fault::Malformed;
use super::fields::{Bounds, Lines, field};

/// The size of a 64-bit number, leading zeros included.
const SIZE_DIGITS_MAX: u8 = 16;
/// For the whole body: extensions mean nothing here, and one that never ends would be an endless body without a byte.
const EXTENSION_BYTES_MAX: usize = 16 * 1024;
const TRAILERS: Bounds = Bounds { bytes: 16 * 1024, lines: 100 };

/// Where in the body the next byte stands.
#[derive(Debug, Default)]
pub struct Chunks {
    state: State,
    /// Of the current chunk: its size while that is read, then what is left of its data.
    left: u64,
    size_digits: u8,
    extension_bytes: usize,
    /// In a box: few bodies have any.
    trailers: Option<Box<Lines>>,
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
                    self.skip_no_trailers(input);
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

    /// The usual end of a body.
    fn skip_no_trailers(&mut self, input: &mut BytesMut) {
        if self.state == State::Trailers && self.trailers.is_none() && input.starts_with(b"\r\n") {
            input.advance(2);
            self.state = State::Ended;
        }
    }

    fn take_trailers(&mut self, input: &mut BytesMut) -> Result<Option<HeaderMap>, Malformed> {
        self.skip_no_trailers(input);
        if self.is_ended() || input.len() < 2 {
            return Ok(None);
        }
        let trailers = self.trailers.get_or_insert_default();
        let end = trailers.find_end(input, TRAILERS).map_err(|_| Malformed::Trailers)?;
        let Some(end) = end else { return Ok(None) };
        self.state = State::Ended;
        let section = input.split_to(end).freeze();
        let lines = trailers.of(&section);
        if lines.len() == 0 {
            return Ok(None);
        }
        let mut trailers = HeaderMap::with_capacity(lines.len());
        for line in lines {
            let (name, value) = field(&section, line).ok_or(Malformed::Trailers)?;
            trailers.append(name, value);
        }
        Ok(Some(trailers))
    }
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
        for section in ["no colon\r\n\r\n", "A : 1\r\n\r\n", "A: 1\r\n folded\r\n\r\n", "A: \0\r\n\r\n"] {
            assert_eq!(read(format!("0\r\n{section}").as_bytes()), Err(Malformed::Trailers), "{section:?}");
        }
        let many = "A: 1\r\n".repeat(TRAILERS.lines + 1);
        assert_eq!(read(format!("0\r\n{many}\r\n").as_bytes()), Err(Malformed::Trailers));
        let endless = format!("0\r\nA: {}", "x".repeat(TRAILERS.bytes));
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
