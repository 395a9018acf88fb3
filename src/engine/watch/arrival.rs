//! A request as it is watched: who is charged with it, and what is kept of it until its answer is known.

use std::net::IpAddr;
use std::time::Duration;

use http::Method;
use http::header::{HeaderMap, HeaderName, REFERER, USER_AGENT};
use smallvec::SmallVec;

use super::panel::{AskedRule, Spared};
use crate::detect::{Answer, Fault, MethodClass, Reader, Request, Sight};
use crate::engine::Binding;
use crate::facts::{Client, ConnFacts, Facts, Origin, Outcome, Principal, ProtocolEvent, Who};
use crate::finding::RequestId;
use crate::policy::RouteId;
use crate::policy::conduct::{Addresses, LoginId};
use crate::remedy::Mode;
use crate::time::Moment;

/// A request, as it is watched.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    pub at: Moment,
    /// The believed address, for exemptions.
    pub address: IpAddr,
    pub client: Client,
    pub who: &'a Who,
    pub method: &'a Method,
    /// Normalised, without the query.
    pub path: &'a str,
    /// What else rules may ask about.
    pub text: Text<'a>,
    /// By the engine's own [`reader`](crate::engine::Engine::reader).
    pub sight: Sight,
    /// The hash of the host that was asked for, by the same reader; `None` where it is not known.
    pub host: Option<u64>,
    pub request_id: Option<RequestId>,
    /// No route leads to it, or its path cannot be read: nothing is there that it asks for, and weir says so.
    pub is_astray: bool,
    /// How many of the same it stands for, itself included; see [`Engine::echo`](crate::engine::Engine::echo).
    pub times: u16,
}

/// What rules may ask about a request, and nothing else looks at.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    pub query: Option<&'a str>,
    /// Lower case, without a port; empty where it is not known.
    pub host: &'a str,
    /// `None`: no route leads to the path.
    pub route: Option<RouteId>,
    pub fields: Fields<'a>,
}

/// Where the fields of a request are read.
#[derive(Clone, Copy, Debug)]
pub enum Fields<'a> {
    /// All of them, and none is looked for before a rule asks.
    All(&'a HeaderMap),
    /// What a log tells.
    Logged { user_agent: Option<&'a str>, referer: Option<&'a str> },
}

impl<'a> Fields<'a> {
    pub const NONE: Fields<'static> = Fields::Logged { user_agent: None, referer: None };

    /// Empty where there is none, as in a rule.
    pub(super) fn user_agent(self) -> &'a str {
        let user_agent = match self {
            Fields::All(headers) => text(headers, USER_AGENT),
            Fields::Logged { user_agent, .. } => user_agent,
        };
        user_agent.unwrap_or_default()
    }

    pub(super) fn referer(self) -> &'a str {
        let referer = match self {
            Fields::All(headers) => text(headers, REFERER),
            Fields::Logged { referer, .. } => referer,
        };
        referer.unwrap_or_default()
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

impl<'a> Arrival<'a> {
    /// A request whose head cannot be read.
    pub fn unreadable(conn: &ConnFacts, reader: &Reader) -> Arrival<'static> {
        let mut sight = reader.read(&Request { method: "", path: "", query: None, referer: None });
        sight.method = MethodClass::Odd;
        Arrival {
            at: conn.at,
            address: conn.client.address(),
            client: conn.client,
            who: Who::ANYONE,
            method: &Method::GET,
            path: "",
            text: Text { query: None, host: "", route: None, fields: Fields::NONE },
            sight,
            host: None,
            request_id: None,
            is_astray: true,
            times: 1,
        }
    }

    /// The request of these facts, without a query.
    pub fn of(facts: &Facts<'a>, sight: Sight, host: Option<u64>, request_id: Option<RequestId>) -> Self {
        let Facts { at, address, client, who, method, path, headers, .. } = *facts;
        let fields = Fields::All(headers);
        let text = Text { query: None, host: facts.host, route: Some(facts.route), fields };
        let (is_astray, times) = (false, 1);
        Arrival { at, address, client, who, method, path, text, sight, host, request_id, is_astray, times }
    }

    /// The same with a query.
    #[must_use]
    pub fn with_query(self, query: Option<&'a str>) -> Self {
        Arrival { text: Text { query, ..self.text }, ..self }
    }
}

/// Everyone who is charged with a request.
pub(in crate::engine) type Charged = SmallVec<[Principal; 2]>;

