//! Who is asking: from the headers of a request to the accounts behind it, through the public door.

#![cfg(feature = "proxy")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails by a panic")]

#[path = "identity/jwt.rs"]
mod jwt;
#[path = "identity/props.rs"]
mod props;
#[path = "identity/sessions.rs"]
mod sessions;
#[path = "identity/signing.rs"]
mod signing;
#[path = "identity/tokens.rs"]
mod tokens;

use std::path::Path;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};
use weir::config;
use weir::facts::{Account, Principal, Who};
use weir::identity::{Memory, Resolved, Resolver, TooManyCredentials};
use weir::policy::identity::{Identity, Place, Source};
use weir::policy::{Accounts, Policy, TermsId};
use weir::time::WallTime;

/// 2026-01-01 00:00:00 UTC, in seconds.
const NOW: u64 = 1_767_225_600;

/// Where credentials stand in these tests: everywhere.
fn everywhere() -> Vec<Source> {
    let api_key = Place::Header(HeaderName::from_static("x-api-key"));
    [Place::Bearer, api_key, Place::Cookie("sid".into())].map(Source::Token).into()
}

fn identity(sources: Vec<Source>) -> Identity {
    Identity { sources, ..Identity::default() }
}

/// `acme` has the credentials `acme-1` and `acme-2`, `globex` has `globex-1`, `agreed` is not in the file.
fn accounts() -> Accounts {
    let mut accounts = Accounts::default();
    let known: [(&str, &[&str]); 2] = [("acme", &["acme-1", "acme-2"]), ("globex", &["globex-1"])];
    for ((at, terms), (id, credentials)) in (0..).zip(1..).zip(known) {
        let id: Arc<str> = id.into();
        let account =
            Account { id: Arc::clone(&id), principal: Principal::account(&id), terms: TermsId(terms) };
        accounts.list.push(account);
        accounts.by_id.insert(id, at);
        for credential in credentials {
            accounts.by_credential.insert(Sha256::digest(credential).into(), at);
        }
    }
    accounts.agreements.insert("agreed".into(), TermsId(7));
    accounts
}

fn policy(identity: Identity) -> Policy {
    let text = "[listen]\nproxy = [\"127.0.0.1:0\"]\n[upstreams.app]\nservers = [\"127.0.0.1:1\"]\n";
    let policy = config::from_str("weir.toml", text, Path::new(".")).unwrap().policy;
    Policy { identity, accounts: Arc::new(accounts()), ..policy }
}

fn memory() -> Arc<Memory> {
    Arc::new(Memory::new(&[7; 32]))
}

fn resolver(identity: Identity) -> Resolver {
    Resolver::new(&policy(identity), memory())
}

fn headers<V: AsRef<[u8]>>(fields: &[(&'static str, V)]) -> HeaderMap {
    fields
        .iter()
        .map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_ref()).unwrap())
        })
        .collect()
}

fn at(seconds: u64) -> WallTime {
    WallTime { unix_ms: seconds * 1000 }
}

fn try_resolve<V: AsRef<[u8]>>(
    resolver: &Resolver,
    fields: &[(&'static str, V)],
) -> Result<Resolved, TooManyCredentials> {
    resolver.resolve(&headers(fields), None, at(NOW))
}

fn who<V: AsRef<[u8]>>(resolver: &Resolver, fields: &[(&'static str, V)]) -> Who {
    try_resolve(resolver, fields).unwrap().who
}

/// The ids of the accounts, in order.
fn ids(who: &Who) -> Vec<&str> {
    who.accounts.iter().map(|account| &*account.id).collect()
}
