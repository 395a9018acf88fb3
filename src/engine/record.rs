//! What is kept of one principal: the cells of the limits it has met.

use super::names::SlotKey;
use super::ticket::Place;
use crate::limit::{Cell, Check, Rule, Status, allocated};
use crate::time::Moment;

/// The cells of one principal.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    cells: Cells,
    /// Until then, forgetting this would let somebody off.
    held_until: Moment,
    /// What the cells own outside the record, with what the allocator loses by it.
    heap_bytes: u32,
    /// Requests in flight that some cell counts, once for each such cell.
    in_flight: u32,
}

/// Cells sorted by slot. A single one is in place: who comes once, to a single limit, costs no allocation.
#[derive(Clone, Debug)]
enum Cells {
    One(Slot),
    Many(Vec<Slot>),
}

#[derive(Clone, Debug)]
struct Slot {
    key: SlotKey,
    cell: Cell,
}

impl Default for Cells {
    fn default() -> Self {
        Cells::Many(Vec::new())
    }
}

impl Cells {
    fn get(&self) -> &[Slot] {
        match self {
            Cells::One(slot) => std::slice::from_ref(slot),
            Cells::Many(slots) => slots,
        }
    }

    fn get_mut(&mut self) -> &mut [Slot] {
        match self {
            Cells::One(slot) => std::slice::from_mut(slot),
            Cells::Many(slots) => slots,
        }
    }

    /// Bytes of the block that holds several.
    fn block_bytes(&self) -> usize {
        match self {
            Cells::One(_) => 0,
            Cells::Many(slots) => allocated(slots.capacity() * size_of::<Slot>()),
        }
    }

    fn insert(&mut self, at: usize, slot: Slot) {
        match std::mem::take(self) {
            Cells::Many(slots) if slots.capacity() == 0 => *self = Cells::One(slot),
            Cells::Many(mut slots) => {
                if slots.len() == slots.capacity() {
                    slots.reserve_exact(slots.len() / 2);
                }
                slots.insert(at, slot);
                *self = Cells::Many(slots);
            }
            Cells::One(first) => {
                let mut slots = Vec::with_capacity(2);
                slots.push(first);
                slots.insert(at, slot);
                *self = Cells::Many(slots);
            }
        }
    }

    fn retain(&mut self, keep: impl Fn(&Slot) -> bool) {
        match self {
            Cells::One(slot) if keep(slot) => {}
            Cells::One(_) => *self = Cells::default(),
            Cells::Many(slots) => {
                slots.retain(keep);
                if slots.len() < slots.capacity() / 2 {
                    slots.shrink_to_fit();
                }
            }
        }
    }
}

impl Record {
    pub(super) const fn heap_bytes(&self) -> u32 {
        self.heap_bytes
    }

    pub(super) const fn is_in_flight(&self) -> bool {
        self.in_flight > 0
    }

    pub(super) const fn held_until(&self) -> Moment {
        self.held_until
    }

    pub(super) fn hold_until(&mut self, at: Moment) {
        self.held_until = self.held_until.max(at);
    }

    pub(super) fn is_idle(&self, now: Moment) -> bool {
        self.cells.get().iter().all(|slot| slot.cell.is_idle(now))
    }

    pub(super) fn len(&self) -> usize {
        self.cells.get().len()
    }

    pub(super) fn cells(&self) -> impl Iterator<Item = (SlotKey, &Cell)> {
        self.cells.get().iter().map(|slot| (slot.key, &slot.cell))
    }

    /// Puts in a cell of an earlier process; one that is there already stays.
    pub(super) fn put(&mut self, key: SlotKey, cell: Cell) {
        if let Err(at) = self.cells.get().binary_search_by_key(&key, |slot| slot.key) {
            let (before, bytes) = (self.cells.block_bytes(), cell_bytes(&cell));
            self.cells.insert(at, Slot { key, cell });
            self.count(before, self.cells.block_bytes() + bytes);
        }
    }

    /// Makes room for so many cells at once, in a record that has none yet.
    pub(super) fn expect(&mut self, cells: impl FnOnce() -> usize) {
        if let Cells::Many(slots) = &mut self.cells
            && slots.capacity() == 0
        {
            let cells = cells();
            if cells > 1 {
                slots.reserve_exact(cells);
                self.count(0, self.cells.block_bytes());
            }
        }
    }

