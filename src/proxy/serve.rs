//! The way of one request: identify, admit, forward, answer. Read this file first.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri, Version, request, response};
use http_body::Body as _;

use super::admit::admit;
use super::client_body::ClientBody;
use super::client_side::{Arrived, BodyEnd};
use super::connection::Conn;
use super::exchange::Exchange;
use super::forward::{self, Answer, ForwardError, Onward, Steps};
use super::forwarded;
use super::headers::{self, Added, X_REQUEST_ID};
use super::notices;
use super::refusal::jitter::Jitter;
use super::request_body::RequestBody;
use super::respond::Notice;
use super::respond::audience::{Audience, Form};
use super::response_body::{AppBody, Patience, ResponseBody};
use super::upgrade::{self, Switched};
use super::{certificate, grpc, identify, request_id, watching};
use crate::facts::{Client, Facts, Origin, ProtocolEvent, Who};
use crate::logs::access::{AccessRecord, RequestFields, RequestText};
use crate::metrics::RequestDecision;
use crate::policy::path::{self, PathFault};
use crate::policy::{Policy, Route, RouteId, host};
use crate::time::{Moment, WallTime};

/// Answers one request, or says what is wrong with what came in its place.
pub async fn serve(
    conn: Arc<Conn>,
    arrived: Arrived,
    parts: &mut request::Parts,
    body: ClientBody,
) -> Response<ResponseBody> {
    let shared = Arc::clone(&conn.shared);
    let is_stream = conn.stream.is_some();
    let trusted = conn.listener.trust.covers(conn.peer.ip());
    let started = shared.clock.now();
    let id = request_id(&parts.headers, trusted, shared.clock.wall_at(started));
    let live = shared.live.load_full();
    let hsts = live.tls.as_ref().filter(|_| conn.listener.tls).and_then(|tls| tls.hsts.clone());
    let audience = Audience::of(&parts.method, &parts.headers, live.cors.is_some());
    let mut exchange = Exchange::begin(conn, live, started, audience, id);

    let response = match arrived {
        Arrived::Whole => pass(&mut exchange, parts, body, trusted).await,
        Arrived::Refused(fault) => {
            let event =
                if fault.is_too_large() { ProtocolEvent::TooLarge } else { ProtocolEvent::MalformedHead };
            exchange.tell_engine(event);
            record_refused_head(&mut exchange);
            Err(Stop::malformed(notices::fault(fault)))
        }
        Arrived::TimedOut => {
            exchange.tell_engine(ProtocolEvent::HeadTimeout);
            record_refused_head(&mut exchange);
            Err(Stop::malformed(notices::head_timed_out()))
        }
    };
    let mut response = match response {
        Ok(Passed::Answer(answer)) => answered(exchange, answer),
        Ok(Passed::Switched(answer)) => switched(exchange, answer),
        Err(stop) => exchange.answer(stop.decision, &stop.notice),
    };
    if let Some(hsts) = hsts {
        // What the app says itself stays.
        response.headers_mut().entry(header::STRICT_TRANSPORT_SECURITY).or_insert(hsts);
    }
    // HTTP/2 has a frame of its own for that.
    if shared.lifecycle.is_draining() && !is_stream && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A request that ends at weir.
pub(super) struct Stop {
    pub(super) decision: RequestDecision,
    pub(super) notice: Notice,
}

impl Stop {
    fn malformed(notice: Notice) -> Self {
        Stop { decision: RequestDecision::Malformed, notice }
    }

    fn unasked_switch() -> Self {
        Stop { decision: RequestDecision::Failed, notice: notices::unasked_switch() }
    }
}

/// A request that reached the app.
enum Passed {
    Answer(Answer),
    /// 101: the connection is no longer HTTP.
    Switched(Answer),
}

/// From a head with one reading to the app's answer, or to the reason why there is none.
async fn pass(
    exchange: &mut Exchange,
    parts: &mut request::Parts,
    body: ClientBody,
    trusted: bool,
) -> Result<Passed, Stop> {
    let live = Arc::clone(&exchange.live);
    let policy = &live.policy;
    let listener = Arc::clone(&exchange.conn.listener);
    let trust = &listener.trust;
    let peer = exchange.conn.peer.ip().to_canonical();
    let client = if trusted { forwarded::believed_client(peer, trust, &parts.headers) } else { peer };
    exchange.client = Some(client);
    exchange.version = parts.version;
    record(exchange, parts, client);

    // Identify: one host, one path, one route.
    let target = authority_into_host(parts).map_err(Stop::malformed)?;
    answer_ahead(exchange, &parts.headers, &target, trusted)?;
    let found = find_route(policy, parts, &target);
    let (path, route_id, host) = found.inspect_err(|_| watching::see_astray(exchange, parts, &target))?;
    let route = policy.route(route_id);
    note_route(exchange, route_id);

    let who = identify::who(exchange, &parts.headers).map_err(Stop::malformed)?;

    // Admit: who may be here at all, then findings in force and all limits in one decision.
    let facts = Facts {
        at: exchange.started,
        address: client,
        client: Client::fold(client, policy.client.ipv4, policy.client.ipv6),
        route: route_id,
        method: &parts.method,
        path: &path,
        host: &host,
        headers: &parts.headers,
        who: &who,
        request_bytes: body.size_hint().exact(),
        waited: Duration::ZERO,
    };
    admit_in_sight(exchange, facts, target.query()).await?;

    // Forward: what ends here is removed, what weir knows is written.
    let bytes_max = body_limit(policy, route, &body)?;
    let mut added = Added::new();
    let upgrade = rewrite_head(exchange, parts, client, &mut added);
    parts.uri = target;

    let body = onward_body(exchange, parts, body, bytes_max);
    let steps = steps(policy, route, exchange, &parts.headers);
    exchange.conn.side.set_deadline(steps.until);
    if route.stream {
        exchange.conn.side.begin_stream();
    }
    let answer =
        forward::forward(exchange, route.upstream, Onward { head: parts, added: &added, body }, steps).await;
    let answer = answer.map_err(|error| failed(exchange, &error))?;
    if let Some(record) = &mut exchange.record {
        record.server = Some(answer.1.server.name_shared());
    }
    passed(exchange, answer, upgrade)
}

/// `upgrade`: the request asked for a switch of protocols.
fn passed(exchange: &Exchange, answer: Answer, upgrade: bool) -> Result<Passed, Stop> {
    let status = answer.0.status;
    match (status == StatusCode::SWITCHING_PROTOCOLS, upgrade) {
        (true, true) => Ok(Passed::Switched(answer)),
        (true, false) => Err(Stop::unasked_switch()),
        // To a client of HTTP/2 any success would be the tunnel (RFC 8441 §5).
        (false, true) if exchange.conn.stream.is_some() && status.is_success() => {
            Err(Stop { decision: RequestDecision::Failed, notice: notices::no_switch() })
        }
        (false, _) => Ok(Passed::Answer(answer)),
    }
}

fn note_route(exchange: &mut Exchange, id: RouteId) {
    exchange.route = Some(id);
    if let Some(record) = &mut exchange.record {
        record.route = exchange.live.route_names.get(usize::from(id.0)).cloned();
    }
}

/// What is answered before there is a route.
fn answer_ahead(exchange: &Exchange, headers: &HeaderMap, target: &Uri, trusted: bool) -> Result<(), Stop> {
    prove_name(exchange, target)?;
    if trusted { Ok(()) } else { redirect_plain(exchange, headers, target) }
}

/// Answers an authority that asks about a name; it may well be sent here by a proxy, or come from anywhere.
fn prove_name(exchange: &Exchange, target: &Uri) -> Result<(), Stop> {
    let proof = exchange.shared().issued.file(target.path());
    let answered = |proof: Arc<str>| Stop {
        decision: RequestDecision::Proven,
        notice: Notice::new(StatusCode::OK, "", proof.to_string()),
    };
    proof.map_or(Ok(()), |proof| Err(answered(proof)))
}

/// Sends a request that came in clear to the same place by TLS, where the policy says so.
fn redirect_plain(exchange: &Exchange, headers: &HeaderMap, target: &Uri) -> Result<(), Stop> {
    let port = exchange.shared().redirect_port(&exchange.live.policy);
    let Some(port) = port.filter(|_| !exchange.conn.listener.tls) else { return Ok(()) };
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let host = host.and_then(|raw| host::host(raw).ok());
    let host = host.ok_or_else(|| Stop::malformed(notices::unreadable_host()))?;
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    // `OPTIONS *` asks about the server as a whole.
    let path = target.path_and_query().map_or("/", PathAndQuery::as_str);
    let path = if path == "*" { "/" } else { path };
    let location = HeaderValue::try_from(format!("https://{host}{port}{path}"))
        .map_err(|_| Stop::malformed(notices::unreadable_target()))?;
    Err(Stop { decision: RequestDecision::Redirected, notice: Notice::redirect(location) })
}

/// Turns away whoever is not to be here at all, whatever they do: suspended accounts, and those without the route's plan.
fn turn_away(exchange: &Exchange, client: IpAddr, route: RouteId, who: &Who) -> Result<(), Stop> {
    if let Some(notice) = certificate::missing(exchange, route) {
        return Err(Stop { decision: RequestDecision::Refused, notice });
    }
    if let Some(notice) = identify::suspension(exchange, client, who.accounts.iter().map(|a| &a.id)) {
        return Err(Stop { decision: RequestDecision::Suspended, notice });
    }
    let barred = identify::barred(exchange, client, route, who);
    barred.map_or(Ok(()), |notice| Err(Stop { decision: RequestDecision::Refused, notice }))
}

/// Admits a request or not, and lets detectors see it either way.
async fn admit_in_sight(exchange: &mut Exchange, facts: Facts<'_>, query: Option<&str>) -> Result<(), Stop> {
    let admitted = match turn_away(exchange, facts.address, facts.route, facts.who) {
        Ok(()) => admit(exchange, facts).await,
        away => away,
    };
    watching::see(exchange, &facts, query, admitted.is_err());
    admitted
}

/// Makes the head what the app will see, but for the fields that weir writes: those are `added`. Returns whether it asks
/// for an upgrade that is passed on.
fn rewrite_head(exchange: &Exchange, parts: &mut request::Parts, client: IpAddr, added: &mut Added) -> bool {
    let hop = headers::strip_hop_by_hop(&mut parts.headers);
    let upgrade = hop.upgrade.as_ref().is_some_and(upgrade::is_passed_on);
    let hop = headers::HopByHop { upgrade: hop.upgrade.filter(|_| upgrade), ..hop };
    forwarded::rewrite(&mut parts.headers, &exchange.conn.hop, client, added);
    if let Some(name) = identify::learn_from(exchange) {
        forwarded::remove_spellings(&mut parts.headers, name);
    }
    certificate::rewrite(exchange, &mut parts.headers, added);
    headers::write_hop_by_hop(&mut parts.headers, hop);
    added.push(headers::via(parts.version));
    added.push((X_REQUEST_ID, exchange.request_id.clone()));
    upgrade
}

/// The id from a trusted proxy, else a new one. It takes the place of what the client sent when the request goes on.
fn request_id(headers: &HeaderMap, trusted: bool, at: WallTime) -> HeaderValue {
    let foreign = if trusted { headers.get(X_REQUEST_ID) } else { None };
    foreign.filter(|id| request_id::is_acceptable(id)).cloned().unwrap_or_else(|| request_id::make(at))
}

/// Notes for the access log what is about to be moved on.
fn record(exchange: &mut Exchange, parts: &request::Parts, client: IpAddr) {
    if exchange.shared().access_log.is_none() {
        return;
    }
    let field = |name| parts.headers.get(name).map_or(&b""[..], HeaderValue::as_bytes);
    let target = parts.uri.path_and_query().map_or("*", PathAndQuery::as_str);
    exchange.record = Some(Box::new(AccessRecord {
        at: exchange.clock().wall(),
        client,
        method: parts.method.clone(),
        version: parts.version,
        text: RequestText::copy(&RequestFields {
            target: target.as_bytes(),
            host: field(header::HOST),
            referer: field(header::REFERER),
            user_agent: field(header::USER_AGENT),
            request_id: exchange.request_id.as_bytes(),
        }),
        status: StatusCode::OK,
        response_bytes: 0,
        origin: Origin::Weir,
        decision: RequestDecision::Cancelled,
        account: None,
        fingerprint: None,
        limit: None,
        detector: None,
        route: None,
        server: None,
        total: Default::default(),
        upstream: None,
    }));
}

/// A head that was refused is a line too, though nothing in it can be believed.
fn record_refused_head(exchange: &mut Exchange) {
    let Ok(method) = Method::from_bytes(b"-") else { return };
    let mut parts = Request::new(()).into_parts().0;
    parts.method = method;
    record(exchange, &parts, exchange.conn.peer.ip().to_canonical());
}

/// The target in origin-form, as it came. An absolute-form's authority takes the place of Host
/// (RFC 9112 §3.2.2); whoever read the head has seen to it that the two agree.
fn authority_into_host(parts: &mut request::Parts) -> Result<Uri, Notice> {
    let uri = std::mem::take(&mut parts.uri);
    let Some(authority) = uri.authority() else { return Ok(uri) };
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| notices::unreadable_target())?;
    parts.headers.insert(header::HOST, host);
    let target = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    Ok(Uri::from(target))
}

