//! What is understood but not acted upon, so that nobody believes to be protected by it.

use crate::clause::Behaviour;
use crate::config::conduct::Detector;
use crate::config::identity::Credential;
use crate::config::limits::{KeyPart, Limit};
use crate::config::{At, Config};
use crate::detect;
use crate::policy::WithoutEffect;
use crate::remedy::Mode;

/// Every part of the configuration without effect, in the order in which people read it.
pub(super) fn list(config: &Config) -> Vec<WithoutEffect> {
    let mut list = Vec::new();
    identity(config, &mut list);
    unreasonable_load(config, &mut list);
    for limit in &config.limits {
        if let Some(reason) = of_limit(limit, config) {
            list.push(part(format!("limits.{}", limit.name.value), format!("{reason}: it refuses nobody")));
        }
    }
    for detector in config.detectors.iter().filter(|detector| detector.mode != Some(Mode::Off)) {
        if let Some(consequence) = of_detector(detector, config) {
            list.push(part(format!("detectors.{}", detector.behaviour.value), consequence));
        }
    }
    if config.standing.is_some() {
        list.push(part("standing", "nobody is warned, throttled, challenged or suspended"));
    }
    list
}

/// Why a limit is not upheld; `None` if it is.
pub(super) fn of_limit(limit: &Limit, config: &Config) -> Option<&'static str> {
    let by = |part: KeyPart| limit.key.value.iter().any(|p| p.value == part);
    let tls = config.tls.as_ref().and_then(|tls| tls.value.as_ref());
    let taken = tls.is_some_and(|tls| tls.fingerprint == Some(true));
    (by(KeyPart::Fingerprint) && !taken)
        .then_some("no fingerprints are taken, as `fingerprint = true` is missing from [tls]")
}

/// What must not be believed because of a detector.
fn of_detector(detector: &Detector, config: &Config) -> Option<String> {
    let name = detector.behaviour.value;
    if detect::spec(name).is_none() {
        return Some(format!("nobody looks for {name}, not even in shadow"));
    }
    let is_idle = name == Behaviour::Load && config.load.unreasonable.is_none();
    is_idle.then(|| "without [load] unreasonable, no share of an upstream is ever unreasonable".to_owned())
}

/// A share is found unreasonable only of an upstream that is known to be busy.
fn unreasonable_load(config: &Config, list: &mut Vec<WithoutEffect>) {
    if config.load.unreasonable.is_none() {
        return;
    }
    for upstream in config.upstreams.value.iter().filter(|upstream| upstream.capacity.is_none()) {
        let name = &upstream.name.value;
        list.push(part(
            format!("load.unreasonable ({name})"),
            "the upstream has no `capacity`: how busy it is cannot be told, and no share of it is ever unreasonable",
        ));
    }
}

fn identity(config: &Config, list: &mut Vec<WithoutEffect>) {
    let by_certificate = |c: &At<Credential>| matches!(c.value, Credential::ClientCertificate(_));
    if config.identity.account.iter().any(by_certificate) && config.client_certificates().next().is_none() {
        list.push(part(
            "identity.client-certificate",
            "no client is asked for one: `client_certificates` is missing from [tls]",
        ));
    }
}

fn part(part: impl Into<String>, consequence: impl Into<String>) -> WithoutEffect {
    WithoutEffect { part: part.into(), consequence: consequence.into() }
}