    /// Where the cell of a slot is; a new one where there is none. It is often at `guess`.
    pub(super) fn find(&mut self, key: SlotKey, guess: usize, rule: &Rule) -> usize {
        let slots = self.cells.get();
        if slots.get(guess).is_some_and(|slot| slot.key == key) {
            return guess;
        }
        match slots.binary_search_by_key(&key, |slot| slot.key) {
            Ok(at) => at,
            Err(at) => {
                let before = self.cells.block_bytes();
                self.cells.insert(at, Slot { key, cell: Cell::new(rule) });
                self.count(before, self.cells.block_bytes());
                at
            }
        }
    }

    /// For a decision, which asks several cells one after the other.
    pub(super) fn open(&mut self) -> Open<'_> {
        let Record { cells, held_until, heap_bytes, in_flight } = self;
        Open { slots: cells.get_mut(), held_until, heap_bytes, in_flight }
    }

    /// Takes over what was used elsewhere. All of it is taken now: later than it was, never earlier. Except for
    /// debts, no more than the whole limit is told apart.
    pub(super) fn take_over(&mut self, at: usize, rule: &Rule, units: u64, now: Moment) {
        self.with_cell(at, |cell| match rule {
            Rule::Sliding(_) | Rule::Gcra(_) | Rule::Quota(_) => {
                let Status { limit, used, .. } = cell.status(rule, now);
                *cell = Cell::new(rule);
                cell.check(rule, 0, now);
                cell.charge(rule, used.saturating_add(units).min(limit));
            }
            Rule::WindowDebt(_) | Rule::PacedDebt(_) | Rule::MonthDebt(_) => {
                cell.settle(rule, 0, units, now, now);
            }
            Rule::Concurrency(_) => {}
        });
    }

    /// How the cell at a place stands, after a check by the same rule.
    pub(super) fn status(&mut self, at: usize, rule: &Rule, now: Moment) -> Status {
        self.cells.get_mut()[at].cell.status(rule, now)
    }

    /// Ends a request in one of the cells that count it as in flight; it has spent so much.
    pub(super) fn release(&mut self, place: &Place, spent: u64, now: Moment) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if matches!(place.rule, Rule::Concurrency(_)) {
            if let Ok(at) = self.cells.get().binary_search_by_key(&place.slot, |slot| slot.key) {
                self.with_cell(at, Cell::release);
            }
        } else {
            let at = self.find(place.slot, 0, &place.rule);
            self.with_cell(at, |cell| cell.settle(&place.rule, place.reserved, spent, place.since, now));
        }
    }

    /// Forgets the cells that are worth no more than new ones: of routes not visited for a while, and of limits
    /// that are gone.
    pub(super) fn forget_idle(&mut self, now: Moment) {
        self.cells.retain(|slot| !slot.cell.is_idle(now));
        let cells: usize = self.cells.get().iter().map(|slot| cell_bytes(&slot.cell)).sum();
        self.heap_bytes = 0;
        self.count(0, cells + self.cells.block_bytes());
    }

    fn with_cell<R>(&mut self, at: usize, f: impl FnOnce(&mut Cell) -> R) -> R {
        self.open().with_cell(at, f)
    }

    /// Notes that something which took so many bytes takes so many now.
    fn count(&mut self, before: usize, after: usize) {
        count(&mut self.heap_bytes, before, after);
    }
}

/// The cells of a record. Places are those that [`Record::find`] gave.
#[derive(Debug)]
pub(super) struct Open<'a> {
    slots: &'a mut [Slot],
    held_until: &'a mut Moment,
    heap_bytes: &'a mut u32,
    in_flight: &'a mut u32,
}

