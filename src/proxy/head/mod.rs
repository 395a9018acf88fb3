//! Requests of HTTP/1.1 as they are read: only messages that have exactly one reading.
//!
//! Servers differ in what they make of a `Content-Length` beside a `Transfer-Encoding`, of repeated ones, of a bare LF or
//! a second `Host`. What two readers cut in two ways is how requests are smuggled past a limit, so all of it is refused
//! here, and what is forwarded is written anew from what was read.
//!
//! Pure and without I/O: bytes in; heads, pieces of bodies, or a fault out. The verdict does not depend on how the bytes
//! were split.

mod chunked;
mod fault;
mod octets;
mod order;
mod scan;
mod target;

use bytes::{Bytes, BytesMut};
use http::request;
use http_body::Frame;

use chunked::Chunked;
pub use fault::Fault;
pub(super) use octets::find_control;
pub use order::FieldOrder;
use scan::{Framing, HeadScan};
pub(super) use target::{fault as target_fault, same_host};

/// Bounds on one head; trailers are held to the same, within their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// From the request line, or the one empty line before it, to the empty line that ends the head.
    pub head_bytes_max: usize,
    pub header_count_max: usize,
    pub uri_bytes_max: usize,
}

/// What a head says besides what `http` keeps of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The length of the body, where it is known beforehand; 0 for none.
    pub body: Option<u64>,
    /// The client will send another request on this connection (RFC 9112 §9.3).
    pub keeps_alive: bool,
    /// The body waits for `100 Continue` (RFC 9110 §10.1.1).
    pub expects_continue: bool,
    /// `TE: trailers`.
    pub takes_trailers: bool,
    /// `None` where the reader was not asked to keep it.
    pub field_order: Option<FieldOrder>,
}

/// Reads the requests of one client connection, one after the other. After a fault nothing more may be read of it.
#[derive(Debug)]
pub struct RequestReader {
    limits: HeadLimits,
    keeps_field_order: bool,
    scan: HeadScan,
    body: Body,
}

/// What is left of the body of the request that was read last.
#[derive(Debug)]
enum Body {
    Ended,
    /// Bytes left, more than zero.
    Length(u64),
    Chunked(Chunked),
}

/// What `http::Uri` can hold.
const URI_BYTES_MAX: usize = 65_534;
/// Of the sizes that `http::HeaderMap` can grow to, the largest that leaves it room.
const HEADER_COUNT_MAX: usize = 16_384;

impl RequestReader {
    /// Limits beyond what the types of `http` can hold are lowered to that.
    pub fn new(limits: HeadLimits) -> Self {
        let limits = HeadLimits {
            uri_bytes_max: limits.uri_bytes_max.min(URI_BYTES_MAX),
            header_count_max: limits.header_count_max.min(HEADER_COUNT_MAX),
            ..limits
        };
        RequestReader { limits, keeps_field_order: false, scan: HeadScan::default(), body: Body::Ended }
    }

    /// Adds to each head the order of its fields, which `http` does not keep.
    #[must_use]
    pub fn keeping_field_order(self) -> Self {
        RequestReader { keeps_field_order: true, ..self }
    }

    /// Takes the next head out of `input` and puts it into `parts`, whose map is empty; `None` where it is not whole yet.
    /// Called where the body of the request before it [has ended](Self::has_ended), with what was left of `input` and
    /// came after it.
    pub fn head(&mut self, input: &mut BytesMut, parts: &mut request::Parts) -> Result<Option<Head>, Fault> {
        if input.is_empty() {
            return Ok(None);
        }
        let Some((end, framing)) = self.scan.advance(input, &self.limits)? else { return Ok(None) };
        let section = input.split_to(end).freeze();
        let head = self.scan.take_apart(&section, self.keeps_field_order, parts)?;
        self.scan.reset();
        let body;
        (self.body, body) = match framing {
            Framing::None => (Body::Ended, Some(0)),
            Framing::Length(length) => (Body::Length(length), Some(length)),
            Framing::Chunked => (Body::Chunked(Chunked::new()), None),
        };
        Ok(Some(Head { body, ..head }))
    }

    /// Takes the next piece of the body out of `input`; `None` where it is not there yet, or the body has ended.
    pub fn body(&mut self, input: &mut BytesMut) -> Result<Option<Frame<Bytes>>, Fault> {
        match &mut self.body {
            Body::Length(left) if !input.is_empty() => {
                let here = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                *left -= here as u64;
                if *left == 0 {
                    self.body = Body::Ended;
                }
                Ok(Some(Frame::data(input.split_to(here).freeze())))
            }
            Body::Chunked(chunks) => {
                let piece = chunks.take(input, &self.limits)?;
                if chunks.has_ended() {
                    self.body = Body::Ended;
                }
                Ok(piece)
            }
            Body::Ended | Body::Length(_) => Ok(None),
        }
    }

    /// Whether all of the last request was read.
    pub fn has_ended(&self) -> bool {
        matches!(self.body, Body::Ended)
    }

    /// Whether `input` holds a part of a head. The empty line that may precede a head does not begin it.
    pub fn is_in_head(&self, input: &[u8]) -> bool {
        self.has_ended() && !b"\r\n".starts_with(input)
    }
}

#[cfg(test)]
mod tests;
