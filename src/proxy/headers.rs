//! Fields that end at weir, and fields that weir writes (RFC 9110 §7.6).

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a message said hop by hop, before those fields were removed.
#[derive(Clone, Debug, Default)]
pub struct HopByHop {
    /// The protocol asked for or switched to, when `Connection` lists `upgrade`.
    pub upgrade: Option<HeaderValue>,
    /// `TE: trailers`.
    pub accepts_trailers: bool,
}

/// Removes the hop-by-hop fields, those that `Connection` names included.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) -> HopByHop {
    let mut found = HopByHop::default();
    let (mut connection, mut te, mut transfer_encoding, mut upgrade, mut keep_alive, mut proxy_connection) =
        (false, false, false, false, false, false);
    // One walk over the names there are is cheaper than a look-up for each that might be.
    for name in headers.keys() {
        match *name {
            header::CONNECTION => connection = true,
            header::TE => te = true,
            header::TRANSFER_ENCODING => transfer_encoding = true,
            header::UPGRADE => upgrade = true,
            _ => {
                keep_alive |= *name == KEEP_ALIVE;
                proxy_connection |= *name == PROXY_CONNECTION;
            }
        }
    }
    if te {
        found.accepts_trailers = headers.get_all(header::TE).iter().any(|v| lists(v, "trailers"));
        headers.remove(header::TE);
    }
    if transfer_encoding {
        headers.remove(header::TRANSFER_ENCODING);
        // RFC 9112 §6.3: a length beside it is not that of the body. Left in, it would cut the next hop's.
        headers.remove(header::CONTENT_LENGTH);
    }
    if upgrade {
        found.upgrade = headers.remove(header::UPGRADE);
    }
    if keep_alive {
        headers.remove(KEEP_ALIVE);
    }
    if proxy_connection {
        headers.remove(PROXY_CONNECTION);
    }
    if connection && names_no_field(headers) {
        headers.remove(header::CONNECTION);
        found.upgrade = None;
    } else if connection {
        let asks_upgrade = headers.get_all(header::CONNECTION).iter().any(|v| lists(v, "upgrade"));
        found.upgrade = found.upgrade.filter(|_| asks_upgrade);
        for named in take_connection_options(headers) {
            headers.remove(named);
        }
    } else {
        found.upgrade = None;
    }
    found
}

/// Whether `Connection` is what it nearly always is: one word about the connection itself.
fn names_no_field(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONNECTION).iter();
    match (values.next(), values.next()) {
        (Some(only), None) => {
            let only = only.as_bytes();
            only.eq_ignore_ascii_case(b"keep-alive") || only.eq_ignore_ascii_case(b"close")
        }
        _ => false,
    }
}

/// Removes `Connection` and returns the fields it named. Those that frame or route a message are not the
/// sender's to take away (RFC 9110 §7.6.1: a connection option must not name a field meant for all recipients).
fn take_connection_options(headers: &mut HeaderMap) -> Vec<HeaderName> {
    let named = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|option| !option.eq_ignore_ascii_case("close") && !option.eq_ignore_ascii_case("keep-alive"))
        .filter_map(|option| HeaderName::try_from(option).ok())
        .filter(|name| ![header::HOST, header::CONTENT_LENGTH].contains(name))
        .collect();
    headers.remove(header::CONNECTION);
    named
}

/// Writes back what the next hop needs to know of an upgrade or of trailers.
pub fn write_hop_by_hop(headers: &mut HeaderMap, hop: HopByHop) {
    if let Some(protocol) = hop.upgrade {
        headers.insert(header::UPGRADE, protocol);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    } else if hop.accepts_trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
    }
}

/// Names the server itself where the request names no host, as an HTTP/1.0 request may; without a `Host`, what weir
/// sends on as HTTP/1.1 would be refused (RFC 9112 §3.2).
///
/// `authority` is the server's, as configured. One that no field can hold becomes an empty `Host`, which is what
/// that section asks for where there is no authority.
pub fn ensure_host(headers: &mut HeaderMap, authority: &str) {
    headers
        .entry(header::HOST)
        .or_insert_with(|| HeaderValue::from_str(authority).unwrap_or_else(|_| HeaderValue::from_static("")));
}

/// Fields that weir writes into a request. Beside its map: nothing looks for them there any more.
pub type Added = SmallVec<[(HeaderName, HeaderValue); 6]>;

/// weir's line of `Via`, behind those that are there (RFC 9110 §7.6.3).
pub fn via(version: http::Version) -> (HeaderName, HeaderValue) {
    let ours = match version {
        http::Version::HTTP_10 => "1.0 weir",
        http::Version::HTTP_2 => "2 weir",
        _ => "1.1 weir",
    };
    (header::VIA, HeaderValue::from_static(ours))
}

/// Whether a list-valued field holds `token`, in any case.
fn lists(value: &HeaderValue, token: &str) -> bool {
    value.to_str().is_ok_and(|v| v.split(',').any(|item| item.trim().eq_ignore_ascii_case(token)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    /// Promise: hop-by-hop fields end here, and so does every field that Connection names.
    #[test]
    fn named_fields_are_removed() {
        let mut h = headers(&[
            ("connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "gzip"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("accept", "*/*"),
        ]);
        let found = strip_hop_by_hop(&mut h);
        assert!(found.upgrade.is_none(), "an Upgrade that Connection does not name is no upgrade");
        assert!(!found.accepts_trailers);
        assert_eq!(h, headers(&[("accept", "*/*")]));
    }

    /// Promise: nobody can have the fields that frame or route a message removed on the way.
    #[test]
    fn framing_fields_stay() {
        let mut h =
            headers(&[("connection", "host, content-length"), ("host", "a"), ("content-length", "1")]);
        strip_hop_by_hop(&mut h);
        assert_eq!(h, headers(&[("host", "a"), ("content-length", "1")]));
    }

    /// Promise: a body that is chunked has no length beside it on the next hop.
    #[test]
    fn a_length_beside_a_coding_is_removed() {
        let mut h = headers(&[("content-length", "3"), ("transfer-encoding", "chunked")]);
        strip_hop_by_hop(&mut h);
        assert!(h.is_empty());
    }

    /// Promise: an upgrade and the wish for trailers reach the next hop.
    #[test]
    fn upgrade_and_trailers_are_carried() {
        let mut h = headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
        let found = strip_hop_by_hop(&mut h);
        assert!(h.is_empty());
        write_hop_by_hop(&mut h, found);
        assert_eq!(h, headers(&[("upgrade", "websocket"), ("connection", "upgrade")]));

        let mut h = headers(&[("te", "trailers, deflate;q=0.5"), ("connection", "TE")]);
        let found = strip_hop_by_hop(&mut h);
        write_hop_by_hop(&mut h, found);
        assert_eq!(h, headers(&[("te", "trailers"), ("connection", "te")]));
    }

    /// Promise: what is sent as HTTP/1.1 has a Host, and the client's own stays as it came.
    #[test]
    fn a_missing_host_is_the_servers() {
        for (lines, host) in
            [(&[][..], "10.0.0.5:3000"), (&[("host", "App.Test")][..], "App.Test"), (&[("host", "")][..], "")]
        {
            let mut h = headers(lines);
            ensure_host(&mut h, "10.0.0.5:3000");
            assert_eq!(h, headers(&[("host", host)]));
        }
        let mut h = HeaderMap::new();
        ensure_host(&mut h, "a\nb");
        assert_eq!(h, headers(&[("host", "")]));
    }
}
