//! What is understood but not acted upon, so that nobody believes to be protected by it.

use crate::config::Config;
use crate::config::identity::Credential;
use crate::config::limits::{KeyPart, Limit};
use crate::config::upstreams::Capacity;
use crate::policy::{Priority, WithoutEffect};
use crate::remedy::Mode;

/// Every part of the configuration without effect, in the order in which people read it.
pub(super) fn list(config: &Config) -> Vec<WithoutEffect> {
    let mut list = Vec::new();
    upstreams(config, &mut list);
    for route in config.routes.iter().filter(|r| r.priority.is_some_and(|p| p != Priority::Normal)) {
        let name = route.name.as_ref().map_or(&route.path.value, |name| &name.value);
        list.push(part(format!("routes.{name}.priority"), "requests wait in the order in which they came"));
    }
    identity(config, &mut list);
    if config.load.unreasonable.is_some() {
        list.push(part("load.unreasonable", "no account's share of an upstream is measured"));
    }
    for limit in &config.limits {
        if let Some(reason) = of_limit(limit) {
            list.push(part(format!("limits.{}", limit.name.value), format!("{reason}: it refuses nobody")));
        }
    }
    for detector in config.detectors.iter().filter(|detector| detector.mode != Some(Mode::Off)) {
        let name = detector.behaviour.value;
        list.push(part(format!("detectors.{name}"), format!("nobody looks for {name}, not even in shadow")));
    }
    if config.standing.is_some() {
        list.push(part("standing", "nobody is warned, throttled, challenged or suspended"));
    }
    list
}

/// Why a limit is not upheld; `None` if it is.
pub(super) fn of_limit(limit: &Limit) -> Option<&'static str> {
    let by = |part: KeyPart| limit.key.value.iter().any(|p| p.value == part);
    by(KeyPart::Fingerprint).then_some("requests are not counted by fingerprint")
}

fn upstreams(config: &Config, list: &mut Vec<WithoutEffect>) {
    for upstream in &config.upstreams.value {
        let name = &upstream.name.value;
        match upstream.capacity {
            Some(Capacity::Fixed(_)) => list.push(part(
                format!("upstreams.{name}.capacity"),
                "it bounds the requests in flight, but no account's share of it is measured",
            )),
            Some(Capacity::Adaptive { .. }) => list.push(part(
                format!("upstreams.{name}.capacity"),
                "nothing is estimated: only `max` bounds the requests in flight",
            )),
            None => {}
        }
        if upstream.third_party.is_some() {
            list.push(part(
                format!("upstreams.{name}.third_party"),
                "load on this third party is treated like load on your own",
            ));
        }
    }
}

fn identity(config: &Config, list: &mut Vec<WithoutEffect>) {
    if config.identity.account.iter().any(|c| matches!(c.value, Credential::ClientCertificate)) {
        list.push(part(
            "identity.client-certificate",
            "there is no TLS yet, and so no client has a certificate",
        ));
    }
}

fn part(part: impl Into<String>, consequence: impl Into<String>) -> WithoutEffect {
    WithoutEffect { part: part.into(), consequence: consequence.into() }
}
