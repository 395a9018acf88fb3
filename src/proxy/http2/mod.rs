//! HTTP/2 towards clients (RFC 9113): many requests on one connection, each served like any other.
//!
//! hyper and its h2 read the frames; what RFC 9113 leaves to whoever forwards the requests is here. [`head`] refuses
//! what HTTP/1.1 could not carry in one reading. [`watched`] sees the frames pass by, of which [`budget`] bears only so many
//! that bring nothing forward: h2 takes SETTINGS, PING and the like without end. [`streams`] knows what each request waits for, so that a client
//! that takes nothing, or has nothing to do, is let go: h2 itself waits for ever. [`tunnel`] carries WebSockets.

#[doc(hidden)]
pub mod budget;
#[doc(hidden)]
pub mod frames;
mod head;
pub mod streams;
mod tunnel;
mod watched;

use std::convert::Infallible;
use std::error::Error as _;
use std::pin::pin;
use std::sync::Arc;

use bytes::BytesMut;
use http::{Method, Request, Response};
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
use watched::Watched;

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

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// In order, or by the client's doing.
    Over,
    /// h2 has told the client what was wrong.
    Told,
    /// The client gave up more requests than it may, or has sent more frames.
    Flooded,
    /// It does not take, or not send, what it began.
    Stalled(Timeout),
}

/// Serves a connection until either side has had enough. `early`: what was read of it already.
pub async fn serve(
    conn: Arc<Conn>,
    (stream, early): (ClientStream, BytesMut),
    limits: HeadLimits,
    timeouts: Timeouts,
) {
    let streams = Arc::new(Streams::new(conn.shared.clock.now()));
    let watched = Watched::new(stream, early, conn.shared.clock, Arc::clone(&streams));
    let calm = Some(h2::Reason::ENHANCE_YOUR_CALM.into());
    match run(&conn, &streams, watched.clone(), limits, timeouts).await {
        End::Over => {}
        End::Told => watched.say_goodbye(None).await,
        End::Flooded => {
            tracing::debug!(peer = %conn.peer, "HTTP/2 connection ended: a flood");
            conn.shared.metrics.protocol_fault(CALM_FAULT);
            conn.tell_engine(ProtocolEvent::Http2);
            watched.say_goodbye(calm).await;
        }
        End::Stalled(which) => {
            conn.shared.metrics.timeout(which);
            conn.tell_engine(match which {
                Timeout::HeadRead => ProtocolEvent::HeadTimeout,
                _ => ProtocolEvent::BodyStalled,
            });
            watched.say_goodbye(calm).await;
        }
    }
}

async fn run(
    conn: &Arc<Conn>,
    streams: &Arc<Streams>,
    watched: Watched<ClientStream>,
    limits: HeadLimits,
    timeouts: Timeouts,
) -> End {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
        .max_local_error_reset_streams(RESETS_FOR_ERRORS_MAX)
        .enable_connect_protocol()
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX));
    let service = service_fn(|request| {
        let (conn, streams) = (Arc::clone(conn), Arc::clone(streams));
        async move { Ok::<_, Infallible>(answer(&conn, &streams, request, limits).await) }
    });
    let mut serving = pin!(builder.serve_connection(TokioIo::new(watched.clone()), service));
    let mut draining = pin!(conn.shared.lifecycle.reached(Stage::Draining));
    let mut ticks = interval(timeouts.idle.min(timeouts.body_progress).min(timeouts.head_read) / 4);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut leaving = false;
    loop {
        tokio::select! {
            served = serving.as_mut() => {
                return if watched.is_spent() { End::Flooded } else { ended(conn, served) };
            }
            () = &mut draining, if !leaving => {
                leaving = true;
                serving.as_mut().graceful_shutdown();
            }
            () = streams.flooded() => return End::Flooded,
            _ = ticks.tick() => {
                let now = conn.shared.clock.now();
                if watched.head_since().is_some_and(|since| now.since(since) >= timeouts.head_read) {
                    return End::Stalled(Timeout::HeadRead);
                }
                match streams.state(now, &timeouts) {
                    State::Well => {}
                    State::Idle if leaving => return End::Over,
                    State::Idle => {
                        conn.shared.metrics.timeout(Timeout::Idle);
                        leaving = true;
                        serving.as_mut().graceful_shutdown();
                    }
                    State::Stalled(which) => return End::Stalled(which),
                }
            }
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
    let default_port = if conn.listener.tls { 443 } else { 80 };
    let arrived = match head::check(&request, limits, default_port) {
        Ok(()) => Arrived::Whole,
        Err(fault) => {
            conn.shared.metrics.protocol_fault(fault.name());
            Arrived::Refused(fault)
        }
    };
    head::join_cookies(request.headers_mut());
    let upgrade = (arrived == Arrived::Whole && request.method() == Method::CONNECT)
        .then(|| tunnel::into_upgrade(&mut request));
    let now = conn.shared.clock.now();
    let (conn, stream) = conn.stream(streams, now);
    let (mut parts, body) = request.into_parts();
    let response = guarded(conn, arrived, &mut parts, ClientBody::Http2(body)).await;
    let (mut head, mut body) = response.into_parts();
    if let Some(own) = body.own_message() {
        own.add_to(&mut head.headers);
    }
    let response = Response::from_parts(head, body);
    let response = match upgrade {
        None => response,
        Some(upgrade) => match tunnel::answered(response, upgrade) {
            // Both ends may be silent for as long as they like.
            tunnel if tunnel.status().is_success() => return tunnel,
            refused => refused,
        },
    };
    // From here on it is the client's turn.
    stream.offer(stream.now());
    response
}

/// Counts what the client did wrong, where h2 found that.
fn ended(conn: &Conn, served: hyper::Result<()>) -> End {
    let Err(error) = served else { return End::Over };
    tracing::debug!(peer = %conn.peer, %error, "HTTP/2 connection ended");
    let reason = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    // One that comes from the client is its way to leave.
    let Some(reason) = reason.filter(|reason| !reason.is_remote() && !reason.is_io()) else {
        return End::Over;
    };
    let calm = reason.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM);
    conn.shared.metrics.protocol_fault(if calm { CALM_FAULT } else { PROTOCOL_FAULT });
    conn.tell_engine(ProtocolEvent::Http2);
    End::Told
}
