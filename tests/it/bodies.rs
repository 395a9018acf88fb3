//! Bodies, both ways: framing, trailers, size, and that none is held whole.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use crate::harness::{Config, RawClient, RawOrigin, Weir, echo};

/// Far more than the kernel and weir together may hold of one body: 64 MiB.
const LARGE: u64 = 64 << 20;

/// The most that weir's memory may grow while such a body waits in it.
const GROWTH_MAX_KIB: u64 = 16 * 1024;

/// A body with Content-Length arrives as it was sent, framed the same way (RFC 9112 §6.2).
#[test]
fn content_length_uploads_pass() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin));
    let body: String = "0123456789".repeat(10_000);
    let head = format!("PUT /up HTTP/1.1\r\nHost: app.test\r\nContent-Length: {}\r\n\r\n", body.len());
    assert_eq!(weir.connect().exchange(head + &body).status(), 200);
    let seen = origin.next_request();
    assert_eq!((seen.text(), seen.field("content-length")), (body.clone(), Some(body.len().to_string())));
    assert_eq!(seen.field("transfer-encoding"), None);
}

/// A GET may have a body: it passes as one, and is not taken for the next request (RFC 9110 §9.3.1).
#[test]
fn a_get_with_a_body_passes() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin));
    let inner = "GET /inner HTTP/1.1\r\n\r\n";
    let length = inner.len();
    let request = format!("GET /outer HTTP/1.1\r\nHost: app.test\r\nContent-Length: {length}\r\n\r\n{inner}");
    assert_eq!(weir.connect().exchange(request).status(), 200);
    assert_eq!(origin.next_request().text(), inner);
    origin.expect_no_request();
}

/// The same where it is chunked.
#[test]
fn a_get_with_a_chunked_body_passes() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin));
    let request =
        "GET / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    assert_eq!(weir.connect().exchange(request).status(), 200);
    let seen = origin.next_request();
    assert_eq!(
        (seen.text().as_str(), seen.field("transfer-encoding").as_deref()),
        ("hello", Some("chunked"))
    );
}

/// A chunked body arrives chunked, its bytes and its trailers unchanged (RFC 9112 §7.1).
#[test]
fn chunked_uploads_pass_with_trailers() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin));
    let request = "POST /up HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
                   5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n";
    assert_eq!(weir.connect().exchange(request).status(), 200);
    let seen = origin.next_request();
    assert_eq!((seen.text().as_str(), seen.field("content-length")), ("hello world", None));
    let trailers: Vec<String> = seen.trailers.iter().map(|line| line.to_ascii_lowercase()).collect();
    assert_eq!(trailers, ["x-sum: 11"]);
}

/// What a head may not say, trailers may not say either: some apps merge them into it (RFC 9110 §6.5.1).
#[test]
fn forged_trailers_end_at_weir() {
    let origin = RawOrigin::scripted(echo);
    let trust = "trusted_proxies = [\"127.0.0.1/32\"]\nforwarded_header = \"my-client\"";
    let weir = Weir::start(&Config::to(&origin).listen(trust));
    let forged = "X-Forwarded-For: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\nMy-Client: 203.0.113.9\r\n\
                  X_Request_Id: forged\r\nX-Original-URL: /admin\r\nConnection: close\r\nUpgrade: h2c\r\n\
                  Keep-Alive: timeout=1\r\n";
    let names: Vec<&str> = forged.lines().filter_map(|line| line.split(':').next()).collect();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, {}\r\n\r\n\
         5\r\nhello\r\n0\r\n{forged}X-Sum: 5\r\n\r\n",
        names.join(", ")
    );
    assert_eq!(weir.connect().exchange(request).status(), 200);
    let seen = origin.next_request();
    let trailers: Vec<String> = seen.trailers.iter().map(|line| line.to_ascii_lowercase()).collect();
    assert_eq!((seen.text().as_str(), trailers.as_slice()), ("hello", &["x-sum: 5".to_owned()][..]));
}

