//! What the tap passes and what it refuses, case by case.

use super::*;

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 1024, header_count_max: 8, uri_bytes_max: 256 };

/// Feeds everything at once; gives how much passed and the fault, if any.
fn feed(input: &str) -> (usize, Then) {
    let mut tap = HeadTap::new(LIMITS);
    let fed = tap.feed(input.as_bytes());
    assert!(fed.released.is_empty());
    (fed.pass, fed.then)
}

fn fault_of(input: &str) -> Option<Fault> {
    match feed(input) {
        (0, Then::Fault(fault)) => Some(fault),
        _ => None,
    }
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// The tap follows each message to its last byte, and so finds the head after it.
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
        assert_eq!(feed(&pipelined), (pipelined.len(), Then::Nothing), "{message:?}");
        let followed = format!("{message}BAD(METHOD / HTTP/1.1\r\n\r\n");
        assert_eq!(feed(&followed), (message.len(), Then::Fault(Fault::Method)), "{message:?}");
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

/// A malformed body passes up to the byte that cannot stand there, and nothing after it.
#[test]
fn stops_a_malformed_body_at_the_byte() {
    let long = ["1;", &"x".repeat(257)].concat();
    let trailers = ["0\r\n", &"X: y\r\n".repeat(9)].concat();
    let trailer = ["0\r\nX: ", &"y".repeat(1100)].concat();
    for (body, passes, fault) in [
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
        ("0\r\n\r\r", 4, Fault::Trailer),
        ("0\r\n X: y\r\n", 3, Fault::Trailer),
        ("0\r\n: y\r\n", 3, Fault::Trailer),
        ("0\r\nX : y\r\n", 4, Fault::Trailer),
        ("0\r\nX: y\n", 7, Fault::Trailer),
        ("0\r\nX: \0", 6, Fault::Trailer),
        ("0\r\nX\r\n", 4, Fault::Trailer),
        ("0\r\nX: y\r\n z\r\n", 9, Fault::Trailer),
        ("0\r\nContent-Length: 1\r\n", 17, Fault::Trailer),
        ("0\r\ntransfer_encoding: chunked\r\n", 20, Fault::Trailer),
        ("0\r\nHOST: b\r\n", 7, Fault::Trailer),
        (&trailers, 3 + 8 * 6, Fault::TrailersTooLarge),
        (&trailer, 3 + 1022, Fault::TrailersTooLarge),
    ] {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (pass, then) = feed(&format!("{head}{body}"));
        assert_eq!((pass - head.len(), then), (passes, Then::BodyFault(fault)), "{body:?}");
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
    assert_eq!(feed(&sized(1024)), (1024, Then::Nothing));
    assert_eq!(fault_of(&sized(1025)), Some(Fault::HeadTooLarge));
    assert_eq!(fault_of(&sized(1025)[..1024]), Some(Fault::HeadTooLarge));
    assert_eq!(fault_of(&sized(1025)[..1023]), None);
}

/// An incomplete head is held, and released in front of the rest when it turns out good.
#[test]
fn holds_an_incomplete_head() {
    let mut tap = HeadTap::new(LIMITS);
    assert_eq!(tap.phase(), Phase::Idle);
    assert_eq!(tap.feed(b"\r\n"), Fed { released: vec![], pass: 0, then: Then::Held });
    assert_eq!(tap.phase(), Phase::Idle);
    assert_eq!(tap.feed(b"GET / HTTP/1.0\r\n"), Fed { released: vec![], pass: 0, then: Then::Held });
    assert_eq!(tap.phase(), Phase::Head);
    assert_eq!(tap.feed(b""), Fed { released: vec![], pass: 0, then: Then::Held });
    let fed = tap.feed(b"Content-Length: 3\r\n\r\nab");
    assert_eq!(fed, Fed { released: b"\r\nGET / HTTP/1.0\r\n".to_vec(), pass: 23, then: Then::Nothing });
    assert_eq!(tap.phase(), Phase::Body);
    assert_eq!(tap.feed(b"cGET"), Fed { released: vec![], pass: 1, then: Then::Held });
    assert_eq!(tap.phase(), Phase::Head);
    assert_eq!(tap.take_head(), Some(HeadFacts { head_bytes: 39, fault: None, field_order: None }));
    assert_eq!(tap.take_head(), None);
}

/// Asked to, the tap tells requests apart by the order of their fields, whatever stands in them, also when they come
/// in pieces and one after the other on a connection.
#[test]
fn keeps_the_field_order() {
    let head = |fields: &str| format!("POST / HTTP/1.1\r\n{fields}Content-Length: 2\r\n\r\nhi");
    let (one, same) = ("Host: a\r\nAccept: b\r\n", "host:c.example\r\nACCEPT:\r\n");
    let mut tap = HeadTap::new(LIMITS).keeping_field_order();
    for fields in [one, "Accept: b\r\nHost: a\r\n", same] {
        for byte in head(fields).as_bytes() {
            tap.feed(&[*byte]);
        }
    }
    tap.feed(head(same).as_bytes());
    let mut orders = std::iter::from_fn(|| tap.take_head()).map(|facts| facts.field_order.unwrap());
    let [first, other, second, third] = std::array::from_fn(|_| orders.next().unwrap());
    assert_eq!((second, third), (first, first));
    assert_ne!(other, first);
}

/// After a fault nothing passes, ever, not even a good request.
#[test]
fn stays_shut_after_a_fault() {
    let mut tap = HeadTap::new(LIMITS);
    let refused = Fed { released: vec![], pass: 0, then: Then::Fault(Fault::HostMissing) };
    assert_eq!(tap.feed(b"GET / HTTP/1.1\r\n\r\n"), refused);
    assert_eq!(tap.feed(GET.as_bytes()), refused);
    assert!(tap.make_opaque().is_empty());
    assert_eq!(tap.feed(GET.as_bytes()), refused);
    let facts = HeadFacts { head_bytes: 16, fault: Some(Fault::HostMissing), field_order: None };
    assert_eq!(tap.take_head(), Some(facts));
    assert_eq!(tap.take_head(), None);
}

/// After an upgrade the bytes are another protocol's and pass unseen, those that were held first.
#[test]
fn passes_everything_once_opaque() {
    let mut tap = HeadTap::new(LIMITS);
    tap.feed(b"GET");
    assert_eq!(tap.make_opaque(), b"GET");
    assert_eq!(tap.phase(), Phase::Opaque);
    assert_eq!(tap.feed(b"\0\x01\n"), Fed { released: vec![], pass: 3, then: Then::Nothing });
}