impl Open<'_> {
    /// Whether a cost fits in a cell.
    #[inline]
    pub(super) fn check(&mut self, at: usize, rule: &Rule, cost: u64, now: Moment) -> Check {
        // By far the usual cell, and a check leaves what it owns as it is.
        if let (Cell::Sliding(cell), Rule::Sliding(rule)) = (&mut self.slots[at].cell, rule)
            && cell.keeps_blocks(rule)
        {
            return cell.check(rule, cost, now);
        }
        self.with_cell(at, |cell| cell.check(rule, cost, now))
    }

    /// Takes what a check has just found. Whether it counts as in flight until it is [released](Record::release).
    #[inline]
    pub(super) fn charge(&mut self, at: usize, rule: &Rule, cost: u64) -> bool {
        if let (Cell::Sliding(cell), Rule::Sliding(rule)) = (&mut self.slots[at].cell, rule) {
            let before = cell.heap_bytes();
            cell.charge(rule, cost);
            let after = cell.heap_bytes();
            if before != after {
                count(self.heap_bytes, with_loss(before), with_loss(after));
            }
            return false;
        }
        self.with_cell(at, |cell| cell.charge(rule, cost));
        let is_held = rule.is_held();
        *self.in_flight = self.in_flight.saturating_add(u32::from(is_held));
        is_held
    }

    /// Whether more than half of a limit is used, after a check by the same rule.
    #[inline]
    pub(super) fn is_half_used(&mut self, at: usize, rule: &Rule, now: Moment) -> bool {
        self.slots[at].cell.is_half_used(rule, now)
    }

    /// Remembers the record until a cell is as good as new; not for requests in flight, which nobody forgets.
    pub(super) fn hold_while_used(&mut self, at: usize, rule: &Rule, now: Moment) {
        if let Some(reset_after) = self.slots[at].cell.status(rule, now).reset_after {
            *self.held_until = (*self.held_until).max(now.after(reset_after));
        }
    }

    #[inline]
    fn with_cell<R>(&mut self, at: usize, f: impl FnOnce(&mut Cell) -> R) -> R {
        let cell = &mut self.slots[at].cell;
        let before = cell_bytes(cell);
        let answer = f(cell);
        let after = cell_bytes(cell);
        if before != after {
            count(self.heap_bytes, before, after);
        }
        answer
    }
}

/// Notes that something which took so many bytes takes so many now.
fn count(heap_bytes: &mut u32, before: usize, after: usize) {
    let bytes = (*heap_bytes as usize).saturating_sub(before).saturating_add(after);
    *heap_bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
}

/// What a cell owns, and half as much for what the allocator loses: cells grow through blocks of many sizes, and a
/// page of blocks of one size serves no other as long as any of them is in use. With 300,000 clients of 100 stamps
/// each (`cargo bench --bench memory`) a quarter more was resident than was counted without it; half is to the safe side.
const fn with_loss(bytes: usize) -> usize {
    bytes + bytes / 2
}

fn cell_bytes(cell: &Cell) -> usize {
    with_loss(cell.heap_bytes())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use super::*;
    use crate::limit::SlidingRule;

    fn rule(units: u64) -> Rule {
        Rule::Sliding(SlidingRule::new(NonZeroU64::new(units).unwrap(), Duration::from_secs(1)))
    }

    /// Promise: a record is no larger than its one cell needs.
    #[test]
    fn records_are_small() {
        assert!(size_of::<Record>() <= 72, "{} bytes", size_of::<Record>());
    }

    /// Promise 2: what others have used fills the cell that stands for them, and comes back no earlier than it
    /// would have.
    #[test]
    fn what_is_taken_over_counts_from_now() {
        let (rule, mut record) = (rule(3), Record::default());
        let (start, half) = (Moment::ORIGIN, Moment::from_nanos(500_000_000));
        let at = record.find(SlotKey::default(), 0, &rule);
        assert!(record.open().check(at, &rule, 1, start).is_within());
        record.open().charge(at, &rule, 1);
        record.take_over(at, &rule, 1, half);
        assert!(record.open().check(at, &rule, 1, half).is_within());
        assert!(!record.open().check(at, &rule, 2, half).is_within());
        record.take_over(at, &rule, 9, half);
        let back = Moment::from_nanos(1_500_000_000);
        assert!(!record.open().check(at, &rule, 1, Moment::from_nanos(1_499_999_999)).is_within());
        assert!(record.open().check(at, &rule, 3, back).is_within());
    }
}
