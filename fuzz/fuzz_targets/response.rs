//! Any bytes from a server, cut anywhere: reading a response never panics, and what it says does not depend on the cuts.

#![no_main]

use bytes::BytesMut;
use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use weir::proxy::upstream::http1::fault::Malformed;
use weir::proxy::upstream::http1::head::HeadReader;

#[derive(Debug, Default, PartialEq)]
struct Outcome {
    head: Option<(u16, HeaderMap)>,
    data: Vec<u8>,
    trailers: Option<HeaderMap>,
    ended: bool,
    fault: Option<Malformed>,
}

fn read_in_pieces(bytes: &[u8], piece: usize) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.fault = read(bytes, piece, &mut outcome).err();
    outcome
}

fn read(bytes: &[u8], piece: usize, outcome: &mut Outcome) -> Result<(), Malformed> {
    let (mut reader, mut body, mut input) = (HeadReader::default(), None, BytesMut::new());
    for fresh in bytes.chunks(piece) {
        input.extend_from_slice(fresh);
        if body.is_none()
            && let Some(head) = reader.take(&mut input, false, &mut HeaderMap::new())?
        {
            outcome.head = Some((head.parts.status.as_u16(), head.parts.headers));
            body = Some(head.body);
        }
        let Some(body) = &mut body else { continue };
        while let Some(frame) = body.take(&mut input)? {
            match frame.into_data() {
                Ok(data) => outcome.data.extend_from_slice(&data),
                Err(frame) => outcome.trailers = frame.into_trailers().ok(),
            }
        }
        outcome.ended = body.is_ended();
    }
    Ok(())
}

fuzz_target!(|data: &[u8]| {
    let Some((&piece, bytes)) = data.split_first() else { return };
    let at_once = read_in_pieces(bytes, bytes.len().max(1));
    assert!(at_once.data.len() <= bytes.len());
    assert_eq!(at_once, read_in_pieces(bytes, usize::from(piece).max(1)));
    assert_eq!(at_once, read_in_pieces(bytes, 1));
});
