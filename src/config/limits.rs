//! `[[limits]]`, and the numbers that plans and agreements put in their place.

use http::{HeaderName, Method};

use super::diagnostic::Diagnostic;
use super::place::{At, Place};
use super::reader::{Item, Table, TableKind, quoted};
use super::units::{self, Rate};
use crate::remedy::Mode;

pub const LIMIT: TableKind = TableKind {
    title: "[[limits]]",
    keys: &[
        "name",
        "clause",
        "key",
        "match",
        "rate",
        "concurrency",
        "quota",
        "algorithm",
        "burst",
        "cost",
        "mode",
    ],
};

pub const MATCH: TableKind = TableKind { title: "`match`", keys: &["path", "method", "host"] };

pub const OVERRIDE: TableKind =
    TableKind { title: "the numbers of a limit", keys: &["rate", "concurrency", "quota", "burst"] };

/// One `[[limits]]` as written.
#[derive(Clone, Debug)]
pub struct Limit {
    pub name: At<String>,
    pub clause: Option<At<String>>,
    pub key: At<Vec<At<KeyPart>>>,
    pub matches: Match,
    pub numbers: Numbers,
    pub algorithm: Option<At<Algorithm>>,
    pub cost: Option<At<Cost>>,
    pub mode: Option<Mode>,
    pub place: Place,
}

/// How much: exactly one of `rate`, `concurrency` and `quota` in a limit, at least one in an override.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    pub rate: Option<At<Rate>>,
    pub concurrency: Option<At<u32>>,
    pub quota: Option<At<Rate>>,
    pub burst: Option<At<u32>>,
}

/// One part of `key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPart {
    Client,
    Network,
    Account,
    Session,
    Fingerprint,
    Everyone,
    Route,
    Upstream,
    Method,
    Header(HeaderName),
}

/// `match` as written; an empty list matches everything.
#[derive(Clone, Debug, Default)]
pub struct Match {
    pub paths: Vec<At<String>>,
    pub methods: Vec<Method>,
    pub hosts: Vec<At<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    SlidingWindow,
    Gcra,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Requests by their route's weight.
    Requests,
    RequestBytes,
    ResponseBytes,
    /// Both ways.
    Bytes,
    UpstreamTime,
}

/// The words for `mode`, everywhere.
pub(super) const MODES: &[(&str, Mode)] =
    &[("enforce", Mode::Enforce), ("shadow", Mode::Shadow), ("off", Mode::Off)];

/// The parts of a key that are one word.
const KEY_PARTS: &[(&str, KeyPart)] = &[
    ("client", KeyPart::Client),
    ("network", KeyPart::Network),
    ("account", KeyPart::Account),
    ("session", KeyPart::Session),
    ("fingerprint", KeyPart::Fingerprint),
    ("everyone", KeyPart::Everyone),
    ("route", KeyPart::Route),
    ("upstream", KeyPart::Upstream),
    ("method", KeyPart::Method),
];

const COSTS: &[(&str, Cost)] = &[
    ("requests", Cost::Requests),
    ("request-bytes", Cost::RequestBytes),
    ("response-bytes", Cost::ResponseBytes),
    ("bytes", Cost::Bytes),
    ("upstream-time", Cost::UpstreamTime),
];

const RATE: &str = "a rate such as \"100/10s\", \"5/min\", \"120s/min\", \"2GiB/h\" or \"1M/30d\"";
const CONCURRENCY_MAX: u64 = 1_000_000;
const BURST_MAX: u64 = 1_000_000_000;
/// Every limit is asked about every request that it matches.
const LIMITS_MAX: usize = 200;

pub(super) fn read(item: Item<'_>) -> Vec<Limit> {
    item.tables(LIMITS_MAX, limit)
}

fn limit(item: Item<'_>) -> Option<Limit> {
    const KEY: &str = "what is counted by, such as [\"client\"] or [\"account\", \"upstream\"]";
    let table = item.table(&LIMIT)?;
    let name = table.require("name", "a name of its own", |i| i.name());
    let key = table.require("key", KEY, key);
    let numbers = numbers(&table);
    require_one_number(&table, &numbers);
    Some(Limit {
        clause: table.read("clause", |i| i.text_at("the id of a clause")),
        matches: table.read("match", matches).unwrap_or_default(),
        numbers,
        algorithm: table.read("algorithm", |i| {
            i.word(&[("sliding-window", Algorithm::SlidingWindow), ("gcra", Algorithm::Gcra)])
                .map(|a| i.at(a))
        }),
        cost: table.read("cost", |i| i.word(COSTS).map(|c| i.at(c))),
        mode: table.read("mode", |i| i.word(MODES)),
        place: table.place,
        // A key that could not be read was reported; the name must stay known to plans that refer to it.
        key: key.unwrap_or(At::new(Vec::new(), table.place)),
        name: name?,
    })
}

