//! What a request and its connection tell each other of the client.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::head::Fault;
use crate::time::Moment;

/// Interim responses that may wait for the client.
const INTERIM_BYTES_MAX: usize = 16 * 1024;

/// How the head of a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    Whole,
    Refused(Fault),
    /// It did not arrive in time.
    TimedOut,
}

/// Why a body ended early, where that was the client's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BodyEnd {
    /// It did not, or the client left.
    Intact,
    /// It stopped moving.
    Stalled,
    /// Its chunks cannot be told apart.
    Malformed,
}

/// One request's view of its client: for HTTP/1.1 that of the connection, whose requests come one after the other.
#[derive(Debug)]
pub struct ClientSide {
    idle_since: AtomicU64,
    /// When the request in progress must have ended; `u64::MAX`: whenever.
    deadline: AtomicU64,
    /// The request in progress is long-lived by nature.
    streams: AtomicBool,
    body_end: AtomicU8,
    has_interim: AtomicBool,
    interim: Mutex<Vec<u8>>,
}

impl ClientSide {
    pub fn new(now: Moment) -> Self {
        ClientSide {
            idle_since: AtomicU64::new(now.as_nanos()),
            deadline: AtomicU64::new(u64::MAX),
            streams: AtomicBool::new(false),
            body_end: AtomicU8::new(BodyEnd::Intact as u8),
            has_interim: AtomicBool::new(false),
            interim: Mutex::new(Vec::new()),
        }
    }

    /// The client's body ended in this way.
    pub fn body_ended(&self, how: BodyEnd) {
        self.body_end.store(how as u8, Ordering::Relaxed);
    }

    pub fn end_request(&self, now: Moment) {
        self.deadline.store(u64::MAX, Ordering::Relaxed);
        self.streams.store(false, Ordering::Relaxed);
        self.idle_since.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// When the last request ended.
    pub fn idle_since(&self) -> Moment {
        Moment::from_nanos(self.idle_since.load(Ordering::Relaxed))
    }

    /// The time by which the client must have taken its whole response.
    pub fn set_deadline(&self, at: Option<Moment>) {
        self.deadline.store(at.map_or(u64::MAX, Moment::as_nanos), Ordering::Relaxed);
    }

    pub fn deadline(&self) -> Option<Moment> {
        let at = self.deadline.load(Ordering::Relaxed);
        (at != u64::MAX).then(|| Moment::from_nanos(at))
    }

    /// The request in progress is long-lived by nature: nothing is asked of its pace.
    pub fn begin_stream(&self) {
        self.streams.store(true, Ordering::Relaxed);
    }

    pub fn is_stream(&self) -> bool {
        self.streams.load(Ordering::Relaxed)
    }

    /// What became of the client's body, as far as it was read.
    pub fn body_end(&self) -> BodyEnd {
        match self.body_end.load(Ordering::Relaxed) {
            1 => BodyEnd::Stalled,
            2 => BodyEnd::Malformed,
            _ => BodyEnd::Intact,
        }
    }

    /// Has `head` (a whole 1xx response) sent before the final response; dropped when the client is too slow to take it.
    pub fn push_interim(&self, head: &[u8]) {
        let mut interim = self.interim.lock();
        if interim.len() + head.len() <= INTERIM_BYTES_MAX {
            interim.extend_from_slice(head);
            self.has_interim.store(true, Ordering::Release);
        }
    }

    /// What was pushed and is to be sent before anything else; puts it behind `wire`.
    pub fn take_interim(&self, wire: &mut Vec<u8>) {
        if self.has_interim.swap(false, Ordering::Acquire) {
            wire.append(&mut self.interim.lock());
        }
    }
}
