//! What is read and what is refused, case by case.

use bytes::BytesMut;
use http::Request;

use super::*;

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 1024, header_count_max: 8, uri_bytes_max: 256 };

/// Why reading stopped.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    AtTheEnd,
    InHead(Fault),
    InBody(Fault),
}

fn parts() -> request::Parts {
    Request::new(()).into_parts().0
}

/// Reads as far as it goes; gives how much was taken.
fn read(input: &str) -> (usize, Stop) {
    let (mut reader, mut held) = (RequestReader::new(LIMITS), BytesMut::from(input));
    let stop = loop {
        let before = held.len();
        let read = if reader.has_ended() {
            reader.head(&mut held, &mut parts()).map(drop).map_err(Stop::InHead)
        } else {
            reader.body(&mut held).map(drop).map_err(Stop::InBody)
        };
        match read {
            Err(stop) => break stop,
            Ok(()) if held.len() == before => break Stop::AtTheEnd,
            Ok(()) => {}
        }
    };
    (input.len() - held.len(), stop)
}

fn fault_of(input: &str) -> Option<Fault> {
    match read(input) {
        (0, Stop::InHead(fault)) => Some(fault),
        _ => None,
    }
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Promise: every Host is judged, whatever was sound in the request before on the same connection.
#[test]
fn every_host_is_judged() {
    let get = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let long = "a".repeat(60);
    for first in ["a", "a.example:80", &long] {
        for sound in ["a", "b", "a.example:80", &long] {
            let both = get(first) + &get(sound);
            assert_eq!(read(&both), (both.len(), Stop::AtTheEnd), "{first} {sound}");
        }
        for unsound in ["", "a,", "a.example:", "a..b", "a b"] {
            let stop = read(&(get(first) + &get(unsound)));
            assert_eq!(stop, (get(first).len(), Stop::InHead(Fault::HostInvalid)), "{first} {unsound}");
        }
    }
}

/// Each message is followed to its last byte, and so the head after it is found.
#[test]
fn follows_every_framing() {
    for message in [
        "GET /a?b=c HTTP/1.1\r\nHost: a.example:80\r\nX-Empty:\r\nX-High: \u{e9}\t \r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHOST:a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET http://a/b HTTP/1.1\r\nHost: A:80\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\ncontent-length:\t5 \r\n\r\nGET /",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
         5;a=\"b\"\r\nGET /\r\n00A\r\n0123456789\r\n0;last\r\nX-Sum: 1\r\nX-Other:\r\n\r\n",
    ] {
        let pipelined = format!("{message}{GET}");
        assert_eq!(read(&pipelined), (pipelined.len(), Stop::AtTheEnd), "{message:?}");
        let followed = format!("{message}BAD(METHOD / HTTP/1.1\r\n\r\n");
        assert_eq!(read(&followed), (message.len(), Stop::InHead(Fault::Method)), "{message:?}");
    }
}

/// Whatever has two readings, or none, is refused with a fault that names the reason.
#[test]
fn refuses_what_has_two_readings() {
    for (lines, fault) in [
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", Fault::LineEnding),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", Fault::LineEnding),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", Fault::LineEnding),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Fault::LineEnding),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Fault::LeadingEmptyLines),
        ("GET  / HTTP/1.1\r\n", Fault::RequestLine),
        ("GET\t/ HTTP/1.1\r\n", Fault::RequestLine),
        ("GET / HTTP/1.1 \r\n", Fault::RequestLine),
        ("GET / a HTTP/1.1\r\n", Fault::RequestLine),
        ("GET /  HTTP/1.1\r\n", Fault::RequestLine),
        (" GET / HTTP/1.1\r\n", Fault::Method),
        ("G(T / HTTP/1.1\r\n", Fault::Method),
        ("GE\0T / HTTP/1.1\r\n", Fault::Method),
        ("\u{16}\u{3}\u{1}", Fault::Method),
        ("CONNECT a:443 HTTP/1.1\r\n", Fault::Connect),
        ("GET /\u{0} HTTP/1.1\r\n", Fault::Target),
        ("GET /\r HTTP/1.1\r\n", Fault::LineEnding),
        ("GET /\t HTTP/1.1\r\n", Fault::Target),
        ("GET /é HTTP/1.1\r\n", Fault::Target),
        ("GET /a#b HTTP/1.1\r\n", Fault::Target),
        ("GET a HTTP/1.1\r\n", Fault::TargetForm),
        ("GET * HTTP/1.1\r\n", Fault::TargetForm),
        ("GET gopher://a/ HTTP/1.1\r\n", Fault::TargetForm),
        ("GET /\r\n", Fault::Version),
        ("GET / HTTP/0.9\r\n", Fault::Version),
        ("GET / HTTP/1.2\r\n", Fault::Version),
        ("GET / HTTP/01.1\r\n", Fault::Version),
        ("GET / http/1.1\r\n", Fault::RequestLine),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Fault::Version),
        ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", Fault::Folding),
        ("GET / HTTP/1.1\r\n X: b\r\nHost: a\r\n\r\n", Fault::Folding),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", Fault::SpaceInFieldName),
        ("GET / HTTP/1.1\r\nX y: a\r\n\r\n", Fault::SpaceInFieldName),
        ("GET / HTTP/1.1\r\n: a\r\n\r\n", Fault::FieldName),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", Fault::SpaceInFieldName),
        ("GET / HTTP/1.1\r\nnocolon\r\n\r\n", Fault::FieldName),
        ("GET / HTTP/1.1\r\nX\0: a\r\n\r\n", Fault::FieldName),
        ("GET / HTTP/1.1\r\nX: a\0\r\n\r\n", Fault::FieldValue),
        ("GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", Fault::LineEnding),
        ("GET / HTTP/1.1\r\nX: a\r\r\n\r\n", Fault::LineEnding),
        ("GET / HTTP/1.1\r\nX: \u{7f}\r\n\r\n", Fault::FieldValue),
        ("GET / HTTP/1.1\r\n\r\n", Fault::HostMissing),
        ("GET http://a/ HTTP/1.1\r\n\r\n", Fault::HostMissing),
        ("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", Fault::HostRepeated),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", Fault::HostInvalid),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", Fault::HostInvalid),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Fault::HostInvalid),
        ("GET / HTTP/1.0\r\nHost: a@b\r\n\r\n", Fault::HostInvalid),
        ("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", Fault::HostMismatch),
        ("GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", Fault::HostMismatch),
    ] {
        assert_eq!(fault_of(lines), Some(fault), "{lines:?}");
    }
}

