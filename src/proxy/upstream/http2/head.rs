//! The head of a request as HTTP/2 has it (RFC 9113 §8.2, §8.3), and what of trailers goes on.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Uri, request};

use crate::proxy::message::body_writer::may_trail;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// The same request, with the fields `added`. Its Host becomes `:authority` (RFC 9113 §8.3.1); fields of the connection
/// are left out (§8.2.2), but for `te`, which says nothing but `trailers` by then. `length`: that of its body, where it is
/// known.
pub(super) fn request(
    parts: &request::Parts,
    added: &[(HeaderName, HeaderValue)],
    length: Option<u64>,
    is_secure: bool,
) -> Request<()> {
    let mut host = None;
    let mut headers = HeaderMap::with_capacity(parts.headers.len() + added.len());
    for (name, value) in &parts.headers {
        if *name == header::HOST && host.is_none() {
            host = Some(value);
        } else if !is_of_connection(name) && *name != header::CONTENT_LENGTH {
            headers.append(name, value.clone());
        }
    }
    for (name, value) in added {
        headers.append(name, value.clone());
    }
    if let Some(length) =
        length.filter(|length| *length > 0 || parts.headers.contains_key(header::CONTENT_LENGTH))
    {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    let mut request = Request::new(());
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = uri(&parts.uri, host, is_secure).unwrap_or_else(|| {
        // An authority that no URI can hold, such as none at all, stays where it was.
        headers.extend(host.map(|host| (header::HOST, host.clone())));
        parts.uri.clone()
    });
    *request.headers_mut() = headers;
    request
}

fn uri(target: &Uri, host: Option<&HeaderValue>, is_secure: bool) -> Option<Uri> {
    let authority = Authority::try_from(host?.as_bytes()).ok()?;
    let target = target.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    // An absolute-form's target may be a query alone.
    let target = match target.as_str() {
        whole if whole.starts_with(['/', '*']) => target,
        query => PathAndQuery::try_from(format!("/{query}")).ok()?,
    };
    let scheme = if is_secure { Scheme::HTTPS } else { Scheme::HTTP };
    Uri::builder().scheme(scheme).authority(authority).path_and_query(target).build().ok()
}

fn is_of_connection(name: &HeaderName) -> bool {
    matches!(*name, header::CONNECTION | header::TRANSFER_ENCODING | header::UPGRADE | header::HOST)
        || *name == KEEP_ALIVE
        || *name == PROXY_CONNECTION
}

/// Trailers as they may go on: all but those that frame, route or describe what came before (RFC 9110 §6.5.1).
pub(super) fn trailers(mut trailers: HeaderMap) -> HeaderMap {
    let barred: Vec<HeaderName> =
        trailers.keys().filter(|name| is_of_connection(name) || !may_trail(name)).cloned().collect();
    for name in barred {
        trailers.remove(name);
    }
    trailers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(method: &str, target: &str, fields: &[(&str, &str)], length: Option<u64>) -> Request<()> {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let via = (header::VIA, HeaderValue::from_static("1.1 weir"));
        super::request(&request.body(()).unwrap().into_parts().0, &[via], length, true)
    }

    /// Promise: RFC 9113 §8.3.1: a Host becomes the authority, the target goes on as it came, and what is said of the
    /// connection stays behind (§8.2.2).
    #[test]
    fn heads() {
        let fields = [
            ("host", "app.test:8443"),
            ("connection", "te"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("keep-alive", "1"),
            ("transfer-encoding", "chunked"),
            ("x-one", "1"),
            ("x-one", "2"),
        ];
        let request = made("GET", "/a%2Fb?c=d&&", &fields, None);
        assert_eq!(request.uri(), "https://app.test:8443/a%2Fb?c=d&&");
        let left: Vec<_> = request.headers().iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        assert_eq!(left, [("te", "trailers"), ("x-one", "1"), ("x-one", "2"), ("via", "1.1 weir")]);
    }

    /// Promise: a length is that of the body that is sent, whatever was said of it.
    #[test]
    fn lengths() {
        let length = |said: &[(&str, &str)], length| {
            let request = made("POST", "/", said, length);
            request.headers().get("content-length").map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(length(&[("content-length", "7")], Some(5)).as_deref(), Some("5"));
        assert_eq!(length(&[("content-length", "7")], None), None);
        assert_eq!(length(&[("content-length", "0")], Some(0)).as_deref(), Some("0"));
        assert_eq!(length(&[], Some(0)), None);
        assert_eq!(length(&[], Some(5)).as_deref(), Some("5"));
    }

    /// Promise: a request about the server as a whole, and one whose Host names nobody, are requests too.
    #[test]
    fn odd_targets() {
        assert_eq!(made("OPTIONS", "*", &[("host", "a")], None).uri().path(), "*");
        let nobody = made("GET", "/x", &[("host", "")], None);
        assert_eq!(
            (nobody.uri().to_string().as_str(), nobody.headers()["host"].as_bytes()),
            ("/x", &b""[..])
        );
    }

    /// Promise: trailers pass without being announced, as gRPC's are not, but for those that may not trail.
    #[test]
    fn trailers_pass() {
        let fields = [("grpc-status", "0"), ("content-length", "5"), ("host", "b"), ("connection", "close")];
        let map = fields.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
        let left = trailers(map);
        assert_eq!(left.len(), 1);
        assert_eq!(left["grpc-status"], "0");
    }
}
