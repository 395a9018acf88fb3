//! Connections that stop being HTTP: WebSocket (RFC 6455).
//!
//! Only protocols named here are passed on. `h2c` above all is not: it would open a tunnel to the app in which
//! no request is seen any more.

use std::sync::Arc;

use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};

use super::exchange::Exchange;
use super::upstream::Lease;

pub fn is_passed_on(protocol: &HeaderValue) -> bool {
    protocol.as_bytes().eq_ignore_ascii_case(b"websocket")
}

/// A request whose answer was 101: from here on its connection is the app's.
#[derive(Debug)]
pub struct Switched {
    pub exchange: Box<Exchange>,
    pub lease: Lease,
}

/// Carries bytes both ways until either side ends, or it is this one's turn to leave a weir that drains; and the exchange
/// with it.
pub async fn tunnel(mut client: impl AsyncRead + AsyncWrite + Unpin, switched: Switched) {
    let Switched { mut exchange, mut lease } = switched;
    let Some(mut app) = lease.take_tunnel() else { return };
    let shared = Arc::clone(exchange.shared());
    let leave = shared.lifecycle.turn_to_leave(|| shared.live.load().policy.shutdown.drain_tunnels);
    let (_up, down) = tokio::select! {
        // A reset ends a tunnel as well as anything; there is nobody to report it to.
        ended = copy_bidirectional(&mut client, &mut app) => ended.unwrap_or_default(),
        () = leave => (0, 0),
    };
    exchange.sent(usize::try_from(down).unwrap_or(usize::MAX));
    exchange.completed(exchange.clock().now());
}
