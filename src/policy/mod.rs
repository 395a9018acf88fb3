//! The compiled, immutable policy: only what can run.
//!
//! `config` holds what was written; [`compile`](compile::compile) turns it into a [`Policy`] or into every error at once.
//! Nothing here knows a file, a clock or a socket. The engine, the proxy, the admin listener and replay read
//! it; nobody changes it: a reload makes a new one.

mod accounts;
pub mod acme;
pub mod compile;
pub mod conduct;
mod connections;
pub mod describe;
pub mod host;
pub mod identity;
mod limit;
mod listen;
pub mod load;
mod network;
pub mod path;
pub mod responses;
pub mod template;
pub mod tls;

pub use accounts::{Accounts, Layer, Override, Terms, TermsId};
pub use connections::ConnectionLimits;
pub use limit::{Bound, Cost, Exempt, Limit, LimitKey, Match, Missing, Over, Period, WhoPart};
pub use listen::{ListenAddress, NEIGHBOUR, ProxyProtocol};
pub use network::{AsnDatabase, AsnDatabaseError, NetworkPrefix, Networks};

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;

use crate::clause::Clause;
use crate::facts::Account;
use crate::remedy::Mode;
use conduct::Conduct;
use identity::Identity;
use load::{Capacity, Load};
use path::PathRules;
use responses::Responses;
use template::Template;
use tls::{ClientCertificates, Tls, UpstreamTls};

/// Index of a route in [`Policy::routes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub u16);

/// Index of a limit in [`Policy::limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitId(pub u16);

/// Index of an upstream in [`Policy::upstreams`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamId(pub u16);

/// Index of a clause in [`Policy::clauses`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClauseId(pub u16);

/// Everything that was configured, resolved and ready to run.
#[derive(Clone, Debug)]
pub struct Policy {
    pub listen: Listen,
    pub connections: ConnectionLimits,
    pub http: HttpLimits,
    pub timeouts: Timeouts,
    pub shutdown: Shutdown,
    pub paths: PathRules,
    pub client: ClientPrefix,
    pub enforcement: Enforcement,
    pub clauses: Vec<Clause>,
    pub upstreams: Vec<Upstream>,
    /// In file order; the first that matches wins. Never empty: without `[[routes]]`, one `/**`.
    pub routes: Vec<Route>,
    pub limits: Vec<Limit>,
    /// What plans and agreements say instead. The first is nothing: [`TermsId::NONE`].
    pub terms: Vec<Terms>,
    /// Shared by policies of the same accounts file.
    pub accounts: Arc<Accounts>,
    pub identity: Identity,
    pub network: Networks,
    pub responses: Responses,
    pub load: Load,
    pub conduct: Conduct,
    pub state: State,
    pub log: Log,
    /// `None` without `[tls]`.
    pub tls: Option<Tls>,
    /// Parts of the configuration that are understood but not yet acted upon.
    pub without_effect: Vec<WithoutEffect>,
}

impl Policy {
    /// Bytes for what limits remember: what conduct leaves of `state.memory`.
    pub fn memory_of_limits(&self) -> u64 {
        self.state.memory_bytes - self.memory_of_conduct()
    }

    /// Bytes for what detectors remember.
    pub fn memory_of_conduct(&self) -> u64 {
        self.conduct.memory_bytes(self.state.memory_bytes)
    }

    pub fn route(&self, id: RouteId) -> &Route {
        &self.routes[usize::from(id.0)]
    }

    /// The gate of a route that lets none of these accounts pass.
    pub fn gate_against(&self, route: RouteId, accounts: &[Account]) -> Option<&Gate> {
        let gate = self.route(route).gate.as_ref()?;
        let mut plans = accounts.iter().filter_map(|account| self.terms(account.terms)?.plan.as_ref());
        (!plans.any(|plan| gate.plans.contains(plan))).then_some(gate)
    }

    /// How a listener asks its clients for certificates, if it does.
    pub fn client_certificates(&self, listener: &Listener) -> Option<&Arc<ClientCertificates>> {
        self.tls.as_ref().filter(|_| listener.tls)?.client_certificates.of(&listener.address)
    }

    pub fn limit(&self, id: LimitId) -> &Limit {
        &self.limits[usize::from(id.0)]
    }

    /// Whether any server is told for whom weir connects to it.
    pub fn announces_clients(&self) -> bool {
        self.upstreams
            .iter()
            .flat_map(|upstream| &upstream.servers)
            .any(|server| server.proxy_protocol.is_some())
    }

    pub fn upstream(&self, id: UpstreamId) -> &Upstream {
        &self.upstreams[usize::from(id.0)]
    }

