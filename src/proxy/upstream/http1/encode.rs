//! A request as it goes over the wire (RFC 9112 §3, §6, §7).
//!
//! The head is written straight from the request's own map. What frames the body is written by weir alone, from what
//! it knows of the body: no field of the request can say otherwise.

use http::header::{self, HeaderName, HeaderValue};
use http::request;
use http::uri::PathAndQuery;
use http_body::SizeHint;

use crate::proxy::message::body_writer::BodyWriter;
use crate::proxy::message::fields::{write_field, write_length};

/// Appends the head of `request`, with the fields `added`, to `wire`. `body`: the length of its body, if one is to be
/// sent.
///
/// The target is in origin-form, or `*` (RFC 9112 §3.2).
pub(super) fn encode_head(
    request: &request::Parts,
    added: &[(HeaderName, HeaderValue)],
    body: Option<&SizeHint>,
    wire: &mut Vec<u8>,
) -> Option<BodyWriter> {
    let target = request.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    wire.extend_from_slice(request.method.as_str().as_bytes());
    // An absolute-form's target may be a query alone.
    wire.extend_from_slice(if target.starts_with(['/', '*']) { b" " } else { b" /" });
    wire.extend_from_slice(target.as_bytes());
    wire.extend_from_slice(b" HTTP/1.1\r\n");
    let length = body.map_or(Some(0), SizeHint::exact);
    let mut has_length = false;
    for (name, value) in &request.headers {
        match *name {
            header::CONTENT_LENGTH => match length {
                Some(length) if !has_length => {
                    write_length(length, wire);
                    has_length = true;
                }
                _ => {}
            },
            header::TRANSFER_ENCODING => {}
            _ => write_field(name, value, wire),
        }
    }
    for (name, value) in added {
        write_field(name, value, wire);
    }
    let writer = match (body, length) {
        (None, _) => None,
        (Some(_), Some(length)) => {
            if !has_length {
                write_length(length, wire);
            }
            Some(BodyWriter::Length(length))
        }
        (Some(_), None) => {
            wire.extend_from_slice(b"transfer-encoding: chunked\r\n");
            Some(BodyWriter::chunked(&request.headers))
        }
    };
    wire.extend_from_slice(b"\r\n");
    writer
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(method: &str, target: &str, fields: &[(&str, &str)]) -> request::Parts {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn encoded(request: &request::Parts, body: Option<SizeHint>) -> String {
        let mut wire = Vec::new();
        encode_head(request, &[], body.as_ref(), &mut wire);
        String::from_utf8(wire).unwrap()
    }

    /// Promise: RFC 9112 §3: the target goes on as it came, and so do the fields, in lower case and in order.
    #[test]
    fn heads() {
        let fields = [("Host", "a"), ("X-One", "1"), ("Cookie", "a=b"), ("x-one", "2")];
        let request = parts("GET", "/a%2Fb?c=d&&", &fields);
        let expected = "GET /a%2Fb?c=d&& HTTP/1.1\r\nhost: a\r\nx-one: 1\r\nx-one: 2\r\ncookie: a=b\r\n\r\n";
        assert_eq!(encoded(&request, None), expected);
        let (mut wire, via) = (Vec::new(), (header::VIA, HeaderValue::from_static("1.1 weir")));
        encode_head(&parts("GET", "/", &[("via", "1.0 a")]), &[via], None, &mut wire);
        assert_eq!(wire, b"GET / HTTP/1.1\r\nvia: 1.0 a\r\nvia: 1.1 weir\r\n\r\n");
        assert!(encoded(&parts("OPTIONS", "*", &[]), None).starts_with("OPTIONS * HTTP/1.1\r\n"));
        assert!(encoded(&parts("PURGE", "http://a?q", &[]), None).starts_with("PURGE /?q HTTP/1.1\r\n"));
    }

    /// Promise: RFC 9112 §6.3: a request has exactly the framing of the body that is sent, whatever its fields say.
    #[test]
    fn only_the_body_frames_a_request() {
        let odd = [("content-length", "7"), ("transfer-encoding", "gzip"), ("content-length", "8")];
        let request = parts("POST", "/", &odd);
        let exact = encoded(&request, Some(SizeHint::with_exact(5)));
        assert_eq!(exact, "POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\n");
        let unknown = encoded(&request, Some(SizeHint::default()));
        assert_eq!(unknown, "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n");
        let none = encoded(&request, None);
        assert_eq!(none, "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n");
        let bare = parts("POST", "/", &[]);
        assert_eq!(encoded(&bare, None), "POST / HTTP/1.1\r\n\r\n");
        let named = encoded(&bare, Some(SizeHint::with_exact(5)));
        assert_eq!(named, "POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\n");
    }

    /// Promise: RFC 9110 §6.5: only trailers that were announced, and none that frames or routes a message.
    #[test]
    fn trailers() {
        let request = parts("POST", "/", &[("trailer", "X-Sum, host"), ("trailer", "X-Late")]);
        let mut wire = Vec::new();
        let writer = encode_head(&request, &[], Some(&SizeHint::default()), &mut wire);
        let trailers =
            parts("GET", "/", &[("x-sum", "1"), ("host", "b"), ("x-other", "2"), ("x-late", "3")]).headers;
        wire.clear();
        writer.unwrap().end(Some(&trailers), &mut wire).unwrap();
        assert_eq!(wire, b"0\r\nx-sum: 1\r\nx-late: 3\r\n\r\n");
    }
}
