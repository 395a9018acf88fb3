//! What the application is told of the client.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use http::header::{FORWARDED, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::super::headers::Added;
use super::believed::{X_FORWARDED_FOR, believed_element};
use crate::policy::{ForwardedHeader, Trust, host};

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// How a client connection came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

/// What is known of a connection: made once, used for each of its requests.
#[derive(Clone, Debug)]
pub struct Hop {
    scheme: Scheme,
    /// Set if the peer is trusted and `Forwarded` is believed, the only header with a word on scheme and host too.
    speaks_forwarded: Option<Trust>,
    removed: Removed,
    peer: IpAddr,
    peer_values: ClientValues,
}

/// The header values that depend on the client and the scheme alone.
#[derive(Clone, Debug)]
struct ClientValues {
    x_forwarded_for: HeaderValue,
    forwarded: HeaderValue,
}

impl Hop {
    pub fn new(peer: IpAddr, scheme: Scheme, trust: &Trust) -> Self {
        let peer = peer.to_canonical();
        Hop {
            scheme,
            speaks_forwarded: (trust.header == ForwardedHeader::Forwarded && trust.covers(peer))
                .then(|| trust.clone()),
            removed: Removed::new(&trust.header),
            peer,
            peer_values: ClientValues::new(peer, scheme, None),
        }
    }

    pub fn removed(&self) -> &Removed {
        &self.removed
    }
}

/// The fields that are removed whoever sent them, for weir writes its own or none.
#[derive(Clone, Debug)]
pub struct Removed {
    /// Configured headers that are not on the list of known ones.
    also: SmallVec<[HeaderName; 2]>,
}

impl Removed {
    fn new(believed: &ForwardedHeader) -> Self {
        let also: Option<HeaderName> = match believed {
            ForwardedHeader::Single(name) if !is_forwarding(name.as_str()) => Some(name.clone()),
            _ => None,
        };
        Removed { also: also.into_iter().collect() }
    }

    /// And `name` besides.
    pub fn and(mut self, name: Option<HeaderName>) -> Self {
        self.also.extend(name);
        self
    }

    /// Removes them from a head, or from trailers, which some applications merge into it.
    pub fn strip(&self, fields: &mut HeaderMap) {
        let found: SmallVec<[HeaderName; 4]> = fields
            .keys()
            .filter(|name| {
                is_forwarding(name.as_str())
                    || self.also.iter().any(|also| is_spelling_of(name.as_str(), also.as_str()))
            })
            .cloned()
            .collect();
        for name in found {
            fields.remove(name);
        }
    }
}

/// Removes `name` from a head, and what an application may take for it.
pub fn remove_spellings(fields: &mut HeaderMap, name: &HeaderName) {
    let is_one = |field: &&HeaderName| is_spelling_of(field.as_str(), name.as_str());
    while let Some(field) = fields.keys().find(is_one).cloned() {
        fields.remove(field);
    }
}

/// Removes every known forwarding header ([`Removed`]), and adds `X-Forwarded-For` (`client`, and nothing else),
/// `X-Forwarded-Proto`, `X-Forwarded-Host` and `Forwarded` to those that weir writes.
///
/// `client` is what `believed_client` gave for the same headers. Scheme and host are those of the connection and of
/// `Host`. Where `Forwarded` is the header that is believed, a trusted proxy's `proto` and `host` in it replace
/// them if they are valid, and only then does the new `Forwarded` have a `host`: `Host` itself reaches the
/// application unchanged. Every other header says whose the request is, and no more: a proxy that sets that one
/// alone passes its client's own `X-Forwarded-Host` through.
pub fn rewrite(headers: &mut HeaderMap, hop: &Hop, client: IpAddr, added: &mut Added) {
    let said = hop.speaks_forwarded.as_ref().map(|trust| said_by_proxy(trust, headers)).unwrap_or_default();
    hop.removed.strip(headers);

    let scheme = said.scheme.unwrap_or(hop.scheme);
    let values = if client == hop.peer && scheme == hop.scheme && said.host.is_none() {
        hop.peer_values.clone()
    } else {
        ClientValues::new(client, scheme, said.host.as_ref())
    };
    added.push((X_FORWARDED_FOR, values.x_forwarded_for));
    added.push((FORWARDED, values.forwarded));
    added.push((X_FORWARDED_PROTO, HeaderValue::from_static(scheme.name())));
    if let Some(host) = said.host.or_else(|| headers.get(HOST).cloned()) {
        added.push((X_FORWARDED_HOST, host));
    }
}