/// A body has one length, or the request none.
#[test]
fn refuses_ambiguous_framing() {
    for (fields, fault) in [
        ("Content-Length: 1\r\nTransfer-Encoding: chunked", Fault::LengthAndCoding),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0", Fault::LengthAndCoding),
        ("Content-Length: 1\r\nContent-Length: 1", Fault::LengthRepeated),
        ("Content-Length: 1, 1", Fault::LengthInvalid),
        ("Content-Length: +1", Fault::LengthInvalid),
        ("Content-Length: -1", Fault::LengthInvalid),
        ("Content-Length: 01", Fault::LengthInvalid),
        ("Content-Length: 0x1", Fault::LengthInvalid),
        ("Content-Length: 1 1", Fault::LengthInvalid),
        ("Content-Length: 1.0", Fault::LengthInvalid),
        ("Content-Length:", Fault::LengthInvalid),
        ("Content-Length: 18446744073709551616", Fault::LengthInvalid),
        ("Content-Length: 18446744073709551614", Fault::LengthInvalid),
        ("Content_Length: 1", Fault::FieldName),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Fault::CodingRepeated),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", Fault::CodingRepeated),
        ("Transfer-Encoding: gzip, chunked", Fault::CodingUnknown),
        ("Transfer-Encoding: gzip;q=1 , x-own,\tChunked", Fault::CodingUnknown),
        ("Transfer-Encoding: gzip", Fault::ChunkedNotLast),
        ("Transfer-Encoding: identity", Fault::ChunkedNotLast),
        ("Transfer-Encoding: chunked, identity", Fault::ChunkedNotLast),
        ("Transfer-Encoding: chunked, chunked", Fault::ChunkedNotLast),
        ("Transfer-Encoding: chunked,", Fault::ChunkedNotLast),
        ("Transfer-Encoding: gzip, chunked, chunked", Fault::ChunkedNotLast),
        ("Transfer-Encoding: ,chunked", Fault::ChunkedNotLast),
        ("Transfer-Encoding: chunked;q=1", Fault::ChunkedNotLast),
        ("Transfer-Encoding: xchunked", Fault::ChunkedNotLast),
        ("Transfer-Encoding: \"chunked\"", Fault::ChunkedNotLast),
        ("Transfer-Encoding:", Fault::ChunkedNotLast),
        ("Transfer-Encoding:\u{b}chunked", Fault::FieldValue),
        ("Transfer-Encoding : chunked", Fault::SpaceInFieldName),
        ("Transfer-Encoding\r\n : chunked", Fault::FieldName),
        ("Transfer_Encoding: chunked", Fault::FieldName),
    ] {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        assert_eq!(fault_of(&head), Some(fault), "{fields}");
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(fault_of(old), Some(Fault::CodingInOldVersion));
}

