//! `[log]`: what weir writes about itself and about requests.

use super::diagnostic::Diagnostic;
use super::reader::{Item, Table, TableKind};
use crate::policy::{AccessFormat, LogFormat};

pub const LOG: TableKind = TableKind { title: "[log]", keys: &["level", "format", "access"] };

pub const ACCESS: TableKind = TableKind { title: "`access`", keys: &["file", "stdout", "format", "queue"] };

/// `[log]` as written.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub level: Option<String>,
    pub format: Option<LogFormat>,
    pub access: Option<Access>,
}

/// `access` as written.
#[derive(Clone, Debug)]
pub struct Access {
    pub target: Target,
    pub format: Option<AccessFormat>,
    pub queue: Option<u32>,
}

/// Where the access log goes. A file's name is relative to the configuration's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Stdout,
    File(String),
}

const QUEUE_MAX: u64 = 10_000_000;
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

pub(super) fn read(item: Item<'_>) -> Option<Log> {
    let table = item.table(&LOG)?;
    Some(Log {
        level: table.read("level", level),
        format: table
            .read("format", |i| {
                i.word(&[("auto", None), ("human", Some(LogFormat::Human)), ("json", Some(LogFormat::Json))])
            })
            .flatten(),
        access: table.read("access", access),
    })
}

/// One level, or several for parts of weir: `info,weir::proxy=debug`.
fn level(item: Item<'_>) -> Option<String> {
    item.parse("a level such as \"info\", or levels of parts such as \"info,weir::proxy=debug\"", |text| {
        let good = text.split(',').all(|directive| {
            let (target, level) = directive.rsplit_once('=').unwrap_or(("weir", directive));
            let path = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b':';
            !target.is_empty() && target.bytes().all(path) && LEVELS.contains(&level)
        });
        good.then(|| text.to_owned())
    })
}

fn access(item: Item<'_>) -> Option<Access> {
    let table = item.table(&ACCESS)?;
    let target = target(&table);
    Some(Access {
        format: table.read("format", |i| {
            i.word(&[("combined", AccessFormat::Combined), ("json", AccessFormat::Json)])
        }),
        queue: table.read("queue", |i| i.whole(1..=QUEUE_MAX)),
        target: target?,
    })
}

fn target(table: &Table<'_>) -> Option<Target> {
    let file = table.read("file", |i| i.text("a file's name").map(str::to_owned));
    let stdout = table.read("stdout", |i| i.boolean()).unwrap_or(false);
    match (file, stdout, table.item("file")) {
        (Some(file), false, _) => Some(Target::File(file)),
        (None, true, None) => Some(Target::Stdout),
        (None, _, Some(_)) => None,
        (file, ..) => {
            let both = file.is_some();
            let what = if both { "both `file` and `stdout`" } else { "neither `file` nor `stdout`" };
            table.problems.add(
                Diagnostic::error(table.place, format!("`access` has {what}"))
                    .expected("`file = \"access.log\"` or `stdout = true`"),
            );
            None
        }
    }
}
