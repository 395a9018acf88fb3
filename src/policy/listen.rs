//! Addresses to listen on, and the PROXY protocol.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Where a listener is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    Ip {
        address: SocketAddr,
        /// An IPv6 address does not take IPv4 clients too.
        v6only: bool,
    },
    Unix {
        /// Absolute.
        path: PathBuf,
        /// Permission bits of the socket's file: who may connect.
        mode: u32,
    },
}

impl ListenAddress {
    /// `None` for a Unix socket.
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            ListenAddress::Ip { address, .. } => Some(*address),
            ListenAddress::Unix { .. } => None,
        }
    }

    /// Whether clients of two listeners could not be told apart by where they connect. Port 0 is another port each time.
    pub fn is_same_place(&self, other: &ListenAddress) -> bool {
        match (self, other) {
            (ListenAddress::Ip { address: one, .. }, ListenAddress::Ip { address: other, .. }) => {
                one == other && one.port() != 0
            }
            (ListenAddress::Unix { path: one, .. }, ListenAddress::Unix { path: other, .. }) => one == other,
            _ => false,
        }
    }
}

/// As it is written: `127.0.0.1:80`, `unix:/run/weir.sock`.
impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Ip { address, .. } => address.fmt(f),
            ListenAddress::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        ListenAddress::Ip { address, v6only: false }
    }
}

/// Who whoever connects by a Unix socket counts as: somebody on this machine.
pub const NEIGHBOUR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// Which versions of the PROXY protocol are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// Whichever comes; where weir speaks itself, version 2.
    Either,
    V1,
    V2,
}

impl ProxyProtocol {
    pub const fn allows_v1(self) -> bool {
        matches!(self, ProxyProtocol::Either | ProxyProtocol::V1)
    }

    pub const fn allows_v2(self) -> bool {
        matches!(self, ProxyProtocol::Either | ProxyProtocol::V2)
    }

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            ProxyProtocol::Either => "any",
            ProxyProtocol::V1 => "v1",
            ProxyProtocol::V2 => "v2",
        }
    }
}