impl Scheme {
    pub const fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    fn parse(text: &[u8]) -> Option<Self> {
        [Scheme::Http, Scheme::Https].into_iter().find(|s| text.eq_ignore_ascii_case(s.name().as_bytes()))
    }
}

impl ClientValues {
    /// For every request through a trusted proxy, hence without the formatting machinery, and in one allocation: one
    /// value is a part of the other.
    fn new(client: IpAddr, scheme: Scheme, host: Option<&HeaderValue>) -> Self {
        let host = host.map_or(&b""[..], HeaderValue::as_bytes);
        let mut forwarded = Vec::with_capacity(ADDRESS_BYTES_MAX + host.len() + 32);
        // RFC 7239 §6: an IPv6 address is in brackets, and so in quotes. A port needs quotes too; a valid host
        // holds none.
        let (open, close) =
            if client.is_ipv6() { (&b"for=\"["[..], &b"]\""[..]) } else { (&b"for="[..], &b""[..]) };
        forwarded.extend_from_slice(open);
        match client {
            IpAddr::V4(v4) => push_ipv4(&mut forwarded, v4),
            IpAddr::V6(v6) => forwarded.extend_from_slice(v6.to_string().as_bytes()),
        }
        let address = open.len()..forwarded.len();
        forwarded.extend_from_slice(close);
        forwarded.extend_from_slice(b";proto=");
        forwarded.extend_from_slice(scheme.name().as_bytes());
        if !host.is_empty() {
            forwarded.extend_from_slice(b";host=\"");
            forwarded.extend_from_slice(host);
            forwarded.push(b'"');
        }
        let forwarded = Bytes::from(forwarded);
        ClientValues {
            x_forwarded_for: header_value(forwarded.slice(address)),
            forwarded: header_value(forwarded),
        }
    }
}

/// The longest IPv6 address.
const ADDRESS_BYTES_MAX: usize = 45;

fn push_ipv4(text: &mut Vec<u8>, address: Ipv4Addr) {
    for (at, octet) in address.octets().into_iter().enumerate() {
        if at > 0 {
            text.push(b'.');
        }
        if octet >= 100 {
            text.push(b'0' + octet / 100);
        }
        if octet >= 10 {
            text.push(b'0' + octet / 10 % 10);
        }
        text.push(b'0' + octet % 10);
    }
}

