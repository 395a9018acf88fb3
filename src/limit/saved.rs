//! Cells across a restart: what they hold, by the wall clock.
//!
//! A process counts time from its own beginning, so stamps are saved as nanoseconds since the Unix epoch.
//! Restoring believes nothing: what has come back is dropped, times after the restart become that, and numbers
//! that no cell would write are as good as any.

use serde::{Deserialize, Serialize};

use super::debt::{DebtCell, MonthDebt, PacedDebt, WindowDebt};
use super::{Cell, GcraCell, QuotaCell, SlidingCell};
use crate::time::WallTime;

/// A cell as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SavedCell {
    /// Of a cell that only holds requests in flight.
    Nothing,
    Sliding(SavedWindow),
    Gcra(SavedGcra),
    Quota(SavedMonth),
    WindowDebt(SavedDebt),
    PacedDebt(SavedPaced),
    MonthDebt(SavedMonth),
}

/// Units by the time they were taken, and how long they are away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedWindow {
    pub window_ns: u64,
    /// Nanoseconds since the Unix epoch, and units.
    pub entries: Vec<(u64, u64)>,
}

/// When all will be paid off, and how long one unit takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedGcra {
    pub paid_off_unix_ns: u64,
    pub interval_ns: u64,
}

/// Units spent in a month, counted from January 1970, and those that wait for the next ones, so many in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedMonth {
    pub month: u32,
    pub spent: u64,
    pub waiting: u64,
    pub units: u64,
}

/// Units spent in a window, and those that waited at a time, for so many in each window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedDebt {
    pub spent: SavedWindow,
    pub waiting: u64,
    pub units: u64,
    pub at_unix_ns: u64,
}

/// Units owed at a time, and how they come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPaced {
    pub owed: u64,
    pub units: u64,
    pub window_ns: u64,
    pub at_unix_ns: u64,
}

impl Cell {
    /// Moments count from `origin`. A debt's requests in flight are saved as spent, at what they have cost so far.
    pub fn save(&self, origin: WallTime) -> SavedCell {
        match self {
            Cell::Sliding(cell) => SavedCell::Sliding(cell.save(origin)),
            Cell::Gcra(cell) => SavedCell::Gcra(cell.save(origin)),
            Cell::Concurrency(_) => SavedCell::Nothing,
            Cell::Quota(cell) => SavedCell::Quota(cell.save()),
            Cell::WindowDebt(cell) => {
                cell.as_settled().map_or(SavedCell::Nothing, |debt| SavedCell::WindowDebt(debt.save(origin)))
            }
            Cell::PacedDebt(cell) => {
                cell.as_settled().map_or(SavedCell::Nothing, |debt| SavedCell::PacedDebt(debt.save(origin)))
            }
            Cell::MonthDebt(cell) => {
                cell.as_settled().map_or(SavedCell::Nothing, |debt| SavedCell::MonthDebt(debt.save()))
            }
        }
    }

    /// Moments count from `origin`, which is now: nothing where all that was saved is back by then.
    pub fn restore(saved: SavedCell, origin: WallTime) -> Option<Cell> {
        match saved {
            SavedCell::Nothing => None,
            SavedCell::Sliding(saved) => SlidingCell::restore(saved, origin).map(Cell::Sliding),
            SavedCell::Gcra(saved) => GcraCell::restore(saved, origin).map(Cell::Gcra),
            SavedCell::Quota(saved) => QuotaCell::restore(saved, origin).map(Cell::Quota),
            SavedCell::WindowDebt(saved) => {
                WindowDebt::restore(saved, origin).map(DebtCell::restored).map(Cell::WindowDebt)
            }
            SavedCell::PacedDebt(saved) => {
                PacedDebt::restore(saved, origin).map(DebtCell::restored).map(Cell::PacedDebt)
            }
            SavedCell::MonthDebt(saved) => {
                MonthDebt::restore(saved, origin).map(DebtCell::restored).map(Cell::MonthDebt)
            }
        }
    }
}
