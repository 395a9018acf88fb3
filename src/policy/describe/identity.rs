//! Who is asking, what clients are told and what load is, as JSON. Keys are named by their kind alone.

use serde_json::{Value, json};

use super::seconds;
use crate::policy::Policy;
use crate::policy::identity::{JwtAlgorithm, JwtKey, Place, Source};
use crate::policy::load::Capacity;
use crate::policy::responses::Origins;

pub(super) fn identity(policy: &Policy) -> Value {
    let identity = &policy.identity;
    json!({
        "account": identity.sources.iter().map(source).collect::<Vec<_>>(),
        "session": identity.sessions.iter().map(Place::name).collect::<Vec<_>>(),
        "learn_account_from": identity.learn_from.as_ref().map(http::HeaderName::as_str),
        "accounts": policy.accounts.list.len(),
        "credentials": policy.accounts.by_credential.len(),
        "network": {
            "ipv4_prefix": policy.network.prefix.ipv4,
            "ipv6_prefix": policy.network.prefix.ipv6,
            "asn_database": policy.network.asn.as_ref().map(|database| database.kind()),
        },
    })
}

pub(super) fn responses(policy: &Policy) -> Value {
    let cors = policy.responses.cors.as_ref().map(|cors| {
        json!({
            "origins": match &cors.origins {
                Origins::Any => json!("*"),
                Origins::These(origins) => json!(origins),
            },
            "credentials": cors.credentials,
            "expose": cors.expose.iter().map(http::HeaderName::as_str).collect::<Vec<_>>(),
        })
    });
    json!({
        "rate_limit_fields": policy.responses.rate_limit_fields.name(),
        "legacy_rate_limit_fields": policy.responses.legacy_rate_limit_fields,
        "cors": cors,
    })
}

pub(super) fn load(policy: &Policy) -> Value {
    let unreasonable = policy.load.unreasonable.map(|unreasonable| {
        json!({
            "share_permille": unreasonable.share_permille,
            "over": seconds(unreasonable.over.length()),
            "when_utilisation_permille": unreasonable.when_utilisation_permille,
        })
    });
    json!({ "top": policy.load.top, "unreasonable": unreasonable })
}

pub(super) fn capacity(capacity: Capacity) -> Value {
    match capacity {
        Capacity::Unbounded => Value::Null,
        Capacity::Fixed(requests) => json!({ "concurrency": requests }),
        Capacity::Adaptive { min, max } => json!({ "concurrency": "adaptive", "min": min, "max": max }),
    }
}

fn source(source: &Source) -> Value {
    match source {
        Source::Token(place) => json!({ "token": place.name() }),
        Source::ClientCertificate(part) => json!({ "client_certificate": part.name() }),
        Source::Jwt(jwt) => json!({
            "jwt": jwt.place.name(),
            "claim": jwt.claim,
            "keys": jwt.keys.iter().map(JwtKey::name).collect::<Vec<_>>(),
            "algorithms": jwt.algorithms.iter().map(|a: &JwtAlgorithm| a.name()).collect::<Vec<_>>(),
            "issuer": jwt.issuer,
            "audience": jwt.audiences,
            "leeway": seconds(jwt.leeway),
        }),
    }
}
