//! What is counted when a request ends, however it ends.

use crate::harness::{Config, RawOrigin, Weir};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
const TRAILERS: &str =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n";

/// A chunked answer, with or without trailers, is as complete as one with a length: it is counted as forwarded,
/// and its connection serves the next request.
#[test]
fn chunked_answers_are_complete_and_their_connections_kept() {
    for answer in [CHUNKED, TRAILERS] {
        let origin = RawOrigin::scripted(move |conn| {
            while conn.read_request().is_some() {
                conn.send(answer);
            }
        });
        let weir = Weir::start(&Config::to(&origin).workers(1));
        let mut client = weir.connect();
        for _ in 0..3 {
            assert_eq!(client.exchange(GET).text(), "ok");
        }
        let metrics = weir.metrics();
        assert_eq!(metrics.count("weir_requests_total", &[("decision", "forwarded")]), 3);
        assert_eq!(metrics.count("weir_requests_total", &[("decision", "cancelled")]), 0);
        assert_eq!(origin.connections(), 1, "{answer:?}");
    }
}

/// An answer that ends with its connection is complete too; its connection cannot serve another.
#[test]
fn an_answer_that_ends_with_its_connection_is_complete() {
    let origin = RawOrigin::scripted(|conn| {
        conn.read_request();
        conn.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok");
    });
    let weir = Weir::start(&Config::to(&origin));
    assert_eq!(weir.get("/").text(), "ok");
    assert_eq!(weir.metrics().count("weir_requests_total", &[("decision", "forwarded")]), 1);
}

/// A body that is too large is the client's fault, and does not count as a failure that wakes the operator.
#[test]
fn a_body_that_is_too_large_is_no_failure() {
    let origin = RawOrigin::scripted(|conn| while conn.read_request().is_some() {});
    let weir = Weir::start(&Config::to(&origin).section("[http]\nbody_size = \"1KiB\""));
    let chunk = "x".repeat(2048);
    let request = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{chunk}\r\n0\r\n\r\n",
        chunk.len()
    );
    assert_eq!(weir.connect().exchange(&request).status(), 413);
    let metrics = weir.metrics();
    assert_eq!(metrics.count("weir_requests_total", &[("decision", "malformed")]), 1);
    assert_eq!(metrics.count("weir_requests_total", &[("decision", "failed")]), 0);
}
