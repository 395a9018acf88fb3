//! The same request, refused again and again: looked at once for many, so that refusing a flood costs little.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::time::Moment;

/// Requests that are followed at a time. Two that meet in a place take it from each other, and are then looked at more
/// often.
const PLACES: usize = 1024;
/// So many within a second are looked at one by one, each at once.
const SINGLY: u64 = 16;
/// After them, one for so many. Fewer at the end of a second are never looked at.
const TOGETHER: u16 = 16;

const COUNT_BITS: u32 = 8;
const SECOND_BITS: u32 = 16;

/// How often each of the requests that were refused lately was refused within this second. Any number of threads count
/// at once; two that count the same one in the same moment may lose one.
pub(super) struct Echoes {
    /// Each: a part of the hash, the second, and how often since it was looked at one by one.
    places: Box<[AtomicU64]>,
}

impl Default for Echoes {
    fn default() -> Self {
        Echoes { places: (0..PLACES).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Echoes {
    /// For how many of the same the request with this hash, refused now, is to be looked at; 0: not now.
    pub(super) fn count(&self, hash: u64, now: Moment) -> u16 {
        let place = &self.places[usize::try_from(hash % PLACES as u64).unwrap_or(0)];
        let second = now.as_nanos() / 1_000_000_000 % (1 << SECOND_BITS);
        let tag = hash >> (COUNT_BITS + SECOND_BITS) << SECOND_BITS | second;
        let known = place.load(Ordering::Relaxed);
        let count = if known >> COUNT_BITS == tag { known % (1 << COUNT_BITS) + 1 } else { 1 };
        let (count, stands_for) = match count {
            1..=SINGLY => (count, 1),
            _ if count - SINGLY == u64::from(TOGETHER) => (SINGLY, TOGETHER),
            _ => (count, 0),
        };
        place.store(tag << COUNT_BITS | count, Ordering::Relaxed);
        stands_for
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Promise: of a request that is refused again and again within a second, the first sixteen are looked at one by
    /// one and then one for sixteen, so that fewer than sixteen are never looked at; a new second begins anew, and
    /// another request is counted for itself.
    #[test]
    fn all_but_a_few_are_looked_at() {
        let (echoes, at) = (Echoes::default(), |ms| Moment::ORIGIN.after(Duration::from_millis(ms)));
        let (one, other) = (0x1234_5678_9abc_def0, 0x1234_5678_9abc_d000);
        for second in [5000, 6000] {
            let mut seen = 0;
            for n in 1..=1000_u64 {
                let stands_for = u64::from(echoes.count(one, at(second + n / 2)));
                seen += stands_for;
                assert!(n > 16 || stands_for == 1);
                assert!(seen <= n && n - seen < 16);
            }
        }
        assert_eq!(echoes.count(other, at(6500)), 1);
    }
}
