//! A whole stream of requests, read by weir.

use bytes::BytesMut;
use http::{HeaderMap, Request};
use weir::proxy::head::{Fault, FieldOrder, HeadLimits, RequestReader};

/// A request as it is handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub method: String,
    pub target: String,
    pub body: Vec<u8>,
    pub trailers: usize,
}

/// What was made of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The last may lack a part of its body.
    pub requests: Vec<Seen>,
    pub orders: Vec<FieldOrder>,
    /// Where the reader stopped.
    pub consumed: usize,
    /// What it found there, in a body or in a head.
    pub fault: Option<(bool, Fault)>,
    pub between_requests: bool,
}

/// Reads `input` in pieces that end at `cuts`.
pub(crate) fn read_in_pieces(input: &[u8], cuts: &[usize], limits: HeadLimits) -> Reading {
    let mut reader = RequestReader::new(limits).keeping_field_order();
    let mut reading =
        Reading { requests: vec![], orders: vec![], consumed: 0, fault: None, between_requests: true };
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (input.len() + 1)).collect();
    ends.extend([0, input.len()]);
    ends.sort_unstable();
    let mut held = BytesMut::new();
    for (start, end) in ends.iter().zip(ends.iter().skip(1)) {
        held.extend_from_slice(&input[*start..*end]);
        let before = held.len();
        reading.fault = read(&mut reader, &mut held, &mut reading.requests, &mut reading.orders).err();
        reading.consumed += before - held.len();
        if reading.fault.is_some() {
            break;
        }
    }
    reading.between_requests = reader.has_ended();
    reading
}

pub(crate) fn read_at_once(input: &[u8], limits: HeadLimits) -> Reading {
    read_in_pieces(input, &[], limits)
}

/// Reads as far as `held` goes.
fn read(
    reader: &mut RequestReader,
    held: &mut BytesMut,
    requests: &mut Vec<Seen>,
    orders: &mut Vec<FieldOrder>,
) -> Result<(), (bool, Fault)> {
    loop {
        if reader.has_ended() {
            let mut parts = Request::new(()).into_parts().0;
            let head = reader.head(held, &mut parts).map_err(|fault| (false, fault))?;
            let Some(head) = head else { return Ok(()) };
            orders.extend(head.field_order);
            let (method, target) = (parts.method.to_string(), parts.uri.to_string());
            requests.push(Seen { method, target, body: vec![], trailers: 0 });
        } else {
            let piece = reader.body(held).map_err(|fault| (true, fault))?;
            match (piece.map(http_body::Frame::into_data), requests.last_mut()) {
                (Some(Ok(data)), Some(request)) => request.body.extend_from_slice(&data),
                (Some(Err(frame)), Some(request)) => {
                    request.trailers = frame.into_trailers().map_or(0, |trailers: HeaderMap| trailers.len());
                }
                _ if !reader.has_ended() => return Ok(()),
                _ => {}
            }
        }
    }
}
