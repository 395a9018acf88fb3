//! `[enforcement]` and `[state]`: the switch for everything, and what weir may remember.

use super::limits::MODES;
use super::matches::{self, Exempt};
use super::place::At;
use super::reader::{Item, TableKind};
use crate::remedy::Mode;

pub const ENFORCEMENT: TableKind = TableKind { title: "[enforcement]", keys: &["mode", "never_refuse"] };

pub const STATE: TableKind = TableKind { title: "[state]", keys: &["memory", "path"] };

/// `[enforcement]` as written.
#[derive(Clone, Debug, Default)]
pub struct Enforcement {
    pub mode: Option<Mode>,
    /// Counted, never refused.
    pub never_refuse: Exempt,
}

/// `[state]` as written.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Bytes.
    pub memory: Option<u64>,
    pub path: Option<At<String>>,
}

const MEMORY_MIN: u64 = 1 << 20;
const MEMORY_MAX: u64 = 1 << 40;

pub(super) fn read(item: Item<'_>) -> Option<Enforcement> {
    let table = item.table(&ENFORCEMENT)?;
    Some(Enforcement {
        mode: table.read("mode", |i| i.word(MODES)),
        never_refuse: table.read("never_refuse", matches::never_refuse).unwrap_or_default(),
    })
}

pub(super) fn read_state(item: Item<'_>) -> Option<State> {
    let table = item.table(&STATE)?;
    Some(State {
        memory: table.read("memory", |i| i.bytes(MEMORY_MIN..=MEMORY_MAX)),
        path: table.read("path", |i| i.text_at("a file's name")),
    })
}