/// A malformed body is read up to the byte that cannot stand there, its trailers as a whole.
#[test]
fn stops_a_malformed_body_at_the_byte() {
    let long = ["1;", &"x".repeat(257)].concat();
    let trailers = ["0\r\n", &"X: y\r\n".repeat(9)].concat();
    let trailer = ["0\r\nX: ", &"y".repeat(1100)].concat();
    for (body, sound, fault) in [
        ("\r\n", 0, Fault::ChunkSize),
        (" 1\r\n", 0, Fault::ChunkSize),
        ("g\r\n", 0, Fault::ChunkSize),
        ("0x1\r\n", 1, Fault::ChunkSize),
        ("-1\r\n", 0, Fault::ChunkSize),
        ("1 \r\n", 1, Fault::ChunkSize),
        ("1\n", 1, Fault::ChunkSize),
        ("1\r\r\n", 2, Fault::ChunkSize),
        (";\r\n", 0, Fault::ChunkSize),
        ("1ffffffffffffffff\r\n", 16, Fault::ChunkSize),
        ("00000000000000001\r\n", 16, Fault::ChunkSize),
        ("1;\n", 2, Fault::ChunkExtension),
        ("1;a\0\r\n", 3, Fault::ChunkExtension),
        (&long, 2 + 256, Fault::ChunkExtension),
        ("1\r\nab\r\n", 4, Fault::ChunkEnd),
        ("1\r\na\n", 4, Fault::ChunkEnd),
        ("1\r\na\rb", 5, Fault::ChunkEnd),
        ("0\r\n\n", 3, Fault::Trailer),
        ("0\r\n\r\r", 3, Fault::Trailer),
        ("0\r\n X: y\r\n", 3, Fault::Trailer),
        ("0\r\n: y\r\n", 3, Fault::Trailer),
        ("0\r\nX : y\r\n", 3, Fault::Trailer),
        ("0\r\nX: y\n", 3, Fault::Trailer),
        ("0\r\nX: \0", 3, Fault::Trailer),
        ("0\r\nX\r\n", 3, Fault::Trailer),
        ("0\r\nX: y\r\n z\r\n", 3, Fault::Trailer),
        ("0\r\nContent-Length: 1\r\n", 3, Fault::Trailer),
        ("0\r\ntransfer_encoding: chunked\r\n", 3, Fault::Trailer),
        ("0\r\nHOST: b\r\n", 3, Fault::Trailer),
        (&trailers, 3, Fault::TrailersTooLarge),
        (&trailer, 3, Fault::TrailersTooLarge),
    ] {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (taken, stop) = read(&format!("{head}{body}"));
        assert_eq!((taken - head.len(), stop), (sound, Stop::InBody(fault)), "{body:?}");
    }
}

/// Every bound has its own error, and what is exactly at the bound passes.
#[test]
fn bounds_the_head() {
    let uri = |n: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "u".repeat(n - 1));
    assert_eq!(fault_of(&uri(256)), None);
    assert_eq!(fault_of(&uri(257)), Some(Fault::TargetTooLong));
    let endless = format!("GET /{}", "u".repeat(1024));
    assert_eq!(fault_of(&endless), Some(Fault::TargetTooLong));

    let fields = |n: usize| format!("GET / HTTP/1.0\r\n{}\r\n", "X: y\r\n".repeat(n));
    assert_eq!(fault_of(&fields(8)), None);
    assert_eq!(fault_of(&fields(9)), Some(Fault::TooManyFields));

    let sized = |n: usize| format!("GET / HTTP/1.0\r\nX:{}\r\n\r\n", "y".repeat(n - 22));
    assert_eq!(read(&sized(1024)), (1024, Stop::AtTheEnd));
    assert_eq!(fault_of(&sized(1025)), Some(Fault::HeadTooLarge));
    assert_eq!(fault_of(&sized(1025)[..1024]), Some(Fault::HeadTooLarge));
    assert_eq!(fault_of(&sized(1025)[..1023]), None);
}

