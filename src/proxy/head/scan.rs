//! One request head, judged line by line as it arrives, and then taken apart where the lines were found.

use std::ops::Range;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Uri, Version, request};
use smallvec::SmallVec;

use super::fault::Fault;
use super::octets::{find_control, is_token};
use super::order::FieldOrder;
use super::target::{self, Absolute};
use super::{Head, HeadLimits};

/// How the body of a message is delimited (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    /// More than zero bytes.
    Length(u64),
    Chunked,
}

/// How far a head was read. Lines are judged when they are complete, in order, so the verdict does not depend on
/// how the bytes were split.
#[derive(Clone, Debug, Default)]
pub(super) struct HeadScan {
    /// Start of the first line that was not judged.
    line_start: usize,
    /// No line ends between `line_start` and here.
    searched: usize,
    stage: Stage,
    http_10: bool,
    /// Ranges are relative to the head.
    method: Range<usize>,
    target: Range<usize>,
    fields: Vec<FieldAt>,
    authority: Option<(Range<usize>, u16)>,
    host: Option<Range<usize>>,
    /// One that was found sound, of a request before: most clients ask for no other.
    sound_host: SmallVec<[u8; SOUND_HOST_BYTES_MAX]>,
    content_length: Option<u64>,
    chunked: bool,
}

/// Where a field stands in the head.
#[derive(Clone, Debug)]
struct FieldAt {
    name: Range<usize>,
    /// Without the white space around it.
    value: Range<usize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Start,
    AfterEmptyLine,
    Fields,
}

/// hyper, which reads HTTP/2, keeps the two largest values for itself: one bound for both.
const CONTENT_LENGTH_MAX: u64 = u64::MAX - 2;

/// A longer one is looked at each time.
const SOUND_HOST_BYTES_MAX: usize = 48;

/// What `http::HeaderName` can hold.
const FIELD_NAME_BYTES_MAX: usize = 65_535;

impl HeadScan {
    /// Ready for the next head; what was allocated stays.
    pub(super) fn reset(&mut self) {
        self.fields.clear();
        let (fields, sound_host) = (std::mem::take(&mut self.fields), std::mem::take(&mut self.sound_host));
        *self = HeadScan { fields, sound_host, ..HeadScan::default() };
    }

    /// Reads on. `head` is the head from its first byte and grows from call to call. Gives where it ends, with the empty
    /// line and the one that may precede it, and how the body is delimited; `None`: incomplete.
    pub(super) fn advance(
        &mut self,
        head: &[u8],
        limits: &HeadLimits,
    ) -> Result<Option<(usize, Framing)>, Fault> {
        check_first_octet(head)?;
        let within = head.get(..limits.head_bytes_max).unwrap_or(head);
        while let Some(at) = within.get(self.searched..).and_then(find_control) {
            // The first control octet of a line must be the CR that ends it.
            self.searched += at;
            let line = within.get(self.line_start..self.searched).unwrap_or_default();
            match within.get(self.searched..) {
                Some([b'\r', b'\n', ..]) => {}
                Some([b'\r']) => break,
                Some([b'\r' | b'\n', ..]) => return Err(Fault::LineEnding),
                _ => return Err(self.control_in(line)),
            }
            let end = self.searched + 2;
            if let Some(framing) = self.judge(line, head, limits)? {
                return Ok(Some((end, framing)));
            }
            self.line_start = end;
            self.searched = end;
        }
        if head.len() >= limits.head_bytes_max {
            return Err(if self.stage == Stage::Fields { Fault::HeadTooLarge } else { Fault::TargetTooLong });
        }
        // A CR at the end is looked at again.
        self.searched = self.searched.max(head.len().saturating_sub(1));
        Ok(None)
    }

    /// What is wrong when a control octet follows `line`, the part of a line before it.
    fn control_in(&self, line: &[u8]) -> Fault {
        match self.stage {
            Stage::Fields if line.contains(&b':') => Fault::FieldValue,
            Stage::Fields => Fault::FieldName,
            Stage::Start | Stage::AfterEmptyLine if line.contains(&b' ') => Fault::Target,
            Stage::Start | Stage::AfterEmptyLine => Fault::Method,
        }
    }

    /// Gives the framing if `line`, which holds no control octet, ends the head.
    fn judge(&mut self, line: &[u8], head: &[u8], limits: &HeadLimits) -> Result<Option<Framing>, Fault> {
        match self.stage {
            Stage::Fields if line.is_empty() => return self.finish(head).map(Some),
            Stage::Fields => self.field(line, limits)?,
            Stage::Start if line.is_empty() => self.stage = Stage::AfterEmptyLine,
            Stage::AfterEmptyLine if line.is_empty() => return Err(Fault::LeadingEmptyLines),
            Stage::Start | Stage::AfterEmptyLine => {
                self.request_line(line, limits)?;
                self.stage = Stage::Fields;
            }
        }
        Ok(None)
    }

