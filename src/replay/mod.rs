//! Replay: access logs through the same engine, with the logs' own time.
//!
//! `cli::replay` drives it. A [`Replay`] is given one [`Entry`] after the other and answers with what limits and
//! detectors say; a [`Report`] adds that up. Nothing here opens a file but [`source`].
//!
//! | file | what it knows |
//! |---|---|
//! | [`source`] | files, standard input, gzip and zstd, lines of any length |
//! | [`formats`] | Common and Combined, JSON, HAProxy, AWS load balancers: a line in, a request out |
//! | [`report`] | who, by what, when first, and what share of ordinary traffic |

mod entry;
pub mod formats;
pub mod report;
pub mod source;

pub use entry::Entry;
pub use report::Report;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};

use crate::detect::{MethodClass, Request, Sight};
use crate::engine::{Arrival, Binding, Engine, Fields, FindingEvents, Text, Ticket};
use crate::facts::{Client, Facts, Fingerprint, Origin, Outcome, Who};
use crate::finding::RequestId;
use crate::policy::{Policy, RouteId, path};
use crate::remedy::Verdict;
use crate::time::Moment;

/// Of the logs' time, between looks for findings that are over. What is found again in between counts as a new one.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// A policy at work on requests of the past.
#[derive(Debug)]
pub struct Replay {
    engine: Engine,
    binding: Binding,
    no_headers: HeaderMap,
    requests: u64,
    now: Moment,
    swept: Moment,
}

/// What would have become of one request.
#[derive(Debug)]
pub struct Judgement {
    /// `Forward` also for what no route leads to: then no limit was asked.
    pub verdict: Verdict,
    /// What this request and the time that has passed since the one before it showed.
    pub events: FindingEvents,
}

impl Judgement {
    pub const fn is_refused(&self) -> bool {
        matches!(self.verdict, Verdict::Refuse(_) | Verdict::Convict(_))
    }
}

impl Replay {
    /// `memory_bytes` for conduct; limits have what the policy gives them. The same logs give the same findings.
    pub fn new(policy: Arc<Policy>, memory_bytes: u64) -> Self {
        let engine = Engine::with_key(policy.state.memory_bytes, [0; 16]).watching(memory_bytes);
        Replay {
            binding: engine.bind(policy),
            engine,
            no_headers: HeaderMap::new(),
            requests: 0,
            now: Moment::ORIGIN,
            swept: Moment::ORIGIN,
        }
    }

    pub fn policy(&self) -> &Policy {
        self.binding.policy()
    }

    /// The engine that is driven, for what it knows at the end.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Judges one request. Requests are to come in the order of their times; a little disorder does no harm.
    pub fn judge(&mut self, entry: &Entry<'_>) -> Judgement {
        self.requests += 1;
        // Time stands still rather than run backwards.
        self.now = self.now.max(Moment::from_nanos(entry.unix_ms.saturating_mul(1_000_000)));
        let policy = Arc::clone(self.binding.policy());
        let (raw, query) = match memchr::memchr(b'?', entry.target.as_bytes()) {
            Some(at) => (entry.target.split_at(at).0, Some(entry.target.split_at(at + 1).1)),
            None => (entry.target, None),
        };
        let normal = path::normalise(raw, &policy.paths, true);
        let path = normal.as_deref().unwrap_or(raw);
        let method = Method::from_bytes(entry.method.as_bytes()).ok();
        let client = Client::fold(entry.client, policy.client.ipv4, policy.client.ipv6);
        let account = entry.account.map(|id| policy.accounts.named(&Arc::from(id)));
        let fingerprint = entry.fingerprint.map(Fingerprint::new);
        let who = Who { accounts: account.into_iter().collect(), fingerprint, ..Who::default() };
        let who = &who;
        let route = policy.find_route(entry.host.unwrap_or_default(), path);
        let (verdict, times, ticket) =
            self.admit(entry, (client, who), method.as_ref(), (path, query), route);
        let arrival = Arrival {
            at: self.now,
            address: entry.client,
            client,
            who,
            method: method.as_ref().unwrap_or(&Method::GET),
            path,
            text: Text {
                query,
                host: entry.host.unwrap_or_default(),
                route,
                fields: Fields::Logged { user_agent: entry.user_agent, referer: entry.referer },
            },
            sight: self.sight(entry, path, query),
            host: entry.host.map(|host| self.engine.reader().host(host)),
            request_id: Some(match entry.request_id {
                Some(id) => RequestId::new(id.as_bytes()),
                None => RequestId::numbered(self.requests),
            }),
            is_astray: entry.by_proxy && is_astray(&policy, raw, route),
            times,
        };
        let ticket = if times == 0 { ticket } else { self.engine.watch(&self.binding, ticket, &arrival) };
        let is_refused = matches!(verdict, Verdict::Refuse(_) | Verdict::Convict(_));
        let outcome = Outcome {
            at: self.now,
            // What cannot be read is what it is, whoever answers it.
            origin: if is_refused || (entry.by_proxy && entry.target.starts_with('/')) {
                Origin::Weir
            } else {
                Origin::App
            },
            // What is no status is that of a client that left.
            status: StatusCode::from_u16(entry.status).unwrap_or(CLIENT_LEFT),
            request_bytes: 0,
            response_bytes: entry.bytes,
            upstream_time: entry.took.unwrap_or_default(),
        };
        let mut events = self.engine.observe(&self.binding, ticket, &outcome);
        if self.now.since(self.swept) >= SWEEP_EVERY {
            self.swept = self.now;
            events.extend(self.engine.sweep_findings(self.now));
        }
        Judgement { verdict, events }
    }

    fn sight(&self, entry: &Entry<'_>, path: &str, query: Option<&str>) -> Sight {
        let request = Request { method: entry.method, path, query, referer: entry.referer };
        let mut sight = self.engine.reader().read(&request);
        if !entry.target.starts_with('/') {
            sight.method = MethodClass::Odd;
        }
        sight
    }

    /// What would have become of it, and for how many of the same it is to be watched.
    fn admit(
        &self,
        entry: &Entry<'_>,
        (client, who): (Client, &Who),
        method: Option<&Method>,
        (path, query): (&str, Option<&str>),
        route: Option<RouteId>,
    ) -> (Verdict, u16, Ticket) {
        let (Some(method), Some(route)) = (method, route) else {
            return (Verdict::Forward, 1, Ticket::default());
        };
        let facts = Facts {
            at: self.now,
            address: entry.client,
            client,
            route,
            method,
            path,
            host: entry.host.unwrap_or_default(),
            headers: &self.no_headers,
            who,
            request_bytes: None,
            waited: Duration::ZERO,
        };
        let (decision, ticket) = self.engine.admit(&self.binding, &facts);
        let times = match decision.verdict {
            Verdict::Forward | Verdict::Delay(_) => 1,
            Verdict::Refuse(_) | Verdict::Convict(_) => self.engine.echo(&facts, query),
        };
        (decision.verdict, times, ticket)
    }
}

/// Whether no route leads to a path, or it cannot be read one way only.
fn is_astray(policy: &Policy, raw: &str, route: Option<RouteId>) -> bool {
    let may_have_slashes = route.is_some_and(|route| policy.route(route).allow_encoded_slashes);
    route.is_none() || path::normalise(raw, &policy.paths, may_have_slashes).is_err()
}

/// nginx's 499.
const CLIENT_LEFT: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => StatusCode::BAD_REQUEST,
};
