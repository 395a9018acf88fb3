//! HTTP/1.1 towards clients (RFC 9112): requests and their responses, one after the other, over one connection.
//!
//! One task drives a connection and whatever is done for its requests: it reads a head, lets [`serve`](super::serve)
//! answer, and writes the answer as the client takes it. No channel and no second task stand between the socket and the
//! app, and nothing of a message is copied on the way. `head` reads, `message` writes:
//!
//! | file | subject |
//! |---|---|
//! | [`wire`] | the socket, and for how long it may be silent or full |
//! | [`body`] | a request's body, read by whoever forwards it |
//! | [`response`], [`date`] | the head of a response, written |
//! | [`mod@tunnel`] | a connection that is no longer HTTP |
//!
//! Called by `connection`.

pub mod body;
mod date;
mod response;
mod tunnel;
mod wire;

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Method, Request, Response, request};
use http_body::{Body as _, Frame};
use parking_lot::Mutex;

use super::client_body::ClientBody;
use super::client_side::Arrived;
use super::connection::{Conn, go_on_in_http2, guarded};
use super::head::{Fault, Head, HeadLimits};
use super::http2::frames::begins_http2;
use super::maybe_tls::ClientStream;
use super::message::body_writer::{BodyWriter, WrongLength};
use super::response_body::{ResponseBody, ResponseBodyError};
use super::upgrade::{Switched, tunnel};
use crate::facts::ProtocolEvent;
use crate::policy::Timeouts;
use body::Http1Body;
use response::{Asked, encode_head};
use tunnel::ClientEnd;
use wire::{Next, Wire};

