//! What is understood but not acted upon, so that nobody believes to be protected by it.

use crate::config::Config;
use crate::config::limits::{Cost, KeyPart, Limit};
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
    if config.state.path.is_some() {
        list.push(part("state.path", "nothing is kept over a restart"));
    }
    for limit in &config.limits {
        if let Some(reason) = of_limit(limit) {
            list.push(part(format!("limits.{}", limit.name.value), format!("{reason}: it refuses nobody")));
        }
    }
    for plan in &config.plans {
        list.push(part(
            format!("plans.{}", plan.name.value),
            "accounts are not recognised: everyone gets the limits' own numbers",
        ));
    }
    for agreement in &config.agreements {
        list.push(part(
            format!("agreements.{}", agreement.account.value),
            "accounts are not recognised: this account gets the limits' own numbers",
        ));
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
pub(super) fn of_limit(limit: &Limit) -> Option<String> {
    let unknown = limit.key.value.iter().find_map(|part| match &part.value {
        KeyPart::Account => Some("account".to_owned()),
        KeyPart::Session => Some("session".to_owned()),
        KeyPart::Network => Some("network".to_owned()),
        KeyPart::Fingerprint => Some("fingerprint".to_owned()),
        KeyPart::Header(name) => Some(format!("the header {name}")),
        KeyPart::Client | KeyPart::Everyone | KeyPart::Route | KeyPart::Upstream | KeyPart::Method => None,
    });
    if let Some(what) = unknown {
        return Some(format!("requests are not counted by {what}"));
    }
    if limit.numbers.quota.is_some() {
        return Some("quotas are not counted".to_owned());
    }
    match limit.cost.as_ref().map_or(Cost::Requests, |cost| cost.value) {
        Cost::Requests => None,
        Cost::UpstreamTime => Some("upstream time is not charged".to_owned()),
        Cost::RequestBytes | Cost::ResponseBytes | Cost::Bytes => Some("bytes are not charged".to_owned()),
    }
}

fn upstreams(config: &Config, list: &mut Vec<WithoutEffect>) {
    for upstream in &config.upstreams.value {
        let name = &upstream.name.value;
        if upstream.capacity_concurrency.is_some() {
            list.push(part(
                format!("upstreams.{name}.capacity"),
                "it bounds the requests in flight, but no account's share of it is measured",
            ));
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
    let identity = &config.identity;
    if !identity.account.is_empty() {
        list.push(part("identity.account", "no credential is read: every request is anonymous"));
    }
    if identity.accounts_file.is_some() {
        list.push(part("identity.accounts_file", "it is checked, but no account is recognised by it"));
    }
    if let Some(header) = &identity.learn_account_from {
        let consequence = format!("the response header {} is neither read nor removed", header.value);
        list.push(part("identity.learn_account_from", consequence));
    }
}

fn part(part: impl Into<String>, consequence: impl Into<String>) -> WithoutEffect {
    WithoutEffect { part: part.into(), consequence: consequence.into() }
}
