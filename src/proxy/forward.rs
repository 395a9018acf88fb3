//! Sending a request to a server and waiting for the head of its response; once more, where that is safe.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Method, Request, Response, Version};
use hyper::body::Incoming;

use super::alarm::{Alarm, by};
use super::exchange::Exchange;
use super::request_body::{Progress, RequestBody, Upload};
use super::upstream::connect::ConnectError;
use super::upstream::gate::GateError;
use super::upstream::server::Server;
use super::upstream::{Lease, LeaseError, Upstream};
use super::{headers, interim};
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
    Broken(hyper::Error),
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
pub type Answer = (Response<Incoming>, Lease);

/// Sends `request`, at most twice, and waits for the head of the response.
///
/// It is taken from where it is, and put back while it may be tried again: a request is too large to be handed
/// from function to function.
pub async fn forward(
    exchange: &mut Exchange,
    id: UpstreamId,
    request: &mut Option<Request<RequestBody>>,
    steps: Steps,
) -> Result<Answer, ForwardError> {
    let (clock, live) = (exchange.clock(), Arc::clone(&exchange.live));
    let upstream = live.upstream(id);
    let counters = live.metrics.upstream(id);
    let Some(place) = by(steps.until, &clock, upstream.enter()).await else { return Err(overtime(exchange)) };
    let place = place.map_err(|error| turned_away(exchange, id, error))?;
    exchange.entered_upstream(id, place);
    upstream.budget.count_request();

    let mut before: Option<Failure> = None;
    loop {
        let first = before.is_none();
        let attempt = Attempt { exchange, upstream, id, steps };
        let failure = match attempt.run(request, before.as_ref()).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let elsewhere = upstream.servers.len() > 1;
        let again = request.is_some() && first && (elsewhere || failure.stale);
        if !again || !upstream.budget.allow_retry(clock.now()) {
            return Err(failure.error);
        }
        counters.retried();
        if let Some(again) = request {
            // A copy of the request does not remember whom to tell of interim responses.
            interim::pass_on(again, exchange);
        }
        before = Some(failure);
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
}

impl Attempt<'_> {
    async fn run(
        self,
        request: &mut Option<Request<RequestBody>>,
        before: Option<&Failure>,
    ) -> Result<Answer, Failure> {
        let clock = self.exchange.clock();
        let worker = self.exchange.conn.worker;
        let avoid = before.filter(|f| !f.stale).and_then(|f| f.server.as_ref());
        // For health alone; a clock read less is worth more than the time spent in the queue.
        let reserved = self.upstream.reserve(avoid, worker, self.exchange.started);
        let mut lease = match by(self.steps.until, &clock, reserved).await {
            Some(Ok(lease)) => lease,
            nothing => {
                let error = match nothing {
                    None => overtime(self.exchange),
                    Some(Err(LeaseError::Queue(error))) => turned_away(self.exchange, self.id, error),
                    Some(_) => ForwardError::NoHealthyServer,
                };
                *request = None;
                return Err(Failure { error, server: None, stale: false });
            }
        };
        if self.exchange.version < Version::HTTP_11
            && let Some(request) = request
        {
            headers::ensure_host(request.headers_mut(), lease.server.name());
        }
        let waiting_since = clock.now();
        self.exchange.wait_begins(waiting_since);
        let fresh = before.is_some_and(|f| f.stale);
        let reused = !fresh && lease.reuse(waiting_since).is_some();
        let counters = self.exchange.live.metrics.upstream(self.id);
        if reused {
            counters.connection_reused();
        } else if let Err(error) = lease.connect(self.steps.connect_within(waiting_since), counters).await {
            counters.connection_failed();
            if matches!(error, ConnectError::TimedOut(_)) {
                self.exchange.timed_out(Timeout::Connect);
            }
            if error.is_servers() {
                self.exchange.blame(&lease.server);
            }
            let server = Some(Arc::clone(&lease.server));
            return Err(Failure { error: ForwardError::Connect(error), server, stale: false });
        }
        self.send(request, lease, reused, waiting_since).await
    }

    async fn send(
        self,
        request: &mut Option<Request<RequestBody>>,
        mut lease: Lease,
        reused: bool,
        waiting_since: Moment,
    ) -> Result<Answer, Failure> {
        let clock = self.exchange.clock();
        let upload = self.exchange.upload.clone();
        // Both are there: a request is put back before it is tried again, and `run` found or made a connection.
        let (Some(message), Some(connection)) = (request.take(), lease.connection()) else {
            return Err(Failure { error: ForwardError::NoHealthyServer, server: None, stale: false });
        };
        if reused || self.upstream.servers.len() > 1 {
            *request = replica(&message);
        }
        let mut sent = pin!(connection.send(message));
        let since = if reused { waiting_since } else { clock.now() };
        let mut patience = Patience::new(self.steps, upload.as_deref(), clock, since);
        let conn = Arc::clone(&self.exchange.conn);
        let result = poll_fn(|cx| match connection.poll_for(cx, |cx| sent.as_mut().poll(cx)) {
            Poll::Ready(result) => Poll::Ready(Ok(result)),
            Poll::Pending => {
                conn.side.set_waker(cx.waker());
                patience.poll_run_out(&mut conn.patience.lock(), cx).map(Err)
            }
        });
        let result = match result.await {
            Ok(result) => result,
            Err(error) => {
                let overtime = matches!(error, ForwardError::Overtime);
                self.exchange.timed_out(if overtime { Timeout::Total } else { Timeout::FirstByte });
                if !overtime {
                    // The total may have gone by on the client's time; only a missing answer is the server's.
                    self.exchange.blame(&lease.server);
                }
                lease.discard();
                // Not again: a second server would be given the same slow work while the first still does it.
                *request = None;
                return Err(Failure { error, server: None, stale: false });
            }
        };
        match result {
            Ok(response) => {
                self.exchange.wait_ended(clock.now());
                Ok((response, lease))
            }
            Err(mut failed) => {
                let unsent = failed.take_message();
                let error = fault_of(failed.into_error(), upload.as_deref());
                let broken = matches!(error, ForwardError::Broken(_));
                if !broken {
                    *request = None;
                } else if unsent.is_some() {
                    *request = unsent;
                }
                if broken && !reused {
                    self.exchange.blame(&lease.server);
                }
                let server = Some(Arc::clone(&lease.server));
                Err(Failure { error, server, stale: reused && broken })
            }
        }
    }
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
        GateError::TimedOut => {
            exchange.timed_out(Timeout::Queue);
            QueueRejection::Timeout
        }
    };
    exchange.live.metrics.upstream(id).queue_rejected(why);
    ForwardError::Queue(error)
}

