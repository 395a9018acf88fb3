//! One client connection: its handshake, where there is one, and then the protocol that was agreed upon.

use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use http::{HeaderValue, Response, request};
use parking_lot::Mutex;
use tokio_rustls::server::TlsStream;

use super::alarm::Alarm;
use super::client_body::ClientBody;
use super::client_side::{Arrived, ClientSide};
use super::forwarded::{Hop, Scheme};
use super::head::HeadLimits;
use super::http2::streams::{self, Streams};
use super::maybe_tls::ClientStream;
use super::outbox::{Peer, Socket};
use super::respond::audience::Audience;
use super::response_body::ResponseBody;
use super::room::{HandshakeEnd, Seat};
use super::serve::serve;
use super::stream::Stream;
use super::tls::{Guest, ServerTls};
use super::{Live, Shared, notices, watching};
use super::{http1, http2, tls};
use crate::engine::ConnVerdict;
use crate::facts::{Client, ConnFacts, ProtocolEvent};
use crate::metrics::{ConnectionRefusal, Timeout};
use crate::policy::{Listener, Policy};
use crate::time::Moment;

/// What a failed handshake is called in the metric of protocol faults.
pub const HANDSHAKE_FAULT: &str = "tls_handshake";

/// What the requests of one connection have in common.
#[derive(Debug)]
pub struct Conn {
    pub shared: Arc<Shared>,
    pub listener: Arc<Listener>,
    pub side: Arc<ClientSide>,
    pub peer: SocketAddr,
    /// The address of this machine that it was connected to, where servers are told; not of a Unix socket.
    pub reached: Option<SocketAddr>,
    /// What forwarding headers say of this connection.
    pub hop: Hop,
    /// For the head of the app's response; requests of one connection come one after the other.
    pub patience: Mutex<Alarm>,
    pub worker: usize,
    /// What the handshake told, once it is done.
    guest: OnceLock<Arc<Guest>>,
    /// One request of HTTP/2: then this is about that request alone.
    pub stream: Option<Arc<streams::Stream>>,
    opened: Arc<Opened>,
}

/// Counts a connection as open, tunnels included; a drain waits for them.
#[derive(Debug)]
struct Opened {
    shared: Arc<Shared>,
    _seat: Seat,
}

impl Conn {
    fn open(
        shared: Arc<Shared>,
        listener: Arc<Listener>,
        side: Arc<ClientSide>,
        (peer, reached): (SocketAddr, Option<SocketAddr>),
        worker: usize,
        seat: Seat,
    ) -> Self {
        let opened = Arc::new(Opened::new(Arc::clone(&shared), seat));
        let scheme = if listener.tls { Scheme::Https } else { Scheme::Http };
        let hop = Hop::new(peer.ip(), scheme, &listener.trust);
        Conn {
            shared,
            listener,
            side,
            peer,
            reached,
            hop,
            patience: Mutex::default(),
            worker,
            guest: OnceLock::new(),
            stream: None,
            opened,
        }
    }

    /// What a handshake told of the client; `None` before it is done, and on a plain connection.
    pub fn guest(&self) -> Option<&Guest> {
        self.guest.get().map(Arc::as_ref)
    }

    /// The same for one of the requests that an HTTP/2 connection has at once.
    pub fn stream(&self, streams: &Arc<Streams>, now: Moment) -> (Arc<Self>, Arc<streams::Stream>) {
        let side = Arc::new(ClientSide::new(now));
        let stream = Arc::new(streams.begin(Arc::clone(&side), self.shared.clock));
        let conn = Conn {
            shared: Arc::clone(&self.shared),
            listener: Arc::clone(&self.listener),
            side,
            peer: self.peer,
            reached: self.reached,
            hop: self.hop.clone(),
            patience: Mutex::default(),
            worker: self.worker,
            guest: self.guest.clone(),
            stream: Some(Arc::clone(&stream)),
            opened: Arc::clone(&self.opened),
        };
        (Arc::new(conn), stream)
    }

    /// Tells the engine what never became a request of whoever is connected.
    pub fn tell_engine(&self, event: ProtocolEvent) {
        self.tell_engine_of(&self.shared.live.load(), self.peer.ip(), event);
    }

    /// The same of somebody else, whom a trusted proxy speaks for; and what that shows is told.
    pub fn tell_engine_of(&self, live: &Live, address: IpAddr, event: ProtocolEvent) {
        let prefix = live.policy.client;
        let client = Client::fold(address, prefix.ipv4, prefix.ipv6);
        let facts = ConnFacts { at: self.shared.clock.now(), address, client };
        let found = self.shared.engine.event(&live.binding, &facts, event);
        watching::tell(&self.shared, live, found, &[]);
    }
}

impl Opened {
    fn new(shared: Arc<Shared>, seat: Seat) -> Self {
        shared.metrics.connection_opened();
        Opened { shared, _seat: seat }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.shared.metrics.connection_closed();
    }
}

