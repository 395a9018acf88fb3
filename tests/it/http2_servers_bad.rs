//! Servers of HTTP/2 that break off, refuse, stall, or are none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_rustls::rustls::ServerConfig;

use crate::harness::frames::{self, END_STREAM, INTERNAL_ERROR, REFUSED_STREAM, frame, kind};
use crate::harness::{Authority, Config, FrameServer, Launch, Message, RawOrigin, SecureOrigin, Weir};

const GET: &str = "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const NO_ERROR: u32 = 0;
const SETTINGS_MAX_STREAMS: u16 = 3;
const SETTINGS_INITIAL_WINDOW: u16 = 4;

fn to(origin: &RawOrigin) -> Config {
    Config::to(origin).upstream("protocol = \"h2\"").workers(1)
}

/// Promise: an answer that the server gives up in its middle does not look whole to the client; the next request on the
/// same connection is answered.
#[test]
fn a_reset_in_the_middle_of_an_answer() {
    let origin = FrameServer::scripted(&[], |server| {
        if let Some(stream) = server.next_request() {
            server.send_head(stream, &[]);
            server.send_data(stream, 0, b"half");
            server.reset(stream, INTERNAL_ERROR);
        }
        while let Some(stream) = server.next_request() {
            server.send_head(stream, &[]);
            server.send_data(stream, END_STREAM, b"whole");
        }
    });
    let weir = Weir::start(&to(&origin));
    let mut client = weir.connect();
    client.send(GET);
    assert_eq!(client.response_head().status(), 200);
    let rest = client.try_read_to_end().unwrap_or_default();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
    assert_eq!(weir.get("/").text(), "whole");
    assert_eq!(origin.connections(), 1);
    weir.await_metric("weir_requests_in_flight", &[], 0);
}

