//! Fields as they are written (RFC 9112 §5).

use std::io::Write as _;

use http::{HeaderName, HeaderValue};

pub fn write_field(name: &HeaderName, value: &HeaderValue, wire: &mut Vec<u8>) {
    let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
    wire.reserve(name.len() + value.len() + 4);
    wire.extend_from_slice(name);
    wire.extend_from_slice(b": ");
    wire.extend_from_slice(value);
    wire.extend_from_slice(b"\r\n");
}

pub fn write_length(length: u64, wire: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    let _ = write!(wire, "content-length: {length}\r\n");
}