/// Who answers for a request. A known account does, and its client does not: many accounts may share an address, and
/// none of them shall be found, or refused, for what another does. Where nobody is known, the client answers, and
/// beside it the unknown credential. A session always does.
pub(in crate::engine) fn charged(client: Client, who: &Who) -> Charged {
    let mut charged = Charged::new();
    for account in &who.accounts {
        charged.push(account.principal);
    }
    if charged.is_empty() {
        charged.push(client.into());
        if let Some(unknown) = who.unknown {
            charged.push(unknown);
        }
    }
    if let Some(session) = who.session {
        charged.push(session);
    }
    charged
}

/// What detectors count an event as; `None`: it happens to everybody.
pub(in crate::engine) const fn fault(event: ProtocolEvent) -> Option<Fault> {
    Some(match event {
        ProtocolEvent::HeadTimeout | ProtocolEvent::BodyStalled => Fault::Slow,
        ProtocolEvent::HandshakeFailed | ProtocolEvent::HandshakeTimeout => Fault::Handshake,
        ProtocolEvent::Http2 => Fault::Flood,
        ProtocolEvent::MalformedHead | ProtocolEvent::MalformedBody => Fault::Malformed,
        ProtocolEvent::TooManyConnections => Fault::Connection,
        ProtocolEvent::TooLarge | ProtocolEvent::Aborted => return None,
    })
}

/// What is kept of a request until its answer is known.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Watched {
    pub(super) charged: Charged,
    /// Who sent it, and as findings may name that.
    pub(super) from: Client,
    pub(super) client: Option<Client>,
    /// The software behind it.
    pub(super) fingerprint: Option<Principal>,
    pub(super) sight: Sight,
    pub(super) host: Option<u64>,
    is_astray: bool,
    pub(super) times: u16,
    pub(super) login: Option<LoginId>,
    pub(super) request_id: Option<RequestId>,
    pub(super) spared: Spared,
    /// The rules that may be true of it.
    pub(super) asked: SmallVec<[AskedRule; 1]>,
    /// The most that a detector may be for it.
    pub(super) most: Mode,
}

impl Watched {
    /// `mode` is the switch for everything. Not `Off`.
    pub(in crate::engine) fn new(binding: &Binding, arrival: &Arrival<'_>, mode: Mode) -> Self {
        let Arrival { address, client, who, method, path, sight, host, request_id, is_astray, times, .. } =
            *arrival;
        let policy = binding.policy();
        let prefix = policy.network.prefix;
        let sight = Sight { is_trap: policy.conduct.is_trap(path), ..sight };
        let is_spared = binding.never_refuses(address, who);
        Watched {
            charged: charged(client, who),
            from: client,
            client: match policy.conduct.addresses {
                Addresses::Client => Some(client),
                Addresses::Network => Some(Client::fold(client.address(), prefix.ipv4, prefix.ipv6)),
                Addresses::None => None,
            },
            fingerprint: who.fingerprint.as_ref().map(|print| print.principal),
            sight,
            host,
            is_astray,
            times,
            login: policy.conduct.logins.find(method, path),
            request_id,
            spared: binding.panel().spares(address, who),
            asked: binding.panel().ask(binding, arrival),
            most: if is_spared { mode.at_most(Mode::Shadow) } else { mode },
        }
    }

    /// Whether weir answered because nothing is there that was asked for: not a refusal.
    pub(super) fn is_astray(&self, outcome: &Outcome) -> bool {
        self.is_astray && outcome.origin == Origin::Weir
    }

    /// What detectors see of the answer. Of one that weir wrote, only that there was none of the app's, and for how
    /// long the client was asked to stay away; where nothing is there, that.
    pub(super) fn answer(&self, binding: &Binding, outcome: &Outcome, told: Option<Duration>) -> Answer {
        let logins = &binding.policy().conduct.logins;
        match outcome.origin {
            Origin::App => Answer {
                status: outcome.status.as_u16(),
                bytes: outcome.response_bytes,
                took: (!outcome.upstream_time.is_zero()).then_some(outcome.upstream_time),
                login: self.login.map(|login| logins.has_failed(login, outcome.status)),
                told: None,
            },
            Origin::Weir if self.is_astray => {
                let status = outcome.status.as_u16();
                Answer { status, bytes: 0, took: None, login: None, told: None }
            }
            Origin::Weir => {
                Answer { status: 0, bytes: 0, took: None, login: self.login.map(|_| false), told }
            }
        }
    }
}
