//! Units by the time they were taken, in as few bytes as will do.
//!
//! Time is cut into ticks, and a unit's time is rounded up to one: it comes back up to a tick late, never early.
//! An entry is one word: the low bits of its tick, and above them its units less one. The low bits are enough
//! because nothing older than a window is kept. The newest entry and up to two others live in the log itself; a
//! heap block grows in small steps after that.

use std::fmt;

/// More entries than this are never needed beside the newest: it is how many parts a window is cut into.
pub(super) const ENTRIES_MAX: usize = 128;

/// How many words a block holds, as it grows: for words of 4 and of 8 bytes, all are whole size classes of the
/// allocator (see `limit::memory`).
const CAPACITIES: [usize; 9] = [4, 8, 16, 24, 32, 48, 64, 96, ENTRIES_MAX];

/// How time is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// So fine that each unit has an entry of its own: at most 2^-30 of the window, or a nanosecond. A power of two.
    Stamps,
    /// 128 parts to the window.
    Parts,
}

/// How a window is cut in either shape, ready for the ticks of many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    window: u64,
    /// Nanoseconds in a part.
    part: u64,
    /// 2^64 by that, less one where that is a power of two: a division takes longer than anything else here.
    parts_per_2_64: u64,
    /// Of a time, what a stamp leaves out: a window has at most 2^31 ticks.
    stamp_bits: u32,
}

impl Grid {
    pub(super) const fn of(window: u64) -> Self {
        let part = window.div_ceil(ENTRIES_MAX as u64);
        Grid {
            window,
            part,
            parts_per_2_64: u64::MAX / part,
            stamp_bits: u64::BITS - (window >> 31).leading_zeros(),
        }
    }

    pub(super) const fn window(&self) -> u64 {
        self.window
    }

    /// Nanoseconds in a tick.
    const fn grain(&self, shape: Shape) -> u64 {
        match shape {
            Shape::Stamps => 1 << self.stamp_bits,
            Shape::Parts => self.part,
        }
    }

    /// The tick of a time, rounded up.
    const fn tick(&self, shape: Shape, at: u64) -> u64 {
        match shape {
            Shape::Stamps => (at >> self.stamp_bits) + (at & ((1 << self.stamp_bits) - 1) != 0) as u64,
            Shape::Parts => self.whole_parts(at),
        }
    }

    /// `at.div_ceil(self.part)`. The factor is short of 2^64 / part by at most one, so that the product is short of
    /// the quotient by less than one.
    const fn whole_parts(&self, at: u64) -> u64 {
        let below = ((at as u128 * self.parts_per_2_64 as u128) >> u64::BITS) as u64;
        let rest = at - below * self.part;
        below + (rest > 0) as u64 + (rest > self.part) as u64
    }
}

impl Shape {
    /// Bits of a tick that an entry keeps: ages in a window go up to 2^31 in one shape, to 128 in the other.
    const fn tick_bits(self) -> u32 {
        match self {
            Shape::Stamps => 32,
            Shape::Parts => 8,
        }
    }
}

/// What an entry is kept in. 4 bytes hold 2^24 units in a part of a window.
pub(super) trait Word: Copy + Default + fmt::Debug {
    const MAX: u64;
    const BITS: u32 = Self::MAX.count_ones();

    fn get(self) -> u64;

    /// The caller knows that it is at most `MAX`.
    fn of(value: u64) -> Self;
}

impl Word for u32 {
    const MAX: u64 = u32::MAX as u64;

    fn get(self) -> u64 {
        u64::from(self)
    }

    fn of(value: u64) -> Self {
        u32::try_from(value).unwrap_or(u32::MAX)
    }
}

impl Word for u64 {
    const MAX: u64 = u64::MAX;

    fn get(self) -> u64 {
        self
    }

    fn of(value: u64) -> Self {
        value
    }
}

/// No room, or too large a number for the log's words. Nothing was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// The units that were taken and are not back yet. Times are nanoseconds of `limit::instant`.
#[derive(Clone, Debug)]
pub(super) struct Log<W> {
    /// The latest time this log was given.
    seen: u64,
    /// How long units are away.
    window: u64,
    /// All entries but the newest: a ring, from `head`, of `len` entries.
    older: Words<W>,
    /// Low bits of the newest entry's tick, which is never after that of `seen`.
    newest: u32,
    newest_units: W,
    /// Units in all entries.
    used: W,
    head: u8,
    len: u8,
    shape: Shape,
}

#[derive(Clone, Debug)]
enum Words<W> {
    Inline([W; 2]),
    Heap(Box<[W]>),
}

impl<W: Word> Log<W> {
    pub(super) fn new(shape: Shape, window: u64, seen: u64) -> Self {
        Log {
            seen,
            window,
            older: Words::Inline([W::default(); 2]),
            newest: 0,
            newest_units: W::default(),
            used: W::default(),
            head: 0,
            len: 0,
            shape,
        }
    }

    pub(super) fn used(&self) -> u64 {
        self.used.get()
    }

    pub(super) const fn seen(&self) -> u64 {
        self.seen
    }

