//! Networks: the wider neighbourhood of a client.

use std::net::IpAddr;

use crate::facts::{Client, Principal, PrincipalKind};

/// How wide a network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkPrefix {
    pub ipv4: u8,
    pub ipv6: u8,
}

impl Default for NetworkPrefix {
    /// What a site is usually given: RFC 6177 for IPv6.
    fn default() -> Self {
        NetworkPrefix { ipv4: 24, ipv6: 48 }
    }
}

impl NetworkPrefix {
    pub fn of(&self, address: IpAddr) -> Principal {
        let network = Client::fold(address, self.ipv4, self.ipv6);
        Principal::new(PrincipalKind::Network, network.as_bits())
    }
}

/// How a network is told from an address.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    pub prefix: NetworkPrefix,
}

impl Networks {
    pub fn of(&self, address: IpAddr) -> Principal {
        self.prefix.of(address)
    }
}
