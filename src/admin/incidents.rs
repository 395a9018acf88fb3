//! `/incidents`: what was found, as a range of attackers asks every proxy for it: who, for what and what was done, with
//! words and times that are the same for all proxies.

use std::sync::Arc;

use serde::Serialize;

use super::Admin;
use super::answer::{self, Answer};
use super::asked::Asked;
use crate::clause::Behaviour;
use crate::engine::{Case, FindingFilter};
use crate::facts::PrincipalKind;
use crate::findings::report::{EvidenceReport, FindingReport};
use crate::policy::Policy;
use crate::remedy;
use crate::time::Moment;

pub(super) const PATH: &str = "/incidents";

/// As many of the latest as anybody reads.
const LISTED_MAX: usize = 10_000;

#[derive(Debug, Serialize)]
struct Incidents {
    incidents: Vec<Incident>,
}

#[derive(Debug, Serialize)]
struct Incident {
    /// Seconds since the Unix epoch.
    time: f64,
    principal: Named,
    detector: String,
    clause: String,
    action: &'static str,
    /// `None` where nothing is done.
    until: Option<f64>,
    evidence: Vec<EvidenceReport>,
}

#[derive(Debug, Serialize)]
struct Named {
    kind: &'static str,
    id: String,
    addresses: Vec<String>,
}

/// Everything that is open or was closed lately, the latest first.
pub(super) fn list(admin: &Arc<Admin>, _: &Asked) -> Answer {
    let binding = (admin.binding)();
    let cases = admin.engine.findings(&FindingFilter::default(), LISTED_MAX);
    let incidents = cases.iter().map(|case| incident(admin, case, binding.policy())).collect();
    answer::json(&Incidents { incidents })
}

fn incident(admin: &Admin, case: &Case, policy: &Policy) -> Incident {
    let FindingReport { principal, addresses, detector, clause, evidence, .. } =
        admin.findings.report(case, policy, admin.clock);
    let seconds = |at: Moment| seconds(admin.clock.wall_at(at).unix_ms);
    let action = match case.sanction.map(|sanction| sanction.answer) {
        None => "log",
        Some(remedy::Answer::TooManyRequests) => "throttle",
        Some(remedy::Answer::Forbidden) => "suspend",
    };
    let opened = case.earlier.as_ref().map(|earlier| self::seconds(earlier.opened.unix_ms));
    Incident {
        time: opened.unwrap_or_else(|| seconds(case.finding.opened)),
        principal: Named { kind: kind(case.finding.principal.kind()), id: principal.id, addresses },
        detector,
        clause: word(case.finding.behaviour).map_or(clause, str::to_owned),
        action,
        until: case.sanction.map(|sanction| seconds(sanction.until)),
        evidence,
    }
}

/// Exact to the millisecond for thousands of years.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52 ms")]
fn seconds(unix_ms: u64) -> f64 {
    unix_ms as f64 / 1000.0
}

/// What is broken, in the range's words; of a rule of the operator's, its clause says it.
const fn word(behaviour: Behaviour) -> Option<&'static str> {
    Some(match behaviour {
        Behaviour::Crawl => "crawling",
        Behaviour::Harvest => "harvesting",
        Behaviour::Flood | Behaviour::Interfere => "DoS",
        Behaviour::Retry => "retry loop",
        Behaviour::Stuffing => "credential stuffing",
        Behaviour::Probe => "vulnerability scanning",
        Behaviour::Load => "load limit",
        Behaviour::Surf => "limit surfing",
        Behaviour::Evade => "ban evasion",
        Behaviour::Spam => "spam",
        _ => return None,
    })
}

const fn kind(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::Client => "address",
        PrincipalKind::Network => "prefix",
        PrincipalKind::Account => "account",
        PrincipalKind::Session => "session",
        PrincipalKind::Fingerprint => "fingerprint",
        PrincipalKind::Credential
        | PrincipalKind::Header
        | PrincipalKind::Combination
        | PrincipalKind::Everyone => "group",
    }
}