/// Promise: a reset before the answer is a 502, and is not tried again: the server may have acted upon the request.
#[test]
fn a_reset_before_the_answer() {
    let origin = FrameServer::scripted(&[], |server| {
        while let Some(stream) = server.next_request() {
            server.reset(stream, INTERNAL_ERROR);
        }
    });
    let weir = Weir::start(&to(&origin));
    let mut client = weir.connect();
    let answer = client.exchange("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(answer.status(), 502);
    assert_eq!(weir.metrics().count("weir_upstream_retries_total", &[]), 0);
}

/// Promise: RFC 9113 §8.7: what a server says that it did not take is sent again, even a POST.
#[test]
fn a_refused_request_is_sent_again() {
    let refused = AtomicUsize::new(0);
    let origin = FrameServer::scripted(&[], move |server| {
        while let Some(stream) = server.next_request() {
            if refused.fetch_add(1, Ordering::SeqCst) == 0 {
                server.reset(stream, REFUSED_STREAM);
            } else {
                server.send_head(stream, &[]);
                server.send_data(stream, END_STREAM, b"ok");
            }
        }
    });
    let weir = Weir::start(&to(&origin));
    let mut client = weir.connect();
    let answer = client.exchange("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
    weir.await_metric("weir_upstream_retries_total", &[("upstream", "app")], 1);
}

/// Promise: GOAWAY: requests that the server still takes are answered, later ones go to another connection, and none
/// fails.
#[test]
fn a_goaway_fails_nobody() {
    let origin = FrameServer::scripted(&[], |server| {
        let first = server.number() == 0;
        let Some(one) = server.next_request() else { return };
        if first {
            let Some(two) = server.next_request() else { return };
            assert!(two > one);
            // The second is not taken any more.
            server.goaway(one, NO_ERROR);
            server.send_head(one, &[]);
            server.send_data(one, END_STREAM, b"first");
            server.read_to_end();
            return;
        }
        let mut next = Some(one);
        while let Some(stream) = next {
            server.send_head(stream, &[]);
            server.send_data(stream, END_STREAM, b"second");
            next = server.next_request();
        }
    });
    let weir = Weir::start(&to(&origin));
    let (mut one, mut two) = (weir.connect(), weir.connect());
    one.send(GET);
    two.send("DELETE / HTTP/1.1\r\nHost: app.test\r\n\r\n");
    let mut texts = [one.response().text(), two.response().text()];
    texts.sort();
    assert_eq!(texts, ["first", "second"]);
    assert_eq!(weir.get("/").text(), "second");
    assert_eq!(origin.connections(), 2);
}

/// Promise: a server that opens no window for a body gets no more than it has room for, and is given up in time; its
/// other requests go on.
#[test]
fn a_stalled_window() {
    let origin = FrameServer::scripted(&[(SETTINGS_INITIAL_WINDOW, 0)], |server| {
        let mut held = 0;
        while let Some(frame) = server.read() {
            match frame.kind {
                kind::HEADERS if frame.flags & END_STREAM == 0 => held = frame.stream,
                kind::HEADERS => {
                    server.send_head(frame.stream, &[]);
                    server.send_data(frame.stream, END_STREAM, b"ok");
                }
                kind::DATA => assert_ne!((frame.stream, frame.payload.len()), (held, 5)),
                _ => {}
            }
        }
    });
    let weir = Weir::start(&to(&origin).section("[timeouts]\nfirst_byte = \"400ms\""));
    let mut client = weir.connect();
    client.send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(weir.get("/").text(), "ok");
    assert_eq!(client.response().status(), 504);
}

/// Promise: a server that stops in the middle of an answer is given up, and one client's answer that is not taken holds
/// up no other.
#[test]
fn a_slow_client_holds_up_nobody() {
    let origin = FrameServer::scripted(&[], |server| {
        let Some(slow) = server.next_request() else { return };
        server.send_head(slow, &[]);
        // What one request may hold, and no more: 256 KiB.
        for _ in 0..16 {
            server.send_data(slow, 0, &[b'x'; 16 * 1024]);
        }
        while let Some(stream) = server.next_request() {
            server.send_head(stream, &[]);
            for n in 0..10 {
                server.send_data(stream, if n == 9 { END_STREAM } else { 0 }, &[b'y'; 16 * 1024]);
            }
        }
    });
    let weir = Weir::start(&to(&origin));
    let mut slow = weir.connect();
    slow.send(GET);
    assert_eq!(slow.response_head().status(), 200);
    for _ in 0..8 {
        assert_eq!(weir.get("/").body.len(), 160 * 1024);
    }
    assert_eq!(origin.connections(), 1);
}

/// Promise: a server that takes no request at all is a 502 that says so.
#[test]
fn a_server_that_takes_no_requests() {
    let origin =
        FrameServer::scripted(&[(SETTINGS_MAX_STREAMS, 0)], |server| while server.read().is_some() {});
    let weir = Weir::start(&to(&origin));
    let answer = weir.get("/");
    assert_eq!((answer.status(), answer.json()["error"].as_str()), (502, Some("http_protocol_error")));
}

/// Promise: 101 does not exist in HTTP/2 (RFC 9113 §8.6), and malformed answers are none.
#[test]
fn malformed_answers() {
    let origin = FrameServer::scripted(&[], |server| {
        let fields: [&[(&str, &str)]; 3] = [
            &[(":status", "101")],
            &[(":status", "200"), ("connection", "close")],
            &[(":status", "200"), ("X-Upper", "1")],
        ];
        for fields in fields {
            let Some(stream) = server.next_request() else { return };
            let flags = frames::END_HEADERS | if fields[0].1 == "101" { 0 } else { END_STREAM };
            server.send(&frame(kind::HEADERS, flags, stream, &frames::block(fields)));
        }
        server.read_to_end();
    });
    let weir = Weir::start(&to(&origin).upstream("retry = { budget = \"0%\", floor_per_second = 0 }"));
    for _ in 0..3 {
        assert_eq!(weir.get("/").status(), 502);
    }
}

/// Promise: a server that speaks HTTP/1.1 though HTTP/2 was configured is told from one that is down, in clear and by
/// TLS.
#[test]
fn a_server_of_http1() {
    let origin = RawOrigin::scripted(|conn| {
        // As nginx does with a preface that it does not know.
        if conn.try_read_head().is_ok() {
            conn.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    let told = |answer: &Message| {
        assert_eq!(answer.status(), 502);
        assert_eq!(answer.json()["error"], "http_protocol_error");
        assert!(answer.text().contains("speaks HTTP/1.1, where HTTP/2 is configured"), "{}", answer.text());
    };
    told(&Weir::start(&to(&origin)).get("/"));

    let authority = Authority::new();
    // One that knows of no protocols, and one that knows another.
    for protocols in [vec![], vec![b"http/1.1".to_vec()]] {
        let mut config = ServerConfig::clone(&authority.server(&["app.test"], None));
        config.alpn_protocols = protocols;
        let secure = SecureOrigin::answering(Arc::new(config), OK);
        let config = Config::to_servers(&[secure.address()])
            .upstream("protocol = \"h2\"\ntls = { ca = \"ca.pem\", server_name = \"app.test\" }");
        told(&Launch::new(&config).beside("ca.pem", &authority.pem()).start().get("/"));
    }
}
