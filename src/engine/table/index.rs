//! Where in a shard the record of a principal is: a hash table of one word per record.
//!
//! Linear probing over words that hold 18 bits of the hash beside a position, so that a look-up is mostly one line
//! of the processor's cache, and that growing and removing need not look at the records. Removal shifts back what
//! was displaced (Knuth, volume 3, algorithm 6.4 R): there are no tombstones, and a table that is full for years
//! stays as fast as a new one.

/// Bits of a word that are the position plus one; a word of zero is free.
const POSITION_BITS: u32 = 14;
const TAG_BITS: u32 = u32::BITS - POSITION_BITS;

/// Positions are below this.
pub(super) const POSITIONS_MAX: usize = (1 << POSITION_BITS) - 1;

const WORDS_MIN: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Index {
    words: Box<[u32]>,
    len: usize,
}

/// A position, and the part of its principal's hash that is kept beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word(u32);

impl Word {
    const FREE: Word = Word(0);

    fn new(hash: u64, position: usize) -> Self {
        let position = u32::try_from(position).unwrap_or(0) & ((1 << POSITION_BITS) - 1);
        Word(tag(hash) << POSITION_BITS | (position + 1))
    }

    const fn tag(self) -> u32 {
        self.0 >> POSITION_BITS
    }

    const fn position(self) -> usize {
        (self.0 as usize & POSITIONS_MAX).saturating_sub(1)
    }
}

/// The lowest bits: the shard is chosen by the highest.
#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
const fn tag(hash: u64) -> u32 {
    hash as u32 >> (u32::BITS - TAG_BITS)
}

impl Index {
    /// The position of a record with this hash that `is_it`.
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(usize) -> bool) -> Option<usize> {
        if self.words.is_empty() {
            return None;
        }
        let mut at = self.home(tag(hash));
        loop {
            let word = Word(self.words[at]);
            if word == Word::FREE {
                return None;
            }
            if word.tag() == tag(hash) && is_it(word.position()) {
                return Some(word.position());
            }
            at = self.next(at);
        }
    }

    /// Adds a record that was not found.
    pub(super) fn insert(&mut self, hash: u64, position: usize) {
        // At most four fifths full: an unsuccessful search then looks at 13 words, which are a line or two.
        if (self.len + 1) * 5 > self.words.len() * 4 {
            self.resize((self.words.len() + self.words.len() / 4).max(WORDS_MIN));
        }
        self.put(Word::new(hash, position));
        self.len += 1;
    }

    /// Removes the record at a position.
    pub(super) fn remove(&mut self, hash: u64, position: usize) {
        let Some(mut hole) = self.place_of(hash, position) else { return };
        let mut at = hole;
        loop {
            at = self.next(at);
            let word = Word(self.words[at]);
            if word == Word::FREE {
                break;
            }
            // Words may move towards their home, never past it.
            let words = self.words.len();
            let from_home = (at + words - self.home(word.tag())) % words;
            let from_hole = (at + words - hole) % words;
            if from_home >= from_hole {
                self.words[hole] = word.0;
                hole = at;
            }
        }
        self.words[hole] = Word::FREE.0;
        self.len -= 1;
        if self.len * 3 < self.words.len() && self.words.len() > WORDS_MIN {
            self.resize((self.len * 5 / 3).max(WORDS_MIN));
        }
    }

    /// Notes that a record has moved.
    pub(super) fn relocate(&mut self, hash: u64, from: usize, to: usize) {
        if let Some(at) = self.place_of(hash, from) {
            self.words[at] = Word::new(hash, to).0;
        }
    }

    pub(super) const fn bytes(&self) -> usize {
        size_of_val(&*self.words)
    }

    fn place_of(&self, hash: u64, position: usize) -> Option<usize> {
        let word = Word::new(hash, position);
        let mut at = self.home(word.tag());
        // There is a free word somewhere, unless there are no words at all.
        while *self.words.get(at)? != word.0 {
            if self.words[at] == Word::FREE.0 {
                return None;
            }
            at = self.next(at);
        }
        Some(at)
    }

    /// Tags are spread evenly over the words, whatever their number (Lemire 2019, fast random integer generation).
    const fn home(&self, tag: u32) -> usize {
        (tag as usize * self.words.len()) >> TAG_BITS
    }

    const fn next(&self, at: usize) -> usize {
        if at + 1 == self.words.len() { 0 } else { at + 1 }
    }

    fn put(&mut self, word: Word) {
        let mut at = self.home(word.tag());
        while self.words[at] != Word::FREE.0 {
            at = self.next(at);
        }
        self.words[at] = word.0;
    }

    fn resize(&mut self, words: usize) {
        let old = std::mem::replace(&mut self.words, vec![Word::FREE.0; words].into());
        for word in old.into_iter().map(Word).filter(|word| *word != Word::FREE) {
            self.put(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Hashes of which many share their tag, and most their home.
    fn hash(key: u64) -> u64 {
        (key % 97).wrapping_mul(0x9e37_79b9) | key << 32
    }

    /// Promise: the index finds what was put in, moved, and not removed, and nothing else, whatever the order and
    /// however many hashes meet; its size follows the number of records, down as well as up.
    #[test]
    fn it_agrees_with_a_map() {
        let (mut index, mut model, mut random) = (Index::default(), HashMap::new(), 1_u64);
        let mut free: Vec<usize> = (0..2000).collect();
        for round in 0..40_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let key = (random >> 33) % 1500;
            let filling = round / 5000 % 2 == 0;
            match (model.get(&key).copied(), filling) {
                (None, true) => {
                    let position = free.pop().unwrap();
                    index.insert(hash(key), position);
                    model.insert(key, position);
                }
                (Some(from), true) => {
                    let to = free.pop().unwrap();
                    index.relocate(hash(key), from, to);
                    free.push(from);
                    model.insert(key, to);
                }
                (Some(position), false) => {
                    index.remove(hash(key), position);
                    free.push(position);
                    model.remove(&key);
                }
                (None, false) => {}
            }
            let of_key = |position| model.get(&key) == Some(&position);
            assert_eq!(index.find(hash(key), of_key), model.get(&key).copied());
            assert!(index.bytes() <= (model.len() * 3 + WORDS_MIN) * 4);
        }
        assert!(model.len() < 1000);
        for (key, position) in &model {
            assert_eq!(index.find(hash(*key), |at| at == *position), Some(*position));
        }
    }

    /// Promise: the hash of a shard's records may end in any bits, and their positions go up to the last.
    #[test]
    fn the_last_position_is_kept() {
        let mut index = Index::default();
        index.insert(u64::MAX, POSITIONS_MAX - 1);
        assert_eq!(index.find(u64::MAX, |_| true), Some(POSITIONS_MAX - 1));
        assert_eq!(index.find(0, |_| true), None);
    }
}
