//! The policy file: the operator's acceptable use policy, clause by clause.

use super::diagnostic::Diagnostic;
use super::place::At;
use super::reader::{Item, Table, TableKind};
use crate::clause::Behaviour;

pub const POLICY_FILE: TableKind = TableKind { title: "a policy file", keys: &["version", "clauses"] };

pub const CLAUSE: TableKind = TableKind { title: "[[clauses]]", keys: &["id", "title", "text", "forbids"] };

/// One `[[clauses]]` as written.
#[derive(Clone, Debug)]
pub struct Clause {
    pub id: At<String>,
    pub title: String,
    pub text: String,
    pub forbids: Vec<At<Behaviour>>,
}

const CLAUSES_MAX: usize = 1_000;

pub(super) fn read(table: &Table<'_>) -> Vec<Clause> {
    const EXPECTED: &str = "at least one [[clauses]] with `id`, `title`, `text` and `forbids`";
    super::read_version(table);
    let clauses =
        table.require("clauses", EXPECTED, |item| Some(item.tables(CLAUSES_MAX, clause))).unwrap_or_default();
    report_duplicates(table, &clauses);
    clauses
}

fn clause(item: Item<'_>) -> Option<Clause> {
    let table = item.table(&CLAUSE)?;
    let id = table.require("id", "a short name such as \"load\"", id);
    let title = table.require("title", "a title", |i| i.text("a title").map(str::to_owned));
    let text = table.require("text", "the clause as your users read it", |i| {
        i.text("the clause's text").map(str::to_owned)
    });
    Some(Clause {
        title: title.unwrap_or_default(),
        text: text.unwrap_or_default(),
        forbids: table.read("forbids", |i| i.list(behaviour)).unwrap_or_default(),
        id: id?,
    })
}

/// Ids stand in metrics' labels and in URLs.
fn id(item: Item<'_>) -> Option<At<String>> {
    let id = item.parse("a short name of lower-case letters, digits, `-` and `_`", |text| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        (text.len() <= 64 && text.bytes().all(plain)).then(|| text.to_owned())
    })?;
    Some(item.at(id))
}

fn behaviour(item: Item<'_>) -> Option<At<Behaviour>> {
    let words = Behaviour::ALL.map(|b| (b.name(), b));
    item.word(&words).map(|b| item.at(b))
}

fn report_duplicates(table: &Table<'_>, clauses: &[Clause]) {
    for (at, clause) in clauses.iter().enumerate() {
        if let Some(first) = clauses.iter().take(at).find(|c| c.id.value == clause.id.value) {
            table.problems.add(
                Diagnostic::error(
                    clause.id.place,
                    format!("two clauses have the id \"{}\"", clause.id.value),
                )
                .expected("an id of its own for each clause")
                .related(first.id.place, "the first"),
            );
        }
    }
}
