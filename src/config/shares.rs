//! `[load]`: which share of an upstream is unreasonable, and whose shares are shown.

use super::reader::{Item, TableKind};
use crate::policy::load::LoadWindow;

pub const LOAD: TableKind = TableKind { title: "[load]", keys: &["unreasonable", "top"] };

pub const UNREASONABLE: TableKind =
    TableKind { title: "`unreasonable`", keys: &["share", "over", "when_utilisation"] };

/// `[load]` as written.
#[derive(Clone, Debug, Default)]
pub struct Load {
    pub unreasonable: Option<Unreasonable>,
    pub top: Option<u32>,
}

/// `unreasonable` as written; shares in thousandths.
#[derive(Clone, Debug)]
pub struct Unreasonable {
    pub share_permille: u32,
    pub over: Option<LoadWindow>,
    pub when_utilisation_permille: Option<u32>,
}

/// Each is a time series for every upstream and resource.
const TOP_MAX: u64 = 1000;

pub(super) fn read(item: Item<'_>) -> Option<Load> {
    let table = item.table(&LOAD)?;
    Some(Load {
        unreasonable: table.read("unreasonable", unreasonable),
        top: table.read("top", |i| i.whole(0..=TOP_MAX)),
    })
}

fn unreasonable(item: Item<'_>) -> Option<Unreasonable> {
    let table = item.table(&UNREASONABLE)?;
    let share = table.require("share", "a share such as 0.5 or \"50%\"", |i| i.share());
    Some(Unreasonable {
        over: table.read("over", window),
        when_utilisation_permille: table.read("when_utilisation", |i| i.share()),
        share_permille: share?,
    })
}

/// One of the windows that shares are kept over, however it is spelled: `"10m"`, `"10min"`, `"600s"`.
fn window(item: Item<'_>) -> Option<LoadWindow> {
    item.parse("\"1m\", \"10m\" or \"1h\", over which shares are kept", |text| {
        let length = super::units::duration(text)?;
        LoadWindow::ALL.into_iter().find(|window| window.length() == length)
    })
}
