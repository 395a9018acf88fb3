//! How many different things were seen.

use super::recent::{Recent, shorten};

/// Counts distinct hashes: exactly as long as the last `N` hold them all, then by a sketch of 136 bytes that is
/// allocated when the `N+1`th comes.
///
/// The sketch is `HyperLogLog`'s registers, read as they change ("historic inverse probability": Cohen 2014, Ting 2014):
/// a hash that changes a register counts as many as, on average, would have to come for one change. Unbiased, with a
/// standard error of 0.833/√128 = 7.4 %, and only ever growing, so that what it grows by can be added to counters that
/// fade. Hashes are shortened to 32 bits: above ten million the count falls behind.
#[derive(Clone, Debug, Default)]
pub struct Distinct<const N: usize> {
    recent: Recent<N>,
    sketch: Option<Box<Sketch>>,
}

impl<const N: usize> Distinct<N> {
    /// How many more there are by `hash`: 0 where it was seen.
    pub fn insert(&mut self, hash: u64) -> u32 {
        if self.recent.contains(hash) {
            return 0;
        }
        if self.sketch.is_none() && self.recent.len() == N {
            let mut sketch = Sketch::default();
            self.recent.hashes().iter().for_each(|short| {
                sketch.insert(*short);
            });
            self.sketch = Some(Box::new(sketch));
        }
        self.recent.insert(hash);
        self.sketch.as_mut().map_or(1, |sketch| sketch.insert(shorten(hash)))
    }

    /// Bytes that it points to, the allocator's share included, roughly.
    pub fn heap_bytes(&self) -> u64 {
        self.sketch.as_ref().map_or(0, |_| size_of::<Sketch>() as u64 + 16)
    }

    /// The last `N`.
    pub const fn recent(&self) -> &Recent<N> {
        &self.recent
    }
}

/// 2^7 registers: the first 7 bits of a hash choose one, which keeps the longest run of zeroes after them.
const INDEX_BITS: u32 = 7;
const REGISTERS: usize = 1 << INDEX_BITS;

#[derive(Clone, Debug)]
struct Sketch {
    registers: [u8; REGISTERS],
    /// How likely a new hash is to change a register.
    chance: f32,
    /// What was counted and is not yet a whole one.
    rest: f32,
}

impl Default for Sketch {
    fn default() -> Self {
        Sketch { registers: [0; REGISTERS], chance: 1.0, rest: 0.0 }
    }
}

impl Sketch {
    fn insert(&mut self, short: u32) -> u32 {
        // Multiplied by an odd constant: the hashes of few bits that tests use spread as well as real ones.
        let mixed = short.wrapping_mul(0x9E37_79B1);
        let mixed = (mixed ^ mixed >> 15).wrapping_mul(0x85EB_CA77);
        let mixed = mixed ^ mixed >> 13;
        let register = &mut self.registers[(mixed >> (u32::BITS - INDEX_BITS)) as usize];
        let zeroes = (mixed << INDEX_BITS).leading_zeros().min(u32::BITS - INDEX_BITS);
        let (old, new) = (*register, u8::try_from(zeroes + 1).unwrap_or(u8::MAX));
        if new <= old {
            return 0;
        }
        *register = new;
        let grown = self.rest + 1.0 / self.chance;
        #[expect(clippy::cast_precision_loss, reason = "128")]
        let share = |zeroes: u8| (-f32::from(zeroes)).exp2() / REGISTERS as f32;
        self.chance += share(new) - share(old);
        self.chance = self.chance.max(f32::MIN_POSITIVE);
        self.rest = grown.fract();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at least 1, and saturating"
        )]
        let whole = grown as u32;
        whole
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn hash(n: u32) -> u64 {
        ahash::RandomState::with_seeds(1, 2, 3, 4).hash_one(n)
    }

    /// Promise: an ordinary visitor's record has no sketch.
    #[test]
    fn few_need_no_sketch() {
        let mut distinct = Distinct::<8>::default();
        (0..8).for_each(|n| assert_eq!(distinct.insert(hash(n)), 1));
        assert!(distinct.sketch.is_none());
        (0..8).for_each(|n| assert_eq!(distinct.insert(hash(n)), 0));
        distinct.insert(hash(8));
        assert!(distinct.sketch.is_some());
        assert_eq!(size_of::<Sketch>(), 136);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// Promise: exact up to N; above it, within six standard errors of an exact set (one would fail by chance now and then), whatever comes again.
        #[test]
        fn within_six_standard_errors(range in 1..10_000_u32, draws in 1..15_000_u32, seed in any::<u32>()) {
            let (mut distinct, mut exact, mut count) = (Distinct::<32>::default(), HashSet::new(), 0);
            for n in 0..draws {
                let drawn = hash(n.wrapping_mul(2_654_435_761) ^ seed) % u64::from(range);
                let drawn = hash(u32::try_from(drawn).unwrap() ^ seed.rotate_left(9));
                count += distinct.insert(drawn);
                exact.insert(drawn);
                let exact = u32::try_from(exact.len()).unwrap();
                let bound = if exact <= 32 { 0.0 } else { 6.0 * 0.0737 * f64::from(exact) + 2.0 };
                prop_assert!(f64::from(count.abs_diff(exact)) <= bound, "{count} of {exact}");
            }
        }
    }
}