    pub fn terms(&self, id: TermsId) -> Option<&Terms> {
        self.terms.get(usize::try_from(id.0).ok()?)
    }

    pub fn clause(&self, id: ClauseId) -> &Clause {
        &self.clauses[usize::from(id.0)]
    }

    /// The first route, in file order, for a normalised host and path.
    pub fn find_route(&self, host: &str, path: &str) -> Option<RouteId> {
        let at = self.routes.iter().position(|r| r.matches(host, path))?;
        u16::try_from(at).ok().map(RouteId)
    }
}

/// Where weir listens. Fixed at start, as are [`State`] and [`Log`]: a change of them needs a restart, and a
/// reload says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    pub proxy: Vec<Listener>,
    pub admin: Option<SocketAddr>,
    /// Worker threads, one runtime each.
    pub workers: NonZeroU32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub address: ListenAddress,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Where it is for trusted proxies alone, which say ahead of everything for whom they connect.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Whether HTTP/2 is spoken in clear, with whoever begins so (RFC 9113 §3.3).
    pub h2c: bool,
    pub trust: Trust,
}

/// Whose forwarding header is believed, and which one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    pub proxies: Vec<IpNet>,
    pub header: ForwardedHeader,
}

impl Trust {
    pub fn covers(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.proxies.iter().any(|net| net.contains(&peer))
    }
}

/// The one header that is believed from a trusted proxy; all others are dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`: the rightmost address that is not a trusted proxy.
    XForwardedFor,
    /// `Forwarded` (RFC 7239), its `for=` parameters read the same way; `proto=` and `host=` beside the believed
    /// one are believed too.
    Forwarded,
    /// Any other header that holds exactly one address, such as `X-Real-IP` or `CF-Connecting-IP`.
    Single(HeaderName),
}

/// Bounds on one message, each with its own error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    pub head_bytes_max: usize,
    pub header_count_max: usize,
    pub uri_bytes_max: usize,
    /// For routes that set none. `None`: unbounded.
    pub body_bytes_max: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From a connection to a TLS listener to the end of its handshake.
    pub handshake: Duration,
    /// From the first byte of a request head to its last.
    pub head_read: Duration,
    /// A client connection without a request in progress.
    pub idle: Duration,
    /// A body, either way, that moves no byte; also a client that takes no byte of its response.
    pub body_progress: Duration,
    /// Bytes a second that a client's body must move over time, either way: it may fall behind that by
    /// `body_progress`. `None`: any. Not for what is long-lived by nature.
    pub body_rate_min: Option<NonZeroU64>,
    /// Connecting to a server.
    pub connect: Duration,
    /// From the last byte of the request handed to the server to the first of its response head.
    pub first_byte: Duration,
    /// The whole request, from its head, once read, to the last byte of the answer. `None`: unbounded. Not for
    /// what is long-lived by nature: routes with `stream`, event streams, tunnels.
    pub total: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// Reported unready for this long before the listeners close.
    pub drain_delay: Duration,
    /// After the listeners closed, connections have this long to end.
    pub drain_timeout: Duration,
    /// Of that, the time over which tunnels are ended, one after the other.
    pub drain_tunnels: Duration,
}

/// How much of an address makes a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientPrefix {
    pub ipv4: u8,
    pub ipv6: u8,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enforcement {
    /// The switch for everything.
    pub mode: Mode,
    /// Counted, never refused.
    pub never_refuse: Vec<IpNet>,
    /// Accounts of which the same holds.
    pub never_refuse_accounts: Vec<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    pub name: String,
    pub servers: Vec<Server>,
    /// Requests in flight to the whole upstream.
    pub capacity: Capacity,
    pub queue: Queue,
    pub ejection: Ejection,
    pub health_check: Option<HealthCheck>,
    pub retry: Retry,
    /// Idle connections kept per server and worker.
    pub idle_connections_max: u32,
    /// An idle connection older than this is closed.
    pub idle_timeout: Duration,
    /// Whose infrastructure this is, when not the operator's own.
    pub third_party: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// As written: `host:port`, `ip:port`, either behind `https://`, or `unix:/path`.
    pub name: String,
    pub address: ServerAddress,
    /// Connections in use at once, over all workers.
    pub connections_max: NonZeroU32,
    /// What it is told ahead of everything on each connection, which is then for that client alone.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// `None`: what is said to it is said in clear.
    pub tls: Option<Arc<UpstreamTls>>,
    pub protocol: UpstreamProtocol,
}

/// What weir speaks to a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpstreamProtocol {
    #[default]
    Http1,
    /// Agreed upon by TLS, or with prior knowledge where there is none (RFC 9113 §3.2, §3.3).
    Http2,
}

