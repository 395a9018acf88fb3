//! Any bytes, cut anywhere: the head tap never panics, holds no more than its bound, and its verdict does not
//! depend on the cuts.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir::proxy::head::{HeadLimits, HeadTap, Then};

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 512, header_count_max: 16, uri_bytes_max: 128 };

fn feed_in_pieces(input: &[u8], piece: usize) -> (Vec<u8>, Then) {
    let mut tap = HeadTap::new(LIMITS);
    let mut passed = Vec::new();
    let mut then = Then::Nothing;
    for fresh in input.chunks(piece) {
        let fed = tap.feed(fresh);
        assert!(fed.released.len() <= LIMITS.head_bytes_max);
        passed.extend_from_slice(&fed.released);
        passed.extend_from_slice(&fresh[..fed.pass]);
        then = fed.then;
    }
    (passed, then)
}

fuzz_target!(|data: &[u8]| {
    let Some((&piece, input)) = data.split_first() else { return };
    let at_once = feed_in_pieces(input, input.len().max(1));
    assert!(input.starts_with(&at_once.0));
    assert_eq!(at_once, feed_in_pieces(input, usize::from(piece).max(1)));
    assert_eq!(at_once, feed_in_pieces(input, 1));
});
