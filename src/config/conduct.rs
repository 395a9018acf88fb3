//! `[detectors.NAME]` and `[standing]`: what conduct is looked for, and what follows from it.

use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::limits::MODES;
use super::matches::{self, Exempt};
use super::place::At;
use super::reader::{Item, Table, TableKind};
use crate::clause::Behaviour;
use crate::detect::{self, Knob};
use crate::remedy::{Answer, Mode};

/// What all detectors have; each has its thresholds beside these.
pub const DETECTOR: TableKind = TableKind {
    title: "[detectors.NAME]",
    keys: &["mode", "clause", "confidence", "answer", "for", "exempt"],
};

pub const STANDING: TableKind = TableKind { title: "[standing]", keys: &["ladder", "decay"] };

/// `[detectors.NAME]` as written.
#[derive(Clone, Debug)]
pub struct Detector {
    pub behaviour: At<Behaviour>,
    pub clause: Option<At<String>>,
    pub mode: Option<Mode>,
    /// In thousandths.
    pub confidence_permille: Option<u32>,
    pub answer: Option<Answer>,
    pub lasts: Option<Duration>,
    pub exempt: Exempt,
    /// In the order of the detector's knobs.
    pub thresholds: Vec<Option<u32>>,
}

/// `[standing]` as written.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// From the mildest; no rung twice.
    pub ladder: Option<Vec<Rung>>,
    /// One step down after this long without findings.
    pub decay: Option<Duration>,
}

/// What can be done about an account or a client, from the mildest. Termination is a person's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    Warn,
    Throttle,
    Challenge,
    Suspend,
}

const RUNGS: &[(&str, Rung)] = &[
    ("warn", Rung::Warn),
    ("throttle", Rung::Throttle),
    ("challenge", Rung::Challenge),
    ("suspend", Rung::Suspend),
];

pub(super) const ANSWERS: &[(u16, Answer)] = &[(429, Answer::TooManyRequests), (403, Answer::Forbidden)];

pub(super) const LASTS_MIN: Duration = Duration::from_secs(1);
/// Longer is a person's decision.
pub(super) const LASTS_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const DECAY_MIN: Duration = Duration::from_secs(60);
const DECAY_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

pub(super) fn read_detectors(item: Item<'_>) -> Vec<Detector> {
    let entries = item.entries().unwrap_or_default();
    entries.into_iter().filter_map(|(name, item)| detector(&name, item)).collect()
}

fn detector(name: &At<String>, item: Item<'_>) -> Option<Detector> {
    let behaviour = Behaviour::from_name(&name.value);
    if behaviour.is_none() {
        let names = Behaviour::ALL.into_iter().map(Behaviour::name);
        let unknown = Diagnostic::error(name.place, format!("no detector is called `{}`", name.value));
        item.problems.add(unknown.one_of(&name.value, names));
    }
    let knobs = behaviour.and_then(detect::spec).map_or(&[][..], |spec| spec.knobs);
    let names: Vec<&str> = knobs.iter().map(|knob| knob.name).collect();
    let table = item.table_with(&DETECTOR, &names)?;
    Some(Detector {
        clause: table.read("clause", |i| i.text_at("the id of a clause")),
        mode: table.read("mode", |i| i.word(MODES)),
        confidence_permille: table.read("confidence", |i| i.share()),
        answer: table.read("answer", |i| i.one_of(ANSWERS)),
        lasts: table.read("for", |i| i.duration(LASTS_MIN..=LASTS_MAX)),
        exempt: table.read("exempt", matches::read_exempt).unwrap_or_default(),
        thresholds: knobs.iter().map(|knob| threshold(&table, knob)).collect(),
        behaviour: At::new(behaviour?, name.place),
    })
}

fn threshold(table: &Table<'_>, knob: &Knob) -> Option<u32> {
    table.read(knob.name, |item| item.whole(knob.min.into()..=knob.max.into()))
}

pub(super) fn read_standing(item: Item<'_>) -> Option<Standing> {
    let table = item.table(&STANDING)?;
    Some(Standing {
        ladder: table.read("ladder", ladder),
        decay: table.read("decay", |i| i.duration(DECAY_MIN..=DECAY_MAX)),
    })
}

fn ladder(item: Item<'_>) -> Option<Vec<Rung>> {
    const EXPECTED: &str =
        "some of \"warn\", \"throttle\", \"challenge\" and \"suspend\", in this order, each once";
    let rungs = item.list(|i| i.word(RUNGS))?;
    if rungs.is_empty() || !rungs.is_sorted_by(|a, b| a < b) {
        return item.refuse("`ladder` does not climb", EXPECTED);
    }
    Some(rungs)
}
