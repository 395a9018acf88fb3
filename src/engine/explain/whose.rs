//! Whose budget a limit charges, for people.

use std::net::IpAddr;

use crate::facts::Facts;
use crate::policy::{LimitKey, Policy, WhoPart};

/// Whose budget the `nth` charge of a limit takes, of those that it makes of one request; `None`: the one that all
/// requests share that lack something.
pub(super) fn name(policy: &Policy, key: &LimitKey, facts: &Facts<'_>, nth: Option<usize>) -> String {
    let mut name = match nth {
        Some(_) if key.who.is_empty() => "everyone".to_owned(),
        Some(nth) => {
            let parts: Vec<String> = key.who.iter().map(|part| one(policy, part, facts, nth)).collect();
            parts.join(" and ")
        }
        None if key.who.iter().all(|part| has(part, facts)) => "everyone".to_owned(),
        None => format!("all without {}", lacking(key, facts)),
    };
    let route = policy.routes.get(usize::from(facts.route.0));
    if let Some(route) = route.filter(|_| key.per_route) {
        name.extend([", on route ", &route.name]);
    }
    if let Some(route) = route.filter(|_| key.per_upstream) {
        name.extend([", at upstream ", &policy.upstream(route.upstream).name]);
    }
    if key.per_method {
        let method = if facts.method == http::Method::HEAD { &http::Method::GET } else { facts.method };
        name.extend([", by ", method.as_str()]);
    }
    name
}

/// The network that is charged beside somebody who is over a limit and could not be held for want of room.
pub(super) fn stand_in(policy: &Policy, facts: &Facts<'_>) -> String {
    format!("{}, which answers for clients for whom there is no room", network(policy, facts))
}

fn network(policy: &Policy, facts: &Facts<'_>) -> String {
    let networks = &policy.network;
    format!("network {}", networks.name(networks.of(facts.address)))
}

/// What of a key the request lacks.
pub(super) fn lacking(key: &LimitKey, facts: &Facts<'_>) -> String {
    let parts = key.who.iter().filter(|part| !has(part, facts));
    parts.map(WhoPart::name).collect::<Vec<_>>().join(" and ")
}

/// Only accounts come in several, and an unknown credential is charged before its client.
fn one(policy: &Policy, part: &WhoPart, facts: &Facts<'_>, nth: usize) -> String {
    let client = || {
        let (address, prefix) = (facts.client.address(), policy.client);
        let (kept, whole) = match address {
            IpAddr::V4(_) => (prefix.ipv4, 32),
            IpAddr::V6(_) => (prefix.ipv6, 128),
        };
        if kept < whole { format!("client {address}/{kept}") } else { format!("client {address}") }
    };
    match part {
        WhoPart::Client => client(),
        WhoPart::Network => network(policy, facts),
        WhoPart::Account => match facts.who.accounts.get(nth) {
            Some(account) => format!("account {}", account.id),
            None if nth == 0 => "a credential that nobody has".to_owned(),
            None => client(),
        },
        WhoPart::Session => "session".to_owned(),
        WhoPart::Fingerprint => {
            let text = facts.who.fingerprint.as_ref().map(|print| &*print.text);
            format!("fingerprint {}", text.unwrap_or_default())
        }
        WhoPart::Header(name) => format!("header {name}"),
    }
}

fn has(part: &WhoPart, facts: &Facts<'_>) -> bool {
    match part {
        WhoPart::Client | WhoPart::Network => true,
        WhoPart::Account => !facts.who.accounts.is_empty() || facts.who.unknown.is_some(),
        WhoPart::Session => facts.who.session.is_some(),
        WhoPart::Fingerprint => facts.who.fingerprint.is_some(),
        WhoPart::Header(name) => facts.headers.contains_key(name),
    }
}
