//! Clauses, and the rule that nothing is done without one.

use crate::clause::{Behaviour, Clause};
use crate::config::clauses as written;
use crate::config::{At, Config, Diagnostic, Problems};
use crate::policy::ClauseId;

/// The clause of a limit that names none.
pub(super) const DEFAULT: &str = "load";

pub(super) fn compile(clauses: &[written::Clause]) -> Vec<Clause> {
    clauses
        .iter()
        .map(|clause| Clause {
            id: clause.id.value.clone(),
            title: clause.title.clone(),
            text: clause.text.clone(),
            forbids: clause.forbids.iter().map(|b| b.value).collect(),
        })
        .collect()
}

/// The clause called `id`, or `None` after reporting that there is none.
pub(super) fn resolve(id: &At<String>, config: &Config, problems: &Problems) -> Option<ClauseId> {
    if let Some(at) = config.clauses.iter().position(|clause| clause.id.value == id.value) {
        return u16::try_from(at).ok().map(ClauseId);
    }
    // Without any clause the policy file itself is what is wrong, and was reported.
    if !config.clauses.is_empty() {
        let ids = config.clauses.iter().map(|clause| clause.id.value.as_str());
        problems.add(
            Diagnostic::error(id.place, format!("no clause is called \"{}\"", id.value))
                .one_of(&id.value, ids),
        );
    }
    None
}

/// The first clause that forbids a behaviour.
pub(super) fn forbidding(behaviour: Behaviour, config: &Config) -> Option<ClauseId> {
    let forbids = |clause: &written::Clause| clause.forbids.iter().any(|b| b.value == behaviour);
    let at = config.clauses.iter().position(forbids)?;
    u16::try_from(at).ok().map(ClauseId)
}