/// Whether a client is in the middle of a head decides how long it may take: an empty line is not yet a head, and what
/// follows a body is one.
#[test]
fn knows_where_a_head_begins() {
    let (mut reader, mut held) = (RequestReader::new(LIMITS), BytesMut::new());
    assert!(!reader.is_in_head(&held));
    held.extend_from_slice(b"\r\n");
    assert!(!reader.is_in_head(&held));
    held.extend_from_slice(b"POST / HTTP/1.0\r\n");
    assert_eq!(reader.head(&mut held, &mut parts()), Ok(None));
    assert!(reader.is_in_head(&held));
    held.extend_from_slice(b"Content-Length: 3\r\n\r\nab");
    let head = Head { body: Some(3), ..Head::default() };
    assert_eq!(reader.head(&mut held, &mut parts()), Ok(Some(head)));
    assert!(!reader.is_in_head(&held) && !reader.has_ended());
    held.extend_from_slice(b"cGET");
    assert_eq!(reader.body(&mut held).unwrap().unwrap().into_data().unwrap(), "abc");
    assert!(reader.is_in_head(&held) && reader.has_ended());
}

/// A head is taken apart into what `http` knows, each value without the white space around it, repeated fields in order.
#[test]
fn takes_a_head_apart() {
    let input =
        "\r\nPATCH http://a/b?c HTTP/1.1\r\nhost:a\r\nX-Two: \t1 \r\nempty:\r\nx-two: 2, 3\r\n\r\nrest";
    let (mut reader, mut held, mut parts) = (RequestReader::new(LIMITS), BytesMut::from(input), parts());
    assert!(reader.head(&mut held, &mut parts).unwrap().is_some());
    assert_eq!(held, "rest");
    assert_eq!((parts.method.as_str(), parts.uri.to_string().as_str()), ("PATCH", "http://a/b?c"));
    assert_eq!(parts.version, http::Version::HTTP_11);
    let fields: Vec<_> = parts.headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
    assert_eq!(fields, [("host", "a"), ("x-two", "1"), ("x-two", "2, 3"), ("empty", "")]);
}

/// RFC 9112 §9.3, RFC 9110 §10.1.1 and §10.1.4: what a head asks of the connection, in either version.
#[test]
fn hears_what_a_head_asks_for() {
    let head = |version: &str, fields: &str| {
        let input = format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
        RequestReader::new(LIMITS).head(&mut BytesMut::from(&input[..]), &mut parts()).unwrap().unwrap()
    };
    for (version, fields, keeps_alive) in [
        ("1.1", "", true),
        ("1.1", "Connection: x, Close\r\n", false),
        ("1.1", "Connection: close\r\nConnection: keep-alive\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        assert_eq!(head(version, fields).keeps_alive, keeps_alive, "{version} {fields:?}");
    }
    let waits = "Expect: 100-Continue\r\n";
    assert!(head("1.1", waits).expects_continue && !head("1.0", waits).expects_continue);
    assert!(head("1.1", "TE: deflate;q=0.5, Trailers\r\n").takes_trailers);
    assert!(!head("1.1", "TE: gzip\r\n").takes_trailers);
}

/// Asked to, the reader tells requests apart by the order of their fields, whatever stands in them, also when they come
/// in pieces and one after the other on a connection.
#[test]
fn keeps_the_field_order() {
    let (one, same) = ("Host: a\r\nAccept: b\r\n", "host:c.example\r\nACCEPT:\r\n");
    let (mut reader, mut held) = (RequestReader::new(LIMITS).keeping_field_order(), BytesMut::new());
    let mut orders = Vec::new();
    for fields in [one, "Accept: b\r\nHost: a\r\n", same] {
        for byte in format!("GET / HTTP/1.1\r\n{fields}\r\n").as_bytes() {
            held.extend_from_slice(&[*byte]);
            orders.extend(reader.head(&mut held, &mut parts()).unwrap());
        }
    }
    let orders: Vec<_> = orders.iter().map(|head| head.field_order.unwrap()).collect();
    assert_eq!(orders.len(), 3);
    assert_eq!(orders[2], orders[0]);
    assert_ne!(orders[1], orders[0]);
}

/// After a fault nothing is read, not even a good request behind it.
#[test]
fn stays_shut_after_a_fault() {
    let (mut reader, mut held) = (RequestReader::new(LIMITS), BytesMut::from("GET / HTTP/1.1\r\n\r\n"));
    for _ in 0..3 {
        assert_eq!(reader.head(&mut held, &mut parts()), Err(Fault::HostMissing));
        held.extend_from_slice(GET.as_bytes());
    }
}
