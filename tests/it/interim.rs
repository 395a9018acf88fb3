//! Interim answers and `Expect` (RFC 9110 §10.1.1, §15.2).

use crate::harness::{Config, RawOrigin, Weir};

const EXPECTING: &str =
    "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";

/// A client that waits for `100` gets it before it sends its body, and then the final answer.
#[test]
fn a_waiting_client_is_told_to_continue() {
    let origin = RawOrigin::scripted(|conn| {
        let Some(head) = conn.read_request_head() else { return };
        if head.field("expect").is_some() {
            conn.send("HTTP/1.1 100 Continue\r\n\r\n");
        }
        let body = conn.read_exactly(5);
        conn.answer(body);
    });
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    assert_eq!(client.exchange(EXPECTING).status(), 100);
    let answer = client.exchange("hello");
    assert_eq!((answer.status(), answer.text().as_str()), (200, "hello"));
}

/// A request that a limit refuses is not told to continue: its body is not wanted.
#[test]
fn a_refused_request_is_not_told_to_continue() {
    let origin = RawOrigin::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let weir = Weir::start(&Config::to(&origin).limit("one", "1/h"));
    assert_eq!(weir.get("/").status(), 200);
    let mut client = weir.connect();
    let answer = client.exchange(EXPECTING);
    assert_eq!(answer.status(), 429);
    // The body was never asked for, so the connection cannot be told what comes next on it.
    client.expect_close();
}

/// The app's own refusal before the body reaches a waiting client.
#[test]
fn the_apps_early_refusal_reaches_a_waiting_client() {
    let origin = RawOrigin::scripted(|conn| {
        conn.read_request_head();
        conn.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    let first = client.exchange(EXPECTING);
    // Whether weir or the app says 100 is weir's choice; the refusal must come without the body being sent
    // when the app was asked.
    assert!([100, 413].contains(&first.status()), "{}", first.status());
    if first.status() == 100 {
        client.send("hello");
        assert_eq!(client.response().status(), 413);
    }
}

/// Early hints pass to the client before the final answer (RFC 8297).
#[test]
fn early_hints_pass() {
    let origin = RawOrigin::answering(
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
    );
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    let hints = client.exchange("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(hints.status(), 103);
    assert_eq!(hints.field("link").as_deref(), Some("</a.css>; rel=preload"));
    let answer = client.response();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "body"));
}

/// What an interim answer says of a body or of the connection ends at weir: no client may wait for a body that an
/// interim answer cannot have (RFC 9110 §8.6, §15.2; RFC 9112 §6.1).
#[test]
fn interim_answers_frame_no_body() {
    let origin = RawOrigin::answering(
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nContent-Length: 5\r\nConnection: close\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
    );
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    let hints = client.exchange("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!((hints.status(), hints.field("link").as_deref()), (103, Some("</a.css>")));
    assert_eq!((hints.field("content-length"), hints.field("connection")), (None, None));
    let answer = client.response();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "body"));
}

/// A client of HTTP/1.0 gets no interim answer, which it could not read (RFC 9110 §15.2).
#[test]
fn http_1_0_clients_get_no_interim_answer() {
    let origin = RawOrigin::answering(
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
    );
    let weir = Weir::start(&Config::to(&origin));
    let answer = weir.connect().exchange("GET / HTTP/1.0\r\nHost: app.test\r\n\r\n");
    assert_eq!((answer.status(), answer.text().as_str()), (200, "body"));
}

/// Interim answers, however many, never take the place of the final one; an app that sends nothing else is
/// at fault, and the client hears that from weir.
#[test]
fn interim_answers_alone_are_a_gateway_error() {
    let origin = RawOrigin::scripted(|conn| {
        conn.read_request();
        conn.send("HTTP/1.1 102 Processing\r\n\r\n".repeat(3));
    });
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    client.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
    let last = std::iter::repeat_with(|| client.response().status()).find(|status| *status >= 200);
    assert_eq!(last, Some(502));
}
