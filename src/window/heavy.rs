//! The heaviest of very many.

use std::hash::Hash;

use ahash::AHashMap;

/// Counts the heaviest keys of a stream in a bounded number of places, each with a value beside its count: Space-Saving
/// (Metwally, Agrawal and El Abbadi 2005). When all places are taken, a new key takes that of the lightest, and its
/// count from there.
///
/// A count is never below the true one, and above it by at most its `error`; an error is at most one part in `places`
/// of everything that was counted, and whatever came more often than that has a place. [`halve`](Self::halve) halves
/// all of this.
#[derive(Clone, Debug)]
pub struct Heavy<K, V> {
    places: AHashMap<K, usize>,
    /// Apart, so that the lightest is found in one pass over little memory.
    counts: Vec<u32>,
    kept: Vec<Kept<K, V>>,
    most: usize,
}

#[derive(Clone, Debug)]
struct Kept<K, V> {
    key: K,
    error: u32,
    value: V,
}

/// How often a key came: at least, and at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    pub least: u32,
    pub most: u32,
}

impl<K: Copy + Eq + Hash, V: Default> Heavy<K, V> {
    /// With so many places, at least one. None is allocated before it is taken.
    pub fn new(places: usize) -> Self {
        Heavy { places: AHashMap::new(), counts: Vec::new(), kept: Vec::new(), most: places.max(1) }
    }

    /// Counts `key` once. The value is the one that stood beside it since it has its place.
    pub fn add(&mut self, key: K) -> (Weight, &mut V) {
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None => self.take_place(key),
        };
        let count = &mut self.counts[place];
        *count = count.saturating_add(1);
        let Kept { error, value, .. } = &mut self.kept[place];
        (Weight { least: count.saturating_sub(*error), most: *count }, value)
    }

    /// The value beside a key that has a place.
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let place = *self.places.get(&key)?;
        self.kept.get_mut(place).map(|kept| &mut kept.value)
    }

    /// Lets everything count half.
    pub fn halve(&mut self) {
        for (count, kept) in self.counts.iter_mut().zip(&mut self.kept) {
            // Rounded so that the bounds hold.
            kept.error = kept.error.div_ceil(2) + *count % 2;
            *count = count.div_ceil(2);
        }
    }

    fn take_place(&mut self, key: K) -> usize {
        if self.kept.len() < self.most {
            self.counts.push(0);
            self.kept.push(Kept { key, error: 0, value: V::default() });
            self.places.insert(key, self.kept.len() - 1);
            return self.kept.len() - 1;
        }
        let least = self.counts.iter().copied().min().unwrap_or(0);
        let place = self.counts.iter().position(|count| *count == least).unwrap_or(0);
        let kept = Kept { key, error: least, value: V::default() };
        let before = std::mem::replace(&mut self.kept[place], kept);
        self.places.remove(&before.key);
        self.places.insert(key, place);
        place
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Promise: while there are places, counts are exact, and values stay beside their keys.
    #[test]
    fn exact_while_there_is_room() {
        let mut heavy = Heavy::<u8, u8>::new(2);
        for key in [1, 2, 1] {
            let (_, value) = heavy.add(key);
            *value += 10;
        }
        assert_eq!(heavy.get_mut(1), Some(&mut 20));
        let (weight, value) = heavy.add(3);
        // It took the place of 2, which came once.
        assert_eq!((weight, *value), (Weight { least: 1, most: 2 }, 0));
        assert_eq!(heavy.get_mut(2), None);
        assert_eq!(heavy.get_mut(1), Some(&mut 20));
    }

    proptest! {
        /// Promise: beside an exact model, the bounds hold at each key that has a place, whatever is halved between; and
        /// whoever came more often than one in so many has a place.
        #[test]
        fn bounds_hold(
            stream in prop::collection::vec((0..40_u8, 0..30_u8), 1..600),
            places in 1..12_usize,
        ) {
            let mut heavy = Heavy::<u8, ()>::new(places);
            let (mut exact, mut all) = (HashMap::<u8, f64>::new(), 0.0);
            for (draw, halving) in stream {
                // Small keys are drawn more often.
                let key = u8::try_from(u16::from(draw) * u16::from(draw) / 40).unwrap();
                let (weight, ()) = heavy.add(key);
                *exact.entry(key).or_default() += 1.0;
                all += 1.0;
                let truth = exact[&key];
                prop_assert!(f64::from(weight.least) <= truth && truth <= f64::from(weight.most));
                let whole = heavy.counts.iter().map(|count| f64::from(*count)).sum::<f64>();
                prop_assert!(whole <= all + f64::from(u32::try_from(2 * places).unwrap()));
                let share = whole / f64::from(u32::try_from(places).unwrap());
                for (key, truth) in &exact {
                    prop_assert!(*truth <= share || heavy.places.contains_key(key));
                }
                if halving == 0 {
                    heavy.halve();
                    for truth in exact.values_mut() {
                        *truth /= 2.0;
                    }
                    all /= 2.0;
                }
            }
        }
    }
}
