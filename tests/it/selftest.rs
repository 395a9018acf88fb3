//! The harness against itself, so that a red test elsewhere points at weir.

use crate::harness::{Metrics, RawClient, RawOrigin, echo};

/// What the client sends is what the origin records, byte for byte, and the answer comes back whole.
#[test]
fn bytes_arrive_as_sent() {
    let origin = RawOrigin::scripted(echo);
    let mut client = RawClient::connect(origin.address());
    let request = "POST /a?b=%20 HTTP/1.1\r\nHost: app.test\r\nX-Odd:  two\t\r\nContent-Length: 3\r\n\r\n";
    let answer = client.exchange(format!("{request}abc"));
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text(), format!("{request}abc"));
    let seen = origin.next_request();
    assert_eq!(seen.head, request.as_bytes());
    assert_eq!(seen.body, b"abc");
    assert_eq!(seen.fields(), ["content-length: 3", "host: app.test", "x-odd: two"]);
    origin.expect_no_request();
}

/// Chunked bodies are taken apart with their sizes and trailers, across several reads.
#[test]
fn chunked_bodies_are_decoded() {
    let response =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n";
    let origin = RawOrigin::answering(response);
    let answer = RawClient::get(origin.address(), "/");
    assert_eq!((answer.text().as_str(), &answer.chunk_sizes[..]), ("abcde", &[3, 2, 0][..]));
    assert_eq!(answer.trailers, ["T: 1"]);
}

/// Two answers on one connection are told apart, and an orderly end after them is seen.
#[test]
fn answers_in_a_row_are_told_apart() {
    let origin = RawOrigin::scripted(|conn| {
        for body in ["first", "second"] {
            conn.read_request();
            conn.answer(body);
        }
    });
    let mut client = RawClient::connect(origin.address());
    client.send("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
    assert_eq!(client.response().text(), "first");
    assert_eq!(client.response().text(), "second");
    client.expect_close();
    assert_eq!(origin.connections(), 1);
}

/// A reset is an error to the reader, not an orderly end.
#[test]
fn a_reset_is_not_an_end() {
    let origin = RawOrigin::scripted(|conn| {
        conn.read_request();
        conn.reset();
    });
    let mut client = RawClient::connect(origin.address());
    client.send("GET / HTTP/1.1\r\n\r\n");
    assert!(client.try_response().is_err());
}

/// Samples are summed by the labels asked for, whatever stands in a label's value.
#[test]
fn metrics_are_parsed() {
    let text =
        "# HELP a Help.\n# TYPE a counter\na{x=\"1\",y=\"q\\\"},{\"} 2\na{x=\"2\"} 3\nb 1.5e3\nc +Inf\n";
    let metrics = Metrics::parse(text);
    assert_eq!(metrics.count("a", &[]), 5);
    assert_eq!(metrics.count("a", &[("y", "q\"},{")]), 2);
    assert_eq!(metrics.count("b", &[]), 1500);
    assert!(metrics.has("c") && !metrics.has("d"));
    assert_eq!(metrics.label_values(), ["1", "q\"},{", "2"]);
}
