//! Small policies for tests and benches of the engine: routes and limits, and defaults for all the rest.

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use weir::facts::{Account, Client, Facts, Principal, PrincipalKind, Who};
use weir::policy::path::PathRules;
use weir::policy::template::Template;
use weir::policy::{
    Bound, ClauseId, ClientPrefix, Cost, Ejection, Enforcement, Exempt, HttpLimits, Layer, Limit, LimitId,
    LimitKey, Listen, Log, Match, Over, Override, Policy, Priority, Queue, Retry, Route, RouteId, Shutdown,
    State, Terms, TermsId, Timeouts, Upstream, UpstreamId, WhoPart,
};
use weir::remedy::Mode;
use weir::time::Moment;

/// A policy with these limits over one route `/**`.
pub(crate) fn policy(limits: Vec<Limit>) -> Policy {
    let second = Duration::from_secs(1);
    Policy {
        listen: Listen { proxy: Vec::new(), admin: None, workers: NonZeroU32::MIN },
        connections: Default::default(),
        http: HttpLimits { head_bytes_max: 1, header_count_max: 1, uri_bytes_max: 1, body_bytes_max: None },
        tls: None,
        timeouts: Timeouts {
            handshake: Duration::from_secs(10),
            head_read: second,
            idle: second,
            body_progress: second,
            body_rate_min: None,
            connect: second,
            first_byte: second,
            total: None,
        },
        shutdown: Shutdown { drain_delay: second, drain_timeout: second, drain_tunnels: second },
        paths: PathRules::default(),
        client: ClientPrefix { ipv4: 32, ipv6: 64 },
        enforcement: Enforcement {
            mode: Mode::Enforce,
            never_refuse: Vec::new(),
            never_refuse_accounts: Vec::new(),
        },
        clauses: Vec::new(),
        upstreams: vec![upstream()],
        routes: vec![route("/**", 1)],
        limits,
        terms: vec![Terms::default()],
        accounts: Arc::default(),
        identity: Default::default(),
        network: Default::default(),
        responses: Default::default(),
        load: Default::default(),
        conduct: Default::default(),
        state: State { memory_bytes: 1 << 20, path: None },
        log: Log { format: None, level: String::new(), access: None },
        without_effect: Vec::new(),
    }
}

fn upstream() -> Upstream {
    let second = Duration::from_secs(1);
    Upstream {
        name: "app".to_owned(),
        servers: Vec::new(),
        capacity: Default::default(),
        queue: Queue { length_max: 0, timeout: second },
        ejection: Ejection { failures: NonZeroU32::MIN, base: second, max: second },
        health_check: None,
        retry: Retry { budget_permille: 0, floor_per_second: 0 },
        idle_connections_max: 0,
        idle_timeout: second,
        third_party: None,
    }
}

pub(crate) fn template(written: &str) -> Template {
    Template::parse(written, &PathRules::default()).expect("a valid template")
}

/// A route to the one upstream, named after its template.
pub(crate) fn route(path: &str, weight: u32) -> Route {
    Route {
        name: path.to_owned(),
        host: None,
        path: template(path),
        upstream: UpstreamId(0),
        weight: NonZeroU32::new(weight).expect("a weight above zero"),
        priority: Priority::Normal,
        stream: false,
        body_bytes_max: None,
        allow_encoded_slashes: false,
        gate: None,
        needs_certificate: false,
    }
}

/// An enforced limit per client that covers every request.
pub(crate) fn per_client(name: &str, bound: Bound) -> Limit {
    Limit {
        name: name.to_owned(),
        clause: ClauseId(0),
        key: LimitKey { who: vec![WhoPart::Client], ..LimitKey::default() },
        matches: Match::default(),
        bound,
        cost: Cost::Requests,
        over: Over::Reject,
        mode: Mode::Enforce,
        exempt: Exempt::default(),
    }
}

/// The same for all clients together.
pub(crate) fn everyone(name: &str, bound: Bound) -> Limit {
    let mut limit = per_client(name, bound);
    limit.key.who.clear();
    limit
}

/// At most `units` in every window of so many nanoseconds.
pub(crate) fn sliding(units: u64, window_ns: u64) -> Bound {
    Bound::SlidingWindow {
        units: NonZeroU64::new(units).expect("a limit above zero"),
        window: Duration::from_nanos(window_ns),
    }
}

pub(crate) fn gcra(units: u64, window_ns: u64, burst: u32) -> Bound {
    Bound::Gcra {
        units: NonZeroU64::new(units).expect("a limit above zero"),
        window: Duration::from_nanos(window_ns),
        burst: NonZeroU32::new(burst).expect("a burst above zero"),
    }
}

pub(crate) fn concurrency(requests: u32) -> Bound {
    Bound::Concurrency { requests: NonZeroU32::new(requests).expect("a limit above zero") }
}

/// The client with this number, from an address range of its own.
pub(crate) fn client(number: u32) -> (IpAddr, Client) {
    let address = IpAddr::from((0x0a00_0000_u32 | number).to_be_bytes());
    (address, Client::fold(address, 32, 64))
}

/// `GET /` by a client, at so many nanoseconds.
pub(crate) fn get(number: u32, at_ns: u64) -> Facts<'static> {
    let (address, client) = client(number);
    Facts {
        at: Moment::from_nanos(at_ns),
        address,
        client,
        route: RouteId(0),
        method: &Method::GET,
        path: "/",
        host: "app.test",
        headers: headers(),
        who: Who::ANYONE,
        request_bytes: None,
        waited: Duration::ZERO,
    }
}

fn headers() -> &'static HeaderMap {
    static NONE: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);
    &NONE
}

/// A policy as the engine takes it.
pub(crate) fn limits(limits: Vec<Limit>) -> Arc<Policy> {
    Arc::new(policy(limits))
}

/// An enforced limit on these parts together.
pub(crate) fn keyed(name: &str, who: &[WhoPart], bound: Bound) -> Limit {
    let mut limit = per_client(name, bound);
    limit.key.who = who.to_vec();
    limit
}

/// Terms under which the first limits have these numbers, in order; `None`: the limit's own.
pub(crate) fn terms(plan: Option<&str>, bounds: &[Option<Bound>]) -> Terms {
    let layer = if plan.is_some() { Layer::Plan } else { Layer::Agreement };
    let numbers = (0..).map(LimitId).zip(bounds);
    let overrides = numbers
        .filter_map(|(limit, bound)| bound.map(|bound| Override { limit, bound, layer, overridden: None }));
    Terms { plan: plan.map(Arc::from), overrides: overrides.collect(), ..Terms::default() }
}

/// A request of these accounts, each with the number of its terms.
pub(crate) fn accounts(of: &[(&str, u32)]) -> Who {
    let account = |(id, terms): &(&str, u32)| Account {
        id: Arc::from(*id),
        principal: Principal::account(id),
        terms: TermsId(*terms),
    };
    Who { accounts: of.iter().map(account).collect(), ..Who::default() }
}

/// A request with this credential, which nobody has.
pub(crate) fn stranger(credential: u128) -> Who {
    Who { unknown: Some(Principal::new(PrincipalKind::Credential, credential)), ..Who::default() }
}

/// The same with a session.
pub(crate) fn in_session(who: Who, session: u128) -> Who {
    Who { session: Some(Principal::new(PrincipalKind::Session, session)), ..who }
}

/// Header fields in this order.
pub(crate) fn fields(of: &[(&'static str, &str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a field value"))
    };
    of.iter().map(field).collect()
}