/// Why a connection ended before its time.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{0}")]
    Socket(#[from] io::Error),
    #[error("the client left before it was answered")]
    Left,
    /// The client cannot be told otherwise: the head of the response is gone.
    #[error("{0}")]
    Response(#[from] ResponseBodyError),
    #[error("{0}")]
    Length(#[from] WrongLength),
}

impl Ended {
    /// Whether the client took nothing for too long. What the system gives up has an error of its own.
    fn is_late(&self) -> bool {
        matches!(self, Ended::Socket(error)
            if error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none())
    }
}

/// What becomes of a connection after a response.
#[derive(Debug)]
enum After {
    Request,
    Close {
        unread: bool,
    },
    Tunnel(Box<Switched>),
    /// The client speaks HTTP/2, and may.
    Http2,
}

/// Serves a connection until either side has had enough.
pub(super) async fn serve(conn: Arc<Conn>, stream: ClientStream, limits: HeadLimits, timeouts: Timeouts) {
    let with = (conn.shared.clock, conn.shared.metrics.clone());
    let wire = Wire::new(stream, Arc::clone(&conn.side), limits, timeouts, with);
    let wire = Arc::new(Mutex::new(wire));
    match serve_requests(&conn, &wire).await {
        Ok(After::Tunnel(switched)) => tunnel(ClientEnd(wire), *switched).await,
        Ok(After::Close { unread }) => {
            if let Some(wire) = Arc::into_inner(wire) {
                wire.into_inner().close(unread).await;
            }
        }
        Ok(After::Http2) => {
            if let Some(wire) = Arc::into_inner(wire) {
                // In a box, so that the many that never do so are not larger for it.
                Box::pin(go_on_in_http2(conn, wire.into_inner().into_parts())).await;
            }
        }
        Ok(After::Request) => {}
        Err(error) => {
            tracing::debug!(peer = %conn.peer, %error, "connection ended");
            if error.is_late() {
                conn.tell_engine(ProtocolEvent::BodyStalled);
            }
        }
    }
}

async fn serve_requests(conn: &Arc<Conn>, wire: &Arc<Mutex<Wire>>) -> Result<After, Ended> {
    // The map of fields is kept from request to request.
    let mut parts = Request::new(()).into_parts().0;
    let mut is_first = true;
    loop {
        let next = poll_fn(|cx| wire.lock().poll_next(&mut parts, cx)).await?;
        let Some(next) = next else { return Ok(After::Close { unread: false }) };
        if matches!(next, Next::Refused(Fault::Version))
            && is_first
            && conn.listener.h2c
            && begins_http2(&wire.lock().input)
        {
            return Ok(After::Http2);
        }
        is_first = false;
        let after = serve_one(conn, wire, next, &mut parts).await?;
        if !matches!(after, After::Request) {
            return Ok(after);
        }
        parts.headers.clear();
        parts.extensions.clear();
    }
}

async fn serve_one(
    conn: &Arc<Conn>,
    wire: &Arc<Mutex<Wire>>,
    next: Next,
    parts: &mut request::Parts,
) -> Result<After, Ended> {
    let (arrived, head) = match next {
        Next::Request(head) => (Arrived::Whole, head),
        Next::Refused(fault) => {
            conn.shared.metrics.protocol_fault(fault.name());
            (Arrived::Refused(fault), Head::default())
        }
        Next::TimedOut => (Arrived::TimedOut, Head::default()),
    };
    let body = match (arrived, head.body) {
        (Arrived::Whole, length) if length != Some(0) => {
            ClientBody::Http1(Http1Body::new(wire, length, head.expects_continue))
        }
        _ => ClientBody::Empty,
    };
    if arrived != Arrived::Whole {
        // Nothing of it can be believed.
        *parts = Request::new(()).into_parts().0;
    }
    let asked = Asked {
        version: parts.version,
        to_head: parts.method == Method::HEAD,
        keeps_alive: head.keeps_alive,
        takes_trailers: head.takes_trailers,
    };
    let response = respond(conn, wire, arrived, parts, body).await?;
    let (head, mut body) = response.into_parts();
    let follows = {
        let mut wire = wire.lock();
        wire.begin_answer();
        let clock = conn.shared.clock;
        let at = body.began_at().unwrap_or_else(|| clock.now());
        let date = |out: &mut Vec<u8>| date::write(at, clock, out);
        let size = body.size_hint();
        let out = &mut wire.outgoing.wire;
        let own = body.own_message().map(|own| own.lines()).unwrap_or_default();
        let follows = encode_head(&head, own, &size, asked, date, out);
        if follows.has_body {
            body.write_own(out);
        }
        follows
    };
    if let ResponseBody::Switched(switched) = body {
        poll_fn(|cx| wire.lock().poll_flush(cx)).await?;
        return Ok(After::Tunnel(switched));
    }
    // What is weir's own is outgoing already.
    let body = (follows.has_body && body.own_message().is_none()).then_some(body);
    let mut sending = Sending { wire, body, writer: follows.writer };
    poll_fn(|cx| sending.poll(cx)).await?;
    let whole = poll_fn(|cx| Poll::Ready(wire.lock().end_request(cx))).await;
    let unread = arrived != Arrived::Whole || !whole;
    if follows.keeps_alive && !unread { Ok(After::Request) } else { Ok(After::Close { unread }) }
}

/// Answers a request, unless its client leaves before that.
async fn respond(
    conn: &Arc<Conn>,
    wire: &Arc<Mutex<Wire>>,
    arrived: Arrived,
    parts: &mut request::Parts,
    body: ClientBody,
) -> Result<Response<ResponseBody>, Ended> {
    let mut answering = pin!(guarded(Arc::clone(conn), arrived, parts, body));
    poll_fn(|cx| {
        if let Poll::Ready(response) = answering.as_mut().poll(cx) {
            return Poll::Ready(Ok(response));
        }
        let mut wire = wire.lock();
        wire.send_interim(cx)?;
        wire.poll_gone(cx).map(|()| Err(Ended::Left))
    })
    .await
}

/// A response on its way to the client.
struct Sending<'a> {
    wire: &'a Mutex<Wire>,
    /// `None` once all of it is outgoing.
    body: Option<ResponseBody>,
    /// `None` where only the end of the connection ends the body.
    writer: Option<BodyWriter>,
}

impl Sending<'_> {
    /// Ready when the client can have all of it.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        loop {
            let gathered = self.gather(cx);
            let mut wire = self.wire.lock();
            let Ok(waits) = gathered else {
                // What came before is sound.
                let _ = wire.poll_flush(cx);
                return Poll::Ready(gathered.map(drop));
            };
            if waits || self.body.is_none() {
                ready!(wire.poll_flush(cx))?;
            } else {
                ready!(wire.poll_send(cx))?;
            }
            if self.body.is_none() {
                return Poll::Ready(Ok(()));
            }
            if waits {
                return wire.poll_gone(cx).map(|()| Err(Ended::Left));
            }
        }
    }

    /// Puts the next piece of the body behind the head, or behind nothing. Whether it has to be waited for.
    fn gather(&mut self, cx: &mut Context<'_>) -> Result<bool, Ended> {
        while let Some(body) = &mut self.body
            && self.wire.lock().outgoing.has_room()
        {
            // The connection is not locked here: the app may want more of the request first.
            let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) else { return Ok(true) };
            let outgoing = &mut self.wire.lock().outgoing;
            let last = match frame.transpose()?.map(Frame::into_data) {
                Some(Ok(data)) => {
                    let last = body.is_end_stream();
                    if let Some(writer) = &mut self.writer {
                        outgoing.tail = writer.frame(&data, last, &mut outgoing.wire)?;
                    }
                    outgoing.data = data;
                    last
                }
                not_data => {
                    let trailers = not_data.and_then(Result::err).and_then(|f| f.into_trailers().ok());
                    if let Some(writer) = &mut self.writer {
                        writer.end(trailers.as_ref(), &mut outgoing.wire)?;
                    }
                    true
                }
            };
            if last {
                // A request is over before the next begins.
                self.body = None;
            }
        }
        Ok(false)
    }
}