/// The same request once more, where sending it twice does no harm: an idempotent method (RFC 9110 §9.2.2)
/// and no body.
fn replica(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let idempotent = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    );
    if !idempotent || !matches!(request.body(), RequestBody::Empty) {
        return None;
    }
    let mut replica = Request::new(RequestBody::Empty);
    *replica.method_mut() = request.method().clone();
    *replica.uri_mut() = request.uri().clone();
    *replica.version_mut() = request.version();
    replica.headers_mut().clone_from(request.headers());
    Some(replica)
}

fn fault_of(error: hyper::Error, upload: Option<&Upload>) -> ForwardError {
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
    clock: Clock,
    since: Moment,
    due: Moment,
}

impl<'a> Patience<'a> {
    fn new(steps: Steps, upload: Option<&'a Upload>, clock: Clock, since: Moment) -> Self {
        Patience { steps, upload, clock, since, due: since.after(steps.first_byte) }
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
                return Poll::Ready(ForwardError::NoResponse(self.steps.first_byte));
            }
        }
    }

    /// The server's time runs only from the end of the upload, or while it takes none of it.
    fn look_again(&self, now: Moment) -> Moment {
        let Some(upload) = self.upload else { return self.since.after(self.steps.first_byte) };
        match upload.progress() {
            Progress::Going if upload.is_starved() => now.after(self.steps.body_progress),
            Progress::Going => upload.moved_at().after(self.steps.body_progress),
            _ => upload.moved_at().after(self.steps.first_byte),
        }
    }
}
