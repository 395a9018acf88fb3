//! `[[limits]]`, and the numbers that plans and agreements put in their place.

use std::time::Duration;

use http::HeaderName;

use super::diagnostic::Diagnostic;
use super::matches::{self, Exempt, Match};
use super::place::{At, Place};
use super::reader::{Item, Table, TableKind, quoted};
use super::units::{self, Quota, Rate};
use crate::policy::{Cost, Missing};
use crate::remedy::Mode;

pub const LIMIT: TableKind = TableKind {
    title: "[[limits]]",
    keys: &[
        "name",
        "clause",
        "key",
        "missing",
        "match",
        "exempt",
        "rate",
        "concurrency",
        "quota",
        "algorithm",
        "burst",
        "cost",
        "over",
        "delay",
        "mode",
    ],
};

pub const DELAY: TableKind = TableKind { title: "`delay`", keys: &["max", "queue"] };

pub const OVERRIDE: TableKind =
    TableKind { title: "the numbers of a limit", keys: &["rate", "concurrency", "quota", "burst"] };

/// One `[[limits]]` as written.
#[derive(Clone, Debug)]
pub struct Limit {
    pub name: At<String>,
    pub clause: Option<At<String>>,
    pub key: At<Vec<At<KeyPart>>>,
    pub missing: Option<At<Missing>>,
    pub matches: At<Match>,
    pub exempt: Exempt,
    pub numbers: Numbers,
    pub algorithm: Option<At<Algorithm>>,
    pub cost: Option<At<Cost>>,
    pub over: Option<At<Over>>,
    pub delay: Option<At<Delay>>,
    pub mode: Option<Mode>,
    pub place: Place,
}

/// How much: exactly one of `rate`, `concurrency` and `quota` in a limit, at least one in an override.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbers {
    pub rate: Option<At<Rate>>,
    pub concurrency: Option<At<u32>>,
    pub quota: Option<At<Quota>>,
    pub burst: Option<At<u32>>,
}

impl Numbers {
    /// These, and where they say nothing the others.
    #[must_use]
    pub fn or(self, others: Numbers) -> Numbers {
        Numbers {
            rate: self.rate.or(others.rate),
            concurrency: self.concurrency.or(others.concurrency),
            quota: self.quota.or(others.quota),
            burst: self.burst.or(others.burst),
        }
    }
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    SlidingWindow,
    Gcra,
}

/// `over`: what is done with a request that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    Reject,
    Delay,
}

/// `delay`: how long a request may wait for its turn, and how many may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delay {
    pub max: Option<Duration>,
    pub queue: Option<u32>,
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

const ALGORITHMS: &[(&str, Algorithm)] =
    &[("sliding-window", Algorithm::SlidingWindow), ("gcra", Algorithm::Gcra)];

const COSTS: [(&str, Cost); 5] = [
    (Cost::Requests.name(), Cost::Requests),
    (Cost::RequestBytes.name(), Cost::RequestBytes),
    (Cost::ResponseBytes.name(), Cost::ResponseBytes),
    (Cost::Bytes.name(), Cost::Bytes),
    (Cost::UpstreamTime.name(), Cost::UpstreamTime),
];

const MISSING: &[(&str, Missing)] = &[("skip", Missing::Skip), ("shared", Missing::Shared)];

const OVER: &[(&str, Over)] = &[("reject", Over::Reject), ("delay", Over::Delay)];

const RATE: &str = "a rate such as \"100/10s\", \"5/min\", \"120s/min\", \"2GiB/h\" or \"1M/30d\"";
const CONCURRENCY_MAX: u64 = 1_000_000;
const BURST_MAX: u64 = 1_000_000_000;
const QUOTA: &str = "a quota such as \"1M/30d\", \"100GiB/7d\" or \"1M/month\", a month of the calendar";
/// Longer than this no client waits.
const DELAY_MAX: Duration = Duration::from_secs(60);
const DELAY_QUEUE_MAX: u64 = 1_000_000;
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
        missing: table.read("missing", |i| i.word(MISSING).map(|m| i.at(m))),
        matches: table
            .read("match", |i| matches::read(i).map(|m| i.at(m)))
            .unwrap_or(At::new(Match::default(), table.place)),
        exempt: table.read("exempt", matches::read_exempt).unwrap_or_default(),
        numbers,
        algorithm: table.read("algorithm", |i| i.word(ALGORITHMS).map(|a| i.at(a))),
        cost: table.read("cost", |i| i.word(&COSTS).map(|c| i.at(c))),
        over: table.read("over", |i| i.word(OVER).map(|o| i.at(o))),
        delay: table.read("delay", |i| delay(i).map(|d| i.at(d))),
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
        rate: table.read("rate", |i| amount_in_time(i, RATE, units::rate)),
        concurrency: table.read("concurrency", |i| i.whole(1..=CONCURRENCY_MAX).map(|n| i.at(n))),
        quota: table.read("quota", |i| amount_in_time(i, QUOTA, units::quota)),
        burst: table.read("burst", |i| i.whole(1..=BURST_MAX).map(|n| i.at(n))),
    }
}

fn amount_in_time<T>(
    item: Item<'_>,
    expected: &str,
    parse: impl FnOnce(&str) -> Result<T, &'static str>,
) -> Option<At<T>> {
    let text = item.text(expected)?;
    match parse(text) {
        Ok(value) => Some(item.at(value)),
        Err(why) => item.refuse(format!("`{}` cannot be {}: {why}", item.key, quoted(text)), expected),
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

fn delay(item: Item<'_>) -> Option<Delay> {
    let table = item.table(&DELAY)?;
    Some(Delay {
        max: table.read("max", |i| i.duration(Duration::from_millis(1)..=DELAY_MAX)),
        queue: table.read("queue", |i| i.whole(1..=DELAY_QUEUE_MAX)),
    })
}
