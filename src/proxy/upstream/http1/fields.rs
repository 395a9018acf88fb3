//! The lines of a head or a trailer section (RFC 9112 §2.1, §5), found as they arrive, and the field in each.
//!
//! Strict where a second reading is possible: no folding, no space before a colon, no bare CR, no control octet in a
//! value. What a name and a value may hold is checked by the types of `http`, which cannot be made of anything else. A
//! bare LF ends a line, as §2.2 lets recipients read it: it changes no meaning here, and old applications send it.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use smallvec::SmallVec;

/// Where the lines of a section end. Each byte is looked at once, however the section arrives.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    /// Behind each line break, but for that of the empty line.
    ends: SmallVec<[usize; 24]>,
    scanned: usize,
}

/// How much a section may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub bytes: usize,
    pub lines: usize,
}

/// The section is larger than its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

impl Lines {
    /// Looks on for the empty line that ends the section, which begins with `input`; returns the place behind it.
    pub(super) fn find_end(&mut self, input: &[u8], bounds: Bounds) -> Result<Option<usize>, TooLarge> {
        let within = input.get(..bounds.bytes).unwrap_or(input);
        let mut start = self.ends.last().copied().unwrap_or_default();
        for at in memchr::memchr_iter(b'\n', within.get(self.scanned..).unwrap_or_default()) {
            let end = self.scanned + at;
            if matches!(within.get(start..end), Some([] | [b'\r'])) {
                return Ok(Some(end + 1));
            }
            if self.ends.len() == bounds.lines {
                return Err(TooLarge);
            }
            start = end + 1;
            self.ends.push(start);
        }
        self.scanned = within.len();
        if within.len() == bounds.bytes { Err(TooLarge) } else { Ok(None) }
    }

    /// The lines of `section`, without their breaks and without the empty one.
    pub(super) fn of<'a>(&'a self, section: &'a [u8]) -> impl ExactSizeIterator<Item = &'a [u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let line =
                section.get(start..end).and_then(<[u8]>::split_last).map_or(&b""[..], |(_, line)| line);
            start = end;
            line.strip_suffix(b"\r").unwrap_or(line)
        })
    }
}

/// The field in one line of `section`; its value is a part of that.
pub(super) fn field(section: &Bytes, line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|&b| b == b':')?;
    let (name, value) = line.split_at_checked(colon)?;
    let name = HeaderName::from_bytes(name).ok()?;
    let value = trim(value.get(1..)?);
    Some((name, HeaderValue::from_maybe_shared(section.slice_ref(value)).ok()?))
}

/// Without the white space around it (RFC 9110 §5.5: SP and HTAB, nothing else).
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
