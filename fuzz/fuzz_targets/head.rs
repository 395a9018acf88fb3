//! Any bytes, cut anywhere: reading never panics, and what is read does not depend on the cuts.

#![no_main]

use bytes::BytesMut;
use http::Request;
use libfuzzer_sys::fuzz_target;
use weir::proxy::head::{Fault, HeadLimits, RequestReader};

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 512, header_count_max: 16, uri_bytes_max: 128 };

/// What was read: heads as debug text, and the bytes of bodies.
fn read_in_pieces(input: &[u8], piece: usize) -> (String, Vec<u8>, Option<Fault>) {
    let (mut reader, mut held) = (RequestReader::new(LIMITS), BytesMut::new());
    let (mut heads, mut bodies) = (String::new(), Vec::new());
    for fresh in input.chunks(piece) {
        held.extend_from_slice(fresh);
        loop {
            let before = held.len();
            if reader.has_ended() {
                let mut parts = Request::new(()).into_parts().0;
                match reader.head(&mut held, &mut parts) {
                    Ok(Some(head)) => heads.push_str(&format!("{head:?} {parts:?}")),
                    Ok(None) => assert!(held.len() < LIMITS.head_bytes_max),
                    Err(fault) => return (heads, bodies, Some(fault)),
                }
            } else {
                match reader.body(&mut held) {
                    Ok(Some(frame)) => match frame.into_data() {
                        Ok(data) => bodies.extend_from_slice(&data),
                        Err(trailers) => heads.push_str(&format!("{trailers:?}")),
                    },
                    Ok(None) => {}
                    Err(fault) => return (heads, bodies, Some(fault)),
                }
            }
            if held.len() == before {
                break;
            }
        }
    }
    (heads, bodies, None)
}

fuzz_target!(|data: &[u8]| {
    let Some((&piece, input)) = data.split_first() else { return };
    let at_once = read_in_pieces(input, input.len().max(1));
    assert_eq!(at_once, read_in_pieces(input, usize::from(piece).max(1)));
    assert_eq!(at_once, read_in_pieces(input, 1));
});
