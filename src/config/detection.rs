//! `[detection]`: what detectors have to know of the site, and what is kept of those whom they find.

use http::Method;

use super::diagnostic::Diagnostic;
use super::matches::{method, some};
use super::place::At;
use super::reader::{Item, Table, TableKind};
use super::routes::template;
use crate::policy::conduct::Addresses;

pub const DETECTION: TableKind =
    TableKind { title: "[detection]", keys: &["logins", "traps", "robots", "addresses", "memory_share"] };

pub const LOGIN: TableKind =
    TableKind { title: "`logins`", keys: &["path", "method", "failed", "succeeded"] };

pub const LOGIN_ANSWERS: TableKind = TableKind { title: "`failed` or `succeeded`", keys: &["status"] };

/// `[detection]` as written.
#[derive(Clone, Debug, Default)]
pub struct Detection {
    /// `None`: as most frameworks do it.
    pub logins: Option<Vec<Login>>,
    pub traps: Vec<At<String>>,
    pub robots: Option<bool>,
    pub addresses: Option<Addresses>,
    /// Of `state.memory`, in thousandths.
    pub memory_permille: Option<u32>,
}

/// One of `logins` as written.
#[derive(Clone, Debug)]
pub struct Login {
    pub paths: Vec<At<String>>,
    pub methods: Vec<Method>,
    /// Statuses that mean failure, or `None`.
    pub failed: Option<Vec<u16>>,
    /// Statuses that mean success, and all others failure.
    pub succeeded: Option<Vec<u16>>,
}

/// Each is looked at for every request.
const LOGINS_MAX: usize = 100;
const TRAPS_MAX: usize = 100;

const ADDRESSES: &[(&str, Addresses)] =
    &[("client", Addresses::Client), ("network", Addresses::Network), ("none", Addresses::None)];

pub(super) fn read(item: Item<'_>) -> Option<Detection> {
    let table = item.table(&DETECTION)?;
    Some(Detection {
        logins: table.read("logins", |i| Some(i.tables(LOGINS_MAX, login))),
        traps: table.read("traps", traps).unwrap_or_default(),
        robots: table.read("robots", |i| i.boolean()),
        addresses: table.read("addresses", |i| i.word(ADDRESSES)),
        memory_permille: table.read("memory_share", |i| i.share()),
    })
}

fn traps(item: Item<'_>) -> Option<Vec<At<String>>> {
    let traps = item.one_or_list(template)?;
    if traps.len() > TRAPS_MAX {
        return item.refuse(format!("there are {} of `traps`", traps.len()), &format!("at most {TRAPS_MAX}"));
    }
    Some(traps)
}

fn login(item: Item<'_>) -> Option<Login> {
    let table = item.table(&LOGIN)?;
    let paths = table.require("path", "where people sign in, such as \"/login\"", |i| some(i, template));
    let failed = table.read("failed", answers);
    let succeeded = table.read("succeeded", answers);
    report_both(&table);
    Some(Login {
        methods: table.read("method", |i| some(i, method)).unwrap_or_default(),
        failed,
        succeeded,
        paths: paths?,
    })
}

fn answers(item: Item<'_>) -> Option<Vec<u16>> {
    let table = item.table(&LOGIN_ANSWERS)?;
    table.require("status", "statuses such as [401, 403]", |i| some(i, |i| i.whole(100..=599)))
}

fn report_both(table: &Table<'_>) {
    if let (Some(failed), Some(succeeded)) = (table.item("failed"), table.item("succeeded")) {
        table.problems.add(
            Diagnostic::error(succeeded.place, "a login has `failed` or `succeeded`, not both")
                .expected("one of them: every other answer means the opposite")
                .related(failed.place, "the other"),
        );
    }
}