type Identified<'a> = (Cow<'a, str>, RouteId, Cow<'a, str>);

/// The one path and host that routes, limits and detectors see, and the route they lead to.
fn find_route<'a>(
    policy: &Policy,
    parts: &'a request::Parts,
    target: &'a Uri,
) -> Result<Identified<'a>, Stop> {
    let host = match parts.headers.get(header::HOST) {
        Some(value) if !value.is_empty() => value
            .to_str()
            .ok()
            .and_then(|raw| host::host(raw).ok())
            .ok_or_else(|| Stop::malformed(notices::unreadable_host()))?,
        _ => Cow::Borrowed(""),
    };
    // `OPTIONS *` asks about the server as a whole, and is routed as its root.
    let raw = if target.path() == "*" { "/" } else { target.path() };
    let (path, slashes) = match path::normalise(raw, &policy.paths, false) {
        Err(PathFault::EncodedSlash) => (path::normalise(raw, &policy.paths, true), true),
        path => (path, false),
    };
    let path = path.map_err(|fault| Stop::malformed(notices::path_fault(fault)))?;
    let route = policy
        .find_route(&host, &path)
        .ok_or_else(|| Stop { decision: RequestDecision::NoRoute, notice: notices::no_route() })?;
    if slashes && !policy.route(route).allow_encoded_slashes {
        return Err(Stop::malformed(notices::path_fault(PathFault::EncodedSlash)));
    }
    Ok((path, route, host))
}

