//! The last few things seen, by hash.

/// The last `N` distinct hashes. Once it has overflowed, a hash that is missing may only have been forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recent<const N: usize> {
    hashes: [u32; N],
    /// How many were ever put in.
    inserted: u32,
}

impl<const N: usize> Default for Recent<N> {
    fn default() -> Self {
        Recent { hashes: [0; N], inserted: 0 }
    }
}

impl<const N: usize> Recent<N> {
    /// Whether `hash` is new; if so it takes the place of the oldest.
    pub fn insert(&mut self, hash: u64) -> bool {
        let short = shorten(hash);
        if self.hashes().contains(&short) {
            return false;
        }
        self.hashes[self.inserted as usize % N] = short;
        self.inserted = self.inserted.saturating_add(1);
        true
    }

    pub fn contains(&self, hash: u64) -> bool {
        self.hashes().contains(&shorten(hash))
    }

    pub fn len(&self) -> usize {
        (self.inserted as usize).min(N)
    }

    /// Shortened, in no order.
    pub(super) fn hashes(&self) -> &[u32] {
        &self.hashes[..self.len()]
    }

    pub const fn is_empty(&self) -> bool {
        self.inserted == 0
    }

    /// Whether something was forgotten.
    pub const fn has_overflowed(&self) -> bool {
        self.inserted as usize > N
    }
}

pub(super) const fn shorten(hash: u64) -> u32 {
    (hash >> 32) as u32 ^ (hash & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: the last N distinct are known, the one before them is forgotten, and that is admitted.
    #[test]
    fn the_oldest_is_forgotten() {
        let mut recent = Recent::<2>::default();
        assert!(recent.insert(1) && recent.insert(2) && !recent.insert(1));
        assert!(!recent.has_overflowed());
        assert!(recent.insert(3));
        assert!(recent.has_overflowed() && !recent.contains(1) && recent.contains(2) && recent.contains(3));
    }
}
