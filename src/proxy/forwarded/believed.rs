//! Which address is believed, read from the nearest hop outwards.

use std::net::{IpAddr, Ipv6Addr};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};

use crate::policy::{ForwardedHeader, Trust};

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address to charge for a request that came from `peer`, in canonical form (never IPv4-mapped).
///
/// An untrusted peer speaks for itself only. From a trusted one, it is the rightmost address in the configured
/// header that is not a trusted proxy's: everything left of it is that client's own word. An element that is no
/// address (`unknown`, an obfuscated identifier, nonsense) ends the walk at the last good hop.
pub fn believed_client(peer: IpAddr, trust: &Trust, headers: &HeaderMap) -> IpAddr {
    let peer = peer.to_canonical();
    if !trust.covers(peer) {
        return peer;
    }
    match &trust.header {
        ForwardedHeader::XForwardedFor => {
            let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
            let elements = lines.flat_map(|line| line.as_bytes().rsplit(|&b| b == b','));
            let said = elements.map(<[u8]>::trim_ascii).filter(|element| !element.is_empty());
            walk(peer, trust, said.map(address))
        }
        ForwardedHeader::Forwarded => {
            walk(peer, trust, elements(headers).map(|element| element.client.and_then(address)))
        }
        ForwardedHeader::Single(name) => {
            let mut lines = headers.get_all(name).iter();
            match (lines.next(), lines.next()) {
                (Some(line), None) => address(line.as_bytes()).unwrap_or(peer),
                _ => peer,
            }
        }
    }
}

/// What the trusted proxies said of the believed client's own request, if their `Forwarded` elements say so.
pub(super) fn believed_element<'h>(trust: &Trust, headers: &'h HeaderMap) -> Option<Element<'h>> {
    elements(headers).find(|element| !element.client.and_then(address).is_some_and(|a| trust.covers(a)))
}

/// One element of `Forwarded` (RFC 7239 §4); values without their quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Element<'h> {
    pub client: Option<&'h [u8]>,
    pub proto: Option<&'h [u8]>,
    pub host: Option<&'h [u8]>,
}

fn walk(peer: IpAddr, trust: &Trust, hops: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
    let mut last_good = peer;
    for hop in hops {
        let Some(address) = hop else { break };
        last_good = address;
        if !trust.covers(address) {
            break;
        }
    }
    last_good
}

/// All elements of all lines, nearest hop first.
fn elements(headers: &HeaderMap) -> impl Iterator<Item = Element<'_>> {
    let lines = headers.get_all(FORWARDED).iter().rev();
    let elements = lines.flat_map(|line| RightSplit { left: Some(line.as_bytes()), separator: b',' });
    elements.map(<[u8]>::trim_ascii).filter(|element| !element.is_empty()).map(element)
}

/// An element with a doubled or malformed parameter says nothing.
fn element(text: &[u8]) -> Element<'_> {
    let mut element = Element::default();
    for pair in (RightSplit { left: Some(text), separator: b';' }) {
        let pair = pair.trim_ascii();
        if pair.is_empty() {
            continue;
        }
        let Some(at) = memchr::memchr(b'=', pair) else { return Element::default() };
        let (name, value) = (pair.get(..at).unwrap_or_default(), pair.get(at + 1..).unwrap_or_default());
        let place = match name {
            _ if name.eq_ignore_ascii_case(b"for") => &mut element.client,
            _ if name.eq_ignore_ascii_case(b"proto") => &mut element.proto,
            _ if name.eq_ignore_ascii_case(b"host") => &mut element.host,
            _ => continue,
        };
        if place.replace(unquote(value)).is_some() {
            return Element::default();
        }
    }
    element
}

/// The pieces of `left` between separators outside quotes, from the right. So the element that a trusted proxy
/// appended is read as it meant it, whatever unbalanced quotes the client put before it.
struct RightSplit<'h> {
    left: Option<&'h [u8]>,
    separator: u8,
}

impl<'h> Iterator for RightSplit<'h> {
    type Item = &'h [u8];

    fn next(&mut self) -> Option<&'h [u8]> {
        let text = self.left?;
        let mut quoted = false;
        let cut = text.iter().enumerate().rposition(|(at, &b)| {
            let escaped = || at.checked_sub(1).and_then(|before| text.get(before)) == Some(&b'\\');
            if b == b'"' && !escaped() {
                quoted = !quoted;
            }
            b == self.separator && !quoted
        });
        let Some(at) = cut else { return self.left.take() };
        self.left = text.get(..at);
        text.get(at + 1..)
    }
}

fn unquote(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value)
}

