//! Detectors, and what stands for each clause.

use std::fmt::Write as _;

use super::{Line, joined, somebody};
use crate::config::units::time_text;
use crate::detect;
use crate::policy::conduct::{Addresses, Detector, Failure, Login, Logins, Rule};
use crate::policy::describe::{Means, Upholder};
use crate::policy::template::Template;
use crate::policy::{Match, Policy};
use crate::remedy::Mode;

/// Those in force, and those that no clause wants.
pub(super) fn detectors(policy: &Policy) -> Vec<Line> {
    let line = |one: &Detector| (one.behaviour.to_string(), detector(one, policy));
    let mut lines: Vec<Line> = policy.conduct.detectors.iter().map(line).collect();
    let forbidden = |behaviour| policy.clauses.iter().any(|clause| clause.forbids.contains(&behaviour));
    for spec in detect::specs() {
        let is_off = policy.conduct.detector(spec.behaviour).is_none();
        if is_off && !forbidden(spec.behaviour) {
            lines.push((spec.behaviour.to_string(), "OFF: no clause forbids it".to_owned()));
        } else if is_off {
            lines.push((spec.behaviour.to_string(), "OFF".to_owned()));
        }
    }
    lines
}

/// The operator's own, each with its expression on one line.
pub(super) fn rules(policy: &Policy) -> Vec<Line> {
    let line = |one: &Rule| {
        let when = one.when.text().split_whitespace().collect::<Vec<_>>().join(" ");
        let clause = &policy.clause(one.clause).id;
        let mut rest = match one.mode {
            Mode::Enforce => {
                let (status, lasts) = (one.answer.status(), time_text(one.lasts));
                format!("whom it finds is answered {status} for {lasts}")
            }
            Mode::Shadow | Mode::Off => "in shadow: finds, and refuses nobody".to_owned(),
        };
        let _ = write!(rest, " (clause {clause}); when {when}");
        if !one.of.is_empty() {
            let kinds: Vec<&str> = one.of.iter().map(|kind| kind.name()).collect();
            let _ = write!(rest, "; of each {}", kinds.join(", "));
        }
        if one.matches != Match::default() {
            rest.push_str("; of some requests");
        }
        if !one.exempt.is_empty() {
            let _ = write!(rest, "; exempt: {}", somebody(&one.exempt.ranges, &one.exempt.accounts));
        }
        (one.name.to_string(), rest)
    };
    policy.conduct.rules.iter().map(line).collect()
}

fn detector(detector: &Detector, policy: &Policy) -> String {
    let clause = &policy.clause(detector.clause).id;
    let mut rest = match detector.mode {
        Mode::Enforce => {
            let (percent, lasts) = (detector.confidence * 100.0, time_text(detector.lasts));
            let status = detector.answer.status();
            format!("whom it finds with {percent:.0}% or more is answered {status} for {lasts}")
        }
        Mode::Shadow | Mode::Off => "in shadow: finds, and refuses nobody".to_owned(),
    };
    let _ = write!(rest, " (clause {clause})");
    let knobs = detect::spec(detector.behaviour).map_or(&[][..], |spec| spec.knobs);
    let tuned = knobs.iter().zip(&detector.thresholds).filter(|(knob, value)| knob.default != **value);
    for (knob, value) in tuned {
        let _ = write!(rest, "; {} = {value} instead of {}", knob.name, knob.default);
    }
    if !detector.exempt.is_empty() {
        let _ = write!(rest, "; exempt: {}", somebody(&detector.exempt.ranges, &detector.exempt.accounts));
    }
    rest
}

pub(super) fn site(policy: &Policy) -> Vec<Line> {
    let conduct = &policy.conduct;
    if !conduct.is_watching() {
        return Vec::new();
    }
    let logins = match &conduct.logins {
        Logins::Guessed => {
            "as usual: a POST to /login and the like, which redirects when all is well".to_owned()
        }
        Logins::These(logins) if logins.is_empty() => "none".to_owned(),
        Logins::These(logins) => logins.iter().map(login).collect::<Vec<_>>().join("; "),
    };
    let traps: Vec<&str> = conduct.traps.iter().map(Template::as_str).collect();
    let traps = if traps.is_empty() { "none".to_owned() } else { traps.join(", ") };
    let robots = if conduct.robots { "fetched from the app" } else { "not looked at" };
    let addresses = match conduct.addresses {
        Addresses::Client => "are in findings as limits see them",
        Addresses::Network => "are in findings as their networks",
        Addresses::None => "are not in findings",
    };
    [("logins", &*logins), ("traps", &*traps), ("robots.txt", robots), ("addresses", addresses)]
        .map(|(name, rest)| (name.to_owned(), rest.to_owned()))
        .into()
}

fn login(login: &Login) -> String {
    let paths: Vec<&str> = login.paths.iter().map(Template::as_str).collect();
    let answers = match &login.failure {
        Failure::These(failed) => format!("failed with {}", joined(failed)),
        Failure::AllBut(succeeded) => format!("failed but with {}", joined(succeeded)),
    };
    format!("{} {}, {answers}", joined(&login.methods), paths.join(" or "))
}

pub(super) fn clauses(policy: &Policy) -> Vec<Line> {
    let named = |upholder: &Upholder<'_>| {
        let name = match upholder.by {
            Means::Limit(name) => name.to_owned(),
            Means::Route(name) => format!("route {name}"),
            Means::Detector(behaviour) => format!("detector {behaviour}"),
            Means::Rule(name) => format!("rule {name}"),
        };
        if upholder.mode == Mode::Enforce { name } else { format!("{name} (shadow)") }
    };
    let each = policy.clauses.iter().zip(policy.upheld_by());
    each.map(|(clause, by)| {
        let by: Vec<String> = by.iter().map(named).collect();
        (clause.id.clone(), if by.is_empty() { "nothing".to_owned() } else { by.join(", ") })
    })
    .collect()
}