/// Starts serving an accepted connection on this worker's runtime.
pub fn start(
    stream: Stream,
    peer: SocketAddr,
    seat: Seat,
    listener: &Arc<Listener>,
    shared: &Arc<Shared>,
    worker: usize,
) {
    let live = shared.live.load();
    let (policy, now) = (&live.policy, shared.clock.now());
    // In clear, a request costs no more than its connection, and is told why it is refused. A trusted proxy is many.
    if listener.tls && !listener.trust.covers(peer.ip()) {
        let client = Client::fold(peer.ip(), policy.client.ipv4, policy.client.ipv6);
        let facts = ConnFacts { at: now, address: peer.ip(), client };
        if shared.engine.connect(&live.binding, &facts) == ConnVerdict::Close {
            return shared.metrics.connection_refused(ConnectionRefusal::Finding);
        }
    }
    let limits = head_limits(policy);
    let side = Arc::new(ClientSide::new(now));
    let reached = policy.announces_clients().then(|| stream.local_addr()).flatten();
    let socket = Socket::new(stream, Peer::Client);
    let timeouts = policy.timeouts;
    let conn =
        Arc::new(Conn::open(Arc::clone(shared), Arc::clone(listener), side, (peer, reached), worker, seat));
    if !listener.tls {
        tokio::spawn(http1::serve(conn, ClientStream::Plain(socket), limits, timeouts));
        return;
    }
    let Some(tls) = live.tls.clone() else { return };
    tokio::spawn(async move {
        let Some((stream, guest)) = shake_hands(&conn, &tls, socket, timeouts.handshake).await else {
            return;
        };
        let _ = conn.guest.set(Arc::new(guest));
        let speaks_http2 = stream.get_ref().1.alpn_protocol() == Some(tls::HTTP2);
        let stream = ClientStream::Tls(Box::new(stream));
        if speaks_http2 {
            http2::serve(conn, (stream, BytesMut::new()), limits, timeouts).await;
        } else {
            http1::serve(conn, stream, limits, timeouts).await;
        }
    });
}

fn head_limits(policy: &Policy) -> HeadLimits {
    let http = &policy.http;
    HeadLimits {
        head_bytes_max: http.head_bytes_max,
        header_count_max: http.header_count_max,
        uri_bytes_max: http.uri_bytes_max,
    }
}

/// Goes on in HTTP/2 with a client that began so in clear. `read`: what it has said already.
pub(super) async fn go_on_in_http2(conn: Arc<Conn>, read: (ClientStream, BytesMut)) {
    let (limits, timeouts) = {
        let policy = &conn.shared.live.load().policy;
        (head_limits(policy), policy.timeouts)
    };
    http2::serve(conn, read, limits, timeouts).await;
}

/// `None` where there is nobody to talk to: an authority has seen what it came for, or the handshake failed, which is
/// counted.
async fn shake_hands(
    conn: &Conn,
    tls: &ServerTls,
    socket: Socket,
    within: Duration,
) -> Option<(TlsStream<Socket>, Guest)> {
    let most = conn.shared.live.load().policy.connections.handshakes;
    let handshake = conn.shared.room.begin_handshake(most);
    let event = match handshake.within(within, tls.accept(&conn.listener.address, socket)).await {
        Ok(Ok(done)) => return done,
        Ok(Err(error)) => {
            tracing::debug!(peer = %conn.peer, %error, "TLS handshake failed");
            conn.shared.metrics.protocol_fault(HANDSHAKE_FAULT);
            ProtocolEvent::HandshakeFailed
        }
        Err(HandshakeEnd::TimedOut) => {
            conn.shared.metrics.timeout(Timeout::Handshake);
            ProtocolEvent::HandshakeTimeout
        }
        Err(HandshakeEnd::Displaced) => {
            conn.shared.metrics.connection_refused(ConnectionRefusal::Handshakes);
            ProtocolEvent::HandshakeTimeout
        }
    };
    conn.tell_engine(event);
    None
}

/// A panic ends its own request and no other.
pub(super) fn guarded(
    conn: Arc<Conn>,
    arrived: Arrived,
    parts: &mut request::Parts,
    body: ClientBody,
) -> impl Future<Output = Response<ResponseBody>> {
    Guarded { inner: serve(conn, arrived, parts, body) }
}

pin_project_lite::pin_project! {
    /// Answers for `inner` where it panics.
    struct Guarded<F> {
        #[pin]
        inner: F,
    }
}

impl<F: Future<Output = Response<ResponseBody>>> Future for Guarded<F> {
    type Output = Response<ResponseBody>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Unwind safe: after a panic the future is dropped and nothing of it is looked at again; what it shares
        // with others is behind locks and atomics that hold no half-made state across a call that can panic.
        if let Ok(polled) = std::panic::catch_unwind(AssertUnwindSafe(|| this.inner.poll(cx))) {
            return polled;
        }
        tracing::error!(
            "a request panicked; it was answered with 500 and all others go on. Please report this"
        );
        let id = HeaderValue::from_static("unknown");
        Poll::Ready(notices::internal().respond(&Audience::default(), None, &[], &id))
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    /// Promise: a panic inside a request is that request's 500.
    #[tokio::test]
    async fn a_panic_is_answered() {
        let inner = async { panic!("on purpose") };
        let response = Guarded { inner }.await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