/// Addresses, scheme names and checked hosts are always valid values.
fn header_value(text: Bytes) -> HeaderValue {
    debug_assert!(HeaderValue::from_bytes(&text).is_ok());
    HeaderValue::from_maybe_shared(text).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

#[derive(Default)]
struct Said {
    scheme: Option<Scheme>,
    host: Option<HeaderValue>,
}

/// What the believed `Forwarded` says of scheme and host.
fn said_by_proxy(trust: &Trust, headers: &HeaderMap) -> Said {
    let valid_host = |raw: &[u8]| {
        let raw = str::from_utf8(raw).ok()?;
        host::split(raw).ok()?;
        HeaderValue::from_str(raw).ok()
    };
    let element = believed_element(trust, headers).unwrap_or_default();
    Said { scheme: element.proto.and_then(Scheme::parse), host: element.host.and_then(valid_host) }
}

/// Where some application looks for the client's address, scheme or host; `X-Forwarded…` besides. And where some look
/// for the path (`X-Original-URL`, `X-Rewrite-URL`): they would serve another than the one that was limited. And
/// `X-Request-Id`, which is weir's in every spelling.
const FORWARDING: [&str; 22] = [
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "cf-pseudo-ipv4",
    "client-ip",
    "fastly-client-ip",
    "forwarded",
    "forwarded-for",
    "proxy-client-ip",
    "true-client-ip",
    "wl-proxy-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-uri",
    "x-original-url",
    "x-originating-ip",
    "x-real-ip",
    "x-remote-addr",
    "x-remote-ip",
    "x-request-id",
    "x-rewrite-url",
];

/// `name` is in lower case, as header names are. An underscore counts as a hyphen, as it does for applications that
/// get their headers as variables (CGI, WSGI).
fn is_forwarding(name: &str) -> bool {
    match name.as_bytes() {
        [b'x', b'-' | b'_', b'c' | b'f' | b'o' | b'r', ..] | [b'c' | b'f' | b'p' | b't' | b'w', ..] => {}
        _ => return false,
    }
    is_spelling_of(name.get(..11).unwrap_or_default(), "x-forwarded")
        || FORWARDING.iter().any(|known| is_spelling_of(name, known))
}

fn is_spelling_of(name: &str, known: &str) -> bool {
    name.len() == known.len()
        && name.bytes().zip(known.bytes()).all(|(n, k)| n == k || (n == b'_' && k == b'-'))
}

#[cfg(test)]
mod tests {
    use super::super::believed_client;
    use super::*;

    fn trust(header: ForwardedHeader) -> Trust {
        Trust { proxies: vec!["10.0.0.0/8".parse().unwrap()], header }
    }

    /// Rewrites the way the proxy does; gives the lines, sorted.
    fn rewritten(peer: &str, header: ForwardedHeader, lines: &[(&'static str, &str)]) -> Vec<String> {
        let (peer, trust) = (peer.parse().unwrap(), trust(header));
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let client = believed_client(peer, &trust, &headers);
        let mut added = Added::new();
        rewrite(&mut headers, &Hop::new(peer, Scheme::Http, &trust), client, &mut added);
        headers.extend(added);
        let mut lines: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines
    }

    const FORGED: [(&str, &str); 18] = [
        ("cf-connecting-ip", "203.0.113.7"),
        ("client-ip", "203.0.113.7"),
        ("fastly-client-ip", "203.0.113.7"),
        ("forwarded", "for=203.0.113.7;proto=https;host=evil.example"),
        ("true-client-ip", "203.0.113.7"),
        ("x-client-ip", "203.0.113.7"),
        ("x-cluster-client-ip", "203.0.113.7"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-proto", "https"),
        ("x_forwarded_for", "203.0.113.7"),
        ("x-original-forwarded-for", "203.0.113.7"),
        ("x-original-host", "evil.example"),
        ("x-original-url", "/admin"),
        ("x_original_uri", "/admin"),
        ("x-real-ip", "203.0.113.7"),
        ("x-rewrite-url", "/admin"),
        ("x_request_id", "forged"),
    ];

    /// Promise 10: only a trusted proxy's forwarding headers are believed; everyone else's are removed.
    #[test]
    fn removes_what_an_untrusted_client_says() {
        let mut lines = vec![("host", "a.example"), ("accept", "*/*"), ("x-forwarded-for", "203.0.113.7")];
        lines.extend(FORGED);
        assert_eq!(
            rewritten("192.0.2.9", ForwardedHeader::XForwardedFor, &lines),
            [
                "accept: */*",
                "forwarded: for=192.0.2.9;proto=http",
                "host: a.example",
                "x-forwarded-for: 192.0.2.9",
                "x-forwarded-host: a.example",
                "x-forwarded-proto: http",
            ]
        );
    }

    /// A header that was configured is removed like the known ones.
    #[test]
    fn removes_the_configured_header() {
        let header = ForwardedHeader::Single(HeaderName::from_static("my-client"));
        let lines = rewritten("192.0.2.9", header.clone(), &[("my-client", "203.0.113.7")]);
        assert_eq!(
            lines,
            ["forwarded: for=192.0.2.9;proto=http", "x-forwarded-for: 192.0.2.9", "x-forwarded-proto: http"]
        );
        let lines = rewritten("10.0.0.1", header, &[("my-client", "2001:db8::1")]);
        assert_eq!(
            lines,
            [
                "forwarded: for=\"[2001:db8::1]\";proto=http",
                "x-forwarded-for: 2001:db8::1",
                "x-forwarded-proto: http"
            ]
        );
    }

    /// From a trusted proxy's `Forwarded`, scheme and host are taken over if they are valid.
    #[test]
    fn takes_over_a_trusted_scheme_and_host() {
        for (element, forwarded, host, proto) in [
            (
                "for=192.0.2.1;proto=HTTPS;host=\"a.example:8443\"",
                "for=192.0.2.1;proto=https;host=\"a.example:8443\"",
                "a.example:8443",
                "https",
            ),
            ("for=192.0.2.1;proto=gopher;host=\"a/b\"", "for=192.0.2.1;proto=http", "inner", "http"),
        ] {
            let lines = [("host", "inner"), ("forwarded", element)];
            assert_eq!(
                rewritten("10.0.0.1", ForwardedHeader::Forwarded, &lines),
                [
                    &format!("forwarded: {forwarded}"),
                    "host: inner",
                    "x-forwarded-for: 192.0.2.1",
                    &format!("x-forwarded-host: {host}"),
                    &format!("x-forwarded-proto: {proto}"),
                ]
            );
        }
    }

    /// What may not stand in a head may not come after the body either; other trailers stay.
    #[test]
    fn removes_the_same_from_trailers() {
        let header = ForwardedHeader::Single(HeaderName::from_static("my-client"));
        let hop = Hop::new("10.0.0.1".parse().unwrap(), Scheme::Http, &trust(header));
        let mut trailers = HeaderMap::new();
        for (name, value) in FORGED.into_iter().chain([("my-client", "203.0.113.7"), ("x-sum", "1")]) {
            trailers.append(name, HeaderValue::from_static(value));
        }
        hop.removed().strip(&mut trailers);
        assert_eq!(trailers.keys().collect::<Vec<_>>(), ["x-sum"]);
    }

    /// Exactly one forwarding header is believed: what all the others say, of the client, the scheme or the host,
    /// is dropped even from a trusted proxy.
    #[test]
    fn believes_one_header() {
        let (single, name) = (HeaderName::from_static("x-real-ip"), HeaderName::from_static("my-client"));
        for (header, said) in [
            (ForwardedHeader::XForwardedFor, ("x-forwarded-for", "203.0.113.7, 192.0.2.1")),
            (ForwardedHeader::Single(single), ("x-real-ip", "192.0.2.1")),
            (ForwardedHeader::Single(name), ("my-client", "192.0.2.1")),
            (
                ForwardedHeader::Forwarded,
                ("forwarded", "for=203.0.113.7;proto=https;host=evil.example, for=192.0.2.1, for=10.0.0.2"),
            ),
        ] {
            let mut lines = vec![("host", "inner")];
            lines.extend(FORGED.into_iter().filter(|(name, _)| *name != said.0));
            lines.push(said);
            assert_eq!(
                rewritten("10.0.0.1", header, &lines),
                [
                    "forwarded: for=192.0.2.1;proto=http",
                    "host: inner",
                    "x-forwarded-for: 192.0.2.1",
                    "x-forwarded-host: inner",
                    "x-forwarded-proto: http",
                ],
                "{said:?}"
            );
        }
    }

    /// An IPv4 address is written as everybody writes it.
    #[test]
    fn ipv4_is_in_dotted_decimal() {
        for octet in 0..=255 {
            let address = Ipv4Addr::new(octet, 0, 255 - octet, 9);
            let mut text = Vec::new();
            push_ipv4(&mut text, address);
            assert_eq!(String::from_utf8(text).unwrap(), address.to_string());
        }
    }
}
