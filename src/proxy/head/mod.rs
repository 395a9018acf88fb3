//! The head tap: lets only messages through to hyper that have exactly one reading.
//!
//! hyper takes some heads that other servers read differently: it drops a `Content-Length` beside a
//! `Transfer-Encoding`, folds repeated ones, takes a bare LF for a line end and ignores a second `Host`. What
//! two readers cut in two ways is how requests are smuggled past a limit, so the tap looks at the raw bytes
//! first. It follows the framing of each message to know where the next head begins, and it is at least as strict
//! as hyper: whatever it passes, hyper reads with the same framing.
//!
//! Pure and without I/O: bytes in, a verdict out. The verdict does not depend on how the bytes were split.

mod chunked;
mod fault;
mod octets;
mod order;
mod scan;
mod target;

use std::collections::VecDeque;

use chunked::{Chunked, Progress};
pub use fault::Fault;
pub use order::FieldOrder;
use scan::{Framing, Head, HeadScan};
pub(super) use target::{fault as target_fault, same_host};

/// Bounds on one head; trailers are held to the same, within hyper's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// From the request line, or the one empty line before it, to the empty line that ends the head.
    pub head_bytes_max: usize,
    pub header_count_max: usize,
    pub uri_bytes_max: usize,
}

/// What to do with the bytes of one [`HeadTap::feed`]: hand on `released`, then `fresh[..pass]`, then see `then`.
#[derive(Debug, PartialEq, Eq)]
pub struct Fed {
    /// Bytes that were held back earlier. Empty, and not allocated, unless a head came in pieces.
    pub released: Vec<u8>,
    pub pass: usize,
    pub then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Nothing,
    /// `fresh[pass..]` was copied and is held until the head that it begins or continues is complete.
    Held,
    /// The message that begins after what passed is refused. Nothing is passed from here on.
    Fault(Fault),
    /// The body of the last head that passed is malformed. Nothing is passed from here on.
    BodyFault(Fault),
}

/// Where in a message the connection is. After a fault: where it occurred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Between messages. The empty line that may precede a request does not begin one.
    Idle,
    /// An incomplete head is held.
    Head,
    Body,
    Opaque,
}

/// What is known of one head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadFacts {
    /// Size of the head; of a refused one, what came before the line that was refused.
    pub head_bytes: usize,
    pub fault: Option<Fault>,
    /// `None` for a head that was refused, and where the tap was not asked to keep it.
    pub field_order: Option<FieldOrder>,
}

/// One for each client connection.
#[derive(Debug)]
pub struct HeadTap {
    limits: HeadLimits,
    keeps_field_order: bool,
    state: State,
    /// An incomplete head. Not longer than `head_bytes_max`.
    held: Vec<u8>,
    /// Not longer than the number of heads that hyper lets its buffer fill with.
    facts: VecDeque<HeadFacts>,
}

#[derive(Debug)]
enum State {
    Head(HeadScan),
    /// Bytes left, more than zero.
    Length(u64),
    Chunked(Chunked),
    Opaque,
    Refused(Fault),
    BodyRefused(Fault),
}

/// What `http::Uri` can hold.
const URI_BYTES_MAX: usize = 65_534;
/// Of the sizes that `http::HeaderMap` can grow to, the largest that leaves it room.
const HEADER_COUNT_MAX: usize = 16_384;

impl HeadTap {
    /// Limits beyond what hyper's types can hold are lowered to that.
    pub fn new(limits: HeadLimits) -> Self {
        let limits = HeadLimits {
            uri_bytes_max: limits.uri_bytes_max.min(URI_BYTES_MAX),
            header_count_max: limits.header_count_max.min(HEADER_COUNT_MAX),
            ..limits
        };
        HeadTap {
            limits,
            keeps_field_order: false,
            state: State::Head(HeadScan::default()),
            held: Vec::new(),
            facts: VecDeque::new(),
        }
    }

    /// Adds to the facts of each head the order of its fields, which hyper does not keep.
    #[must_use]
    pub fn keeping_field_order(self) -> Self {
        HeadTap { keeps_field_order: true, state: State::Head(HeadScan::new(true)), ..self }
    }

