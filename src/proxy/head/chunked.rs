//! A chunked body (RFC 9112 §7.1), taken apart: more strictly than recipients must, as others read it after weir.

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;

use super::HeadLimits;
use super::fault::Fault;
use super::octets::{is_control, is_token};

#[derive(Clone, Debug)]
pub(super) struct Chunked {
    state: State,
    /// Of the current chunk: its size while that is read, then what is left of its data.
    size: u64,
    size_digits: u8,
    chunk_extension_bytes: usize,
    extension_bytes: usize,
    trailers: Trailers,
    /// How much of the trailer section was looked at; it stays in the input until it is whole.
    trailers_read: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// The start of a line after the last chunk.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Ended,
}

#[derive(Clone, Debug, Default)]
struct Trailers {
    fields: usize,
    bytes: usize,
    name: NameStart,
}

/// The first bytes of a trailer's name in lower case, enough to know the forbidden ones.
#[derive(Clone, Debug, Default)]
struct NameStart {
    bytes: [u8; 18],
    length: usize,
}

/// The size of a 64-bit number, leading zeros included.
const SIZE_DIGITS_MAX: u8 = 16;
const CHUNK_EXTENSION_BYTES_MAX: usize = 256;
/// For the whole body: one that never ends would be an endless body without a byte.
const EXTENSION_BYTES_MAX: usize = 8 * 1024;
const TRAILER_BYTES_MAX: usize = 16 * 1024 - 1;
const TRAILER_COUNT_MAX: usize = 100;

impl Chunked {
    pub(super) fn new() -> Self {
        Chunked {
            state: State::Size,
            size: 0,
            size_digits: 0,
            chunk_extension_bytes: 0,
            extension_bytes: 0,
            trailers: Trailers::default(),
            trailers_read: 0,
        }
    }

