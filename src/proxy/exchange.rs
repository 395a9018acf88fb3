//! One request and its response as one thing: what is known of it so far, and the books that are closed when it
//! ends, however it ends.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Response, StatusCode, Version};
use smallvec::SmallVec;

use super::connection::Conn;
use super::refusal::fields::MetLimits;
use super::request_body::{Progress, Upload};
use super::respond::Notice;
use super::respond::audience::Audience;
use super::response_body::ResponseBody;
use super::upstream::Place;
use super::upstream::server::Server;
use super::{Live, Shared, watching};
use crate::clock::Clock;
use crate::engine::Ticket;
use crate::facts::{Account, Origin, Outcome, Principal, ProtocolEvent, Who};
use crate::logs::access::AccessRecord;
use crate::metrics::{RequestDecision, Timeout};
use crate::policy::{Priority, RouteId, UpstreamId};
use crate::time::Moment;

/// The account of one exchange. Its drop is the end of the request: complete, failed, or left by the client.
#[derive(Debug)]
pub struct Exchange {
    pub conn: Arc<Conn>,
    pub live: Arc<Live>,
    pub started: Moment,
    pub audience: Audience,
    pub request_id: HeaderValue,
    pub route: Option<RouteId>,
    /// The believed address, once it is known.
    pub client: Option<IpAddr>,
    pub version: Version,
    pub ticket: Option<Ticket>,
    /// What the response tells of limits; `None` where only refusals do.
    pub met: Option<MetLimits>,
    pub upload: Option<Arc<Upload>>,
    /// The sessions that the request names; what the app says of it is said of them.
    pub sessions: SmallVec<[Principal; 1]>,
    /// Those behind the request, where anybody watches.
    pub accounts: SmallVec<[Account; 1]>,
    /// What the access log will say; `None` while there is none.
    pub record: Option<Box<AccessRecord>>,
    decision: RequestDecision,
    status: StatusCode,
    origin: Origin,
    response_bytes: u64,
    upstream: Option<UpstreamUse>,
    completed: bool,
    /// When the head of the answer was there.
    pub answered: Option<Moment>,
    /// When the response was handed over; the clock is asked only once.
    ended: Option<Moment>,
}

#[derive(Debug)]
struct UpstreamUse {
    id: UpstreamId,
    waited: Duration,
    /// Since when the next thing has been the upstream's to do.
    waiting_since: Option<Moment>,
    place: Place,
}

impl Exchange {
    pub fn begin(
        conn: Arc<Conn>,
        live: Arc<Live>,
        started: Moment,
        audience: Audience,
        request_id: HeaderValue,
    ) -> Box<Self> {
        conn.shared.metrics.request_started();
        // In a box from the start: it is moved from hand to hand, and is not small.
        Box::new(Exchange {
            conn,
            live,
            started,
            audience,
            request_id,
            route: None,
            client: None,
            version: Version::HTTP_11,
            ticket: None,
            met: None,
            upload: None,
            sessions: SmallVec::new(),
            accounts: SmallVec::new(),
            record: None,
            decision: RequestDecision::Cancelled,
            status: StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            origin: Origin::Weir,
            response_bytes: 0,
            upstream: None,
            completed: false,
            answered: None,
            ended: None,
        })
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.conn.shared
    }

    pub fn clock(&self) -> Clock {
        self.conn.shared.clock
    }

    /// Ends the exchange with weir's own response.
    pub fn answer(mut self: Box<Self>, decision: RequestDecision, notice: &Notice) -> Response<ResponseBody> {
        self.decision = decision;
        self.origin = Origin::Weir;
        // Short as it is, the socket takes it whole.
        let now = self.clock().now();
        self.answered = Some(now);
        self.completed(now);
        let live = &self.live;
        let mut response =
            notice.respond(&self.audience, live.cors.as_ref(), &live.limit_texts, &self.request_id);
        if let (Some(met), Some(fields)) = (&self.met, response.body_mut().own_message())
            && let Some(told) = met.fields(&live.limit_texts)
        {
            told.put(fields);
        }
        self.status = response.status();
        response.map(|body| body.carry(self))
    }

    /// Those behind the request are told of what is found by it.
    pub fn keep_accounts(&mut self, who: &Who) {
        if !who.accounts.is_empty() {
            self.accounts.clone_from(&who.accounts);
        }
    }

    /// The app answered with `status`; its body is still to come.
    pub fn answered_by_app(&mut self, status: StatusCode) {
        self.decision = RequestDecision::Forwarded;
        self.status = status;
        self.origin = Origin::App;
    }

    /// From here on the request occupies a place at its upstream.
    pub fn entered_upstream(&mut self, id: UpstreamId, place: Place) {
        self.live.metrics.upstream(id).request_started();
        self.upstream = Some(UpstreamUse { id, waited: Duration::ZERO, waiting_since: None, place });
    }

