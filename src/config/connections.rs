//! `[connections]`: how many clients may be connected at once.

use super::http::Cap;
use super::reader::{Item, TableKind};

pub const CONNECTIONS: TableKind =
    TableKind { title: "[connections]", keys: &["max", "per_client", "handshakes"] };

/// `[connections]` as written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Connections {
    pub max: Option<u32>,
    pub per_client: Option<Cap<u32>>,
    pub handshakes: Option<u32>,
}

/// More than one machine has files for.
const CONNECTIONS_MAX: u64 = 100_000_000;

pub(super) fn read(item: Item<'_>) -> Option<Connections> {
    let table = item.table(&CONNECTIONS)?;
    Some(Connections {
        max: table.read("max", |i| i.whole(1..=CONNECTIONS_MAX)),
        per_client: table.read("per_client", per_client),
        handshakes: table.read("handshakes", |i| i.whole(1..=CONNECTIONS_MAX)),
    })
}

/// A number, or `"unlimited"`.
fn per_client(item: Item<'_>) -> Option<Cap<u32>> {
    if !item.is_text() {
        return item.whole(1..=CONNECTIONS_MAX).map(Cap::AtMost);
    }
    item.parse("a whole number, or \"unlimited\"", |text| (text == "unlimited").then_some(Cap::Unbounded))
}
