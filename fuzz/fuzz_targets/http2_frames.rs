//! Any bytes of an HTTP/2 client, cut anywhere: the heads of frames that are seen are those that stand there, and what
//! they cost does not depend on the cuts.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir::proxy::http2::budget::{Budget, Progress};
use weir::proxy::http2::frames::{FrameHead, Scanner};
use weir::time::Moment;

const PREFACE_BYTES: usize = 24;

fn seen_in_pieces(bytes: &[u8], piece: usize) -> Vec<(FrameHead, bool)> {
    let progress = || Progress { now: Moment::ORIGIN, requests: 0 };
    let (mut scanner, mut budget) = (Scanner::of_client(), Budget::new(Moment::ORIGIN));
    let mut seen = Vec::new();
    for piece in bytes.chunks(piece) {
        scanner.scan(piece, |head| seen.push((head, budget.receive(head, progress))));
    }
    seen
}

/// The same by the plainest reading of RFC 9113 §4.1.
fn heads(bytes: &[u8]) -> Vec<(u32, u8, u8, u32)> {
    let mut rest = bytes.get(PREFACE_BYTES..).unwrap_or_default();
    let mut heads = Vec::new();
    while let [a, b, c, kind, flags, s0, s1, s2, s3, after @ ..] = rest {
        let length = u32::from_be_bytes([0, *a, *b, *c]);
        heads.push((length, *kind, *flags, u32::from_be_bytes([s0 & 0x7f, *s1, *s2, *s3])));
        rest = after.get(length as usize..).unwrap_or_default();
    }
    heads
}

fuzz_target!(|data: &[u8]| {
    let Some((&piece, bytes)) = data.split_first() else { return };
    let at_once = seen_in_pieces(bytes, bytes.len().max(1));
    assert_eq!(at_once, seen_in_pieces(bytes, usize::from(piece).max(1)));
    assert_eq!(at_once, seen_in_pieces(bytes, 1));
    let plain = at_once.iter().map(|(head, _)| (head.length, head.kind, head.flags, head.stream));
    assert_eq!(plain.collect::<Vec<_>>(), heads(bytes));
});
