//! Detectors, and what they know of the site.

use serde_json::{Map, Value, json};

use super::{limits, seconds};
use crate::detect;
use crate::policy::Policy;
use crate::policy::conduct::{Detector, Failure, Login, Logins, Rule};
use crate::policy::template::Template;

pub(super) fn detector(detector: &Detector, policy: &Policy) -> Value {
    let knobs = detect::spec(detector.behaviour).map_or(&[][..], |spec| spec.knobs);
    let named = knobs.iter().zip(&detector.thresholds);
    let thresholds: Map<String, Value> =
        named.map(|(knob, value)| (knob.name.to_owned(), json!(value))).collect();
    json!({
        "name": detector.behaviour.name(),
        "clause": policy.clause(detector.clause).id,
        "mode": detector.mode.name(),
        // Rounded back to the thousandths that it was written in.
        "confidence": (f64::from(detector.confidence) * 1000.0).round() / 1000.0,
        "answer": detector.answer.status(),
        "for": seconds(detector.lasts),
        "exempt": limits::exempt(&detector.exempt),
        "thresholds": thresholds,
    })
}

pub(super) fn rule(rule: &Rule, policy: &Policy) -> Value {
    json!({
        "name": *rule.name,
        "clause": policy.clause(rule.clause).id,
        "when": rule.when.text(),
        "of": rule.of.iter().map(|kind| kind.name()).collect::<Vec<_>>(),
        "match": limits::matches(&rule.matches),
        "mode": rule.mode.name(),
        "confidence": (f64::from(rule.confidence) * 1000.0).round() / 1000.0,
        "answer": rule.answer.status(),
        "for": seconds(rule.lasts),
        "exempt": limits::exempt(&rule.exempt),
    })
}

pub(super) fn detection(policy: &Policy) -> Value {
    let conduct = &policy.conduct;
    json!({
        "logins": match &conduct.logins {
            Logins::Guessed => json!("usual"),
            Logins::These(logins) => logins.iter().map(login).collect(),
        },
        "traps": conduct.traps.iter().map(Template::as_str).collect::<Vec<_>>(),
        "robots": conduct.robots,
        "addresses": conduct.addresses.name(),
        "memory_bytes": policy.memory_of_conduct(),
    })
}

fn login(login: &Login) -> Value {
    let (failed, succeeded) = match &login.failure {
        Failure::These(failed) => (Some(failed), None),
        Failure::AllBut(succeeded) => (None, Some(succeeded)),
    };
    json!({
        "paths": login.paths.iter().map(Template::as_str).collect::<Vec<_>>(),
        "methods": login.methods.iter().map(http::Method::as_str).collect::<Vec<_>>(),
        "failed": failed,
        "succeeded": succeeded,
    })
}
