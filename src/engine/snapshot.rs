//! The state across a restart: what is counted, by names and by the wall clock, in parts that are small.
//!
//! Cells are named as the configuration names them, so that the next process finds them under whatever numbers it
//! gives. Principals are what they are; those that are hashes mean something under the same key alone, and a snapshot
//! of another key is refused. Open findings are in it too, with what is done about them. What has come back, and what is in flight, is not saved. This is plain data for serde:
//! files, and whether they are whole, are `store`'s.

use std::cell::RefCell;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::names::{CellName, SlotKey};
use super::record::Record;
use super::table::CrowdBits;
use super::watch::{SavedFinding, Words};
use crate::facts::{Principal, PrincipalKind};
use crate::limit::{Cell, SavedCell};
use crate::time::{Moment, WallTime};

const NANOS_PER_MILLI: u64 = 1_000_000;
/// What is back within so long is not long-lived.
const LONG_NANOS: u64 = 3600 * 1_000_000_000;

/// How much is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    Everything,
    /// What counts for an hour or longer, as quotas do.
    LongLived,
}

/// What comes first in a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub struct SnapshotHead {
    /// The hash of a constant: the same under the same key.
    key_check: u128,
    /// Cells are named by their place in this list.
    names: Vec<CellName>,
}

/// The records of one shard, or the open findings of one part of the watch.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct SnapshotPart {
    records: Vec<SavedRecord>,
    findings: Vec<SavedFinding>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedRecord {
    /// Its place in [`PrincipalKind::ALL`].
    kind: u8,
    id: u128,
    held_until_unix_ns: u64,
    crowd: Option<CrowdBits>,
    slots: Vec<SavedSlot>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedSlot {
    name: u32,
    method: u8,
    cell: SavedCell,
}

/// Why a snapshot cannot be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it was written under another key")]
pub struct OtherKey;

/// Puts a snapshot back, part by part.
#[derive(Debug)]
pub struct Restore<'a> {
    engine: &'a Engine,
    names: Vec<CellName>,
    now: Moment,
    words: RefCell<Words>,
}

impl Engine {
    pub fn snapshot_head(&self) -> SnapshotHead {
        SnapshotHead { key_check: self.key_check(), names: self.names.lock().in_order() }
    }

    /// What the head has names for, one shard at a time: decisions wait for as long as one shard takes. Requests that
    /// are decided meanwhile may be in it or not.
    pub fn snapshot_parts<'a>(
        &'a self,
        head: &'a SnapshotHead,
        extent: Extent,
        now: Moment,
    ) -> impl Iterator<Item = SnapshotPart> + 'a {
        let findings = (0..self.watch.parts()).map(move |part| SnapshotPart {
            records: Vec::new(),
            findings: self.watch.save(part, self.origin, now),
        });
        let findings = findings.filter(|part| !part.findings.is_empty());
        let records = (0..self.table.parts()).map(move |part| {
            let mut records = Vec::new();
            self.table.look_through(part, |principal, record, crowd| {
                let slots = saved_slots(record, head, extent, self.origin, now);
                if !slots.is_empty() {
                    let held_until_unix_ns = to_unix(record.held_until(), self.origin);
                    let (kind, id) = (principal.kind() as u8, principal.id());
                    records.push(SavedRecord { kind, id, held_until_unix_ns, crowd, slots });
                }
            });
            SnapshotPart { records, findings: Vec::new() }
        });
        records.chain(findings)
    }

    /// Begins to put a snapshot back, before the engine decides anything.
    pub fn restore(&self, head: SnapshotHead, now: Moment) -> Result<Restore<'_>, OtherKey> {
        if head.key_check != self.key_check() {
            return Err(OtherKey);
        }
        Ok(Restore { engine: self, names: head.names, now, words: RefCell::default() })
    }

    fn key_check(&self) -> u128 {
        self.keyed.of("weir snapshot")
    }
}

impl Restore<'_> {
    /// How many principals still had something to remember.
    pub fn add(&self, part: SnapshotPart) -> usize {
        let mut words = self.words.borrow_mut();
        for finding in part.findings {
            self.engine.watch.restore(finding, &mut words, self.engine.origin, self.now);
        }
        part.records.into_iter().filter_map(|saved| self.add_record(saved)).count()
    }

    fn add_record(&self, saved: SavedRecord) -> Option<()> {
        let kind = *PrincipalKind::ALL.get(usize::from(saved.kind))?;
        let principal = Principal::new(kind, saved.id);
        let cells: Vec<(SlotKey, Cell)> =
            saved.slots.into_iter().filter_map(|slot| self.cell(slot)).collect();
        if cells.is_empty() {
            return None;
        }
        let held_until = from_unix(saved.held_until_unix_ns, self.engine.origin);
        self.engine.table.put(principal, saved.crowd, self.now, |record| {
            for (slot, cell) in cells {
                record.put(slot, cell);
            }
            record.hold_until(held_until);
        });
        Some(())
    }

    fn cell(&self, saved: SavedSlot) -> Option<(SlotKey, Cell)> {
        let name = self.names.get(usize::try_from(saved.name).ok()?)?;
        let cell = Cell::restore(saved.cell, self.engine.origin)?;
        let slot = self.engine.names.lock().slot(name.clone()).with_method(saved.method)?;
        Some((slot, cell))
    }
}

fn saved_slots(
    record: &Record,
    head: &SnapshotHead,
    extent: Extent,
    origin: WallTime,
    now: Moment,
) -> Vec<SavedSlot> {
    let is_named = |(slot, _): &(SlotKey, &Cell)| (slot.name() as usize) < head.names.len();
    let used = record.cells().filter(|(_, cell)| !cell.is_idle(now)).filter(is_named);
    let saved = used.map(|(slot, cell)| (slot, cell.save(origin)));
    let wanted = saved.filter(|(_, cell)| match extent {
        Extent::Everything => *cell != SavedCell::Nothing,
        Extent::LongLived => is_long_lived(cell, to_unix(now, origin)),
    });
    wanted.map(|(slot, cell)| SavedSlot { name: slot.name(), method: slot.method(), cell }).collect()
}

fn is_long_lived(cell: &SavedCell, now_unix_ns: u64) -> bool {
    match cell {
        SavedCell::Nothing => false,
        SavedCell::Sliding(window) => window.window_ns >= LONG_NANOS,
        SavedCell::Gcra(gcra) => gcra.paid_off_unix_ns.saturating_sub(now_unix_ns) >= LONG_NANOS,
        SavedCell::WindowDebt(debt) => debt.spent.window_ns >= LONG_NANOS,
        SavedCell::PacedDebt(debt) => debt.window_ns >= LONG_NANOS,
        SavedCell::Quota(_) | SavedCell::MonthDebt(_) => true,
    }
}

fn to_unix(at: Moment, origin: WallTime) -> u64 {
    origin.unix_ms.saturating_mul(NANOS_PER_MILLI).saturating_add(at.as_nanos())
}

fn from_unix(unix_ns: u64, origin: WallTime) -> Moment {
    Moment::from_nanos(unix_ns.saturating_sub(origin.unix_ms.saturating_mul(NANOS_PER_MILLI)))
}
