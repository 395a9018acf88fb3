//! What is kept of one principal: the cells of the limits it has met.

use super::names::SlotKey;
use super::ticket::Place;
use crate::limit::{Cell, Rule, Status};
use crate::remedy::Usage;
use crate::time::Moment;

/// What the allocator needs for one block, on top of what was asked for.
const ALLOCATION_OVERHEAD: usize = 16;

/// The cells of one principal, sorted by slot.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    slots: Vec<Slot>,
    /// Bytes outside the record itself, counted anew whenever something is allocated or freed.
    heap_bytes: u32,
    /// Requests in flight that some cell counts. Such a record must not be forgotten.
    in_flight: u32,
}

#[derive(Clone, Debug)]
struct Slot {
    key: SlotKey,
    cell: Cell,
}

impl Record {
    /// What a record with a single cell needs on the heap: the least that a record in the table weighs.
    pub(super) const HEAP_BYTES_MIN: usize = size_of::<Slot>() + ALLOCATION_OVERHEAD;

    pub(super) fn heap_bytes(&self) -> u64 {
        u64::from(self.heap_bytes).max(Self::HEAP_BYTES_MIN as u64)
    }

    pub(super) const fn is_in_flight(&self) -> bool {
        self.in_flight > 0
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) const fn len(&self) -> usize {
        self.slots.len()
    }

    /// Makes room for so many cells at once, in a record that has none yet.
    pub(super) fn expect(&mut self, cells: usize) {
        if self.slots.capacity() == 0 && cells > 0 {
            self.slots.reserve_exact(cells);
            self.measure();
        }
    }

    /// Where the cell of a slot is; a new one where there is none. It is often at `guess`.
    pub(super) fn find(&mut self, key: SlotKey, guess: usize, rule: &Rule) -> usize {
        if self.slots.get(guess).is_some_and(|slot| slot.key == key) {
            return guess;
        }
        let at = match self.slots.binary_search_by_key(&key, |slot| slot.key) {
            Ok(at) => return at,
            Err(at) => at,
        };
        if self.slots.len() == self.slots.capacity() {
            self.slots.reserve_exact((self.slots.len() / 2).max(1));
            self.measure();
        }
        self.slots.insert(at, Slot { key, cell: Cell::new(rule) });
        at
    }

    /// The cell at a place that was just found.
    pub(super) fn cell(&mut self, at: usize) -> &mut Cell {
        &mut self.slots[at].cell
    }

    /// Takes what a check has just found, in the cell at a place.
    pub(super) fn charge(&mut self, at: usize, rule: &Rule, cost: u64) {
        let cell = self.cell(at);
        let before = cell.heap_bytes();
        cell.charge(rule, cost);
        if cell.heap_bytes() != before {
            self.measure();
        }
        if rule.is_held() {
            self.in_flight = self.in_flight.saturating_add(1);
        }
    }

    /// How much is used of the cell at a place.
    pub(super) fn usage(&mut self, at: usize, rule: &Rule, now: Moment) -> Usage {
        let Status { limit, used, remaining, reset_after } = self.cell(at).status(rule, now);
        Usage { limit, used, remaining, reset_after }
    }

    /// Gives back one request in flight, which has spent so much.
    pub(super) fn release(&mut self, place: &Place, spent: u64, now: Moment) {
        let Ok(at) = self.slots.binary_search_by_key(&place.slot, |slot| slot.key) else { return };
        let cell = &mut self.slots[at].cell;
        let before = cell.heap_bytes();
        cell.release();
        cell.settle(&place.rule, place.reserved, spent, place.since, now);
        if cell.heap_bytes() != before {
            self.measure();
        }
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Forgets the cells that are worth no more than new ones: of routes not visited for a while, and of limits
    /// that are gone.
    pub(super) fn forget_idle(&mut self, now: Moment) {
        self.slots.retain(|slot| !slot.cell.is_idle(now));
        self.measure();
    }

    fn measure(&mut self) {
        let cells: usize = self.slots.iter().map(|slot| slot.cell.heap_bytes()).sum();
        let bytes = self.slots.capacity() * size_of::<Slot>() + ALLOCATION_OVERHEAD + cells;
        self.heap_bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    }
}