    /// RFC 9112 §3: `method SP target SP version`, and nothing looser.
    fn request_line(&mut self, line: &[u8], limits: &HeadLimits) -> Result<(), Fault> {
        let method_end = line.iter().position(|&b| !is_token(b)).ok_or(Fault::RequestLine)?;
        let (method, rest) = line.split_at(method_end);
        let rest = match rest.split_first() {
            Some((b' ', rest)) if !method.is_empty() => rest,
            Some((b'\t', _)) => return Err(Fault::RequestLine),
            _ => return Err(Fault::Method),
        };
        // Without a second space: HTTP/0.9.
        let target_end = memchr::memchr(b' ', rest).ok_or(Fault::Version)?;
        let (target, version) = rest.split_at(target_end);
        self.http_10 = match version {
            b" HTTP/1.1" => false,
            b" HTTP/1.0" => true,
            _ if version.starts_with(b" HTTP/") && !version.iter().skip(1).any(u8::is_ascii_whitespace) => {
                return Err(Fault::Version);
            }
            _ => return Err(Fault::RequestLine),
        };
        if target.len() > limits.uri_bytes_max {
            return Err(Fault::TargetTooLong);
        }
        if let Some(Absolute { authority, default_port }) = target::check(method, target)? {
            let offset = self.line_start + method_end + 1;
            self.authority = Some((authority.start + offset..authority.end + offset, default_port));
        }
        let method_end = self.line_start + method_end;
        self.method = self.line_start..method_end;
        self.target = method_end + 1..method_end + 1 + target.len();
        Ok(())
    }

    /// RFC 9112 §5: `name ":" OWS value OWS`.
    fn field(&mut self, line: &[u8], limits: &HeadLimits) -> Result<(), Fault> {
        if self.fields.len() == limits.header_count_max {
            return Err(Fault::TooManyFields);
        }
        let name_end = line.iter().position(|&b| !is_token(b)).ok_or(Fault::FieldName)?;
        let (name, rest) = line.split_at(name_end);
        match rest.first() {
            Some(b':') if !name.is_empty() => {}
            Some(b' ' | b'\t') if name.is_empty() => return Err(Fault::Folding),
            Some(b' ' | b'\t') => return Err(Fault::SpaceInFieldName),
            _ => return Err(Fault::FieldName),
        }
        if name.len() > FIELD_NAME_BYTES_MAX {
            return Err(Fault::HeadTooLarge);
        }
        let (value, offset) = trim(rest.get(1..).unwrap_or_default());
        let (start, value_start) = (self.line_start, self.line_start + name_end + 1 + offset);
        let at = FieldAt { name: start..start + name_end, value: value_start..value_start + value.len() };
        self.note(name, value, &at)?;
        self.fields.push(at);
        Ok(())
    }

    /// Remembers the fields that say where the message goes and where it ends.
    fn note(&mut self, name: &[u8], value: &[u8], at: &FieldAt) -> Result<(), Fault> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                if self.host.is_some() {
                    return Err(Fault::HostRepeated);
                }
                if value.is_empty() || value != self.sound_host.as_slice() {
                    target::parse_host(value)?;
                    self.sound_host.clear();
                    if value.len() <= SOUND_HOST_BYTES_MAX {
                        self.sound_host.extend_from_slice(value);
                    }
                }
                self.host = Some(at.value.clone());
            }
            14 if is_spelling_of(name, b"content-length") => {
                if self.content_length.is_some() {
                    return Err(Fault::LengthRepeated);
                }
                self.content_length = Some(content_length(value)?);
            }
            17 if is_spelling_of(name, b"transfer-encoding") => {
                if self.http_10 {
                    return Err(Fault::CodingInOldVersion);
                }
                if self.chunked {
                    return Err(Fault::CodingRepeated);
                }
                check_codings(value)?;
                self.chunked = true;
            }
            _ => return Ok(()),
        }
        // Gateways that turn names into variables (CGI, WSGI) take an underscore for a hyphen.
        if name.contains(&b'_') { Err(Fault::FieldName) } else { Ok(()) }
    }

    /// Puts a head that was read to its end into `parts`, whose map is empty.
    pub(super) fn take_apart(
        &self,
        head: &Bytes,
        keeps_field_order: bool,
        parts: &mut request::Parts,
    ) -> Result<Head, Fault> {
        let at = |range: &Range<usize>| head.get(range.clone()).unwrap_or_default();
        parts.method = Method::from_bytes(at(&self.method)).map_err(|_| Fault::Method)?;
        parts.uri = Uri::from_maybe_shared(head.slice(self.target.clone())).map_err(|_| Fault::Target)?;
        parts.version = if self.http_10 { Version::HTTP_10 } else { Version::HTTP_11 };
        let mut persistence = Persistence::default();
        let mut read = Head { field_order: keeps_field_order.then(FieldOrder::default), ..Head::default() };
        parts.headers.reserve(self.fields.len());
        for field in &self.fields {
            let name = at(&field.name);
            if let Some(order) = &mut read.field_order {
                order.add(name);
            }
            let name = HeaderName::from_bytes(name).map_err(|_| Fault::FieldName)?;
            let value = HeaderValue::from_maybe_shared(head.slice(field.value.clone()))
                .map_err(|_| Fault::FieldValue)?;
            match name {
                header::CONNECTION => persistence.note(value.as_bytes()),
                header::EXPECT => {
                    read.expects_continue =
                        !self.http_10 && value.as_bytes().eq_ignore_ascii_case(b"100-continue");
                }
                header::TE => read.takes_trailers |= names_trailers(value.as_bytes()),
                _ => {}
            }
            parts.headers.append(name, value);
        }
        read.keeps_alive = !persistence.close && (!self.http_10 || persistence.keep_alive);
        Ok(read)
    }

    fn finish(&self, head: &[u8]) -> Result<Framing, Fault> {
        match (&self.host, &self.authority) {
            (None, _) if !self.http_10 => return Err(Fault::HostMissing),
            (Some(host), Some((authority, default_port))) => {
                let at = |range: &Range<usize>| head.get(range.clone()).unwrap_or_default();
                if !target::same_host(at(authority), at(host), *default_port)? {
                    return Err(Fault::HostMismatch);
                }
            }
            _ => {}
        }
        match (self.content_length, self.chunked) {
            (Some(_), true) => Err(Fault::LengthAndCoding),
            (None, true) => Ok(Framing::Chunked),
            (None | Some(0), false) => Ok(Framing::None),
            (Some(length), false) => Ok(Framing::Length(length)),
        }
    }
}

