//! `[[rules]]`: what the operator forbids in words of their own.

use std::time::Duration;

use super::conduct::{ANSWERS, LASTS_MAX, LASTS_MIN};
use super::limits::MODES;
use super::matches::{self, Exempt, Match};
use super::place::{At, Place};
use super::reader::{Item, TableKind};
use crate::facts::PrincipalKind;
use crate::policy::conduct::RULES_MAX;
use crate::remedy::{Answer, Mode};

pub const RULE: TableKind = TableKind {
    title: "[[rules]]",
    keys: &["name", "clause", "when", "of", "match", "mode", "confidence", "answer", "for", "exempt"],
};

/// One `[[rules]]` as written.
#[derive(Clone, Debug)]
pub struct Rule {
    pub name: At<String>,
    pub clause: Option<At<String>>,
    pub when: Expression,
    /// Who is judged by it.
    pub of: Option<Vec<PrincipalKind>>,
    pub matches: At<Match>,
    pub mode: Option<Mode>,
    /// In thousandths.
    pub confidence_permille: Option<u32>,
    pub answer: Option<Answer>,
    pub lasts: Option<Duration>,
    pub exempt: Exempt,
    pub place: Place,
}

/// A text whose parts have places of their own.
#[derive(Clone, Debug)]
pub struct Expression {
    pub text: At<String>,
    /// Where its first character stands in the file, if it is written there as it is: without escapes.
    pub start: Option<usize>,
}

/// Who can be charged with a request.
const OF: &[(&str, PrincipalKind)] = &[
    ("client", PrincipalKind::Client),
    ("account", PrincipalKind::Account),
    ("credential", PrincipalKind::Credential),
    ("session", PrincipalKind::Session),
];

const WHEN: &str = "an expression such as 'asked_1m > 100 && path.startsWith(\"/search\")'";

pub(super) fn read(item: Item<'_>) -> Vec<Rule> {
    item.tables(RULES_MAX, rule)
}

fn rule(item: Item<'_>) -> Option<Rule> {
    let table = item.table(&RULE)?;
    let name = table.require("name", "a name of its own for each rule", |i| i.name());
    let when = table
        .require("when", WHEN, |i| Some(Expression { text: i.text_at(WHEN)?, start: i.first_character() }));
    let rest = Rule {
        clause: table.read("clause", |i| i.text_at("the id of a clause")),
        of: table.read("of", |i| matches::some(i, |i| i.word(OF))),
        matches: table
            .read("match", |i| matches::read(i).map(|matches| i.at(matches)))
            .unwrap_or(At::new(Match::default(), item.place)),
        mode: table.read("mode", |i| i.word(MODES)),
        confidence_permille: table.read("confidence", |i| i.share()),
        answer: table.read("answer", |i| i.one_of(ANSWERS)),
        lasts: table.read("for", |i| i.duration(LASTS_MIN..=LASTS_MAX)),
        exempt: table.read("exempt", matches::read_exempt).unwrap_or_default(),
        place: item.place,
        name: name?,
        when: when?,
    };
    Some(rest)
}
