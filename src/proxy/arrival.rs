//! A connection at the door: is there room for it, and for whom does it come?

use std::net::SocketAddr;
use std::sync::Arc;

use super::connection;
use super::proxy_protocol::{self, Spokesman};
use super::room::{Full, HandshakeEnd, Seat};
use super::stream::Stream;
use super::{Shared, watching};
use crate::facts::{Client, ConnFacts, ProtocolEvent};
use crate::metrics::{ConnectionRefusal, Timeout};
use crate::policy::{Listener, NEIGHBOUR, ProxyProtocol};

/// What a PROXY header that cannot be read is called in the metric of protocol faults.
pub(super) const PROXY_FAULT: &str = "proxy_header";

/// Whoever connects by a Unix socket, from no port.
pub(super) const NEIGHBOUR_PEER: SocketAddr = SocketAddr::new(NEIGHBOUR, 0);

/// Where connections arrive: one listener, on one worker.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) listener: Arc<Listener>,
    pub(super) shared: Arc<Shared>,
    pub(super) worker: usize,
}

impl Door {
    /// Lets a connection in, or closes it.
    pub(super) fn arrive(&self, stream: Stream, peer: SocketAddr) {
        let peer = canonical(peer);
        let is_told = self.listener.proxy_protocol;
        if is_told.is_some() && !self.listener.trust.covers(peer.ip()) {
            return self.shared.metrics.connection_refused(ConnectionRefusal::Untrusted);
        }
        let seat = self.shared.room.enter(&self.shared.live.load().policy.connections);
        match (seat, is_told) {
            (Err(full), _) => self.turn_away(peer, full),
            (Ok(seat), None) => self.admit(stream, peer, seat),
            (Ok(seat), Some(versions)) => {
                tokio::spawn(self.clone().be_told(stream, peer, seat, versions));
            }
        }
    }

    /// Waits for the proxy at `peer` to say for whom it comes.
    async fn be_told(self, mut stream: Stream, peer: SocketAddr, seat: Seat, versions: ProxyProtocol) {
        let metrics = &self.shared.metrics;
        let (within, most) = {
            let policy = &self.shared.live.load().policy;
            (policy.timeouts.handshake, policy.connections.handshakes)
        };
        let handshake = self.shared.room.begin_handshake(most);
        let client = match handshake.within(within, proxy_protocol::read(&mut stream, versions)).await {
            Ok(Ok(Spokesman::Itself)) => peer,
            Ok(Ok(Spokesman::Client(client))) => canonical(client),
            Ok(Ok(Spokesman::Neighbour)) => NEIGHBOUR_PEER,
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "PROXY header refused");
                return metrics.protocol_fault(PROXY_FAULT);
            }
            Err(HandshakeEnd::TimedOut) => return metrics.timeout(Timeout::Handshake),
            Err(HandshakeEnd::Displaced) => return metrics.connection_refused(ConnectionRefusal::Handshakes),
        };
        self.admit(stream, client, seat);
    }

    /// Lets `client` have a connection that has a seat, unless it has as many as it may.
    fn admit(&self, stream: Stream, client: SocketAddr, seat: Seat) {
        let most = self.shared.live.load().policy.connections.per_client;
        let most = most.filter(|_| !self.listener.trust.covers(client.ip()));
        match seat.of(self.fold(client), most) {
            Ok(seat) => {
                connection::start(stream, client, seat, &self.listener, &self.shared, self.worker);
            }
            Err(full) => self.turn_away(client, full),
        }
    }

    /// Counts a connection that is closed for want of room, and tells the engine whose it was.
    fn turn_away(&self, client: SocketAddr, full: Full) {
        let shared = &self.shared;
        if full == Full::All {
            // Who meets the bound on all is not to blame for it.
            return shared.metrics.connection_refused(ConnectionRefusal::Max);
        }
        shared.metrics.connection_refused(ConnectionRefusal::PerClient);
        let live = shared.live.load();
        let facts = ConnFacts { at: shared.clock.now(), address: client.ip(), client: self.fold(client) };
        let found = shared.engine.event(&live.binding, &facts, ProtocolEvent::TooManyConnections);
        watching::tell(shared, &live, found, &[]);
    }

    fn fold(&self, client: SocketAddr) -> Client {
        let prefix = self.shared.live.load().policy.client;
        Client::fold(client.ip(), prefix.ipv4, prefix.ipv6)
    }
}

/// A socket for both families shows an IPv4 peer in the form of IPv6.
fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}