/// The most that this body may hold; a length given beforehand is judged before anything is read.
fn body_limit(policy: &Policy, route: &Route, body: &ClientBody) -> Result<u64, Stop> {
    let bytes_max = route.body_bytes_max.or(policy.http.body_bytes_max).unwrap_or(u64::MAX);
    if body.size_hint().lower() > bytes_max {
        return Err(Stop::malformed(notices::body_too_large(bytes_max)));
    }
    Ok(bytes_max)
}

/// The body as the app will see it.
fn onward_body(
    exchange: &mut Exchange,
    parts: &request::Parts,
    body: ClientBody,
    bytes_max: u64,
) -> RequestBody {
    if body.is_end_stream() {
        return RequestBody::Empty;
    }
    let expects = |v: &HeaderValue| v.as_bytes().eq_ignore_ascii_case(b"100-continue");
    let held = parts.headers.get(header::EXPECT).is_some_and(expects);
    let removed = exchange.conn.hop.removed().clone().and(identify::learn_from(exchange).cloned());
    let removed = certificate::ended(exchange).fold(removed, |removed, name| removed.and(Some(name)));
    let (body, upload) = RequestBody::stream(body, bytes_max, held, exchange.clock(), removed);
    exchange.upload = Some(upload);
    body
}

/// Whose fault it was that there is no answer.
fn failed(exchange: &Exchange, error: &ForwardError) -> Stop {
    let body = exchange.conn.side.body_end();
    let clients_doing = match (error, body) {
        (ForwardError::BodyTooLarge, _) => Some((RequestDecision::Malformed, ProtocolEvent::TooLarge)),
        (ForwardError::BodyBroken, BodyEnd::Stalled) => {
            Some((RequestDecision::Malformed, ProtocolEvent::BodyStalled))
        }
        (ForwardError::BodyBroken, BodyEnd::Malformed) => {
            Some((RequestDecision::Malformed, ProtocolEvent::MalformedBody))
        }
        (ForwardError::BodyBroken, BodyEnd::Intact) => {
            Some((RequestDecision::Cancelled, ProtocolEvent::Aborted))
        }
        _ => None,
    };
    if let Some((_, event)) = clients_doing {
        exchange.tell_engine(event);
    }
    let decision = clients_doing.map_or(RequestDecision::Failed, |(decision, _)| decision);
    // Not all at once: they were all turned away in the same moment.
    let route = exchange.route.map(|id| exchange.live.policy.route(id));
    let upstream = route.and_then(|route| exchange.live.upstreams.get(usize::from(route.upstream.0)));
    let wait = || upstream.map(|upstream| upstream.retry_after(exchange.clock().now()));
    let retry = || Jitter::random().lengthen(wait().unwrap_or_default());
    Stop { decision, notice: notices::forward_failed(error, body, retry) }
}

