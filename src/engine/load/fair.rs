//! Max-min fair allocation by progressive filling (Bertsekas and Gallager, Data Networks, 2nd edition, §6.5.2).

/// The level up to which every demand is met when `capacity` is shared out max-min fairly: who asks for less gets
/// all of it, everybody else gets the level, and nobody could get more without taking from somebody who has no
/// more. `None` if there is enough for all.
///
/// Sorts `demands`.
pub(super) fn level(demands: &mut [u64], capacity: u64) -> Option<u64> {
    demands.sort_unstable();
    let mut left = capacity;
    for (at, demand) in demands.iter().enumerate() {
        let wanting = u64::try_from(demands.len() - at).unwrap_or(u64::MAX);
        let equal = left / wanting;
        if *demand > equal {
            return Some(equal);
        }
        left -= demand;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Promise: the textbook's way: 2, 2.6, 4 and 5 share 10: the two small ones are met, the others get 2.7 each.
    #[test]
    fn fills_as_in_the_textbook() {
        assert_eq!(level(&mut [40, 26, 20, 50], 100), Some(27));
        assert_eq!(level(&mut [40, 26, 20], 86), None);
        assert_eq!(level(&mut [5, 5], 0), Some(0));
        assert_eq!(level(&mut [], 10), None);
    }

    proptest! {
        #![proptest_config(crate::engine::load::tests::seeded(256))]

        /// Promise: what is handed out is within the capacity and leaves less than one unit a head, and nobody gets
        /// less than the level unless it asks for less.
        #[test]
        fn hands_out_the_capacity(mut demands in prop::collection::vec(0..1000_u64, 1..20), capacity in 0..20_000_u64) {
            let total: u64 = demands.iter().sum();
            match level(&mut demands, capacity) {
                None => prop_assert!(total <= capacity),
                Some(level) => {
                    let given: u64 = demands.iter().map(|demand| level.min(*demand)).sum();
                    prop_assert!(given <= capacity && capacity - given < demands.len() as u64);
                    prop_assert!(total > capacity);
                }
            }
        }
    }
}
