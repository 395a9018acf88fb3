//! Who may ask what: nobody has to say who they are, but a browser that was tricked by some page is no operator.
//!
//! A page of another site can send requests to this listener, and, with a name that it makes point to this machine
//! (DNS rebinding), even read the answers as its own. Browsers give both away: by the name in `Host`, and by `Origin`
//! and `Sec-Fetch-Site` (Fetch standard), which no page can change.

use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, ORIGIN};
use http::{Method, StatusCode};

use super::answer::{self, Answer};
use super::asked::Asked;
use crate::policy::host;

/// Refuses what a page could have sent: any name in `Host` but `localhost`, and, where something would be changed,
/// anything from a browser and anything that is not sent as JSON.
pub(super) fn check(asked: &Asked) -> Result<(), Box<Answer>> {
    let refuse = |status, detail| Err(Box::new(answer::problem(status, detail, &[])));
    if !is_own_host(&asked.headers) {
        let detail = "Ask by an address or by localhost: under any other name a web page could be asking.";
        return refuse(StatusCode::MISDIRECTED_REQUEST, detail);
    }
    if asked.method == Method::GET || asked.method == Method::HEAD {
        return Ok(());
    }
    if asked.headers.contains_key(ORIGIN) || asked.headers.contains_key("sec-fetch-site") {
        return refuse(StatusCode::FORBIDDEN, "Nothing is changed on behalf of a web page.");
    }
    let is_json = |value: &HeaderValue| {
        let essence = value.as_bytes().split(|b| *b == b';').next().unwrap_or_default();
        essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
    };
    if !asked.headers.get(CONTENT_TYPE).is_some_and(is_json) {
        let detail = "Send application/json, which no web page can without asking first.";
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
    }
    Ok(())
}

/// Whether `Host` is an address or `localhost`, which nobody can make point elsewhere.
fn is_own_host(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Some(host) = host.to_str().ok().and_then(|raw| host::host(raw).ok()) else { return false };
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&host);
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use bytes::Bytes;

    use super::*;

    fn status(method: Method, fields: &[(&'static str, &'static str)]) -> u16 {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let asked = Asked {
            method,
            path: "/api/v1/mode".to_owned(),
            query: String::new(),
            headers,
            body: Bytes::new(),
            from: IpAddr::from([127, 0, 0, 1]),
        };
        check(&asked).map_or_else(|answer| answer.status().as_u16(), |()| 200)
    }

    /// Promise: only an address or localhost is taken for this machine, whatever points to it.
    #[test]
    fn a_rebound_name_is_refused() {
        for (host, expected) in [
            ("127.0.0.1:9900", 200),
            ("[::1]:9900", 200),
            ("localhost:9900", 200),
            ("10.1.2.3", 200),
            ("attacker.example:9900", 421),
            ("localhost.attacker.example", 421),
            ("127.0.0.1.attacker.example", 421),
            ("", 421),
        ] {
            assert_eq!(status(Method::GET, &[("host", host)]), expected, "{host}");
        }
        assert_eq!(status(Method::GET, &[]), 421);
        assert_eq!(status(Method::GET, &[("host", "localhost"), ("host", "a.example")]), 421);
    }

    /// Promise: nothing is changed by a form, a script or a link of any page, its own or another's.
    #[test]
    fn a_page_changes_nothing() {
        let host = ("host", "127.0.0.1:9900");
        let json = ("content-type", "application/json; charset=utf-8");
        assert_eq!(status(Method::POST, &[host, json]), 200);
        assert_eq!(status(Method::POST, &[host]), 415);
        assert_eq!(status(Method::POST, &[host, ("content-type", "text/plain")]), 415);
        assert_eq!(status(Method::POST, &[host, json, ("origin", "http://127.0.0.1:9900")]), 403);
        assert_eq!(status(Method::POST, &[host, json, ("origin", "null")]), 403);
        assert_eq!(status(Method::POST, &[host, json, ("sec-fetch-site", "same-origin")]), 403);
    }
}
