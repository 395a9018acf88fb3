//! A connection at the door: is there room for it, and for whom does it come?

use std::net::SocketAddr;
use std::sync::Arc;

use super::connection;
use super::room::Full;
use super::stream::Stream;
use super::{Live, Shared, watching};
use crate::facts::{Client, ConnFacts, ProtocolEvent};
use crate::metrics::ConnectionRefusal;
use crate::policy::Listener;

/// Lets a connection in, or closes it.
pub(super) fn arrive(
    stream: impl Into<Stream>,
    peer: SocketAddr,
    listener: &Arc<Listener>,
    shared: &Arc<Shared>,
    worker: usize,
) {
    // A listener for both families shows IPv4 in the form of IPv6.
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let live = shared.live.load();
    let limits = &live.policy.connections;
    let client = Client::fold(peer.ip(), live.policy.client.ipv4, live.policy.client.ipv6);
    let per_client = limits.per_client.filter(|_| !listener.trust.covers(peer.ip()));
    match shared.room.enter(limits).and_then(|seat| seat.of(client, per_client)) {
        Ok(seat) => connection::start(stream.into(), peer, seat, listener, shared, worker),
        Err(full) => turn_away(shared, &live, client, full),
    }
}

/// Counts a connection that is closed for want of room, and tells the engine whose it was.
fn turn_away(shared: &Shared, live: &Live, client: Client, full: Full) {
    let reason = match full {
        Full::All => ConnectionRefusal::Max,
        Full::Client => ConnectionRefusal::PerClient,
    };
    shared.metrics.connection_refused(reason);
    // Who meets the bound on all is not to blame for it.
    if full == Full::Client {
        let facts = ConnFacts { at: shared.clock.now(), client };
        let found = shared.engine.event(&live.binding, &facts, ProtocolEvent::TooManyConnections);
        watching::tell(shared, live, found, &[]);
    }
}
