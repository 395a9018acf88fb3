//! Frames as they pass by: only their heads are looked at (RFC 9113 §4.1).

/// Types of frames (RFC 9113 §6), as far as somebody asks.
pub(super) mod kind {
    pub(in crate::proxy::http2) const DATA: u8 = 0;
    pub(in crate::proxy::http2) const HEADERS: u8 = 1;
    pub(in crate::proxy::http2) const GOAWAY: u8 = 7;
    pub(in crate::proxy::http2) const CONTINUATION: u8 = 9;
}

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// What comes before the first frame of a client (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PREFACE_BYTES: usize = PREFACE.len();

/// Whether a connection that began with `bytes` begins as HTTP/2 does, as far as they go: by a request that
/// HTTP/1.1 does not have.
pub fn begins_http2(bytes: &[u8]) -> bool {
    let common = bytes.len().min(PREFACE_BYTES);
    common >= 16 && bytes.get(..common) == PREFACE.get(..common)
}

const HEAD_BYTES: usize = 9;

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// Of the payload.
    pub length: u32,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
}

/// Where one direction of a connection is: between which frames, or within which.
#[derive(Clone, Copy, Debug)]
pub struct Scanner {
    head: [u8; HEAD_BYTES],
    /// Octets of `head` that have come.
    known: usize,
    /// Octets of the preface or of a payload that are still to come.
    skip: usize,
}

impl Scanner {
    /// From a client, who begins with the preface.
    pub const fn of_client() -> Self {
        Scanner { head: [0; HEAD_BYTES], known: 0, skip: PREFACE_BYTES }
    }

    pub const fn of_server() -> Self {
        Scanner { head: [0; HEAD_BYTES], known: 0, skip: 0 }
    }

    /// Whether the last frame has come whole.
    pub const fn is_between_frames(&self) -> bool {
        self.known == 0 && self.skip == 0
    }

    /// Whether the payload of the last frame, or the preface, is not complete.
    pub const fn is_within_payload(&self) -> bool {
        self.skip > 0
    }

    /// Goes on by `bytes`, and calls `each` for every head that is complete with them.
    pub fn scan(&mut self, mut bytes: &[u8], mut each: impl FnMut(FrameHead)) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            if bytes.is_empty() {
                return;
            }
            let (now, later) = bytes.split_at(bytes.len().min(HEAD_BYTES - self.known));
            for (place, byte) in self.head.iter_mut().skip(self.known).zip(now) {
                *place = *byte;
            }
            self.known += now.len();
            bytes = later;
            if self.known == HEAD_BYTES {
                let head = FrameHead::of(self.head);
                (self.known, self.skip) = (0, head.length as usize);
                each(head);
            }
        }
    }
}

impl FrameHead {
    const fn of(head: [u8; HEAD_BYTES]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = head;
        // The first bit of a stream's number is reserved, and ignored.
        let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
        FrameHead { length: u32::from_be_bytes([0, a, b, c]), kind, flags, stream }
    }
}

/// GOAWAY (RFC 9113 §6.8): the last stream that may have been served, and why no more are.
pub(super) fn goaway(last_stream: u32, code: u32) -> Vec<u8> {
    let mut frame = vec![0, 0, 8, kind::GOAWAY, 0, 0, 0, 0, 0];
    frame.extend(last_stream.to_be_bytes());
    frame.extend(code.to_be_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(head: FrameHead) -> Vec<u8> {
        let mut bytes = head.length.to_be_bytes()[1..].to_vec();
        bytes.extend([head.kind, head.flags]);
        bytes.extend(head.stream.to_be_bytes());
        bytes.resize(bytes.len() + head.length as usize, 0xff);
        bytes
    }

    proptest! {
        /// Promise: every head is seen once, in order, wherever the bytes come apart.
        #[test]
        fn heads_are_seen_however_they_come(
            heads in prop::collection::vec((0_u32..40, any::<u8>(), any::<u8>(), 0_u32..1 << 31), 0..20),
            cuts in prop::collection::vec(1_usize..30, 1..20),
        ) {
            let heads: Vec<FrameHead> = heads
                .into_iter()
                .map(|(length, kind, flags, stream)| FrameHead { length, kind, flags, stream })
                .collect();
            let mut bytes = vec![b'P'; PREFACE_BYTES];
            bytes.extend(heads.iter().flat_map(|head| frame(*head)));
            let (mut scanner, mut seen, mut rest) = (Scanner::of_client(), Vec::new(), bytes.as_slice());
            for cut in cuts.iter().cycle() {
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                scanner.scan(now, |head| seen.push(head));
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(seen, heads);
            prop_assert!(scanner.is_between_frames());
        }
    }

    /// Promise: the frame that is written is one, and says what RFC 9113 §6.8 says.
    #[test]
    fn goaway_is_a_frame() {
        let bytes = goaway(5, 11);
        let mut heads = Vec::new();
        let mut scanner = Scanner::of_server();
        scanner.scan(&bytes, |head| heads.push(head));
        assert_eq!(heads, [FrameHead { length: 8, kind: kind::GOAWAY, flags: 0, stream: 0 }]);
        assert!(scanner.is_between_frames());
        assert_eq!(bytes[9..], [0, 0, 0, 5, 0, 0, 0, 11]);
    }
}
