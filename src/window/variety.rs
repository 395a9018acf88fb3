//! How varied something is.

use super::aged::Fade;

/// The entropy of a stream of hashes, over `N` buckets: `2 N` bytes, and no more whatever comes.
///
/// Hashes that share a bucket count as one: the entropy is never above that of what came, nor above log2 `N`, and
/// exactly that of the buckets. It falls short by what shared buckets hide: nothing while all have buckets of their own;
/// of `n` different ones that come once each, it is log2 `N` less about `N / (2 n ln 2)` bits. Counts stop at 65,535 a
/// bucket. `N` is a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variety<const N: usize> {
    counts: [u16; N],
}

impl<const N: usize> Default for Variety<N> {
    fn default() -> Self {
        const { assert!(N.is_power_of_two()) };
        Variety { counts: [0; N] }
    }
}

impl<const N: usize> Variety<N> {
    pub fn add(&mut self, hash: u64) {
        // The upper half: the lower one may be a number that was not hashed at all.
        let mixed = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        if let Some(count) = usize::try_from(mixed).ok().and_then(|mixed| self.counts.get_mut(mixed % N)) {
            *count = count.saturating_add(1);
        }
    }

    /// In bits; 0 of nothing.
    pub fn entropy(&self) -> f64 {
        let all: f64 = self.counts.iter().map(|count| f64::from(*count)).sum();
        let terms = self.counts.iter().filter(|count| **count > 0).map(|count| {
            let share = f64::from(*count) / all;
            -share * share.log2()
        });
        terms.sum()
    }

    /// So many, each as frequent as the others, would be as varied: 2 to the power of the entropy, to the nearest; 0 of
    /// nothing.
    pub fn kinds(&self) -> u32 {
        if self.counts.iter().all(|count| *count == 0) {
            return 0;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to N")]
        let kinds = self.entropy().exp2().round() as u32;
        kinds
    }
}

impl<const N: usize> Fade for Variety<N> {
    fn with_share_of(&self, older: &Self, share: u32) -> Self {
        let mut sums = *self;
        for (sum, older) in sums.counts.iter_mut().zip(older.counts) {
            *sum = sum.saturating_add(u16::try_from(u32::from(older) * share / 256).unwrap_or(u16::MAX));
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Promise: nothing and one thing have no entropy; of four buckets alike it is two bits, as four kinds; thousands of
    /// different ones fill all buckets.
    #[test]
    fn known_values() {
        let mut variety = Variety::<32>::default();
        assert_eq!((variety.entropy(), variety.kinds()), (0.0, 0));
        (0..1000).for_each(|_| variety.add(7));
        assert_eq!((variety.entropy(), variety.kinds()), (0.0, 1));
        let four = Variety { counts: [5, 0, 5, 5, 0, 0, 5, 0] };
        assert_eq!((four.entropy(), four.kinds()), (2.0, 4));
        let mut many = Variety::<32>::default();
        (0..20_000).for_each(|n| many.add(n));
        assert_eq!(many.kinds(), 32);
        assert_eq!(size_of::<Variety<32>>(), 64);
    }

    proptest! {
        /// Promise: never above the entropy of a plain list, and the same where no two of them share a bucket.
        #[test]
        fn never_above_the_exact(stream in prop::collection::vec(0..200_u64, 1..500), range in 1..200_u64) {
            let (mut variety, mut exact) = (Variety::<32>::default(), HashMap::<u64, f64>::new());
            for draw in &stream {
                variety.add(draw % range);
                *exact.entry(draw % range).or_default() += 1.0;
            }
            let all: f64 = exact.values().sum();
            let entropy: f64 = exact.values().map(|count| -(count / all) * (count / all).log2()).sum();
            prop_assert!(variety.entropy() <= entropy + 1e-9);
            prop_assert!(variety.entropy() <= 5.0 + 1e-9);
            let taken = variety.counts.iter().filter(|count| **count > 0).count();
            if taken == exact.len() {
                prop_assert!((variety.entropy() - entropy).abs() < 1e-9);
            }
        }
    }
}
