//! Request ids: 26 characters, sortable by time, unguessable enough not to collide (the ULID layout: 48 bits of
//! milliseconds, 80 random bits, Crockford's base 32).

use http::HeaderValue;

use crate::time::WallTime;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 26;

/// Longest id that is taken over from a trusted proxy.
const FOREIGN_MAX: usize = 128;

/// A new id for a request that came at `at`.
pub fn make(at: WallTime) -> HeaderValue {
    let mut bits = (u128::from(at.unix_ms) << 80) | (fastrand::u128(..) >> 48);
    let mut id = [0; LENGTH];
    for place in id.iter_mut().rev() {
        *place = ALPHABET[usize::try_from(bits & 31).unwrap_or(0)];
        bits >>= 5;
    }
    // The alphabet is ASCII, so this never falls back.
    HeaderValue::from_bytes(&id).unwrap_or(HeaderValue::from_static("unknown"))
}

/// Whether an id that a trusted proxy sent can be taken over: short, and plain enough for logs and URLs.
pub fn is_acceptable(id: &HeaderValue) -> bool {
    let plain =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'/' | b'+' | b'=');
    (1..=FOREIGN_MAX).contains(&id.len()) && id.as_bytes().iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: ids sort by time and differ within one millisecond.
    #[test]
    fn sorts_by_time_and_differs() {
        let at = |unix_ms| make(WallTime { unix_ms });
        assert!(at(1) < at(2) && at(2) < at(1 << 40));
        assert_ne!(at(7), at(7));
        assert_eq!(&at(32).as_bytes()[..10], b"0000000010");
    }

    /// Promise: a foreign id can neither break a log line nor grow without bound.
    #[test]
    fn foreign_ids_are_bounded_and_plain() {
        assert!(is_acceptable(&HeaderValue::from_static("4bf92f35-77b3:4da6")));
        assert!(!is_acceptable(&HeaderValue::from_static("a b")));
        assert!(!is_acceptable(&HeaderValue::from_static("")));
        assert!(!is_acceptable(&HeaderValue::try_from("a".repeat(129)).unwrap()));
    }
}