    /// The next thing is the upstream's to do; until [`Exchange::wait_ended`], or the end of the request.
    pub fn wait_begins(&mut self, now: Moment) {
        if let Some(upstream) = &mut self.upstream {
            upstream.waiting_since.get_or_insert(now);
        }
    }

    pub fn wait_ended(&mut self, now: Moment) {
        let Some(upstream) = &mut self.upstream else { return };
        let Some(began) = upstream.waiting_since.take() else { return };
        let since = match &self.upload {
            // An upload goes on the client's time, and only after it does the app have all it needs.
            Some(upload) if upload.progress() == Progress::Going && upload.is_starved() => now,
            Some(upload) => upload.moved_at().max(began),
            None => began,
        };
        upstream.waited += now.since(since);
    }

    /// The head of the app's answer came at `now` to a request that was handed over at `began`. Says how much the app
    /// bears, unless it failed, or the request is long-lived by nature.
    pub fn app_answered(&mut self, status: StatusCode, began: Moment, now: Moment) {
        self.answered = Some(now);
        let is_stream = self.route.is_some_and(|id| self.live.policy.route(id).stream);
        if let Some(upstream) = &self.upstream
            && !status.is_server_error()
            && !is_stream
        {
            // An upload goes on the client's time.
            let began = self.upload.as_ref().map_or(began, |upload| upload.moved_at().max(began));
            upstream.place.answered(began, now);
        }
    }

    /// What the route says is shed first where there is no room for all.
    pub fn priority(&self) -> Priority {
        self.route.map_or_else(Priority::default, |id| self.live.policy.route(id).priority)
    }

    /// The request failed at `server`, and that was the server's doing.
    pub fn blame(&self, server: &Server) {
        let Some(upstream) = &self.upstream else { return };
        let rule = &self.live.policy.upstream(upstream.id);
        if server.health.failed(self.clock().now(), &rule.ejection) {
            self.live.metrics.upstream(upstream.id).ejected();
            tracing::warn!(
                upstream = rule.name,
                server = server.name(),
                "server ejected: it failed {} times in a row",
                rule.ejection.failures
            );
        }
    }

    /// Tells the engine what never became a request, or less than one.
    pub fn tell_engine(&self, event: ProtocolEvent) {
        self.conn.tell_engine_of(&self.live, self.client.unwrap_or(self.conn.peer.ip()), event);
    }

    pub fn timed_out(&self, which: Timeout) {
        self.shared().metrics.timeout(which);
    }

    /// The response broke off on the upstream's side, or took too long.
    pub fn upstream_failed(&mut self) {
        self.decision = RequestDecision::Failed;
        self.completed = true;
    }

    pub fn sent(&mut self, bytes: usize) {
        self.response_bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    /// The response was handed over whole.
    pub fn completed(&mut self, now: Moment) {
        self.completed = true;
        self.ended = Some(now);
    }

    fn final_decision(&self) -> RequestDecision {
        if std::thread::panicking() {
            RequestDecision::Failed
        } else if self.completed {
            self.decision
        } else {
            RequestDecision::Cancelled
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let now = self.ended.unwrap_or_else(|| self.clock().now());
        self.wait_ended(now);
        if std::thread::panicking() {
            self.shared().metrics.panicked();
        }
        if let Some(stream) = self.conn.stream.as_ref().filter(|_| self.completed) {
            stream.complete();
        }
        let (decision, total) = (self.final_decision(), now.since(self.started));
        let waited = self.upstream.as_ref().map(|u| u.waited);
        self.live.metrics.request(self.route, decision, self.status, total, waited);
        if let Some(upstream) = &self.upstream {
            self.live.metrics.upstream(upstream.id).request_ended(upstream.waited);
        }
        if let Some(ticket) = self.ticket.take() {
            let outcome = Outcome {
                at: now,
                origin: self.origin,
                status: self.status,
                request_bytes: self.upload.as_ref().map_or(0, |u| u.bytes()),
                response_bytes: self.response_bytes,
                upstream_time: waited.unwrap_or_default(),
            };
            let events = self.shared().engine.observe(&self.live.binding, ticket, &outcome);
            if !events.is_empty() {
                watching::tell(self.shared(), &self.live, events, &self.accounts);
            }
        }
        self.shared().metrics.request_ended();
        self.conn.side.end_request(now);
        if let (Some(mut record), Some(log)) = (self.record.take(), &self.conn.shared.access_log) {
            record.status = self.status;
            record.response_bytes = self.response_bytes;
            record.total = total;
            record.upstream = waited;
            record.decision = decision;
            record.origin = self.origin;
            log.record(*record);
        }
    }
}
