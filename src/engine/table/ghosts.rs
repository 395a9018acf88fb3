//! Who was forgotten lately, by 16 bits of a hash: whoever returns soon after is kept over who never does.

/// One fingerprint for each hash value, the last one that came: half of the room holds what was forgotten latest.
/// That a stranger is taken for a ghost, once in 65,536 times, does no harm.
#[derive(Debug, Default)]
pub(super) struct Ghosts {
    fingerprints: Box<[u16]>,
}

impl Ghosts {
    /// Remembers a hash, among at most `ghosts_max` of them. Nothing is allocated before that.
    pub(super) fn add(&mut self, hash: u64, ghosts_max: usize) {
        if self.fingerprints.is_empty() {
            self.fingerprints = vec![0; ghosts_max.max(1)].into();
        }
        let place = self.place(hash);
        self.fingerprints[place] = fingerprint(hash);
    }

    /// Whether the hash is remembered; it is not any more after that.
    pub(super) fn take(&mut self, hash: u64) -> bool {
        let place = self.place(hash);
        let found = self.fingerprints.get_mut(place).filter(|ghost| **ghost == fingerprint(hash));
        found.is_some_and(|ghost| std::mem::take(ghost) != 0)
    }

    pub(super) const fn bytes(&self) -> usize {
        size_of_val(&*self.fingerprints)
    }

    const fn place(&self, hash: u64) -> usize {
        ((hash >> 16 & 0xffff) as usize * self.fingerprints.len()) >> 16
    }
}

/// Never zero, which is nobody.
#[expect(clippy::cast_possible_truncation, reason = "the lowest bits")]
const fn fingerprint(hash: u64) -> u16 {
    hash as u16 | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: who was forgotten is known once when it returns; a stranger is not.
    #[test]
    fn ghosts_are_known_once() {
        let mut ghosts = Ghosts::default();
        assert!(!ghosts.take(0));
        ghosts.add(0x0002_0007, 100);
        assert!(!ghosts.take(0x0002_0009));
        assert!(ghosts.take(0x0002_0007));
        assert!(!ghosts.take(0x0002_0007));
        assert_eq!(ghosts.bytes(), 200);
    }
}