/// An address, bare or in brackets, with or without a port (RFC 7239 §6), with or without quotes.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(unquote(text.trim_ascii())).ok()?;
    let (address, port) = if let Some(inner) = text.strip_prefix('[') {
        let (inner, rest) = inner.split_once(']')?;
        (
            IpAddr::V6(inner.parse::<Ipv6Addr>().ok()?),
            rest.strip_prefix(':').or(rest.is_empty().then_some("0"))?,
        )
    } else if let Ok(address) = text.parse() {
        (address, "0")
    } else {
        let (v4, port) = text.split_once(':')?;
        (IpAddr::V4(v4.parse().ok()?), port)
    };
    let is_port = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (!port.is_empty() && port.bytes().all(is_port)).then(|| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn trust(header: ForwardedHeader) -> Trust {
        let nets = ["10.0.0.0/8", "2001:db8:ffff::/48"];
        Trust { proxies: nets.iter().map(|net| net.parse().unwrap()).collect(), header }
    }

    fn believed(peer: &str, header: &ForwardedHeader, name: &'static str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_str(line).unwrap());
        }
        believed_client(peer.parse().unwrap(), &trust(header.clone()), &headers).to_string()
    }

    /// Only a trusted proxy's word counts, and only as far as the first address that is not one.
    #[test]
    fn takes_the_rightmost_untrusted_address() {
        let header = ForwardedHeader::XForwardedFor;
        for (peer, lines, client) in [
            ("192.0.2.9", &["192.0.2.1"][..], "192.0.2.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1"], "192.0.2.1"),
            ("::ffff:10.0.0.1", &["::ffff:192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["203.0.113.7, 192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["203.0.113.7, 192.0.2.1, 10.0.0.2 ,10.0.0.3"], "192.0.2.1"),
            ("10.0.0.1", &["192.0.2.1", "10.0.0.2"], "192.0.2.1"),
            ("10.0.0.1", &["192.0.2.1", "203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["192.0.2.1, "], "192.0.2.1"),
            ("10.0.0.1", &["192.0.2.1:4711"], "192.0.2.1"),
            ("10.0.0.1", &["2001:db8::1"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1]:47"], "2001:db8::1"),
            ("10.0.0.1", &["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["192.0.2.1, not an address"], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1:"], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1:8 0"], "10.0.0.1"),
        ] {
            assert_eq!(believed(peer, &header, "x-forwarded-for", lines), client, "{peer} {lines:?}");
        }
        assert_eq!(believed("10.0.0.1", &header, "x-real-ip", &["192.0.2.1"]), "10.0.0.1");
    }

    /// RFC 7239 elements are read the same way, quotes, ports and obfuscation included.
    #[test]
    fn reads_forwarded_elements() {
        let header = ForwardedHeader::Forwarded;
        for (lines, client) in [
            (&["for=192.0.2.1"][..], "192.0.2.1"),
            (&["For=\"192.0.2.1:80\";proto=https;by=10.0.0.1"], "192.0.2.1"),
            (&["proto=https; for=\"[2001:db8::1]:47\""], "2001:db8::1"),
            (&["for=203.0.113.7, for=192.0.2.1, for=\"[2001:db8:ffff::2]\""], "192.0.2.1"),
            (&["for=203.0.113.7", "for=192.0.2.1"], "192.0.2.1"),
            (&["for=192.0.2.1, for=_hidden, for=10.0.0.2"], "10.0.0.2"),
            (&["for=192.0.2.1, for=unknown"], "10.0.0.1"),
            (&["for=192.0.2.1, proto=http"], "10.0.0.1"),
            (&["for=192.0.2.1;for=192.0.2.2"], "10.0.0.1"),
            (&["for=\"203.0.113.7, for=192.0.2.1"], "192.0.2.1"),
            (&["for=203.0.113.7;host=\"a,b\", for=192.0.2.1;host=\"c,for=1.1.1.1\""], "192.0.2.1"),
            (&["for=192.0.2.1;host=\"a\\\", for=203.0.113.7\""], "192.0.2.1"),
        ] {
            assert_eq!(believed("10.0.0.1", &header, "forwarded", lines), client, "{lines:?}");
        }
    }

    /// A header that holds one address is believed only if it holds exactly one.
    #[test]
    fn reads_single_address_headers() {
        let header = ForwardedHeader::Single(HeaderName::from_static("x-real-ip"));
        for (lines, client) in [
            (&["192.0.2.1"][..], "192.0.2.1"),
            (&["10.0.0.7"], "10.0.0.7"),
            (&["192.0.2.1", "192.0.2.2"], "10.0.0.1"),
            (&["192.0.2.1, 192.0.2.2"], "10.0.0.1"),
            (&[""], "10.0.0.1"),
        ] {
            assert_eq!(believed("10.0.0.1", &header, "x-real-ip", lines), client, "{lines:?}");
        }
    }
}
