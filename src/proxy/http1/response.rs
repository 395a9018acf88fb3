//! The head of a response as it goes over the wire (RFC 9112 §4, §6).

use http::header;
use http::{StatusCode, Version, response};
use http_body::SizeHint;
use hyper::ext::ReasonPhrase;

use crate::proxy::message::body_writer::BodyWriter;
use crate::proxy::message::fields::{write_field, write_length};

/// What the request that is answered has to say in the form of its response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub version: Version,
    /// It was a HEAD: no body follows, whatever the head says of it.
    pub to_head: bool,
    pub keeps_alive: bool,
    pub takes_trailers: bool,
}

/// What follows the head.
#[derive(Debug)]
pub(super) struct Follows {
    /// `None`: no body, or one that only the end of the connection ends.
    pub writer: Option<BodyWriter>,
    pub has_body: bool,
    /// Another request may come.
    pub keeps_alive: bool,
}

/// Appends the head of `response` to `wire`, with the lines `own` besides its fields. `body`: how long its body
/// is; `date`: writes the time.
pub(super) fn encode_head(
    response: &response::Parts,
    own: &[u8],
    body: &SizeHint,
    asked: Asked,
    date: impl FnOnce(&mut Vec<u8>),
    wire: &mut Vec<u8>,
) -> Follows {
    write_status(response, asked.version, wire);
    let status = response.status;
    let allows_body =
        !status.is_informational() && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let has_body = allows_body && !asked.to_head;
    let said = write_fields(response, has_body, body.exact(), wire);
    wire.extend_from_slice(own);
    if !said.date {
        wire.extend_from_slice(b"date: ");
        date(wire);
        wire.extend_from_slice(b"\r\n");
    }
    let mut keeps_alive = asked.keeps_alive && !said.close;
    let mut writer = None;
    match body.exact() {
        Some(length) if has_body => {
            if !said.length {
                write_length(length, wire);
            }
            writer = (length > 0).then_some(BodyWriter::Length(length));
        }
        // What a GET would bring; of an app's body nothing is known here but that none comes.
        Some(length @ 1..) if allows_body && !said.length => write_length(length, wire),
        None if has_body && asked.version == Version::HTTP_11 => {
            wire.extend_from_slice(b"transfer-encoding: chunked\r\n");
            let trailers = if asked.takes_trailers { Some(&response.headers) } else { None };
            writer =
                Some(trailers.map_or(BodyWriter::Chunked { announced: Vec::new() }, BodyWriter::chunked));
        }
        None if has_body => keeps_alive = false,
        _ => {}
    }
    // Tunnels say `upgrade`, and are over when they end.
    if status != StatusCode::SWITCHING_PROTOCOLS && !said.close {
        match (keeps_alive, asked.version) {
            (false, _) => wire.extend_from_slice(b"connection: close\r\n"),
            (true, Version::HTTP_10) => wire.extend_from_slice(b"connection: keep-alive\r\n"),
            (true, _) => {}
        }
    }
    wire.extend_from_slice(b"\r\n");
    let has_body = has_body && body.exact() != Some(0);
    Follows { writer, has_body, keeps_alive }
}

/// `HTTP/1.1 200 OK`, in the version that the client speaks.
fn write_status(response: &response::Parts, version: Version, wire: &mut Vec<u8>) {
    let version: &[u8] = if version == Version::HTTP_10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " };
    wire.extend_from_slice(version);
    wire.extend_from_slice(response.status.as_str().as_bytes());
    wire.push(b' ');
    let reason = match response.extensions.get::<ReasonPhrase>() {
        Some(reason) => reason.as_bytes(),
        None => response.status.canonical_reason().unwrap_or_default().as_bytes(),
    };
    wire.extend_from_slice(reason);
    wire.extend_from_slice(b"\r\n");
}

/// Which of the fields that weir would write are there.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    length: bool,
    date: bool,
    close: bool,
}

