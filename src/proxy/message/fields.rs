//! Fields as they are written (RFC 9112 §5).

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
    wire.extend_from_slice(b"content-length: ");
    push_number(wire, length);
    wire.extend_from_slice(b"\r\n");
}

/// In decimal, without the machinery of formatting.
pub fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let digits = decimal_len(number);
    out.resize(out.len() + digits, b'0');
    for digit in out.iter_mut().rev().take(digits) {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

/// How many digits a number has in decimal.
///
/// Buffers are made as long as what they will hold: of one with room to spare, `bytes` makes a shared buffer, which takes
/// another allocation.
pub fn decimal_len(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: numbers are told as they are, from the least to the largest.
    #[test]
    fn numbers_are_told_in_decimal() {
        for (number, digits) in
            [(0, "0"), (7, "7"), (10, "10"), (1_000_305, "1000305"), (u64::MAX, "18446744073709551615")]
        {
            let mut wire = Vec::new();
            push_number(&mut wire, number);
            assert_eq!(wire, digits.as_bytes());
            assert_eq!(decimal_len(number), digits.len());
        }
    }
}