fn steps(policy: &Policy, route: &Route, exchange: &Exchange, headers: &HeaderMap) -> Steps {
    let timeouts = &policy.timeouts;
    let until = timeouts.total.filter(|_| !route.stream).map(|total| exchange.started.after(total));
    if matches!(exchange.audience.form, Form::Grpc(_)) {
        return grpc_steps(
            policy,
            route,
            until,
            grpc::timeout(headers).map(|most| exchange.started.after(most)),
        );
    }
    Steps {
        connect: timeouts.connect,
        first_byte: timeouts.first_byte,
        body_progress: timeouts.body_progress,
        until,
    }
}

/// A call of gRPC ends when its client says, and no later than any request. One that streams may be silent from its
/// beginning on: its head often comes with the first message.
fn grpc_steps(policy: &Policy, route: &Route, total: Option<Moment>, deadline: Option<Moment>) -> Steps {
    let timeouts = &policy.timeouts;
    let patience = |patience| if route.stream { Duration::MAX } else { patience };
    Steps {
        connect: timeouts.connect,
        first_byte: patience(timeouts.first_byte),
        body_progress: patience(timeouts.body_progress),
        until: total.into_iter().chain(deadline).min(),
    }
}

/// The app's response, on its way to the client.
fn answered(mut exchange: Box<Exchange>, answer: Answer) -> Response<ResponseBody> {
    let (mut parts, lease) = answer;
    if let Some(instead) = identify::learn(&mut exchange, &mut parts.headers) {
        return exchange.answer(RequestDecision::Suspended, &instead);
    }
    exchange.answered_by_app(parts.status);
    headers::strip_hop_by_hop(&mut parts.headers);
    finish_head(&mut parts.headers, &exchange);
    parts.version = Version::HTTP_11;
    let (policy, route) = (&exchange.live.policy, exchange.route.map(|id| exchange.live.policy.route(id)));
    let is_events = is_event_stream(&parts.headers);
    let streams = route.is_some_and(|r| r.stream) || is_events;
    if is_events {
        exchange.conn.side.set_deadline(None);
    }
    if streams {
        exchange.conn.side.begin_stream();
    }
    let patience = Patience {
        silence: (!streams).then_some(policy.timeouts.body_progress),
        until: exchange.conn.side.deadline(),
    };
    let announced = announced_length(&parts);
    let body = AppBody::new(exchange, lease, patience).announce(announced);
    Response::from_parts(parts, ResponseBody::App(body))
}

