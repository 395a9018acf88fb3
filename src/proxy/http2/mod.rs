//! HTTP/2 towards clients (RFC 9113): many requests on one connection, each served like any other.
//!
//! hyper and its h2 read the frames; what RFC 9113 leaves to whoever forwards the requests is here. [`head`] refuses
//! what HTTP/1.1 could not carry in one reading. [`streams`] knows what each request waits for, so that a client
//! that takes nothing, or has nothing to do, is let go: h2 itself waits for ever.

mod head;
pub mod streams;

use std::convert::Infallible;
use std::error::Error as _;
use std::pin::pin;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::{MissedTickBehavior, interval};

use super::client_body::ClientBody;
use super::client_side::Arrived;
use super::connection::{Conn, guarded};
use super::head::HeadLimits;
use super::lifecycle::Stage;
use super::maybe_tls::ClientStream;
use super::response_body::ResponseBody;
use crate::facts::ProtocolEvent;
use crate::metrics::Timeout;
use crate::policy::Timeouts;
use streams::{State, Streams};

/// Requests in progress on one connection; the least that RFC 9113 §6.5.2 recommends.
const STREAMS_MAX: u32 = 100;
/// What a client may send before the app has taken any of it: for one request, and for all.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// What is kept of a response that the client does not take.
const SEND_BUFFER: usize = 64 << 10;
/// Requests that the client reset before hyper took them (see [`streams`] for the others), and streams that weir had to reset for
/// the client's errors (CVE-2025-8671), before the connection is ended with ENHANCE_YOUR_CALM.
const RESETS_PENDING_MAX: usize = 20;
const RESETS_FOR_ERRORS_MAX: usize = 100;

/// Names in the metric of protocol faults.
pub const CALM_FAULT: &str = "http2-calm";
pub const PROTOCOL_FAULT: &str = "http2-protocol";

/// Serves a connection until either side has had enough.
pub async fn serve(conn: Arc<Conn>, stream: ClientStream, limits: HeadLimits, timeouts: Timeouts) {
    let streams = Arc::new(Streams::new(conn.shared.clock.now()));
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
        .max_local_error_reset_streams(RESETS_FOR_ERRORS_MAX)
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX));
    let service = service_fn(|request| {
        let (conn, streams) = (Arc::clone(&conn), Arc::clone(&streams));
        async move { Ok::<_, Infallible>(answer(&conn, &streams, request, limits).await) }
    });
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut draining = pin!(conn.shared.lifecycle.reached(Stage::Draining));
    let mut ticks = interval(timeouts.idle.min(timeouts.body_progress) / 4);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut leaving = false;
    loop {
        tokio::select! {
            served = serving.as_mut() => return ended(&conn, served),
            () = &mut draining, if !leaving => {
                leaving = true;
                serving.as_mut().graceful_shutdown();
            }
            () = streams.flooded() => return flooded(&conn),
            _ = ticks.tick() => match streams.state(conn.shared.clock.now(), &timeouts) {
                State::Well => {}
                State::Idle if leaving => return,
                State::Idle => {
                    conn.shared.metrics.timeout(Timeout::Idle);
                    leaving = true;
                    serving.as_mut().graceful_shutdown();
                }
                State::Stalled(which) => return conn.shared.metrics.timeout(which),
            },
        }
    }
}

/// One request of many.
async fn answer(
    conn: &Arc<Conn>,
    streams: &Arc<Streams>,
    mut request: Request<Incoming>,
    limits: HeadLimits,
) -> Response<ResponseBody> {
    let arrived = match head::check(&request, limits) {
        Ok(()) => Arrived::Whole,
        Err(fault) => {
            conn.shared.metrics.protocol_fault(fault.name());
            Arrived::Refused(fault)
        }
    };
    head::join_cookies(request.headers_mut());
    let now = conn.shared.clock.now();
    let (conn, stream) = conn.stream(streams, now);
    let (mut parts, body) = request.into_parts();
    let mut response = guarded(conn, arrived, &mut parts, ClientBody::Http2(body)).await;
    if let Some(fields) = response.body_mut().own_fields() {
        std::mem::take(fields).add_to(response.headers_mut());
    }
    // From here on it is the client's turn.
    stream.offer(stream.now());
    response
}

/// What hyper took over from h2 in time to serve it does not count as pending there, and so is counted here.
fn flooded(conn: &Conn) {
    tracing::debug!(peer = %conn.peer, "HTTP/2 connection ended: too many requests given up");
    conn.shared.metrics.protocol_fault(CALM_FAULT);
    conn.tell_engine(ProtocolEvent::Http2);
}

/// Counts what the client did wrong.
fn ended(conn: &Conn, served: hyper::Result<()>) {
    let Err(error) = served else { return };
    tracing::debug!(peer = %conn.peer, %error, "HTTP/2 connection ended");
    let Some(reason) = error.source().and_then(|source| source.downcast_ref::<h2::Error>()) else { return };
    // One that comes from the client is its way to leave.
    if reason.is_remote() || reason.is_io() {
        return;
    }
    let calm = reason.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM);
    conn.shared.metrics.protocol_fault(if calm { CALM_FAULT } else { PROTOCOL_FAULT });
    conn.tell_engine(ProtocolEvent::Http2);
}
