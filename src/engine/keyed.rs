//! A keyed hash for what limits count by but must not keep: the values of header fields, and combinations.

use std::hash::Hash;

use siphasher::sip128::{Hasher128 as _, SipHasher24};

/// SipHash-2-4 with 128 bits (Aumasson and Bernstein 2012): who does not know the key cannot choose values that
/// share a budget, and 128 bits leave no chance to accident.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyedHash {
    hasher: SipHasher24,
}

impl KeyedHash {
    pub(super) fn new(key: [u8; 16]) -> Self {
        KeyedHash { hasher: SipHasher24::new_with_key(&key) }
    }

    pub(super) fn of(&self, value: &(impl Hash + ?Sized)) -> u128 {
        let mut hasher = self.hasher;
        value.hash(&mut hasher);
        hasher.finish128().as_u128()
    }

    /// A key of its own for another hash, which knows nothing of this one.
    pub(super) fn key_of(&self, purpose: &str) -> u64 {
        let mut hasher = self.hasher;
        purpose.hash(&mut hasher);
        hasher.finish128().h1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: the same value is the same principal under one key, and another under another.
    #[test]
    fn the_key_decides() {
        let (one, two) = (KeyedHash::new([1; 16]), KeyedHash::new([2; 16]));
        assert_eq!(one.of("tenant-a"), one.of("tenant-a"));
        assert_ne!(one.of("tenant-a"), one.of("tenant-b"));
        assert_ne!(one.of("tenant-a"), two.of("tenant-a"));
    }
}
