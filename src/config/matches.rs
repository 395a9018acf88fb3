//! Which requests: `match` of a limit, its `not`, and who is counted but never limited.

use http::{HeaderName, Method};
use ipnet::IpNet;

use super::place::At;
use super::reader::{Item, Table, TableKind};

pub const MATCH: TableKind = TableKind {
    title: "`match`",
    keys: &["path", "method", "host", "header", "plan", "account", "client", "not"],
};

pub const NOT: TableKind =
    TableKind { title: "`not`", keys: &["path", "method", "host", "header", "plan", "account", "client"] };

pub const EXEMPT: TableKind = TableKind { title: "`exempt`", keys: &["ranges", "accounts"] };

pub const NEVER_REFUSE: TableKind = TableKind { title: "`never_refuse`", keys: &["ranges", "accounts"] };

/// `match` or its `not` as written; an empty list matches everything.
#[derive(Clone, Debug, Default)]
pub struct Match {
    pub paths: Vec<At<String>>,
    pub methods: Vec<Method>,
    pub hosts: Vec<At<String>>,
    pub headers: Vec<HeaderName>,
    pub plans: Vec<At<String>>,
    pub accounts: Vec<At<String>>,
    pub clients: Vec<IpNet>,
    pub not: Option<At<Box<Match>>>,
}

/// `exempt` or `never_refuse` as written.
#[derive(Clone, Debug, Default)]
pub struct Exempt {
    pub ranges: Vec<IpNet>,
    pub accounts: Vec<At<String>>,
}

pub(super) fn read(item: Item<'_>) -> Option<Match> {
    let table = item.table(&MATCH)?;
    Some(Match { not: table.read("not", not), ..parts(&table) })
}

fn not(item: Item<'_>) -> Option<At<Box<Match>>> {
    let table = item.table(&NOT)?;
    if NOT.keys.iter().all(|key| table.item(key).is_none()) {
        return item.refuse("`not` is empty: nothing would be matched", "what is not to be matched");
    }
    Some(item.at(Box::new(parts(&table))))
}

fn parts(table: &Table<'_>) -> Match {
    Match {
        paths: table.read("path", |i| some(i, super::routes::template)).unwrap_or_default(),
        methods: table.read("method", |i| some(i, method)).unwrap_or_default(),
        hosts: table.read("host", |i| some(i, super::routes::host)).unwrap_or_default(),
        headers: table.read("header", |i| some(i, header)).unwrap_or_default(),
        plans: table.read("plan", |i| some(i, |i| i.text_at("the name of a plan"))).unwrap_or_default(),
        accounts: table.read("account", |i| some(i, account)).unwrap_or_default(),
        clients: table.read("client", |i| some(i, super::listen::network)).unwrap_or_default(),
        not: None,
    }
}

/// The plain list of ranges that `never_refuse` began as, or a table that may name accounts too.
pub(super) fn never_refuse(item: Item<'_>) -> Option<Exempt> {
    if item.is_table() {
        return Some(exempt(&item.table(&NEVER_REFUSE)?));
    }
    Some(Exempt { ranges: item.one_or_list(super::listen::network)?, accounts: Vec::new() })
}

/// `exempt` of a limit or a detector.
pub(super) fn read_exempt(item: Item<'_>) -> Option<Exempt> {
    Some(exempt(&item.table(&EXEMPT)?))
}

fn exempt(table: &Table<'_>) -> Exempt {
    Exempt {
        ranges: table.read("ranges", |i| i.one_or_list(super::listen::network)).unwrap_or_default(),
        accounts: table.read("accounts", |i| i.one_or_list(account)).unwrap_or_default(),
    }
}

/// One or several. None would match everything, though it reads like nothing.
pub(super) fn some<'a, T>(item: Item<'a>, read: impl Fn(Item<'a>) -> Option<T>) -> Option<Vec<T>> {
    let list = item.one_or_list(read)?;
    if list.is_empty() {
        let expected = format!("at least one, or no `{}`, which matches all", item.key);
        return item.refuse(format!("`{}` is empty", item.key), &expected);
    }
    Some(list)
}

/// A method in capitals; methods are case-sensitive (RFC 9110 §9.1), so `post` would never match.
pub(super) fn method(item: Item<'_>) -> Option<Method> {
    item.parse("a method in capitals such as \"POST\"", |text| {
        if text.bytes().any(|b| b.is_ascii_lowercase()) { None } else { text.parse().ok() }
    })
}

fn header(item: Item<'_>) -> Option<HeaderName> {
    item.parse("the name of a request header such as \"x-tenant\"", |text| text.parse().ok())
}

fn account(item: Item<'_>) -> Option<At<String>> {
    item.text_at("the id of an account")
}
