//! Sending a request to a server and waiting for the head of its response; once more, where that is safe.

use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Method, Version, request, response};

use super::alarm::{Alarm, by};
use super::client_side::{BodyEnd, ClientSide};
use super::exchange::Exchange;
use super::headers::{self, Added};
use super::interim;
use super::proxy_protocol::Announced;
use super::request_body::{Progress, RequestBody, Upload};
use super::upstream::connect::ConnectError;
use super::upstream::fault::AnswerError;
use super::upstream::gate::GateError;
use super::upstream::server::Server;
use super::upstream::{Lease, LeaseError, Upstream};
use crate::clock::Clock;
use crate::metrics::{QueueRejection, Timeout};
use crate::policy::UpstreamId;
use crate::time::Moment;

/// Why the app did not answer. Each says whose fault it was.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    #[error("no server passes its health check")]
    NoHealthyServer,
    #[error("{0}")]
    Queue(GateError),
    #[error("{0}")]
    Connect(ConnectError),
    #[error("the server broke off before it answered: {0}")]
    Broken(AnswerError),
    #[error("the server sent no response within {0:?}")]
    NoResponse(Duration),
    #[error("the request took longer than its total time")]
    Overtime,
    /// The client's doing.
    #[error("the body is larger than allowed")]
    BodyTooLarge,
    /// The client's doing.
    #[error("the client's body broke off")]
    BodyBroken,
}

/// How long each step may take, from the policy and the route.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    pub connect: Duration,
    pub first_byte: Duration,
    pub body_progress: Duration,
    pub until: Option<Moment>,
}

impl Steps {
    fn connect_within(&self, now: Moment) -> Duration {
        self.until.map_or(self.connect, |until| until.since(now).min(self.connect))
    }
}

/// The head of the app's response, and the lease that its body still needs.
pub type Answer = (response::Parts, Lease);

/// Sends `request`, at most twice, and waits for the head of the response.
pub async fn forward(
    exchange: &mut Exchange,
    id: UpstreamId,
    mut request: Onward<'_>,
    steps: Steps,
) -> Result<Answer, ForwardError> {
    let (clock, live) = (exchange.clock(), Arc::clone(&exchange.live));
    let upstream = live.upstream(id);
    let counters = live.metrics.upstream(id);
    let entered = upstream.enter(exchange.priority());
    let Some(place) = by(steps.until, &clock, entered).await else { return Err(overtime(exchange)) };
    let place = place.map_err(|error| turned_away(exchange, id, error))?;
    exchange.entered_upstream(id, place);
    upstream.budget.count_request();

    let mut before: Option<Failure> = None;
    loop {
        let attempt = Attempt { exchange, upstream, id, steps };
        let failure = match attempt.run(&mut request, before.as_ref()).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let elsewhere = upstream.servers.len() > 1;
        let again = failure.harmless && before.is_none() && (elsewhere || failure.stale);
        if !again || !upstream.budget.allow_retry(clock.now()) {
            return Err(failure.error);
        }
        counters.retried();
        before = Some(failure);
    }
}

/// A request on its way to the app, written down once. What is sent is made of it; it stays where it is, so that it can
/// be sent again.
#[derive(Debug)]
pub struct Onward<'a> {
    pub head: &'a mut request::Parts,
    pub added: &'a Added,
    pub body: RequestBody,
}

impl Onward<'_> {
    /// Whether sending it twice does no harm: an idempotent method (RFC 9110 §9.2.2) and no body.
    fn is_repeatable(&self) -> bool {
        let idempotent = matches!(
            self.head.method,
            Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
        );
        idempotent && matches!(self.body, RequestBody::Empty)
    }
}

/// One try at one server.
struct Attempt<'a> {
    exchange: &'a mut Exchange,
    upstream: &'a Arc<Upstream>,
    id: UpstreamId,
    steps: Steps,
}

/// A try that failed.
struct Failure {
    error: ForwardError,
    server: Option<Arc<Server>>,
    /// It failed on a kept connection that the server had given up: nobody's fault, and no reason to avoid it.
    stale: bool,
    /// The request is still there, and the server cannot have acted upon it, or may do so twice.
    harmless: bool,
}

impl Failure {
    /// One after which the request is not sent again.
    fn last(error: ForwardError) -> Self {
        Failure { error, server: None, stale: false, harmless: false }
    }
}

