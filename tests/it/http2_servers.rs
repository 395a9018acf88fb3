//! HTTP/2 towards servers: what an app that speaks it sees, and what its clients do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::server::Builder;
use http::{HeaderMap, HeaderValue, Response};
use tokio::sync::Notify;

use crate::harness::http2_origin::{send, status};
use crate::harness::{Authority, Config, Http2Exchange, Http2Origin, Launch, RawClient, Weir};

fn to(origin: &Http2Origin) -> Config {
    Config::to_servers(&[origin.address()]).upstream("protocol = \"h2\"")
}

/// Promise: an app that speaks HTTP/2 sees the client's request as HTTP/2 has it: the host as authority, the target as it
/// came, and no field of the client's connection but `te: trailers`.
#[test]
fn a_request_is_one_of_http2() {
    let (record, recorded) = channel();
    let record = Mutex::new(record);
    let origin = Http2Origin::serving(move |exchange| {
        let (parts, ()) = exchange.request.map(drop).into_parts();
        record.lock().unwrap().send(parts).unwrap();
        let mut respond = exchange.respond;
        async move { respond.send_response(status(204), true).map(drop) }
    });
    let weir = Weir::start(&to(&origin));
    let mut client = weir.connect();
    let answer = client.exchange(
        "GET /a%2Db?c=d HTTP/1.1\r\nHost: App.test\r\nConnection: keep-alive, x-mine, te\r\nX-Mine: 1\r\nTE: trailers\r\n\
         Keep-Alive: timeout=5\r\nX-Kept: 2\r\n\r\n",
    );
    assert_eq!(answer.status(), 204);
    let seen = recorded.recv().unwrap();
    assert_eq!(seen.uri.to_string(), "http://App.test/a%2Db?c=d");
    assert_eq!(seen.headers["te"], "trailers");
    assert_eq!(seen.headers["x-kept"], "2");
    assert_eq!(seen.headers["via"], "1.1 weir");
    assert_eq!(seen.headers["x-forwarded-host"], "App.test");
    for gone in ["host", "connection", "keep-alive", "x-mine", "content-length"] {
        assert!(!seen.headers.contains_key(gone), "{gone}");
    }
}

/// Promise: requests of many clients share a connection for each worker, and do not wait for each other there.
#[test]
fn requests_share_connections() {
    let (arrived, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let origin = Http2Origin::serving(move |exchange: Http2Exchange| {
        let (arrived, all) = (Arc::clone(&arrived), Arc::clone(&all));
        async move {
            // Nobody is answered before all are there.
            if arrived.fetch_add(1, Ordering::SeqCst) == 19 {
                all.notify_one();
            } else {
                all.notified().await;
                all.notify_one();
            }
            exchange.answer("ok").await
        }
    });
    let weir = Weir::start(&to(&origin).workers(1));
    let mut clients: Vec<RawClient> = (0..20).map(|_| weir.connect()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.response().text(), "ok");
    }
    assert_eq!(origin.connections(), 1);
    weir.await_metric("weir_upstream_connections_opened_total", &[("upstream", "app")], 1);
}

/// Promise: a server that takes one request at a time gets one at a time on each connection, and all are answered.
#[test]
fn the_servers_bound_on_requests_is_kept() {
    let most = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&most);
    let mut builder = Builder::new();
    builder.max_concurrent_streams(1);
    let origin = Http2Origin::start(builder, None, move |exchange: Http2Exchange| {
        let seen = Arc::clone(&seen);
        async move {
            seen.fetch_add(1, Ordering::SeqCst);
            exchange.answer("ok").await
        }
    });
    let weir = Weir::start(&to(&origin).workers(1).upstream("max_connections = 4"));
    let mut clients: Vec<RawClient> = (0..12).map(|_| weir.connect()).collect();
    for _ in 0..5 {
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
        }
        for client in &mut clients {
            assert_eq!(client.response().status(), 200);
        }
    }
    assert_eq!(most.load(Ordering::SeqCst), 60);
    assert!((1..=4).contains(&origin.connections()), "{}", origin.connections());
}