    /// The next piece of data, or the trailers. Framing behind it that is there already is taken as well, so that the end
    /// of the body is known with its last piece.
    pub(super) fn take(
        &mut self,
        input: &mut BytesMut,
        limits: &HeadLimits,
    ) -> Result<Option<Frame<Bytes>>, Fault> {
        self.skip_framing(input, limits)?;
        match self.state {
            State::Data if !input.is_empty() => {
                let here = usize::try_from(self.size).map_or(input.len(), |size| size.min(input.len()));
                let data = input.split_to(here).freeze();
                self.size -= here as u64;
                if self.size == 0 {
                    self.state = State::DataCr;
                    // A fault is found again by the next call: the data before it is sound.
                    let _ = self.skip_framing(input, limits);
                    self.skip_no_trailers(input);
                }
                Ok(Some(Frame::data(data)))
            }
            State::TrailerStart
            | State::TrailerName
            | State::TrailerValue
            | State::TrailerLf
            | State::EndLf => Ok(self.take_trailers(input, limits)?.map(Frame::trailers)),
            _ => Ok(None),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Reads up to the next byte that is data or belongs to trailers.
    fn skip_framing(&mut self, input: &mut BytesMut, limits: &HeadLimits) -> Result<(), Fault> {
        while let Some(&b) = input.first()
            && matches!(
                self.state,
                State::Size | State::Extension | State::SizeLf | State::DataCr | State::DataLf
            )
        {
            self.state = self.step(b, limits)?;
            input.advance(1);
        }
        Ok(())
    }

    /// Few bodies have any.
    fn skip_no_trailers(&mut self, input: &mut BytesMut) {
        if self.state == State::TrailerStart && input.starts_with(b"\r\n") {
            input.advance(2);
            self.state = State::Ended;
        }
    }

    /// `None` where they are not whole yet, or there are none.
    fn take_trailers(
        &mut self,
        input: &mut BytesMut,
        limits: &HeadLimits,
    ) -> Result<Option<HeaderMap>, Fault> {
        while let Some(&b) = input.get(self.trailers_read) {
            self.state = self.step(b, limits)?;
            self.trailers_read += 1;
            if self.state == State::Ended {
                let section = input.split_to(self.trailers_read).freeze();
                let trailers = fields(&section).ok_or(Fault::Trailer)?;
                return Ok(Some(trailers).filter(|trailers| !trailers.is_empty()));
            }
        }
        Ok(None)
    }

    /// The state after `b`; an error leaves everything as it was.
    fn step(&mut self, b: u8, limits: &HeadLimits) -> Result<State, Fault> {
        match self.state {
            State::Size => self.size(b),
            State::Extension => self.extension(b),
            State::SizeLf => expect(b, b'\n', Fault::ChunkSize).map(|()| self.begin_data()),
            State::Data | State::DataCr => expect(b, b'\r', Fault::ChunkEnd).map(|()| State::DataLf),
            State::DataLf => expect(b, b'\n', Fault::ChunkEnd).map(|()| State::Size),
            State::EndLf => expect(b, b'\n', Fault::Trailer).map(|()| State::Ended),
            State::TrailerStart | State::TrailerName | State::TrailerValue | State::TrailerLf => {
                self.trailers.step(self.state, b, limits)
            }
            State::Ended => Ok(State::Ended),
        }
    }

    fn size(&mut self, b: u8) -> Result<State, Fault> {
        match (b, char::from(b).to_digit(16)) {
            (_, Some(digit)) if self.size_digits < SIZE_DIGITS_MAX => {
                self.size = self.size << 4 | u64::from(digit);
                self.size_digits += 1;
                Ok(State::Size)
            }
            (b'\r', _) if self.size_digits > 0 => Ok(State::SizeLf),
            (b';', _) if self.size_digits > 0 => {
                self.chunk_extension_bytes = 0;
                Ok(State::Extension)
            }
            _ => Err(Fault::ChunkSize),
        }
    }

    fn extension(&mut self, b: u8) -> Result<State, Fault> {
        if b == b'\r' {
            return Ok(State::SizeLf);
        }
        self.chunk_extension_bytes += 1;
        self.extension_bytes += 1;
        if is_control(b)
            || self.chunk_extension_bytes > CHUNK_EXTENSION_BYTES_MAX
            || self.extension_bytes > EXTENSION_BYTES_MAX
        {
            return Err(Fault::ChunkExtension);
        }
        Ok(State::Extension)
    }

    fn begin_data(&mut self) -> State {
        self.size_digits = 0;
        if self.size == 0 { State::TrailerStart } else { State::Data }
    }
}

impl Trailers {
    /// The state after `b`, which belongs to a trailer line or begins the last, empty one.
    fn step(&mut self, state: State, b: u8, limits: &HeadLimits) -> Result<State, Fault> {
        if state == State::TrailerStart && b == b'\r' {
            return Ok(State::EndLf);
        }
        self.bytes += 1;
        // Two more bytes for the line that ends the body.
        if self.bytes + 2 > TRAILER_BYTES_MAX.min(limits.head_bytes_max) {
            return Err(Fault::TrailersTooLarge);
        }
        match state {
            State::TrailerStart => {
                self.fields += 1;
                if self.fields > TRAILER_COUNT_MAX.min(limits.header_count_max) {
                    return Err(Fault::TrailersTooLarge);
                }
                self.name = NameStart::default();
                self.name_octet(b)
            }
            State::TrailerName if b == b':' => {
                if self.name.is_forbidden() {
                    Err(Fault::Trailer)
                } else {
                    Ok(State::TrailerValue)
                }
            }
            State::TrailerName => self.name_octet(b),
            State::TrailerLf => expect(b, b'\n', Fault::Trailer).map(|()| State::TrailerStart),
            _ if b == b'\r' => Ok(State::TrailerLf),
            _ if is_control(b) => Err(Fault::Trailer),
            _ => Ok(State::TrailerValue),
        }
    }

    fn name_octet(&mut self, b: u8) -> Result<State, Fault> {
        if !is_token(b) {
            return Err(Fault::Trailer);
        }
        self.name.push(b);
        Ok(State::TrailerName)
    }
}

impl NameStart {
    fn push(&mut self, b: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = if b == b'_' { b'-' } else { b.to_ascii_lowercase() };
            self.length += 1;
        }
    }

    /// RFC 9110 §6.5.1: nothing in a trailer may say where the message goes or where it ends.
    fn is_forbidden(&self) -> bool {
        let name = self.bytes.get(..self.length).unwrap_or_default();
        matches!(name, b"host" | b"content-length" | b"transfer-encoding")
    }
}

/// The fields of a section whose lines were judged already.
fn fields(section: &Bytes) -> Option<HeaderMap> {
    let mut fields = HeaderMap::new();
    for line in section.split(|&b| b == b'\n').filter_map(|line| line.strip_suffix(b"\r")) {
        let Some((name, value)) = memchr::memchr(b':', line).and_then(|colon| line.split_at_checked(colon))
        else {
            continue;
        };
        let name = HeaderName::from_bytes(name).ok()?;
        let value = value.get(1..)?.trim_ascii();
        fields.append(name, HeaderValue::from_maybe_shared(section.slice_ref(value)).ok()?);
    }
    Some(fields)
}

fn expect(found: u8, wanted: u8, fault: Fault) -> Result<(), Fault> {
    if found == wanted { Ok(()) } else { Err(fault) }
}