impl Attempt<'_> {
    async fn run(self, request: &mut Onward<'_>, before: Option<&Failure>) -> Result<Answer, Failure> {
        let clock = self.exchange.clock();
        let worker = self.exchange.conn.worker;
        let avoid = before.filter(|f| !f.stale).and_then(|f| f.server.as_ref());
        // For health alone; a clock read less is worth more than the time spent in the queue.
        let reserved = self.upstream.reserve(avoid, worker, self.exchange.priority(), self.exchange.started);
        let mut lease = match by(self.steps.until, &clock, reserved).await {
            Some(Ok(lease)) => lease,
            None => return Err(Failure::last(overtime(self.exchange))),
            Some(Err(LeaseError::Queue(error))) => {
                return Err(Failure::last(turned_away(self.exchange, self.id, error)));
            }
            Some(Err(LeaseError::NoHealthyServer)) => {
                return Err(Failure::last(ForwardError::NoHealthyServer));
            }
        };
        if self.exchange.version < Version::HTTP_11 {
            headers::ensure_host(&mut request.head.headers, lease.server.rule().host());
        }
        let waiting_since = clock.now();
        self.exchange.wait_begins(waiting_since);
        let fresh = before.is_some_and(|f| f.stale);
        let announced = lease.server.rule().proxy_protocol.map(|_| announced(self.exchange));
        let reused = !fresh && lease.reuse(announced, waiting_since);
        let counters = self.exchange.live.metrics.upstream(self.id);
        if reused {
            counters.connection_reused();
        } else if let Err(error) =
            lease.connect(announced, self.steps.connect_within(waiting_since), counters).await
        {
            counters.connection_failed();
            if matches!(error, ConnectError::Tls(_)) {
                counters.handshake_failed();
            }
            if matches!(error, ConnectError::TimedOut(_)) {
                if self.steps.until.is_some_and(|until| clock.now() >= until) {
                    return Err(Failure::last(overtime(self.exchange)));
                }
                self.exchange.timed_out(Timeout::Connect);
            }
            if error.is_servers() {
                self.exchange.blame(&lease.server);
            }
            let server = Some(Arc::clone(&lease.server));
            let error = ForwardError::Connect(error);
            return Err(Failure { error, server, stale: false, harmless: true });
        }
        self.send(request, lease, reused, waiting_since).await
    }

    async fn send(
        self,
        request: &mut Onward<'_>,
        mut lease: Lease,
        reused: bool,
        waiting_since: Moment,
    ) -> Result<Answer, Failure> {
        let clock = self.exchange.clock();
        let Some(carrier) = lease.carrier() else {
            // `run` found or made one.
            return Err(Failure::last(ForwardError::NoHealthyServer));
        };
        let elsewhere = self.upstream.servers.len() > 1;
        let again = (reused || elsewhere) && request.is_repeatable();
        interim::await_continue(self.exchange);
        let body = std::mem::replace(&mut request.body, RequestBody::Empty);
        carrier.begin(request.head, request.added, body);
        let since = if reused { waiting_since } else { clock.now() };
        let exchange = &*self.exchange;
        let mut patience = Patience::new(self.steps, exchange, clock, since);
        // Large, and so put where it is needed at once.
        let mut result = None;
        let ran_out = poll_fn(|cx| {
            while let Poll::Ready(head) = carrier.poll_head(cx) {
                match head {
                    Ok(head) if interim::is_interim(head.status) => interim::pass_on(head, exchange),
                    head => {
                        result = Some(head);
                        return Poll::Ready(None);
                    }
                }
            }
            patience.poll_run_out(&mut exchange.conn.patience.lock(), cx).map(Some)
        });
        if let Some(error) = ran_out.await {
            return Err(self.ran_out(lease, error));
        }
        match result {
            Some(Ok(head)) => {
                let now = clock.now();
                self.exchange.wait_ended(now);
                self.exchange.app_answered(head.status, since, now);
                // It will not be sent again.
                carrier.lend(std::mem::take(&mut request.head.headers));
                Ok((head, lease))
            }
            Some(Err(error)) => {
                let (not_taken, of_connection) = (error.is_not_taken(), error.is_of_connection());
                let mut harmless = again;
                if not_taken && let Some(body) = carrier.take_back() {
                    request.body = body;
                    harmless = true;
                }
                let error = fault_of(error, self.exchange.upload.as_deref());
                let broken = matches!(error, ForwardError::Broken(_));
                let stale = broken && (reused && of_connection || not_taken && !elsewhere);
                if broken && !stale && !not_taken {
                    self.exchange.blame(&lease.server);
                }
                let server = Some(Arc::clone(&lease.server));
                Err(Failure { error, server, stale, harmless: broken && harmless })
            }
            // Nothing came and nothing ran out: not a thing that happens.
            None => Err(Failure::last(ForwardError::NoResponse(self.steps.first_byte))),
        }
    }

    /// The answer took too long.
    fn ran_out(self, mut lease: Lease, error: ForwardError) -> Failure {
        self.exchange.timed_out(match error {
            ForwardError::Overtime => Timeout::Total,
            ForwardError::BodyBroken => Timeout::BodyProgress,
            _ => Timeout::FirstByte,
        });
        let silent = matches!(error, ForwardError::NoResponse(_));
        if silent {
            // The total may have gone by on the client's time; only a missing answer is the server's.
            self.exchange.blame(&lease.server);
        }
        lease.discard(silent);
        // Not again: a second server would be given the same slow work while the first still does it.
        Failure::last(error)
    }
}

