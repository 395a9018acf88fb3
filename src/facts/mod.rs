//! What the engine is told: a connection, a request, its outcome, and what never became a request.
//!
//! Everything here is normalised and stamped with the time at which it happened; nothing is raw or secret.

mod principal;
mod who;

pub use principal::{Principal, PrincipalKind};
pub use who::{Account, Fingerprint, Who};

use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};

use crate::policy::RouteId;
use crate::time::Moment;

/// A client as limits see it: an address folded to the configured prefix, so that one IPv6 household or
/// one IPv4-mapped spelling is one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Client(u128);

impl Client {
    /// Folds `address`: IPv4-mapped IPv6 becomes IPv4, then everything below the prefix is zeroed.
    ///
    /// IPv4 is kept in its mapped form, so the two families cannot collide. A prefix longer than the
    /// address counts as the whole address.
    pub fn fold(address: IpAddr, ipv4_prefix: u8, ipv6_prefix: u8) -> Self {
        let (bits, kept) = match address.to_canonical() {
            IpAddr::V4(v4) => (v4.to_ipv6_mapped().to_bits(), 96 + u32::from(ipv4_prefix.min(32))),
            IpAddr::V6(v6) => (v6.to_bits(), u32::from(ipv6_prefix.min(128))),
        };
        let mask = u128::MAX.checked_shl(128 - kept).unwrap_or(0);
        Client(bits & mask)
    }

    /// What [`as_bits`](Client::as_bits) gave.
    pub(super) const fn from_bits(bits: u128) -> Self {
        Client(bits)
    }

    pub const fn as_bits(self) -> u128 {
        self.0
    }

    /// The first address of the prefix, IPv4 where it was one.
    pub fn address(self) -> IpAddr {
        std::net::Ipv6Addr::from_bits(self.0).to_canonical()
    }
}

/// A new or existing connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnFacts {
    pub at: Moment,
    /// For ranges; already canonical (never IPv4-mapped).
    pub address: IpAddr,
    pub client: Client,
}

/// A request that is about to be decided.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub at: Moment,
    /// The believed address, for ranges; already canonical (never IPv4-mapped).
    pub address: IpAddr,
    pub client: Client,
    pub route: RouteId,
    pub method: &'a Method,
    /// Normalised (see `policy::path`), without the query.
    pub path: &'a str,
    /// Lower case, without port or trailing dot.
    pub host: &'a str,
    /// As they came, for limits that look at one of them.
    pub headers: &'a HeaderMap,
    pub who: &'a Who,
    /// The body's length, where the head gave it.
    pub request_bytes: Option<u64>,
    /// How long it has waited for a limit already.
    pub waited: Duration,
}

/// Who wrote the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The platform behind weir.
    App,
    /// weir itself: a refusal or an error. Never evidence of the app's status, latency or bytes.
    Weir,
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    pub at: Moment,
    pub origin: Origin,
    pub status: StatusCode,
    pub request_bytes: u64,
    pub response_bytes: u64,
    /// Time spent waiting on the upstream, never on the client.
    pub upstream_time: Duration,
}

impl Outcome {
    /// Of a head that cannot be read: a 400, which tells as much of the request as the app's would.
    pub const fn unreadable(at: Moment) -> Self {
        Outcome {
            at,
            origin: Origin::App,
            status: StatusCode::BAD_REQUEST,
            request_bytes: 0,
            response_bytes: 0,
            upstream_time: Duration::ZERO,
        }
    }
}

/// What happened on a connection without becoming a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProtocolEvent {
    /// A connection that was closed at once: its client had as many as it may.
    TooManyConnections,
    /// A TLS handshake that failed: no common version or cipher suite, or not TLS at all.
    HandshakeFailed,
    /// A TLS handshake that did not end in time.
    HandshakeTimeout,
    /// A request head that was refused because it could be read in two ways, or not at all.
    MalformedHead,
    /// A body whose chunks could not be told apart.
    MalformedBody,
    /// A head or body larger than allowed.
    TooLarge,
    /// A connection of HTTP/2 that had to be ended: frames out of order, floods of resets.
    Http2,
    /// A head that did not arrive in time.
    HeadTimeout,
    /// A body that stopped making progress.
    BodyStalled,
    /// The connection was reset or ended in mid-message.
    Aborted,
}
