//! A request that somebody asks about: as it would be written, not as it came.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use thiserror::Error;

use super::report::Report;
use crate::engine::{Binding, Engine};
use crate::facts::{Client, Facts, Fingerprint, Who};
use crate::policy::host::{self, HostFault};
use crate::policy::path::{self, PathFault};
use crate::policy::{Policy, RouteId};
use crate::time::Moment;

/// The request in question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub method: Method,
    /// As in the `Host` field; empty: none.
    pub host: String,
    /// As in the request line; a query is left out.
    pub path: String,
    pub client: IpAddr,
    /// An account that it is from, whatever credential proves it; beside those that its headers prove.
    pub account: Option<Arc<str>>,
    /// What its handshake looks like, by JA4.
    pub fingerprint: Option<Arc<str>>,
    pub headers: HeaderMap,
}

/// Why no limit would be asked: weir answers such a request itself.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unanswerable {
    #[error("no request with this Host is forwarded: {0}")]
    Host(#[from] HostFault),
    #[error("no request with this path is forwarded: {0}")]
    Path(#[from] PathFault),
    #[error("no route matches {host}{path}: weir answers it with 404 and asks no limit")]
    NoRoute { host: String, path: String },
    #[error("weir answers a request with so many credentials with 431 and asks no limit")]
    TooManyCredentials,
}

impl Question {
    /// What would be decided at `now`, and why. `who` is everyone behind its headers.
    pub fn ask(
        &self,
        engine: &Engine,
        binding: &Binding,
        who: Who,
        now: Moment,
    ) -> Result<Report, Unanswerable> {
        let policy = binding.policy();
        let address = self.client.to_canonical();
        let (host, path, route) = self.locate(policy)?;
        let mut who = who;
        if let Some(id) = &self.account {
            // A known account beats a credential that nobody has.
            who.unknown = None;
            if who.accounts.iter().all(|known| known.id != *id) {
                who.accounts.push(policy.accounts.named(id));
            }
        }
        who.fingerprint = self.fingerprint.clone().map(Fingerprint::new);
        let facts = Facts {
            at: now,
            address,
            client: Client::fold(address, policy.client.ipv4, policy.client.ipv6),
            route,
            method: &self.method,
            path: &path,
            host: &host,
            headers: &self.headers,
            who: &who,
            request_bytes: None,
            waited: Duration::ZERO,
        };
        Ok(Report::new(policy, &facts, &engine.explain(binding, &facts)))
    }

    /// The one host, path and route, found as for a request that came.
    fn locate(&self, policy: &Policy) -> Result<(Cow<'_, str>, Cow<'_, str>, RouteId), Unanswerable> {
        let host = if self.host.is_empty() { Cow::Borrowed("") } else { host::host(&self.host)? };
        let raw = self.path.split(['?', '#']).next().unwrap_or_default();
        let (path, slashes) = match path::normalise(raw, &policy.paths, false) {
            Err(PathFault::EncodedSlash) => (path::normalise(raw, &policy.paths, true)?, true),
            path => (path?, false),
        };
        let Some(route) = policy.find_route(&host, &path) else {
            return Err(Unanswerable::NoRoute { host: host.into_owned(), path: path.into_owned() });
        };
        if slashes && !policy.route(route).allow_encoded_slashes {
            return Err(PathFault::EncodedSlash.into());
        }
        Ok((host, path, route))
    }
}