    /// Scans `fresh`, which follows everything fed before.
    ///
    /// A head that arrives whole is neither copied nor allocated for. After a fault, every call repeats it.
    pub fn feed(&mut self, fresh: &[u8]) -> Fed {
        let mut fed = Fed { released: Vec::new(), pass: 0, then: Then::Nothing };
        if !self.held.is_empty() {
            self.feed_held(fresh, &mut fed);
        }
        while fed.then == Then::Nothing {
            let Some(rest @ [_, ..]) = fresh.get(fed.pass..) else { break };
            match &mut self.state {
                State::Head(_) => self.feed_head(rest, &mut fed),
                State::Length(left) => {
                    let taken = usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                    fed.pass += taken;
                    *left -= taken as u64;
                    if *left == 0 {
                        self.begin_head();
                    }
                }
                State::Chunked(body) => match body.advance(rest, &self.limits) {
                    Progress::More => fed.pass = fresh.len(),
                    Progress::End(at) => {
                        fed.pass += at;
                        self.begin_head();
                    }
                    Progress::Fault(at, fault) => {
                        fed.pass += at;
                        self.state = State::BodyRefused(fault);
                    }
                },
                State::Opaque => fed.pass = fresh.len(),
                State::Refused(fault) => fed.then = Then::Fault(*fault),
                State::BodyRefused(fault) => fed.then = Then::BodyFault(*fault),
            }
        }
        fed.then = match self.state {
            State::Refused(fault) => Then::Fault(fault),
            State::BodyRefused(fault) => Then::BodyFault(fault),
            _ => fed.then,
        };
        fed
    }

    pub fn phase(&self) -> Phase {
        match self.state {
            State::Head(_) if b"\r\n".starts_with(&self.held) => Phase::Idle,
            State::Head(_) | State::Refused(_) => Phase::Head,
            State::Length(_) | State::Chunked(_) | State::BodyRefused(_) => Phase::Body,
            State::Opaque => Phase::Opaque,
        }
    }

    /// The facts of the next head, in order; one for each head that was passed or refused.
    pub fn take_head(&mut self) -> Option<HeadFacts> {
        self.facts.pop_front()
    }

    /// From here on (after `101 Switching Protocols`) everything passes unseen. Gives what was held, which goes
    /// first. Does nothing after a fault.
    #[must_use = "the bytes that were held go first"]
    pub fn make_opaque(&mut self) -> Vec<u8> {
        if !matches!(self.state, State::Refused(_) | State::BodyRefused(_)) {
            self.state = State::Opaque;
        }
        std::mem::take(&mut self.held)
    }

    /// Goes on with a head of which a part is held.
    fn feed_held(&mut self, fresh: &[u8], fed: &mut Fed) {
        let State::Head(scan) = &mut self.state else { return };
        let before = self.held.len();
        let room = self.limits.head_bytes_max.saturating_sub(before);
        self.held.extend_from_slice(fresh.get(..room).unwrap_or(fresh));
        match scan.advance(&self.held, &self.limits) {
            Ok(None) => fed.then = Then::Held,
            Ok(Some(head)) => {
                self.held.truncate(before);
                fed.released = std::mem::take(&mut self.held);
                fed.pass = head.bytes - before;
                self.begin_body(head);
            }
            Err(fault) => self.refuse(fault),
        }
    }

    /// Reads a head that begins with `rest`.
    fn feed_head(&mut self, rest: &[u8], fed: &mut Fed) {
        let State::Head(scan) = &mut self.state else { return };
        match scan.advance(rest, &self.limits) {
            Ok(None) => {
                self.held.extend_from_slice(rest);
                fed.then = Then::Held;
            }
            Ok(Some(head)) => {
                fed.pass += head.bytes;
                self.begin_body(head);
            }
            Err(fault) => self.refuse(fault),
        }
    }

    fn begin_head(&mut self) {
        self.state = State::Head(HeadScan::new(self.keeps_field_order));
    }

    fn begin_body(&mut self, head: Head) {
        let Head { bytes: head_bytes, framing, field_order } = head;
        self.facts.push_back(HeadFacts { head_bytes, fault: None, field_order });
        match framing {
            Framing::None => self.begin_head(),
            Framing::Length(length) => self.state = State::Length(length),
            Framing::Chunked => self.state = State::Chunked(Chunked::new()),
        }
    }

    fn refuse(&mut self, fault: Fault) {
        let head_bytes = match &self.state {
            State::Head(scan) => scan.bytes_judged(),
            _ => 0,
        };
        self.facts.push_back(HeadFacts { head_bytes, fault: Some(fault), field_order: None });
        self.held = Vec::new();
        self.state = State::Refused(fault);
    }
}

#[cfg(test)]
mod tests;
