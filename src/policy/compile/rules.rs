//! The operator's rules: expressions that mean something, each with its clause.

use std::time::Duration;

use super::{clauses, conduct, matches};
use crate::clause::Behaviour;
use crate::config::rules::{self as written, Expression};
use crate::config::{Config, Diagnostic, Place, Problems, nearest};
use crate::policy::conduct::Rule;
use crate::policy::path::PathRules;
use crate::remedy::Mode;
use crate::rule::{Fault, Program};

/// A rule finds what it says, for certain, unless the operator is less sure.
const CONFIDENCE: u32 = 1000;
/// Names that are listed in a message.
const FEW: usize = 8;
const LASTS: Duration = Duration::from_secs(600);

/// Those that are not off.
pub(super) fn compile(config: &Config, rules: PathRules, problems: &Problems) -> Vec<Rule> {
    report_names(&config.rules, problems);
    let compiled: Vec<Option<Rule>> =
        config.rules.iter().map(|rule| one(rule, config, rules, problems)).collect();
    compiled.into_iter().flatten().filter(|rule| rule.mode != Mode::Off).collect()
}

/// Everything about it is looked at before any of it may end the compilation.
fn one(rule: &written::Rule, config: &Config, rules: PathRules, problems: &Problems) -> Option<Rule> {
    let clause = if let Some(id) = &rule.clause {
        clauses::resolve(id, config, problems)
    } else {
        let message = format!("the rule \"{}\" has no clause", rule.name.value);
        problems.add(
            Diagnostic::error(rule.name.place, message)
                .expected("`clause`: nothing is done, nor watched for, that the policy does not forbid"),
        );
        None
    };
    let when = program(&rule.when, problems);
    let matches = matches::compile(&rule.matches.value, config, rules, problems);
    let exempt = matches::exempt(&rule.exempt, config, problems);
    Some(Rule {
        name: rule.name.value.as_str().into(),
        clause: clause?,
        mode: rule.mode.unwrap_or(conduct::MODE),
        confidence: conduct::fraction(rule.confidence_permille.unwrap_or(CONFIDENCE)),
        answer: rule.answer.unwrap_or_default(),
        lasts: rule.lasts.unwrap_or(LASTS),
        exempt,
        matches: matches?,
        of: rule.of.clone().unwrap_or_default(),
        when: when?,
    })
}

/// Rules and detectors are told apart by their names, in metrics as in findings.
fn report_names(rules: &[written::Rule], problems: &Problems) {
    for (at, written::Rule { name, .. }) in rules.iter().enumerate() {
        if Behaviour::from_name(&name.value).is_some() {
            let message = format!("`{}` is the name of a detector", name.value);
            problems.add(Diagnostic::error(name.place, message).expected("a name that no detector has"));
        }
        if let Some(first) = rules.iter().take(at).find(|other| other.name.value == name.value) {
            problems.add(
                Diagnostic::error(name.place, format!("two rules are called \"{}\"", name.value))
                    .expected("a name of its own for each rule")
                    .related(first.name.place, "the first"),
            );
        }
    }
}

fn program(when: &Expression, problems: &Problems) -> Option<Program> {
    match Program::compile(&when.text.value) {
        Ok(program) => Some(program),
        Err(faults) => {
            for fault in faults {
                problems.add(diagnostic(when, fault));
            }
            None
        }
    }
}

/// At the fault's own place where the expression is written in the file as it is, else at the whole of it.
fn diagnostic(when: &Expression, fault: Fault) -> Diagnostic {
    let Fault { span, message, expected, unknown } = fault;
    let place = when.text.place;
    let error = if let Some(start) = when.start {
        // Where something is missing at the end, what ends it is pointed at.
        let end = span.end.max(span.start + 1);
        Diagnostic::error(Place { start: start + span.start, end: start + end, ..place }, message)
    } else {
        let before = when.text.value.get(..span.start).unwrap_or_default();
        let character = before.chars().count() + 1;
        Diagnostic::error(place, format!("{message}, at character {character} of the expression"))
    };
    let Some((written, names)) = unknown else { return error.expected(expected) };
    if names.len() <= FEW {
        return error.one_of(&written, names);
    }
    let error =
        error.expected("a fact or a counter, such as `path` or `pages`: docs/rules.md lists them all");
    match nearest(&written, names) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error,
    }
}