/// What `Connection` says of the connection (RFC 9112 §9.3).
#[derive(Clone, Copy, Debug, Default)]
struct Persistence {
    close: bool,
    keep_alive: bool,
}

impl Persistence {
    fn note(&mut self, value: &[u8]) {
        for option in value.split(|&b| b == b',').map(|option| trim(option).0) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
}

/// RFC 9110 §10.1.4.
fn names_trailers(te: &[u8]) -> bool {
    te.split(|&b| b == b',').any(|coding| trim(coding).0.eq_ignore_ascii_case(b"trailers"))
}

/// Another protocol, such as TLS, is not waited for until a line ends.
fn check_first_octet(head: &[u8]) -> Result<(), Fault> {
    match head.first() {
        Some(b'\n') => Err(Fault::LineEnding),
        Some(&b) if b != b'\r' && !is_token(b) => Err(Fault::Method),
        _ => Ok(()),
    }
}

/// Whether `name` is `lower_case`, in any case, with hyphens or underscores.
fn is_spelling_of(name: &[u8], lower_case: &[u8]) -> bool {
    let fold = |b: u8| if b == b'_' { b'-' } else { b.to_ascii_lowercase() };
    name.len() == lower_case.len() && name.iter().zip(lower_case).all(|(&b, &wanted)| fold(b) == wanted)
}

/// `value` without the white space around it, and how much stood before it.
fn trim(value: &[u8]) -> (&[u8], usize) {
    let is_space = |b: &u8| matches!(b, b' ' | b'\t');
    let start = value.iter().position(|b| !is_space(b)).unwrap_or(value.len());
    let end = value.iter().rposition(|b| !is_space(b)).map_or(start, |last| last + 1);
    (value.get(start..end).unwrap_or_default(), start)
}

/// Passes `chunked` alone. RFC 9112 §6.3 tells two refusals apart: a body whose last coding is not chunked has no
/// end (400), while one coded before it is chunked has one, but is not understood (§6.1: 501).
fn check_codings(value: &[u8]) -> Result<(), Fault> {
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    if is_chunked(value) {
        return Ok(());
    }
    let mut codings = value.split(|&b| b == b',').map(|coding| trim(coding).0);
    let last = codings.next_back().is_some_and(is_chunked);
    if last && codings.all(|coding| coding.first().copied().is_some_and(is_token) && !is_chunked(coding)) {
        Err(Fault::CodingUnknown)
    } else {
        Err(Fault::ChunkedNotLast)
    }
}

/// One decimal number in its shortest form: no sign, no list, no leading zero that could mean octal.
fn content_length(value: &[u8]) -> Result<u64, Fault> {
    let leading_zero = value.len() > 1 && value.first() == Some(&b'0');
    if value.is_empty() || leading_zero || !value.iter().all(u8::is_ascii_digit) {
        return Err(Fault::LengthInvalid);
    }
    let digits = value.iter().map(|b| u64::from(b - b'0'));
    let length = digits.into_iter().try_fold(0_u64, |n, d| n.checked_mul(10)?.checked_add(d));
    length.filter(|&n| n <= CONTENT_LENGTH_MAX).ok_or(Fault::LengthInvalid)
}