    pub(super) const fn window(&self) -> u64 {
        self.window
    }

    pub(super) const fn shape(&self) -> Shape {
        self.shape
    }

    /// Whether it has no block.
    pub(super) const fn is_inline(&self) -> bool {
        matches!(self.older, Words::Inline(_))
    }

    /// Bytes of its block, as asked of the allocator.
    pub(super) fn block_bytes(&self) -> usize {
        match &self.older {
            Words::Inline(_) => 0,
            Words::Heap(words) => size_of_val(&**words),
        }
    }

    /// When the newest unit was taken, rounded up.
    pub(super) fn newest_stamp(&self) -> u64 {
        let grid = self.grid();
        self.newest_tick(&grid) * grid.grain(self.shape)
    }

    /// Times and units of all entries, oldest first.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u64, u64)> {
        let grid = self.grid();
        let (grain, newest) = (grid.grain(self.shape), self.newest_tick(&grid));
        let older = (0..usize::from(self.len)).map(move |at| {
            let (age, units) = self.unpack(self.word(at));
            ((newest - age) * grain, units)
        });
        let last = (self.used() > 0).then_some((newest * grain, self.newest_units.get()));
        older.chain(last)
    }

    /// Moves to `at`, never backwards, and forgets what is back. The grid is that of the log's window.
    #[inline]
    pub(super) fn advance(&mut self, grid: &Grid, at: u64) {
        if at <= self.seen {
            // Nothing that is back is kept: a decision asks more than once.
            return;
        }
        if self.used() == 0 {
            self.seen = at;
            return;
        }
        let (grain, newest) = (grid.grain(self.shape), self.newest_tick(grid));
        self.seen = at;
        if newest * grain + self.window <= self.seen {
            self.clear();
            return;
        }
        while self.len > 0 {
            let (age, units) = self.unpack(self.word(0));
            if (newest - age) * grain + self.window > self.seen {
                return;
            }
            self.used = W::of(self.used() - units);
            self.head = self.ring_index(1);
            self.len -= 1;
        }
    }

    /// Lets so much time pass that what is repeated every window is as it was: an even number of windows, in a
    /// log whose window is a whole number of ticks. `limit::debt` says what for.
    pub(super) fn skip_windows(&mut self, windows: u64) {
        let grid = self.grid();
        let grain = grid.grain(self.shape);
        let is_whole = windows.is_multiple_of(2) && self.window.is_multiple_of(grain);
        debug_assert!(is_whole, "entries keep a tick's low bits");
        let newest = self.newest_tick(&grid) + windows * (self.window / grain);
        self.seen += windows * self.window;
        self.newest = low_bits(newest);
    }

    /// Takes units now.
    #[inline]
    pub(super) fn add(&mut self, grid: &Grid, units: u64) -> Result<(), Full> {
        self.put(self.tick(grid), units)
    }

    /// Takes units now, and where there is no room for another entry, makes them one with the newest: late, never
    /// early. More than 2^64 - 1 units are not told apart.
    pub(super) fn add_or_merge(&mut self, grid: &Grid, units: u64) {
        let units = units.min(W::MAX - self.used());
        if self.add(grid, units).is_err() {
            self.newest = low_bits(self.tick(grid));
            self.newest_units = W::of(self.newest_units.get() + units);
            self.used = W::of(self.used() + units);
        }
    }

    /// The log of these times and units, oldest first: what is back at `seen` is dropped, and nothing is later
    /// than that. No unit comes back earlier than it would, but for what waited for the end of a coarser tick.
    pub(super) fn of(
        entries: impl Iterator<Item = (u64, u64)>,
        shape: Shape,
        window: u64,
        seen: u64,
    ) -> Result<Self, Full> {
        let mut log = Log::new(shape, window, seen);
        for (tick, units) in live(entries, shape, window, seen) {
            log.put(tick, units)?;
        }
        Ok(log)
    }

    /// The same, and what finds no room comes back with the newest.
    pub(super) fn of_or_merge(
        entries: impl Iterator<Item = (u64, u64)>,
        shape: Shape,
        window: u64,
        seen: u64,
    ) -> Self {
        let (mut log, grid) = (Log::new(shape, window, seen), Grid::of(window));
        for (tick, units) in live(entries, shape, window, seen) {
            if log.put(tick, units).is_err() {
                log.add_or_merge(&grid, units);
            }
        }
        log
    }

    /// Ticks come in order, and none is after that of `seen`.
    fn put(&mut self, tick: u64, units: u64) -> Result<(), Full> {
        let used = self.used().checked_add(units).filter(|&used| used <= W::MAX).ok_or(Full)?;
        let tick = low_bits(tick);
        if units == 0 {
            return Ok(());
        }
        if self.used() == 0 {
            self.clear();
            self.older = Words::Inline([W::default(); 2]);
        } else if self.newest != tick {
            self.retire_newest()?;
            self.newest_units = W::default();
        }
        self.newest = tick;
        self.newest_units = W::of(self.newest_units.get() + units);
        self.used = W::of(used);
        Ok(())
    }

    /// Packs the newest entry into the ring, in as many words as its units need.
    fn retire_newest(&mut self) -> Result<(), Full> {
        let bits = W::BITS - self.shape.tick_bits();
        let per_word = 1 << bits;
        let mut units = self.newest_units.get();
        let words = (units >> bits) + u64::from(units & (per_word - 1) > 0);
        let len = usize::try_from(words).unwrap_or(usize::MAX).saturating_add(self.len.into());
        if len > ENTRIES_MAX {
            return Err(Full);
        }
        self.make_room(len);
        while units > 0 {
            let some = units.min(per_word);
            let word = self.pack(some);
            let at = self.ring_index(self.len);
            if let Some(free) = self.words_mut().get_mut(usize::from(at)) {
                *free = word;
            }
            self.len += 1;
            units -= some;
        }
        Ok(())
    }

    /// A block for so many words, and not for many more.
    fn make_room(&mut self, len: usize) {
        let capacity = self.words().len();
        if len <= capacity && (len > capacity / 4 || capacity == 2) {
            return;
        }
        let kept = (0..usize::from(self.len)).map(|at| self.word(at));
        self.older = match CAPACITIES.iter().find(|&&capacity| capacity >= len) {
            Some(&capacity) if len > 2 => {
                let mut block = vec![W::default(); capacity].into_boxed_slice();
                block.iter_mut().zip(kept).for_each(|(free, word)| *free = word);
                Words::Heap(block)
            }
            _ => {
                let mut pair = [W::default(); 2];
                pair.iter_mut().zip(kept).for_each(|(free, word)| *free = word);
                Words::Inline(pair)
            }
        };
        self.head = 0;
    }

    fn clear(&mut self) {
        (self.used, self.newest_units) = (W::default(), W::default());
        (self.head, self.len) = (0, 0);
    }

    const fn grid(&self) -> Grid {
        Grid::of(self.window)
    }

    /// The tick of `seen`.
    const fn tick(&self, grid: &Grid) -> u64 {
        debug_assert!(grid.window == self.window);
        grid.tick(self.shape, self.seen)
    }

    fn newest_tick(&self, grid: &Grid) -> u64 {
        let now = self.tick(grid);
        now - u64::from(low_bits(now).wrapping_sub(self.newest))
    }

    /// The newest entry's tick, with some of its units.
    fn pack(&self, units: u64) -> W {
        let bits = self.shape.tick_bits();
        W::of((units - 1) << bits | u64::from(self.newest) & ((1 << bits) - 1))
    }

    /// An entry's age in ticks when the newest was taken, and its units.
    fn unpack(&self, word: W) -> (u64, u64) {
        let bits = self.shape.tick_bits();
        let age = u64::from(self.newest).wrapping_sub(word.get()) & ((1 << bits) - 1);
        (age, (word.get() >> bits) + 1)
    }

    /// The older entry at a place counted from the oldest.
    fn word(&self, at: usize) -> W {
        let (words, at) = (self.words(), usize::from(self.head) + at);
        let at = if at < words.len() { at } else { at - words.len() };
        words.get(at).copied().unwrap_or_default()
    }

    /// Where the ring's word is that comes so many after the oldest.
    fn ring_index(&self, after: u8) -> u8 {
        let (capacity, at) = (self.words().len(), usize::from(self.head) + usize::from(after));
        u8::try_from(if at < capacity { at } else { at - capacity }).unwrap_or(0)
    }

    fn words(&self) -> &[W] {
        match &self.older {
            Words::Inline(pair) => pair,
            Words::Heap(block) => block,
        }
    }

    fn words_mut(&mut self) -> &mut [W] {
        match &mut self.older {
            Words::Inline(pair) => pair,
            Words::Heap(block) => block,
        }
    }
}

/// The ticks of what is not back at `seen`.
fn live(
    entries: impl Iterator<Item = (u64, u64)>,
    shape: Shape,
    window: u64,
    seen: u64,
) -> impl Iterator<Item = (u64, u64)> {
    let grid = Grid::of(window);
    let live = entries.filter(move |(stamp, _)| stamp + window > seen);
    live.map(move |(stamp, units)| (grid.tick(shape, stamp.min(seen)), units))
}

const fn low_bits(tick: u64) -> u32 {
    (tick & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limit::instant::{HORIZON, ORIGIN};

    proptest! {
        /// Promise: a tick without a division is the tick with one, for every window and time there can be, and at
        /// the edges of parts.
        #[test]
        fn ticks_are_those_of_a_division(
            window in prop_oneof![1..=1000_u64, 1..=HORIZON],
            at in 0..=ORIGIN + HORIZON,
            nth in 0..1000_u64,
        ) {
            let (grid, part) = (Grid::of(window), window.div_ceil(128));
            let edge = part.saturating_mul(nth).min(HORIZON);
            for at in [at, edge.saturating_sub(1), edge, edge + 1] {
                prop_assert_eq!(grid.tick(Shape::Parts, at), at.div_ceil(part));
            }
        }
    }
}
