//! A chunked body (RFC 9112 §7.1), followed to its last byte.

use super::HeadLimits;
use super::fault::Fault;
use super::octets::{is_control, is_token};

/// How far one call read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// All of it is body, and more follows.
    More,
    /// The body ends before this byte.
    End(usize),
    /// The byte at this place, the first that cannot stand there.
    Fault(usize, Fault),
}

#[derive(Clone, Debug)]
pub(super) struct Chunked {
    state: State,
    /// Of the current chunk: its size while that is read, then what is left of its data.
    size: u64,
    size_digits: u8,
    chunk_extension_bytes: usize,
    extension_bytes: usize,
    trailers: Trailers,
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
/// For the whole body; hyper's own bound is 16 KiB.
const EXTENSION_BYTES_MAX: usize = 8 * 1024;
/// hyper's own bounds.
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
        }
    }

    /// Reads on in bytes that follow those of the last call.
    pub(super) fn advance(&mut self, bytes: &[u8], limits: &HeadLimits) -> Progress {
        let mut at = 0;
        while let Some(&b) = bytes.get(at) {
            if self.state == State::Data {
                let left = bytes.len() - at;
                let taken = usize::try_from(self.size).map_or(left, |size| size.min(left));
                self.size -= taken as u64;
                at += taken;
                if self.size == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            match self.step(b, limits) {
                Ok(Some(next)) => self.state = next,
                Ok(None) => return Progress::End(at + 1),
                Err(fault) => return Progress::Fault(at, fault),
            }
            at += 1;
        }
        Progress::More
    }

    /// The state after `b`; `None`: `b` ended the body.
    fn step(&mut self, b: u8, limits: &HeadLimits) -> Result<Option<State>, Fault> {
        match self.state {
            State::Size => self.size(b).map(Some),
            State::Extension => self.extension(b).map(Some),
            State::SizeLf => expect(b, b'\n', Fault::ChunkSize).map(|()| Some(self.begin_data())),
            State::Data | State::DataCr => expect(b, b'\r', Fault::ChunkEnd).map(|()| Some(State::DataLf)),
            State::DataLf => expect(b, b'\n', Fault::ChunkEnd).map(|()| Some(State::Size)),
            State::EndLf => expect(b, b'\n', Fault::Trailer).map(|()| None),
            State::TrailerStart | State::TrailerName | State::TrailerValue | State::TrailerLf => {
                self.trailers.step(self.state, b, limits).map(Some)
            }
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

fn expect(found: u8, wanted: u8, fault: Fault) -> Result<(), Fault> {
    if found == wanted { Ok(()) } else { Err(fault) }
}