/// The numbers of a limit, or those that a plan or an agreement puts in their place.
pub(super) fn numbers(table: &Table<'_>) -> Numbers {
    Numbers {
        rate: table.read("rate", rate),
        concurrency: table.read("concurrency", |i| i.whole(1..=CONCURRENCY_MAX).map(|n| i.at(n))),
        quota: table.read("quota", rate),
        burst: table.read("burst", |i| i.whole(1..=BURST_MAX).map(|n| i.at(n))),
    }
}

fn rate(item: Item<'_>) -> Option<At<Rate>> {
    let text = item.text(RATE)?;
    match units::rate(text) {
        Ok(rate) => Some(item.at(rate)),
        Err(why) => item.refuse(format!("`{}` cannot be {}: {why}", item.key, quoted(text)), RATE),
    }
}

fn require_one_number(table: &Table<'_>, numbers: &Numbers) {
    let written: Vec<Item<'_>> =
        ["rate", "concurrency", "quota"].into_iter().filter_map(|key| table.item(key)).collect();
    match written.as_slice() {
        [_] => {}
        [] => table.problems.add(
            Diagnostic::error(table.place, "`rate` is missing from [[limits]]")
                .expected("`rate`, `concurrency` or `quota`: a limit needs one of them")
                .help("add for example `rate = \"100/10s\"`"),
        ),
        [first, second, ..] => table.problems.add(
            Diagnostic::error(
                second.place,
                format!("a limit has `{}` or `{}`, not both", first.key, second.key),
            )
            .expected("exactly one of `rate`, `concurrency` and `quota`")
            .related(first.place, "the other")
            .help("write two limits"),
        ),
    }
    if let (Some(burst), None, true) = (&numbers.burst, &numbers.rate, table.item("rate").is_none()) {
        table.problems.add(
            Diagnostic::error(burst.place, "`burst` belongs to a `rate`")
                .expected("no `burst` beside `concurrency` or `quota`"),
        );
    }
}

fn key(item: Item<'_>) -> Option<At<Vec<At<KeyPart>>>> {
    let parts = item.one_or_list(|i| key_part(i).map(|part| i.at(part)))?;
    if parts.is_empty() {
        return item
            .refuse("`key` is empty", "at least one part; [\"everyone\"] counts all requests together");
    }
    Some(item.at(parts))
}

fn key_part(item: Item<'_>) -> Option<KeyPart> {
    let text = item.text("a word such as \"client\"")?;
    if let Some(name) = text.strip_prefix("header:") {
        return match name.parse() {
            Ok(name) => Some(KeyPart::Header(name)),
            Err(_) => {
                item.refuse(format!("\"{name}\" cannot be a header's name"), "such as \"header:x-tenant\"")
            }
        };
    }
    if let Some((_, part)) = KEY_PARTS.iter().find(|(name, _)| *name == text) {
        return Some(part.clone());
    }
    let names = KEY_PARTS.iter().map(|(name, _)| *name).chain(["header:NAME"]);
    item.problems
        .add(Diagnostic::error(item.place, format!("`key` cannot be {}", quoted(text))).one_of(text, names));
    None
}

fn matches(item: Item<'_>) -> Option<Match> {
    let table = item.table(&MATCH)?;
    Some(Match {
        paths: table.read("path", |i| i.one_or_list(super::routes::template)).unwrap_or_default(),
        methods: table.read("method", |i| i.one_or_list(method)).unwrap_or_default(),
        hosts: table.read("host", |i| i.one_or_list(super::routes::host)).unwrap_or_default(),
    })
}

/// A method in capitals; methods are case-sensitive (RFC 9110 §9.1), so `post` would never match.
fn method(item: Item<'_>) -> Option<Method> {
    item.parse("a method in capitals such as \"POST\"", |text| {
        if text.bytes().any(|b| b.is_ascii_lowercase()) { None } else { text.parse().ok() }
    })
}
