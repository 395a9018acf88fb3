//! Request heads out of HTTP/2 that HTTP/1.1 can carry in one reading.
//!
//! h2 has seen to what makes a message malformed by itself (RFC 9113 §8.2 and §8.3): fields of the connection, upper
//! case, control octets, pseudo-fields in the wrong place, a body of another length than announced. What two readers
//! could still take differently is refused here, as the head tap does for HTTP/1.1.

use http::header::{self, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request};

use super::tunnel;
use crate::proxy::head::{Fault, HeadLimits, same_host, target_fault};

/// Why a head is refused, if it is. `default_port`: that of a host without one.
pub(super) fn check<B>(request: &Request<B>, limits: HeadLimits, default_port: u16) -> Result<(), Fault> {
    // The extended one (RFC 8441) becomes an upgrade.
    let is_tunnel = request.method() == Method::CONNECT;
    if is_tunnel && !tunnel::is_asked(request) {
        return Err(Fault::Connect);
    }
    let target = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    if target.len() > limits.uri_bytes_max {
        return Err(Fault::TargetTooLong);
    }
    let method = if is_tunnel { &Method::GET } else { request.method() };
    if let Some(fault) = target_fault(method.as_str().as_bytes(), target.as_bytes()) {
        return Err(fault);
    }
    let headers = request.headers();
    if headers.len() > limits.header_count_max {
        return Err(Fault::TooManyFields);
    }
    check_host(request, default_port)?;
    check_length(headers)
}

/// `:authority` is the host (RFC 9113 §8.3.1); a `Host` beside it has to say the same.
fn check_host<B>(request: &Request<B>, default_port: u16) -> Result<(), Fault> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Fault::HostRepeated);
    }
    let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let host = host.map(HeaderValue::as_bytes);
    let same = match (authority, host) {
        (None, None) => return Err(Fault::HostMissing),
        (Some(one), None) | (None, Some(one)) => same_host(one, one, default_port)?,
        (Some(authority), Some(host)) => same_host(authority, host, default_port)?,
    };
    if same { Ok(()) } else { Err(Fault::HostMismatch) }
}

fn check_length(headers: &HeaderMap) -> Result<(), Fault> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(()) };
    if lengths.next().is_some() {
        return Err(Fault::LengthRepeated);
    }
    let digits = length.as_bytes();
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if is_number { Ok(()) } else { Err(Fault::LengthInvalid) }
}

/// Makes one field of cookies that came apart, as HTTP/1.1 has it (RFC 9113 §8.2.3).
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(header::COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    // Made of what fields could hold, and so a field can hold it.
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(header::COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 1000, header_count_max: 3, uri_bytes_max: 20 };

    fn checked(uri: &str, fields: &[(&str, &str)]) -> Result<(), Fault> {
        let mut request = Request::get(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap(), LIMITS, 443)
    }

    /// Promise: what HTTP/1.1 could carry in two readings, or not at all, is refused, each for its reason.
    #[test]
    fn only_one_reading_passes() {
        assert_eq!(checked("https://app.test/a", &[]), Ok(()));
        assert_eq!(checked("https://app.test/a", &[("host", "APP.test:443")]), Ok(()));
        assert_eq!(checked("/a", &[("host", "app.test")]), Ok(()));
        assert_eq!(checked("/a", &[]), Err(Fault::HostMissing));
        assert_eq!(checked("https://app.test/a", &[("host", "b.test")]), Err(Fault::HostMismatch));
        assert_eq!(checked("/", &[("host", "a"), ("host", "a")]), Err(Fault::HostRepeated));
        assert_eq!(checked("/", &[("host", "a b")]), Err(Fault::HostInvalid));
        assert_eq!(checked("https://user@app.test/", &[]), Err(Fault::HostInvalid));
        assert_eq!(checked("https://app.test/12345678901234567890", &[]), Err(Fault::TargetTooLong));
        let four = [("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")];
        assert_eq!(checked("https://app.test/", &four), Err(Fault::TooManyFields));
        let twice = [("content-length", "1"), ("content-length", "1")];
        assert_eq!(checked("https://app.test/", &twice), Err(Fault::LengthRepeated));
        assert_eq!(checked("https://app.test/", &[("content-length", "+1")]), Err(Fault::LengthInvalid));
        let connect = Request::builder().method(Method::CONNECT).uri("app.test:80").body(()).unwrap();
        assert_eq!(check(&connect, LIMITS, 443), Err(Fault::Connect));
    }

    /// Promise: an app that reads one `Cookie` field sees all cookies, in their order.
    #[test]
    fn cookies_are_one_field() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1"));
        join_cookies(&mut headers);
        assert_eq!(headers[header::COOKIE], "a=1");
        headers.append(header::COOKIE, HeaderValue::from_static("b=2; c=3"));
        join_cookies(&mut headers);
        let joined: Vec<_> = headers.get_all(header::COOKIE).iter().collect();
        assert_eq!(joined, ["a=1; b=2; c=3"]);
    }
}
