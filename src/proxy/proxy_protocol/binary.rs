//! Version 2 (§2.2): a signature, sixteen bytes in all before the addresses, then fields that are passed over.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{HEADER_MAX, HeaderError, Parsed, Spokesman};

pub(super) const START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and protocol, length.
pub(super) const FIXED: usize = 16;

/// Version in the upper half, command in the lower.
pub(super) const LOCAL: u8 = 0x20;
pub(super) const PROXY: u8 = 0x21;

/// Family in the upper half, SOCK_STREAM in the lower.
pub(super) const UNSPECIFIED: u8 = 0x00;
pub(super) const TCP4: u8 = 0x11;
pub(super) const TCP6: u8 = 0x21;
const UNIX: u8 = 0x31;

/// Two addresses and two ports, or two paths.
pub(super) const TCP4_BYTES: usize = 12;
pub(super) const TCP6_BYTES: usize = 36;
const UNIX_BYTES: usize = 216;

pub(super) fn parse(bytes: &[u8]) -> Result<Option<Parsed>, HeaderError> {
    let Some((&[command, family, high, low], _)) =
        bytes.get(START.len()..).and_then(<[u8]>::split_first_chunk)
    else {
        return Ok(None);
    };
    if command != LOCAL && command != PROXY {
        return Err(HeaderError::Malformed("the version or command is none of version 2"));
    }
    let end = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if end > HEADER_MAX {
        return Err(HeaderError::Malformed("the header is longer than 4096 bytes"));
    }
    let Some(block) = bytes.get(FIXED..end) else { return Ok(None) };
    let speaks_for = if command == LOCAL { Spokesman::Itself } else { spokesman(family, block)? };
    Ok(Some(Parsed { speaks_for, bytes: end }))
}

fn spokesman(family: u8, block: &[u8]) -> Result<Spokesman, HeaderError> {
    const SHORT: HeaderError = HeaderError::Malformed("the header is too short for its addresses");
    match family {
        UNSPECIFIED => Ok(Spokesman::Itself),
        TCP4 => {
            let block: &[u8; TCP4_BYTES] = block.first_chunk().ok_or(SHORT)?;
            let [a, b, c, d, _, _, _, _, high, low, ..] = *block;
            let address = Ipv4Addr::new(a, b, c, d);
            Ok(Spokesman::Client(SocketAddr::new(address.into(), u16::from_be_bytes([high, low]))))
        }
        TCP6 => {
            let block: &[u8; TCP6_BYTES] = block.first_chunk().ok_or(SHORT)?;
            let (source, rest) = block.split_first_chunk::<16>().ok_or(SHORT)?;
            let port = rest.get(16..18).and_then(<[u8]>::first_chunk).ok_or(SHORT)?;
            let address = Ipv6Addr::from(*source);
            Ok(Spokesman::Client(SocketAddr::new(address.into(), u16::from_be_bytes(*port))))
        }
        UNIX if block.len() >= UNIX_BYTES => Ok(Spokesman::Neighbour),
        UNIX => Err(SHORT),
        // §2.2: other values must be rejected; and a datagram cannot have become this stream.
        _ => Err(HeaderError::Malformed("the family or protocol is none of a connection")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let length = u16::try_from(block.len()).unwrap().to_be_bytes();
        [START, &[command, family], &length, block].concat()
    }

    fn read(wire: &[u8]) -> Option<Spokesman> {
        parse(wire).ok().flatten().map(|parsed| parsed.speaks_for)
    }

    /// Promise: addresses are where §2.2 puts them: source, destination, source port, destination port.
    #[test]
    fn addresses_of_each_family() {
        let tcp4 = [192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 0x01, 0xbb];
        let client = |text: &str| Some(Spokesman::Client(text.parse().unwrap()));
        assert_eq!(read(&header(PROXY, TCP4, &tcp4)), client("192.0.2.7:4711"));
        let fields = [&tcp4[..], &[0x03, 0x00, 0x04, 1, 2, 3, 4]].concat();
        assert_eq!(read(&header(PROXY, TCP4, &fields)), client("192.0.2.7:4711"), "with a field of CRC32C");
        let mut tcp6 = vec![0; TCP6_BYTES];
        tcp6[..16].copy_from_slice(&"2001:db8::7".parse::<Ipv6Addr>().unwrap().octets());
        tcp6[32..].copy_from_slice(&[0x12, 0x67, 0x01, 0xbb]);
        assert_eq!(read(&header(PROXY, TCP6, &tcp6)), client("[2001:db8::7]:4711"));
        assert_eq!(read(&header(PROXY, UNIX, &[b'/'; UNIX_BYTES])), Some(Spokesman::Neighbour));
        assert_eq!(read(&header(PROXY, UNSPECIFIED, &[])), Some(Spokesman::Itself));
    }

    /// Promise: on its own behalf a proxy may say anything, and it is passed over.
    #[test]
    fn a_local_header_speaks_for_nobody() {
        for (family, block) in [(UNSPECIFIED, &[][..]), (TCP4, &[1; 3]), (0xff, &[0; 50])] {
            assert_eq!(read(&header(LOCAL, family, block)), Some(Spokesman::Itself));
        }
    }

    /// Promise: what is no header of version 2 for a connection is refused, at its first odd byte.
    #[test]
    fn odd_headers_are_refused() {
        for (command, family, block) in [
            (0x11, TCP4, &[0; TCP4_BYTES][..]),
            (0x31, TCP4, &[0; TCP4_BYTES]),
            (0x22, TCP4, &[0; TCP4_BYTES]),
            (PROXY, TCP4, &[0; TCP4_BYTES - 1]),
            (PROXY, TCP6, &[0; TCP6_BYTES - 1]),
            (PROXY, UNIX, &[0; UNIX_BYTES - 1]),
            (PROXY, 0x12, &[0; TCP4_BYTES]),
            (PROXY, 0x41, &[0; TCP4_BYTES]),
            (PROXY, 0x10, &[0; TCP4_BYTES]),
        ] {
            assert!(parse(&header(command, family, block)).is_err(), "{command:#x} {family:#x}");
        }
    }
}