/// 101: both connections become one tunnel, which outlives this request.
fn switched(mut exchange: Box<Exchange>, answer: Answer) -> Response<ResponseBody> {
    let (mut parts, lease) = answer;
    if let Some(instead) = identify::learn(&mut exchange, &mut parts.headers) {
        return exchange.answer(RequestDecision::Suspended, &instead);
    }
    exchange.answered_by_app(parts.status);
    exchange.conn.side.set_deadline(None);
    exchange.conn.side.begin_stream();
    lease.server.health.succeeded();
    let hop = headers::strip_hop_by_hop(&mut parts.headers);
    headers::write_hop_by_hop(&mut parts.headers, hop);
    finish_head(&mut parts.headers, &exchange);
    Response::from_parts(parts, ResponseBody::Switched(Box::new(Switched { exchange, lease })))
}

/// A 304 says how long the body is that the client has already (RFC 9110 §8.6).
fn announced_length(parts: &response::Parts) -> Option<u64> {
    if parts.status != StatusCode::NOT_MODIFIED {
        return None;
    }
    parts.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok().filter(|length| *length > 0)
}

fn finish_head(headers: &mut HeaderMap, exchange: &Exchange) {
    if let Some(fields) = exchange.met.as_ref().and_then(|met| met.fields(&exchange.live.limit_texts)) {
        fields.write(headers);
    }
    headers.entry(X_REQUEST_ID).or_insert_with(|| exchange.request_id.clone());
}

/// Server-sent events are silent by nature.
fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|v| v.as_bytes().starts_with(b"text/event-stream"))
}