/// Promise: bodies pass whole both ways, larger than any window, and trailers with them.
#[test]
fn bodies_and_trailers_pass() {
    let origin = Http2Origin::serving(|mut exchange: Http2Exchange| async move {
        let (body, trailers) = exchange.read().await?;
        let mut head = Response::new(());
        head.headers_mut().insert("trailer", HeaderValue::from_static("x-sum"));
        let mut stream = exchange.respond.send_response(head, false)?;
        send(&mut stream, Bytes::from(body)).await?;
        let sum = trailers.and_then(|trailers| trailers.get("x-sum").cloned());
        stream.send_trailers(HeaderMap::from_iter([(
            "x-sum".parse().unwrap(),
            sum.unwrap_or(HeaderValue::from_static("none")),
        )]))
    });
    let weir = Weir::start(&to(&origin));
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let mut client = weir.connect();
    client.send(
        "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nConnection: te\r\n\
         Trailer: x-sum\r\n\r\n",
    );
    client.send(format!("{:x}\r\n", body.len()));
    client.send(&body);
    client.send("\r\n0\r\nx-sum: 17\r\n\r\n");
    let answer = client.response();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.body, body);
    assert_eq!(answer.trailers, ["x-sum: 17"]);
    let answer = client.exchange("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(answer.text(), "hello");
}

/// Promise: a HEAD, a 204 and a 304 have no body and leave the connection as it was.
#[test]
fn answers_without_a_body() {
    let origin = Http2Origin::serving(|mut exchange: Http2Exchange| async move {
        let mut head = match exchange.request.uri().path() {
            "/204" => status(204),
            "/304" => status(304),
            _ => status(200),
        };
        if head.status() != 204 {
            head.headers_mut().insert("content-length", HeaderValue::from_static("7"));
        }
        exchange.respond.send_response(head, true).map(drop)
    });
    let weir = Weir::start(&to(&origin).workers(1));
    let mut client = weir.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: app.test\r\n\r\n");
    let answer = client.response_to_head();
    assert_eq!((answer.status(), answer.field("content-length").as_deref()), (200, Some("7")));
    for code in [204, 304, 204] {
        let answer = client.exchange(format!("GET /{code} HTTP/1.1\r\nHost: app.test\r\n\r\n"));
        assert_eq!(answer.status(), code);
    }
    assert_eq!(origin.connections(), 1);
}

/// Promise: interim answers pass to clients of HTTP/1.1, and a body that waits for `100` is sent after it.
#[test]
fn interim_answers_pass() {
    let origin = Http2Origin::serving(|mut exchange: Http2Exchange| async move {
        if exchange.request.headers().contains_key("expect") {
            exchange.respond.send_informational(status(100))?;
        }
        let mut hints = status(103);
        hints.headers_mut().insert("link", HeaderValue::from_static("</a.css>; rel=preload"));
        exchange.respond.send_informational(hints)?;
        let (body, _) = exchange.read().await?;
        exchange.answer(body).await
    });
    let weir = Weir::start(&to(&origin));
    let mut client = weir.connect();
    let hints = client.exchange("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!((hints.status(), hints.field("link").as_deref()), (103, Some("</a.css>; rel=preload")));
    assert_eq!(client.response().status(), 200);
    let expecting = "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    let mut codes = vec![client.exchange(expecting).status()];
    client.send("hello");
    let answer = loop {
        let answer = client.response();
        codes.push(answer.status());
        if answer.status() == 200 {
            break answer;
        }
    };
    assert_eq!(answer.text(), "hello");
    codes.sort_unstable();
    assert_eq!(codes, [100, 103, 200]);
}

/// Promise: by TLS, HTTP/2 is agreed upon, and health checks speak it as well.
#[test]
fn it_is_agreed_upon_by_tls() {
    let authority = Authority::new();
    let origin =
        Http2Origin::start(Builder::new(), Some(authority.server(&["app.test"], None)), |exchange| {
            let said = exchange.request.uri().to_string();
            async move { exchange.answer(said).await }
        });
    let config = to(&origin)
        .upstream("tls = { ca = \"ca.pem\", server_name = \"app.test\" }")
        .upstream("health_check = { path = \"/healthz\", interval = \"100ms\" }");
    let weir = Launch::new(&config).beside("ca.pem", &authority.pem()).start();
    assert_eq!(weir.get("/x").text(), "https://app.test/x");
    weir.await_metric("weir_upstream_servers_healthy", &[("upstream", "app")], 1);
}
