//! Headers for servers that want to know for whom weir connects to them.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use smallvec::SmallVec;

use super::binary::{FIXED, LOCAL, PROXY, START, TCP4, TCP4_BYTES, TCP6, TCP6_BYTES, UNSPECIFIED};
use crate::policy::ProxyProtocol;

/// For whom a connection is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Announced {
    pub source: SocketAddr,
    /// Where it came to.
    pub destination: SocketAddr,
}

/// A header, ready to be sent ahead of everything else.
#[derive(Clone, Debug)]
pub struct Header(SmallVec<[u8; FIXED + TCP6_BYTES]>);

impl Header {
    /// For a client.
    pub fn of(version: ProxyProtocol, announced: Announced) -> Self {
        let family = Family::of(announced.source.ip(), announced.destination.ip());
        let ports = [announced.source.port(), announced.destination.port()];
        if version == ProxyProtocol::V1 {
            return Self::line(&match family {
                Family::V4(source, destination) => {
                    format!("TCP4 {source} {destination} {} {}", ports[0], ports[1])
                }
                Family::V6(source, destination) => {
                    format!("TCP6 {source} {destination} {} {}", ports[0], ports[1])
                }
            });
        }
        let mut block: SmallVec<[u8; TCP6_BYTES]> = SmallVec::new();
        let (kind, bytes) = match family {
            Family::V4(source, destination) => {
                block.extend(source.octets().into_iter().chain(destination.octets()));
                (TCP4, TCP4_BYTES)
            }
            Family::V6(source, destination) => {
                block.extend(source.octets().into_iter().chain(destination.octets()));
                (TCP6, TCP6_BYTES)
            }
        };
        block.extend(ports.into_iter().flat_map(u16::to_be_bytes));
        debug_assert_eq!(block.len(), bytes);
        Self::binary(PROXY, kind, &block)
    }

    /// For weir itself, as for a health check.
    pub fn own(version: ProxyProtocol) -> Self {
        match version {
            ProxyProtocol::V1 => Self::line("UNKNOWN"),
            ProxyProtocol::V2 | ProxyProtocol::Either => Self::binary(LOCAL, UNSPECIFIED, &[]),
        }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn line(words: &str) -> Self {
        let mut line = String::new();
        // Writing to a string cannot fail.
        let _ = write!(line, "PROXY {words}\r\n");
        Header(SmallVec::from_slice(line.as_bytes()))
    }

    fn binary(command: u8, family: u8, block: &[u8]) -> Self {
        let mut header = SmallVec::from_slice(START);
        header.extend([command, family]);
        // Two addresses are far below 64 KiB.
        header.extend(u16::try_from(block.len()).unwrap_or(u16::MAX).to_be_bytes());
        header.extend_from_slice(block);
        Header(header)
    }
}

/// Both addresses in one family: a header has only one.
enum Family {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

impl Family {
    fn of(source: IpAddr, destination: IpAddr) -> Self {
        let mapped = |address: IpAddr| match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        match (source.to_canonical(), destination.to_canonical()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Family::V4(source, destination),
            // No address is known that was connected to, as for a client of a listener for all of them.
            (IpAddr::V4(source), destination) if destination.is_unspecified() => {
                Family::V4(source, Ipv4Addr::UNSPECIFIED)
            }
            (source, IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => Family::V6(mapped(source), Ipv6Addr::UNSPECIFIED),
            (source, destination) => Family::V6(mapped(source), mapped(destination)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: ProxyProtocol, source: &str, destination: &str) -> Vec<u8> {
        let [source, destination] = [source, destination].map(|text| text.parse().unwrap());
        Header::of(version, Announced { source, destination }).as_bytes().to_vec()
    }

    /// Promise: headers are what §2 of the specification says, to the byte.
    #[test]
    fn headers_to_the_byte() {
        assert_eq!(
            header(ProxyProtocol::V1, "192.0.2.7:4711", "198.51.100.1:443"),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"
        );
        assert_eq!(
            header(ProxyProtocol::V1, "[2001:db8::7]:4711", "[2001:db8::1]:443"),
            b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n"
        );
        assert_eq!(
            header(ProxyProtocol::V2, "192.0.2.7:4711", "198.51.100.1:443"),
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x12\x67\x01\xbb"
        );
        assert_eq!(Header::own(ProxyProtocol::V1).as_bytes(), b"PROXY UNKNOWN\r\n");
        assert_eq!(Header::own(ProxyProtocol::V2).as_bytes(), b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
    }

    /// Promise: both addresses are of one family, the client's where the other is not known.
    #[test]
    fn families_are_never_mixed() {
        let line =
            |source, destination| String::from_utf8(header(ProxyProtocol::V1, source, destination)).unwrap();
        assert_eq!(line("192.0.2.7:1", "[::]:2"), "PROXY TCP4 192.0.2.7 0.0.0.0 1 2\r\n");
        assert_eq!(line("[2001:db8::7]:1", "0.0.0.0:2"), "PROXY TCP6 2001:db8::7 :: 1 2\r\n");
        assert_eq!(line("[::ffff:192.0.2.7]:1", "192.0.2.1:2"), "PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n");
        assert_eq!(line("192.0.2.7:1", "[2001:db8::1]:2"), "PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 1 2\r\n");
    }
}