/// `length`: that of the body, where it is known.
fn write_fields(response: &response::Parts, has_body: bool, length: Option<u64>, wire: &mut Vec<u8>) -> Said {
    let mut said = Said::default();
    for (name, value) in &response.headers {
        match *name {
            header::CONTENT_LENGTH => {
                // RFC 9110 §8.6: not where there is never a body.
                let may = !response.status.is_informational() && response.status != StatusCode::NO_CONTENT;
                match length {
                    _ if said.length || !may => {}
                    _ if !has_body => {
                        write_field(name, value, wire);
                        said.length = true;
                    }
                    Some(length) => {
                        write_length(length, wire);
                        said.length = true;
                    }
                    None => {}
                }
                continue;
            }
            header::TRANSFER_ENCODING => continue,
            header::CONNECTION => said.close |= value.as_bytes().eq_ignore_ascii_case(b"close"),
            header::DATE => said.date = true,
            _ => {}
        }
        write_field(name, value, wire);
    }
    said
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    const DATE: fn(&mut Vec<u8>) = |wire| wire.extend_from_slice(b"now");
    const GET: Asked =
        Asked { version: Version::HTTP_11, to_head: false, keeps_alive: true, takes_trailers: false };

    fn encoded(status: u16, fields: &[(&str, &str)], body: &SizeHint, asked: Asked) -> (String, Follows) {
        let mut response = Response::builder().status(status).header("date", "now");
        for (name, value) in fields {
            response = response.header(*name, *value);
        }
        let mut wire = Vec::new();
        let follows =
            encode_head(&response.body(()).unwrap().into_parts().0, b"", body, asked, DATE, &mut wire);
        let head = String::from_utf8(wire).unwrap();
        let head = head.strip_suffix("\r\n\r\n").unwrap().replace("\r\ndate: now", "");
        (head, follows)
    }

    fn head(status: u16, fields: &[(&str, &str)], body: Option<u64>, asked: Asked) -> String {
        encoded(status, fields, &body.map_or_else(SizeHint::default, SizeHint::with_exact), asked).0
    }

    /// Promise: RFC 9112 §6.3: a response has exactly the framing of the body that is sent, whatever its fields say.
    #[test]
    fn only_the_body_frames_a_response() {
        let odd = [("content-length", "7"), ("transfer-encoding", "gzip"), ("content-length", "8")];
        assert_eq!(head(200, &odd, Some(5), GET), "HTTP/1.1 200 OK\r\ncontent-length: 5");
        assert_eq!(head(200, &odd, None, GET), "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked");
        assert_eq!(head(200, &[], Some(0), GET), "HTTP/1.1 200 OK\r\ncontent-length: 0");
        assert_eq!(
            head(200, &[("etag", "a")], Some(5), GET),
            "HTTP/1.1 200 OK\r\netag: a\r\ncontent-length: 5"
        );
    }

    /// Promise: RFC 9110 §8.6, §9.3.2, §15.4.5: HEAD and 304 say how long the body is that they do not bring; 204 and 1xx
    /// say nothing of one.
    #[test]
    fn responses_without_a_body() {
        let to_head = Asked { to_head: true, ..GET };
        let length = [("content-length", "7")];
        assert_eq!(head(200, &length, Some(0), to_head), "HTTP/1.1 200 OK\r\ncontent-length: 7");
        assert_eq!(head(200, &[], Some(0), to_head), "HTTP/1.1 200 OK");
        assert_eq!(head(200, &[], None, to_head), "HTTP/1.1 200 OK");
        assert_eq!(head(429, &[], Some(9), to_head), "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 9");
        assert_eq!(head(304, &length, Some(0), GET), "HTTP/1.1 304 Not Modified\r\ncontent-length: 7");
        assert_eq!(head(204, &length, Some(0), GET), "HTTP/1.1 204 No Content");
        let (_, follows) = encoded(200, &length, &SizeHint::with_exact(7), to_head);
        assert!(!follows.has_body && follows.writer.is_none() && follows.keeps_alive);
    }

    /// Promise: RFC 9112 §9.3: a connection is kept as its client asks, unless the response says close, and HTTP/1.0 is
    /// told that it is kept.
    #[test]
    fn keeping_a_connection() {
        let old = Asked { version: Version::HTTP_10, ..GET };
        let leaving = Asked { keeps_alive: false, ..GET };
        for (asked, fields, said, keeps) in [
            (GET, &[][..], "", true),
            (GET, &[("connection", "close")][..], "\r\nconnection: close", false),
            (leaving, &[][..], "\r\nconnection: close", false),
            (old, &[][..], "\r\nconnection: keep-alive", true),
        ] {
            let (head, follows) = encoded(204, fields, &SizeHint::with_exact(0), asked);
            let version = if asked.version == Version::HTTP_10 { "1.0" } else { "1.1" };
            assert_eq!(head, format!("HTTP/{version} 204 No Content{said}"));
            assert_eq!(follows.keeps_alive, keeps);
        }
    }

    /// Promise: RFC 9112 §6.3, §7: a client that knows no chunks gets a body that ends with its connection.
    #[test]
    fn old_clients_get_no_chunks() {
        let old = Asked { version: Version::HTTP_10, ..GET };
        let (head, follows) = encoded(200, &[], &SizeHint::default(), old);
        assert_eq!(head, "HTTP/1.0 200 OK\r\nconnection: close");
        assert!(follows.has_body && follows.writer.is_none() && !follows.keeps_alive);
    }

    /// Promise: RFC 9110 §6.5.1: trailers go to clients that said they take them, and to no others.
    #[test]
    fn trailers_are_for_those_who_take_them() {
        for takes_trailers in [false, true] {
            let asked = Asked { takes_trailers, ..GET };
            let (_, follows) = encoded(200, &[("trailer", "x-sum")], &SizeHint::default(), asked);
            let Some(BodyWriter::Chunked { announced }) = follows.writer else { panic!("not in chunks") };
            assert_eq!(announced.len(), usize::from(takes_trailers));
        }
    }

    /// Promise: RFC 9110 §6.6.1: a response without a date gets one, and one that has it keeps its own.
    #[test]
    fn dates() {
        let mut wire = Vec::new();
        let response = Response::new(()).into_parts().0;
        encode_head(&response, b"", &SizeHint::with_exact(0), GET, DATE, &mut wire);
        let expected = "HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(String::from_utf8(wire).unwrap(), expected);
    }
}