/// For whom a server is told that a connection is made: the believed client, by its port where it is connected itself.
fn announced(exchange: &Exchange) -> Announced {
    let conn = &exchange.conn;
    let client = exchange.client.unwrap_or(conn.peer.ip());
    let port = if client == conn.peer.ip() { conn.peer.port() } else { 0 };
    // After a reload that asks for it, connections that were open before name the listener.
    let destination = conn.reached.or_else(|| conn.listener.address.ip());
    let destination = destination.unwrap_or(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
    Announced { source: SocketAddr::new(client, port), destination }
}

/// Counts a request whose time was over before it reached a server.
fn overtime(exchange: &Exchange) -> ForwardError {
    exchange.timed_out(Timeout::Total);
    ForwardError::Overtime
}

/// Counts a request that found no place.
fn turned_away(exchange: &Exchange, id: UpstreamId, error: GateError) -> ForwardError {
    let why = match error {
        GateError::QueueFull => QueueRejection::Full,
        GateError::Displaced => QueueRejection::Displaced,
        GateError::TimedOut => {
            exchange.timed_out(Timeout::Queue);
            QueueRejection::Timeout
        }
    };
    exchange.live.metrics.upstream(id).queue_rejected(why, exchange.priority());
    ForwardError::Queue(error)
}

fn fault_of(error: AnswerError, upload: Option<&Upload>) -> ForwardError {
    match upload.map(Upload::progress) {
        Some(Progress::TooLarge) => ForwardError::BodyTooLarge,
        Some(Progress::ClientFailed) => ForwardError::BodyBroken,
        _ => ForwardError::Broken(error),
    }
}

/// Waiting for the head of a response, with an end.
struct Patience<'a> {
    steps: Steps,
    upload: Option<&'a Upload>,
    /// Whose upload stalls unseen: on a socket of its own that would be noticed there.
    shares_socket: Option<&'a ClientSide>,
    clock: Clock,
    since: Moment,
    due: Moment,
}

impl<'a> Patience<'a> {
    fn new(steps: Steps, exchange: &'a Exchange, clock: Clock, since: Moment) -> Self {
        let upload = exchange.upload.as_deref();
        let shares_socket = exchange.conn.stream.as_ref().map(|_| &*exchange.conn.side);
        let first = match upload.and(shares_socket) {
            Some(_) => steps.first_byte.min(steps.body_progress),
            None => steps.first_byte,
        };
        Patience { steps, upload, shares_socket, clock, since, due: since.after(first) }
    }

    /// Ready once it is over. `alarm` is the connection's own: it waits for one response at a time.
    fn poll_run_out(&mut self, alarm: &mut Alarm, cx: &mut Context<'_>) -> Poll<ForwardError> {
        loop {
            let due = self.steps.until.map_or(self.due, |until| until.min(self.due));
            ready!(alarm.poll_due(due, &self.clock, cx));
            let now = self.clock.now();
            if self.steps.until.is_some_and(|until| now >= until) {
                return Poll::Ready(ForwardError::Overtime);
            }
            self.due = self.look_again(now);
            if now >= self.due {
                if let (Some(upload), Some(side)) = (self.upload, self.shares_socket)
                    && upload.progress() == Progress::Going
                    && upload.is_starved()
                {
                    side.body_ended(BodyEnd::Stalled);
                    return Poll::Ready(ForwardError::BodyBroken);
                }
                return Poll::Ready(ForwardError::NoResponse(self.steps.first_byte));
            }
        }
    }

    /// The server's time runs only from the end of the upload, or while it takes none of it.
    fn look_again(&self, now: Moment) -> Moment {
        let Some(upload) = self.upload else { return self.since.after(self.steps.first_byte) };
        match upload.progress() {
            Progress::Going if upload.is_starved() && self.shares_socket.is_none() => {
                now.after(self.steps.body_progress)
            }
            Progress::Going => upload.moved_at().after(self.steps.body_progress),
            _ => upload.moved_at().after(self.steps.first_byte),
        }
    }
}
