//! One host: lower case, without port or trailing dot.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use thiserror::Error;

/// Why a `Host` or an authority cannot be read as one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HostFault {
    #[error("the host is empty")]
    Empty,
    #[error("the host is longer than 255 bytes")]
    TooLong,
    #[error("the host holds a character that no host name has")]
    InvalidName,
    #[error("the host is not a valid address in brackets")]
    InvalidAddress,
    #[error("the port is not a number up to 65535")]
    InvalidPort,
}

const HOST_BYTES_MAX: usize = 255;

/// A host and the port beside it, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostPort<'a> {
    /// In brackets if it is an IPv6 address; without a trailing dot.
    pub name: &'a str,
    pub port: Option<u16>,
}

/// The canonical host of `raw`, a `Host` value or the authority of an absolute target: lower case, no port, no
/// trailing dot, IPv6 in brackets and in its shortest form (RFC 5952). Borrows when nothing changes.
///
/// Stricter than `reg-name` (RFC 3986 §3.2.2): letters, digits, `-`, `.`, `_` and `~` only. No name in the DNS has
/// more, and what is left out (commas, percent signs) is what proxies disagree about.
pub fn host(raw: &str) -> Result<Cow<'_, str>, HostFault> {
    let HostPort { name, .. } = split(raw)?;
    if let Some(address) = bracketed(name) {
        let canonical = format!("[{}]", address?);
        return Ok(if canonical == name { Cow::Borrowed(name) } else { Cow::Owned(canonical) });
    }
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        return Ok(Cow::Owned(name.to_ascii_lowercase()));
    }
    Ok(Cow::Borrowed(name))
}

/// Splits and checks `host[:port]`, without allocating.
pub fn split(raw: &str) -> Result<HostPort<'_>, HostFault> {
    if raw.len() > HOST_BYTES_MAX {
        return Err(HostFault::TooLong);
    }
    if raw.starts_with('[') {
        let end = raw.find(']').ok_or(HostFault::InvalidAddress)?;
        let (name, rest) = raw.split_at_checked(end + 1).ok_or(HostFault::InvalidAddress)?;
        bracketed(name).ok_or(HostFault::InvalidAddress)??;
        let port = match rest.strip_prefix(':') {
            Some(digits) => Some(port(digits)?),
            None if rest.is_empty() => None,
            None => return Err(HostFault::InvalidAddress),
        };
        return Ok(HostPort { name, port });
    }
    // In one pass: every request comes this way, twice. No label is empty, but for the root's at the end.
    let (mut end, mut before, mut has_empty_label) = (0, DOT, false);
    for class in raw.bytes().map(|b| NAME[usize::from(b)]).take_while(|&class| class != 0) {
        has_empty_label |= before & class == DOT;
        before = class;
        end += 1;
    }
    let (name, rest) = raw.split_at_checked(end).ok_or(HostFault::InvalidName)?;
    let port = match rest.strip_prefix(':') {
        Some(digits) => Some(port(digits)?),
        None if rest.is_empty() => None,
        None => return Err(HostFault::InvalidName),
    };
    match name.strip_suffix('.').unwrap_or(name) {
        "" => Err(HostFault::Empty),
        _ if has_empty_label => Err(HostFault::InvalidName),
        name => Ok(HostPort { name, port }),
    }
}

const DOT: u8 = 2;

/// RFC 3986 §2.3 `unreserved`, and the dot apart; 0 for everything else.
const NAME: [u8; 256] = {
    let mut table = [0; 256];
    let mut b = 0_u8;
    while b < 128 {
        table[b as usize] = match b {
            b'.' => DOT,
            b'-' | b'_' | b'~' => 1,
            _ => b.is_ascii_alphanumeric() as u8,
        };
        b += 1;
    }
    table
};

/// `None` if `name` is not in brackets. A zone (`%eth0`) means nothing to another machine and is not accepted.
fn bracketed(name: &str) -> Option<Result<Ipv6Addr, HostFault>> {
    let inner = name.strip_prefix('[')?.strip_suffix(']')?;
    Some(inner.parse().map_err(|_| HostFault::InvalidAddress))
}

fn port(digits: &str) -> Result<u16, HostFault> {
    // `u16::from_str` takes a plus sign.
    if digits.starts_with('+') {
        return Err(HostFault::InvalidPort);
    }
    digits.parse().map_err(|_| HostFault::InvalidPort)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One host has one spelling, whatever the case, the port and the dot.
    #[test]
    fn folds_spellings() {
        for (raw, canonical) in [
            ("example.com", "example.com"),
            ("EXAMPLE.com.", "example.com"),
            ("example.com:8080", "example.com"),
            ("example.com.:80", "example.com"),
            ("my_app.internal", "my_app.internal"),
            ("127.0.0.1:18080", "127.0.0.1"),
            ("[::1]:80", "[::1]"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
            ("[2001:DB8::A]", "[2001:db8::a]"),
        ] {
            assert_eq!(host(raw).as_deref(), Ok(canonical), "{raw}");
        }
    }

    /// What is not one host has no reading.
    #[test]
    fn refuses_what_is_no_host() {
        for (raw, fault) in [
            ("", HostFault::Empty),
            (".", HostFault::Empty),
            (":80", HostFault::Empty),
            ("a..b", HostFault::InvalidName),
            (".a", HostFault::InvalidName),
            ("a..", HostFault::InvalidName),
            ("a b", HostFault::InvalidName),
            ("a,b", HostFault::InvalidName),
            ("a%2eb", HostFault::InvalidName),
            ("user@a", HostFault::InvalidName),
            ("a/b", HostFault::InvalidName),
            ("é.example", HostFault::InvalidName),
            ("a:", HostFault::InvalidPort),
            ("a:+80", HostFault::InvalidPort),
            ("a:65536", HostFault::InvalidPort),
            ("a:80:80", HostFault::InvalidPort),
            ("::1", HostFault::InvalidPort),
            ("[::1", HostFault::InvalidAddress),
            ("[::1]x", HostFault::InvalidAddress),
            ("[fe80::1%25eth0]", HostFault::InvalidAddress),
            ("[v1.x]", HostFault::InvalidAddress),
        ] {
            assert_eq!(host(raw), Err(fault), "{raw}");
        }
        assert_eq!(host(&"a".repeat(256)), Err(HostFault::TooLong));
    }
}
