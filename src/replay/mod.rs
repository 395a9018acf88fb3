//! Replay: access logs through the same engine, with the logs' own time.
//!
//! `cli::replay` drives it. A [`Replay`] is given one [`Entry`] after the other and answers with what limits and
//! detectors say; a [`Report`] adds that up. Nothing here opens a file but [`source`].
//!
//! | file | what it knows |
//! |---|---|
//! | [`source`] | files, standard input, gzip and zstd, lines of any length |
//! | [`combined`] | the Common and Combined Log Format |
//! | [`json`] | one JSON object a line, with field names as nginx, Caddy, Traefik and weir itself write them |
//! | [`report`] | who, by what, when first, and what share of ordinary traffic |

pub mod combined;
mod entry;
pub mod json;
pub mod report;
pub mod source;

pub use entry::Entry;
pub use report::Report;

use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode};

use crate::detect::{Answer, MethodClass, Reader, Request};
use crate::engine::{Binding, Engine, Findings, Watch};
use crate::facts::{Client, Facts, Origin, Outcome, Who};
use crate::policy::{LimitId, Policy, path};
use crate::remedy::Verdict;
use crate::time::Moment;

/// A policy at work on requests of the past.
#[derive(Debug)]
pub struct Replay {
    reader: Reader,
    watch: Watch,
    engine: Engine,
    binding: Binding,
    no_headers: HeaderMap,
}

/// What would have become of one request.
#[derive(Debug)]
pub struct Judgement {
    /// The limit that would have refused it.
    pub refused_by: Option<LimitId>,
    pub findings: Findings,
}

impl Replay {
    /// `memory_bytes` for conduct; limits have what the policy gives them.
    pub fn new(policy: Arc<Policy>, memory_bytes: u64) -> Self {
        let engine = Engine::new(policy.state.memory_bytes);
        Replay {
            reader: Reader::new(0),
            watch: Watch::new(memory_bytes),
            binding: engine.bind(policy),
            engine,
            no_headers: HeaderMap::new(),
        }
    }

    pub fn policy(&self) -> &Policy {
        self.binding.policy()
    }

    /// Judges one request. Requests are to come in the order of their times; a little disorder does no harm.
    pub fn judge(&mut self, entry: &Entry<'_>) -> Judgement {
        let policy = Arc::clone(self.binding.policy());
        let now = Moment::from_nanos(entry.unix_ms.saturating_mul(1_000_000));
        let client = Client::fold(entry.client, policy.client.ipv4, policy.client.ipv6);
        let (raw, query) = entry.target.split_once('?').map_or((entry.target, None), |(p, q)| (p, Some(q)));
        let normal = path::normalise(raw, &policy.paths, true);
        let path = normal.as_deref().unwrap_or(raw);
        let refused_by = self.admit(&policy, entry, client, path, now);
        let mut sight =
            self.reader.read(&Request { method: entry.method, path, query, referer: entry.referer });
        if !entry.target.starts_with('/') {
            sight.method = MethodClass::Odd;
        }
        let is_login = sight.method == MethodClass::Post && is_login(path);
        let answer = Answer {
            status: entry.status,
            bytes: entry.bytes,
            took: None,
            login: is_login.then_some(!matches!(entry.status, 301..=303)),
        };
        let host = entry.host.map(|host| self.reader.host(host));
        let findings = self.watch.note(&[client.into()], &sight, host, answer, now);
        Judgement { refused_by, findings }
    }

    fn admit(
        &self,
        policy: &Policy,
        entry: &Entry<'_>,
        client: Client,
        path: &str,
        now: Moment,
    ) -> Option<LimitId> {
        let host = entry.host.unwrap_or_default();
        let method = Method::from_bytes(entry.method.as_bytes()).ok()?;
        let facts = Facts {
            at: now,
            address: entry.client,
            client,
            route: policy.find_route(host, path)?,
            method: &method,
            path,
            host,
            headers: &self.no_headers,
            who: Who::ANYONE,
            request_bytes: None,
            waited: Default::default(),
        };
        let (decision, ticket) = self.engine.admit(&self.binding, &facts);
        match decision.verdict {
            Verdict::Refuse(refusal) => Some(refusal.limit),
            Verdict::Delay(_) => None,
            Verdict::Forward => {
                let outcome = Outcome {
                    at: now,
                    origin: Origin::App,
                    status: StatusCode::from_u16(entry.status).unwrap_or_default(),
                    request_bytes: 0,
                    response_bytes: entry.bytes,
                    upstream_time: Default::default(),
                };
                self.engine.observe(ticket, &outcome);
                None
            }
        }
    }
}

/// Where people sign in, as most frameworks call it.
fn is_login(path: &str) -> bool {
    [
        "/wp-login.php",
        "/xmlrpc.php",
        "/login",
        "/signin",
        "/sign_in",
        "/administrator/index.php",
        "/session",
        "/sessions",
    ]
    .iter()
    .any(|known| path.ends_with(known))
}
