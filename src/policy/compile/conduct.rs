//! Detectors with their clauses and defaults, and what they have to know of the site.

use std::time::Duration;

use http::Method;

use super::{clauses, matches, routes, rules as own};
use crate::config::conduct as written;
use crate::config::detection::Login as WrittenLogin;
use crate::config::{Config, Diagnostic, Problems};
use crate::detect::{self, Spec};
use crate::policy::conduct::{Conduct, Detector, Failure, Login, Logins};
use crate::policy::path::PathRules;
use crate::policy::{ClauseId, Exempt};
use crate::remedy::Mode;

/// A newcomer sees findings at once, and nobody is refused before the operator says so.
pub(super) const MODE: Mode = Mode::Shadow;
const CONFIDENCE: u32 = 800;
const LASTS: Duration = Duration::from_secs(600);
const MEMORY: u32 = 500;

pub(super) fn compile(config: &Config, rules: PathRules, problems: &Problems) -> Conduct {
    let written: Vec<(&written::Detector, Option<ClauseId>)> =
        config.detectors.iter().map(|one| (one, clause(one, config, problems))).collect();
    let detectors = detect::specs().iter().filter_map(|spec| {
        let Some((own, clause)) = written.iter().find(|(one, _)| one.behaviour.value == spec.behaviour)
        else {
            return Some(untuned(spec, clauses::forbidding(spec.behaviour, config)?));
        };
        let exempt = matches::exempt(&own.exempt, config, problems);
        tuned(spec, own, (*clause)?, exempt)
    });
    let detection = &config.detection;
    let traps = detection.traps.iter().filter_map(|trap| routes::template(trap, rules, problems));
    Conduct {
        detectors: detectors.collect(),
        rules: own::compile(config, rules, problems),
        traps: traps.collect(),
        logins: match &detection.logins {
            None => Logins::Guessed,
            Some(logins) => {
                Logins::These(logins.iter().filter_map(|login| self::login(login, rules, problems)).collect())
            }
        },
        robots: detection.robots.unwrap_or(true),
        addresses: detection.addresses.unwrap_or_default(),
        memory_permille: detection.memory_permille.unwrap_or(MEMORY),
    }
}

/// Every detector that is written needs a clause: one of its own, or one that forbids what it recognises.
fn clause(detector: &written::Detector, config: &Config, problems: &Problems) -> Option<ClauseId> {
    if let Some(id) = &detector.clause {
        return clauses::resolve(id, config, problems);
    }
    let behaviour = detector.behaviour.value;
    let found = clauses::forbidding(behaviour, config);
    // Without any clause the policy file itself is what is wrong, and was reported.
    if found.is_none() && !config.clauses.is_empty() {
        problems.add(
            Diagnostic::error(detector.behaviour.place, format!("no clause forbids `{behaviour}`")).expected(
                format!(
                    "`clause = \"…\"` here, or a clause with `forbids = [\"{behaviour}\"]` in the policy"
                ),
            ),
        );
    }
    found
}

fn untuned(spec: &Spec, clause: ClauseId) -> Detector {
    Detector {
        behaviour: spec.behaviour,
        clause,
        mode: MODE,
        confidence: fraction(CONFIDENCE),
        answer: Default::default(),
        lasts: LASTS,
        exempt: Exempt::default(),
        thresholds: spec.knobs.iter().map(|knob| knob.default).collect(),
    }
}

/// `None` if it is off.
fn tuned(spec: &Spec, own: &written::Detector, clause: ClauseId, exempt: Exempt) -> Option<Detector> {
    let default = untuned(spec, clause);
    let thresholds = own.thresholds.iter().zip(&default.thresholds);
    let detector = Detector {
        mode: own.mode.unwrap_or(MODE),
        confidence: own.confidence_permille.map_or(default.confidence, fraction),
        answer: own.answer.unwrap_or(default.answer),
        lasts: own.lasts.unwrap_or(default.lasts),
        exempt,
        thresholds: thresholds.map(|(own, default)| own.unwrap_or(*default)).collect(),
        ..default
    };
    (detector.mode != Mode::Off).then_some(detector)
}

/// `None` when a template is wrong, which is reported.
fn login(login: &WrittenLogin, rules: PathRules, problems: &Problems) -> Option<Login> {
    let paths: Vec<_> = login.paths.iter().map(|path| routes::template(path, rules, problems)).collect();
    Some(Login {
        paths: paths.into_iter().collect::<Option<_>>()?,
        methods: if login.methods.is_empty() { vec![Method::POST] } else { login.methods.clone() },
        failure: match (&login.failed, &login.succeeded) {
            (Some(failed), _) => Failure::These(failed.clone()),
            (None, Some(succeeded)) => Failure::AllBut(succeeded.clone()),
            (None, None) => Failure::default(),
        },
    })
}

/// Of thousandths.
#[expect(clippy::cast_precision_loss, reason = "at most a thousand")]
pub(super) fn fraction(permille: u32) -> f32 {
    permille as f32 / 1000.0
}
