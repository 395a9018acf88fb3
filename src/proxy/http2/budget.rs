//! What a client may spend on frames that bring nothing forward (RFC 9113 §10.5).
//!
//! SETTINGS, PING, PRIORITY, RST_STREAM, WINDOW_UPDATE, CONTINUATION, empty DATA and frames of unknown types each cost
//! the server work and may be sent without end. Each takes from a budget, which time fills up again, and which requests
//! and bodies do, as they call for such frames by themselves: a download for WINDOW_UPDATE, a page for PRIORITY. A
//! head takes by its length, and what it took is given back once it is a request: so heads that never become one
//! (CVE-2025-8671 and whatever comes after it), and compressed ones that grow beyond bounds, run out too.

use super::frames::{END_STREAM, FrameHead, kind};
use crate::time::Moment;

/// What there is at first, and never more.
const FULL: u32 = 2000;
/// What a second gives back.
const PER_SECOND: u64 = 500;
/// What a head costs, and so many of its octets as cost one more.
const HEAD: u32 = 4;
const HEAD_BYTES: u32 = 256;
/// What a request gives: its own cost, were it 16 KiB, and some frames for its sake.
const REQUEST: u64 = 4 + 64 + 12;
/// A piece of a body gives the frames that acknowledge it, unless it is tiny.
const PIECE: u32 = 3;
const PIECE_BYTES_MIN: u32 = 64;

/// One client's budget.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    left: u32,
    /// When, and after how many requests, it was filled up last.
    filled: Progress,
}

/// What fills it up.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    pub now: Moment,
    /// Of the connection, that what the client sent became.
    pub requests: u64,
}

impl Budget {
    pub const fn new(now: Moment) -> Self {
        Budget { left: FULL, filled: Progress { now, requests: 0 } }
    }

    /// A frame from the client. Whether the budget bears it. Progress is asked for only when it matters.
    #[must_use]
    pub fn receive(&mut self, frame: FrameHead, progress: impl FnOnce() -> Progress) -> bool {
        let cost = match frame.kind {
            kind::DATA if frame.length >= PIECE_BYTES_MIN => {
                self.give(PIECE);
                0
            }
            kind::DATA => u32::from(frame.length == 0 && frame.flags & END_STREAM == 0),
            kind::HEADERS | kind::CONTINUATION => HEAD + frame.length / HEAD_BYTES,
            _ => 1,
        };
        if cost > self.left {
            self.fill(progress());
        }
        let enough = cost <= self.left;
        self.left = self.left.saturating_sub(cost);
        enough
    }

    /// A frame to the client.
    pub fn send(&mut self, frame: FrameHead) {
        if frame.kind == kind::DATA && frame.length >= PIECE_BYTES_MIN {
            self.give(PIECE);
        }
    }

    fn give(&mut self, amount: u32) {
        self.left = self.left.saturating_add(amount).min(FULL);
    }

    fn fill(&mut self, progress: Progress) {
        let Progress { now, requests } = progress;
        let waited = u64::try_from(now.since(self.filled.now).as_nanos()).unwrap_or(u64::MAX);
        let by_time = waited.saturating_mul(PER_SECOND) / 1_000_000_000;
        let by_requests = requests.saturating_sub(self.filled.requests).saturating_mul(REQUEST);
        self.filled = progress;
        self.give(u32::try_from(by_time.saturating_add(by_requests)).unwrap_or(FULL));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, length: u32) -> FrameHead {
        FrameHead { length, kind, flags: 0, stream: 1 }
    }

    fn at(ms: u64) -> Progress {
        Progress { now: Moment::from_nanos(ms * 1_000_000), requests: 0 }
    }

    /// How many of a frame a client may send at once.
    fn borne(frame: FrameHead) -> u32 {
        let mut budget = Budget::new(at(0).now);
        (0..100_000).find(|_| !budget.receive(frame, || at(0))).unwrap_or_default()
    }

    /// Promise: of every kind of frame that brings nothing forward there is an end: 2000 small ones, 29 heads of
    /// 16 KiB (68 each), 500 small heads.
    #[test]
    fn floods_have_an_end() {
        for kind in 2..=20 {
            if kind != kind::CONTINUATION {
                assert_eq!(borne(frame(kind, 8)), 2000, "type {kind}");
            }
        }
        assert_eq!(borne(frame(kind::DATA, 0)), 2000);
        assert_eq!(borne(frame(kind::HEADERS, 16 << 10)), 29);
        assert_eq!(borne(frame(kind::HEADERS, 40)), 500);
        assert_eq!(borne(frame(kind::CONTINUATION, 0)), 500);
    }

    /// Promise: a client that pings 100 times a second may do so for ever, and one that does so 1000 times may not.
    #[test]
    fn a_steady_rate_is_borne() {
        let lasts = |per_second: u64| {
            let mut budget = Budget::new(at(0).now);
            (0..100 * per_second).all(|n| budget.receive(frame(PING, 8), || at(n * 1000 / per_second)))
        };
        assert!(lasts(100));
        assert!(lasts(500));
        assert!(!lasts(1000));
    }

    /// Promise: an upload of any speed, a download with two acknowledgements for each piece, and page after page with
    /// heads of 8 KiB and ten frames for its sake cost nothing, though no time passes.
    #[test]
    fn ordinary_clients_have_enough() {
        let mut budget = Budget::new(at(0).now);
        for _ in 0..100_000 {
            budget.send(frame(kind::DATA, 1000));
            assert!(budget.receive(frame(8, 4), || at(0)) && budget.receive(frame(8, 4), || at(0)));
            assert!(budget.receive(frame(kind::DATA, 1), || at(0)));
        }
        for requests in 0..100_000 {
            let progress = || Progress { requests, ..at(0) };
            assert!(budget.receive(frame(kind::HEADERS, 8 << 10), progress));
            assert!((0..10).all(|_| budget.receive(frame(2, 5), progress)));
        }
    }

    /// Promise: octet by octet, a download gives nothing for the frames that ask for the next one.
    #[test]
    fn a_dribble_has_an_end() {
        let mut budget = Budget::new(at(0).now);
        let borne = (0..100_000).find(|_| {
            budget.send(frame(kind::DATA, 1));
            !budget.receive(frame(8, 4), || at(0))
        });
        assert_eq!(borne, Some(2000));
    }
}