impl UpstreamProtocol {
    /// As TLS calls it (RFC 7301 §6), and the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            UpstreamProtocol::Http1 => "http/1.1",
            UpstreamProtocol::Http2 => "h2",
        }
    }
}

impl Upstream {
    /// The same to all its servers.
    pub fn protocol(&self) -> UpstreamProtocol {
        self.servers.first().map(|server| server.protocol).unwrap_or_default()
    }
}

impl Server {
    /// What it is called in requests that name no host.
    pub fn host(&self) -> &str {
        match self.address {
            ServerAddress::Unix(_) => "localhost",
            ServerAddress::Ip(_) | ServerAddress::Name { .. } => {
                self.name.strip_prefix("https://").unwrap_or(&self.name)
            }
        }
    }

    /// The name or address that its certificate must have; `None` where nothing says it.
    pub fn tls_name(&self) -> Option<Cow<'_, str>> {
        let named = self.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
        named.map(Cow::Borrowed).or_else(|| match &self.address {
            ServerAddress::Ip(address) => Some(address.ip().to_string().into()),
            ServerAddress::Name { host, .. } => Some(host.as_str().into()),
            ServerAddress::Unix(_) => None,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddress {
    Ip(SocketAddr),
    /// Resolved when a connection is made.
    Name {
        host: String,
        port: u16,
    },
    /// A socket on this machine; absolute.
    Unix(PathBuf),
}

/// Requests that wait for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    pub length_max: u32,
    pub timeout: Duration,
}

/// Passive ejection: a server that fails in a row is left alone for a while, longer each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    pub failures: NonZeroU32,
    pub base: Duration,
    pub max: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Origin-form target, such as `/healthz`.
    pub path: String,
    pub interval: Duration,
    pub timeout: Duration,
    pub unhealthy_after: NonZeroU32,
    pub healthy_after: NonZeroU32,
}

/// One retry on another server, under a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Retries may be at most this share of requests (in thousandths); 0 turns retries off.
    pub budget_permille: u32,
    /// Always allowed, however few requests there are.
    pub floor_per_second: u32,
}

#[derive(Clone, Debug)]
pub struct Route {
    /// `name` if given, else the template as written. Unique.
    pub name: String,
    /// Lower case; `None`: every host. A leading `*.` covers every sub-domain.
    pub host: Option<String>,
    pub path: Template,
    pub upstream: UpstreamId,
    /// Units that one request costs in limits that count requests.
    pub weight: NonZeroU32,
    pub priority: Priority,
    /// Long-lived by nature: no total timeout.
    pub stream: bool,
    pub body_bytes_max: Option<u64>,
    /// Encoded slashes (`%2F`, `%5C`) are passed on instead of refused.
    pub allow_encoded_slashes: bool,
    /// Who alone may use it; `None`: everybody.
    pub gate: Option<Gate>,
    /// Whether its clients must have shown a certificate.
    pub needs_certificate: bool,
}

/// What lets only the accounts of some plans pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Any of these.
    pub plans: Vec<Arc<str>>,
    /// Under which all others are refused.
    pub clause: ClauseId,
}

impl Route {
    pub fn matches(&self, host: &str, path: &str) -> bool {
        self.host.as_deref().is_none_or(|h| host_matches(h, host)) && self.path.matches(path)
    }
}

fn host_matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => host.strip_suffix(parent).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => pattern == host,
    }
}

/// What is shed first when an upstream is at its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    Batch,
    #[default]
    Normal,
    High,
}

impl Priority {
    /// From the lowest.
    pub const ALL: [Priority; 3] = [Priority::Batch, Priority::Normal, Priority::High];

    pub const fn name(self) -> &'static str {
        match self {
            Priority::Batch => "batch",
            Priority::Normal => "normal",
            Priority::High => "high",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub memory_bytes: u64,
    /// The file that counters and standings outlive a restart in. `None`: they do not.
    pub path: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `None`: human on a terminal, JSON otherwise.
    pub format: Option<LogFormat>,
    /// An env-filter directive, such as `info` or `weir=debug`.
    pub level: String,
    pub access: Option<AccessLog>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Human,
    Json,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    pub target: AccessTarget,
    pub format: AccessFormat,
    /// Records that may wait for the writer; the rest are dropped and counted.
    pub queue_max: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessTarget {
    Stdout,
    File(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessFormat {
    /// Apache's Combined Log Format.
    Combined,
    Json,
}

/// A part of the configuration that this version understands but does not act upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithoutEffect {
    /// Where, as a key path: `detectors.crawl`.
    pub part: String,
    /// What the operator must not believe because of it.
    pub consequence: String,
}
