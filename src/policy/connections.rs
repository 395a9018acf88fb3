//! How many clients may be connected at once.

use std::num::NonZeroU32;

/// Bounds on client connections. A reload changes them for connections that come afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// All together. `None`: half of the files that the process may have open, as each client may need a server.
    pub max: Option<NonZeroU32>,
    /// Of one client, as its address is folded for limits. Not for trusted proxies. `None`: unbounded.
    pub per_client: Option<NonZeroU32>,
    /// Connections whose TLS handshake or PROXY header is still to come. One more displaces the oldest of them: whoever
    /// means it is done in a moment.
    pub handshakes: NonZeroU32,
}

impl Default for ConnectionLimits {
    /// Room for thousands behind one address, as a large network's only one.
    fn default() -> Self {
        let many = NonZeroU32::MIN.saturating_add(4095);
        ConnectionLimits { max: None, per_client: Some(many), handshakes: many }
    }
}