/// An answer's chunks and trailers pass to a client that said it takes them (RFC 9110 §6.5.1).
#[test]
fn chunked_answers_pass_with_trailers() {
    let origin = RawOrigin::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n",
    );
    let weir = Weir::start(&Config::to(&origin));
    let answer =
        weir.connect().exchange("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: TE\r\nTE: trailers\r\n\r\n");
    assert_eq!(answer.text(), "hello");
    let trailers: Vec<String> = answer.trailers.iter().map(|line| line.to_ascii_lowercase()).collect();
    assert_eq!(trailers, ["x-sum: 5"]);
}

/// An answer that ends with its connection reaches the client whole (RFC 9112 §6.3, case 8).
#[test]
fn an_answer_that_ends_by_closing_passes() {
    let origin = RawOrigin::scripted(|conn| {
        conn.read_request();
        conn.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
    });
    let weir = Weir::start(&Config::to(&origin));
    let answer = weir.connect().exchange("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!((answer.status(), answer.text().as_str()), (200, "until the end"));
}

/// HEAD has the head of a GET, Content-Length too, and no body; the connection stays in step
/// (RFC 9110 §9.3.2).
#[test]
fn head_has_no_body_and_keeps_its_length() {
    let origin = RawOrigin::scripted(|conn| {
        while let Some(request) = conn.read_request() {
            if request.start_line().starts_with("HEAD") {
                conn.send("HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n");
            } else {
                conn.answer("next");
            }
        }
    });
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    client.send("HEAD /file HTTP/1.1\r\nHost: app.test\r\n\r\n");
    let answer = client.response_to_head();
    assert_eq!((answer.status(), answer.field("content-length").as_deref()), (200, Some("12345")));
    assert_eq!(client.exchange("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n").text(), "next");
}

/// 204 and 304 have no body and the connection stays in step; a 304 keeps the Content-Length that says how
/// long the 200 would have been (RFC 9110 §8.6, §15.3.5, §15.4.5).
#[test]
fn answers_without_a_body_stay_in_step() {
    let origin = RawOrigin::scripted(|conn| {
        while let Some(request) = conn.read_request() {
            match request.target().as_str() {
                "/204" => conn.send("HTTP/1.1 204 No Content\r\nX-Kept: 1\r\n\r\n"),
                "/304" => {
                    conn.send("HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\nContent-Length: 777\r\n\r\n");
                }
                _ => conn.answer("next"),
            }
        }
    });
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    let mut get = |target: &str| client.exchange(format!("GET {target} HTTP/1.1\r\nHost: app.test\r\n\r\n"));
    let no_content = get("/204");
    assert_eq!((no_content.status(), no_content.field("x-kept").as_deref()), (204, Some("1")));
    assert_eq!((no_content.field("content-length"), no_content.field("transfer-encoding")), (None, None));
    let not_modified = get("/304");
    assert_eq!(not_modified.status(), 304);
    assert_eq!(not_modified.field("etag").as_deref(), Some("\"v1\""));
    assert_eq!(not_modified.field("content-length").as_deref(), Some("777"));
    assert_eq!(get("/").text(), "next");
}

/// A body moves before it is complete: weir holds none of it back until the rest comes.
#[test]
fn bodies_stream_both_ways() {
    let (heard, hear) = channel();
    let origin = RawOrigin::scripted(move |conn| {
        conn.read_request_head();
        heard.send(conn.read_exactly(8)).unwrap();
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
        conn.read_exactly(8);
        conn.send("3\r\ntwo\r\n0\r\n\r\n");
        conn.read_request();
    });
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    client.send("POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    assert_eq!(hear.recv().unwrap(), b"3\r\nabc\r\n");
    assert_eq!(client.response_head().status(), 200);
    assert_eq!(client.read_exactly(8), b"3\r\none\r\n");
    client.send("3\r\ndef\r\n0\r\n\r\n");
    assert_eq!(client.read_exactly(8 + 5), b"3\r\ntwo\r\n0\r\n\r\n");
}

/// A large download to a client that stops reading waits at the app, not in weir's memory, and arrives
/// whole in the end.
#[test]
fn a_client_that_stops_reading_holds_the_app_back() {
    let (stalled, at_stall) = channel();
    let origin = RawOrigin::scripted(move |conn| {
        while let Some(request) = conn.read_request() {
            if request.target() == "/large" {
                conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"));
                let sent = conn.send_pattern_until_stalled(0, LARGE);
                stalled.send(sent).unwrap();
                conn.send_pattern(sent, LARGE);
            } else {
                conn.answer("small");
            }
        }
    });
    let weir = Weir::start(&Config::to(&origin));
    assert_eq!(weir.get("/warm-up").status(), 200);
    let memory_before = weir.peak_memory_kib();
    let mut client = RawClient::connect_with_small_window(weir.addr(), 64 << 10);
    client.send("GET /large HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(client.response_head().status(), 200);
    let sent = at_stall.recv().unwrap();
    assert!(sent < LARGE, "all of it was taken while nobody read");
    client.expect_pattern(LARGE);
    let growth = weir.peak_memory_kib() - memory_before;
    assert!(growth < GROWTH_MAX_KIB, "grew by {growth} KiB");
}

/// A large upload to an app that does not read yet waits at the client, and arrives whole in the end.
#[test]
fn an_app_that_stops_reading_holds_the_client_back() {
    let (go, wait) = channel();
    let wait = Mutex::new(wait);
    let origin = RawOrigin::scripted(move |conn| {
        while let Some(request) = conn.read_request_head() {
            if request.target() == "/large" {
                wait.lock().unwrap().recv().unwrap();
                conn.expect_pattern(LARGE);
            }
            conn.answer("done");
        }
    });
    let weir = Weir::start(&Config::to(&origin));
    assert_eq!(weir.get("/warm-up").status(), 200);
    let memory_before = weir.peak_memory_kib();
    let mut client = weir.connect();
    client.send(format!("POST /large HTTP/1.1\r\nHost: app.test\r\nContent-Length: {LARGE}\r\n\r\n"));
    let sent = client.send_pattern_until_stalled(0, LARGE);
    assert!(sent < LARGE, "all of it was taken while nobody read");
    go.send(()).unwrap();
    client.send_pattern(sent, LARGE);
    assert_eq!(client.response().text(), "done");
    let growth = weir.peak_memory_kib() - memory_before;
    assert!(growth < GROWTH_MAX_KIB, "grew by {growth} KiB");
}

/// A body over the configured size is refused: at once when its length is announced, else when it is
/// reached; the app never gets it whole (RFC 9110 §15.5.14).
#[test]
fn bodies_over_the_configured_size_are_refused() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin).section("[http]\nbody_size = \"1KiB\""));
    let announced = weir.connect().exchange(
        "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1025\r\nExpect: 100-continue\r\n\r\n",
    );
    assert_eq!(announced.status(), 413);
    let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400));
    let head = "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let reached = weir.connect().exchange(format!("{head}{chunk}{chunk}0\r\n\r\n"));
    assert_eq!(reached.status(), 413);
    origin.expect_no_request();
    let allowed = weir.connect().exchange(format!("{head}{chunk}0\r\n\r\n"));
    assert_eq!(allowed.status(), 200);
}

/// A route's own body size takes precedence over the general one.
#[test]
fn a_routes_body_size_takes_precedence() {
    let origin = RawOrigin::scripted(echo);
    let routes = "[http]\nbody_size = \"4B\"\n\n[[routes]]\npath = \"/upload/**\"\nupstream = \"app\"\nbody_size = \"8B\"\n\n\
                  [[routes]]\npath = \"/**\"\nupstream = \"app\"";
    let weir = Weir::start(&Config::to(&origin).section(routes));
    let post = |target: &str, body: &str| {
        let length = body.len();
        let head = format!("POST {target} HTTP/1.1\r\nHost: app.test\r\nContent-Length: {length}\r\n\r\n");
        weir.connect().exchange(head + body).status()
    };
    let answers = [
        post("/a", "1234"),
        post("/a", "12345"),
        post("/upload/a", "12345678"),
        post("/upload/a", "123456789"),
    ];
    assert_eq!(answers, [200, 413, 200, 413]);
}
