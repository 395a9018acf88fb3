//! Connections that stop being HTTP: WebSocket (RFC 6455).
//!
//! Only protocols named here are passed on. `h2c` above all is not: it would open a tunnel to the app in which
//! no request is seen any more.

use http::HeaderValue;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use super::exchange::Exchange;
use super::upstream::Lease;
use super::upstream::connection::Tunnel;

pub fn is_passed_on(protocol: &HeaderValue) -> bool {
    protocol.as_bytes().eq_ignore_ascii_case(b"websocket")
}

/// Carries bytes both ways until either side ends, and the exchange with it.
pub async fn tunnel(client: OnUpgrade, mut exchange: Box<Exchange>, mut lease: Lease) {
    let Some(app) = lease.take_tunnel() else { return };
    match client.await {
        Ok(client) => {
            let down = carry(client, app).await;
            exchange.sent(usize::try_from(down).unwrap_or(usize::MAX));
            exchange.completed(exchange.clock().now());
        }
        Err(error) => tracing::debug!(%error, "an upgrade was agreed upon but never came"),
    }
}

/// Returns the bytes that went to the client.
async fn carry(client: Upgraded, mut app: Tunnel) -> u64 {
    let mut client = TokioIo::new(client);
    // A reset ends a tunnel as well as anything; there is nobody to report it to.
    copy_bidirectional(&mut client, &mut app).await.map_or(0, |(_up, down)| down)
}
