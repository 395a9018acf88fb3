//! In which order a head's fields came.

/// A hash over the names of a head's fields, in lower case, in their order, repeated ones included.
///
/// Each HTTP client library writes its fields in an order of its own, whatever name it goes by in `User-Agent`; so
/// the order is a fingerprint of the software, and no secret: whoever wants to can copy it. The same in every
/// process and on every machine. That of a head without fields is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FieldOrder(u64);

/// Odd, with half of its bits set: 2^64 divided by the golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

impl FieldOrder {
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Adds the name of the next field. Eight octets at a time: this reads a good part of every head.
    pub(super) fn add(&mut self, name: &[u8]) {
        let mut words = name.chunks_exact(8);
        for word in &mut words {
            self.mix(word.try_into().map_or(0, u64::from_le_bytes));
        }
        // At most seven octets are left. Their number above them, which no name's octet is, ends the name.
        let rest = words.remainder();
        let ended = rest.iter().rev().fold(rest.len() as u64, |word, &octet| word << 8 | u64::from(octet));
        self.mix(ended);
    }

    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ lower_case(word)).wrapping_mul(MULTIPLIER);
    }
}

/// Eight octets of ASCII with capitals made small.
const fn lower_case(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    let from_a = word + ONES * (0x80 - b'A' as u64);
    let past_z = word + ONES * (0x7f - b'Z' as u64);
    word | ((from_a & !past_z & (ONES << 7)) >> 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(names: &[&str]) -> FieldOrder {
        let mut order = FieldOrder::default();
        for name in names {
            order.add(name.as_bytes());
        }
        order
    }

    /// One client has one fingerprint, however it writes the letters of its names.
    #[test]
    fn case_makes_no_difference() {
        for (upper, lower) in
            [("HOST", "host"), ("X-Forwarded-For", "x-forwarded-for"), ("ACCEPT_Z", "accept_z")]
        {
            assert_eq!(order(&["a", upper, "b"]), order(&["a", lower, "b"]), "{upper}");
        }
    }

    /// Two clients that differ in order, in repetition, in a name or in where one ends have two fingerprints.
    #[test]
    fn everything_else_makes_one() {
        let all = [
            order(&[]),
            order(&["host"]),
            order(&["host", "host"]),
            order(&["host", "accept"]),
            order(&["accept", "host"]),
            order(&["hostaccept"]),
            order(&["host", "accept", "user-agent"]),
            order(&["host", "user-agent", "accept"]),
            order(&["accept-encoding"]),
            order(&["accept-e", "ncoding"]),
            order(&["accept-", "encoding"]),
            order(&["accept_encoding"]),
            order(&["accept-encodin"]),
        ];
        let different: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    /// Only letters have a lower case: every other octet of a name stays what it is, at every place in a word.
    #[test]
    fn lower_case_is_that_of_ascii() {
        for octet in 0..=0x7f_u8 {
            for at in 0..8 {
                let mut octets = *b"aZ-_09@[";
                octets[at] = octet;
                let lower = u64::from_le_bytes(octets.to_ascii_lowercase().try_into().unwrap());
                assert_eq!(lower_case(u64::from_le_bytes(octets)), lower, "{octet:#04x}");
            }
        }
    }
}
