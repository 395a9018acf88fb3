//! Networks: the wider neighbourhood of a client.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use thiserror::Error;

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

/// How a network is told from an address: by its autonomous system where that is known, else by its prefix.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    pub prefix: NetworkPrefix,
    pub asn: Option<Arc<AsnDatabase>>,
}

impl Networks {
    pub fn of(&self, address: IpAddr) -> Principal {
        match self.asn.as_ref().and_then(|database| database.number(address)) {
            Some(number) => Principal::new(PrincipalKind::Network, ASN_SPACE | u128::from(number)),
            None => self.prefix.of(address),
        }
    }

    /// The network for people: `AS64496`, or `192.0.2.0/24`. Of another kind of principal it says nothing sensible.
    pub fn name(&self, network: Principal) -> String {
        let id = network.id();
        match (id & ASN_SPACE == ASN_SPACE, Ipv6Addr::from_bits(id).to_canonical()) {
            (true, _) => format!("AS{}", id & u128::from(u32::MAX)),
            (false, IpAddr::V4(v4)) => format!("{v4}/{}", self.prefix.ipv4),
            (false, IpAddr::V6(v6)) => format!("{v6}/{}", self.prefix.ipv6),
        }
    }
}

/// Multicast addresses (RFC 4291 §2.7), from which nothing is ever sent, stand for autonomous systems.
const ASN_SPACE: u128 = 0xff << 120;

/// Which autonomous system an address belongs to.
pub struct AsnDatabase {
    reader: maxminddb::Reader<Vec<u8>>,
}

/// Why bytes are no [`AsnDatabase`].
#[derive(Debug, Error)]
pub enum AsnDatabaseError {
    #[error("it is not in MaxMind's format")]
    Format(#[from] maxminddb::MaxMindDbError),
    #[error("it is a {kind}, which knows no autonomous systems")]
    Kind { kind: String },
}

impl AsnDatabase {
    /// Reads a file in MaxMind's format, version 2.
    pub fn read(bytes: Vec<u8>) -> Result<Self, AsnDatabaseError> {
        let reader = maxminddb::Reader::from_source(bytes)?;
        let kind = &reader.metadata().database_type;
        // GeoLite2-ASN, GeoIP2-ISP and those of other makers, which name theirs alike.
        if ["ASN", "ISP", "Enterprise"].iter().any(|word| kind.contains(word)) {
            return Ok(AsnDatabase { reader });
        }
        Err(AsnDatabaseError::Kind { kind: kind.clone() })
    }

    /// What the file says it is, such as `GeoLite2-ASN`.
    pub fn kind(&self) -> &str {
        &self.reader.metadata().database_type
    }

    /// The number of an address's autonomous system; `None` where the database knows none.
    pub fn number(&self, address: IpAddr) -> Option<u32> {
        // A damaged record is as good as none: the prefix stands in.
        let found = self.reader.lookup(address.to_canonical()).ok()?;
        found.decode_path(&[maxminddb::PathElement::Key("autonomous_system_number")]).ok()?
    }
}

impl fmt::Debug for AsnDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsnDatabase").field("metadata", self.reader.metadata()).finish()
    }
}
