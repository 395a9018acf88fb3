//! `Upgrade`: WebSocket and its relatives (RFC 9110 §7.8, RFC 6455 §4).

use crate::harness::{Config, RawOrigin, Weir};

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// An origin that switches and then sends every byte back, after a greeting that comes with the 101 itself.
fn echoing() -> RawOrigin {
    RawOrigin::scripted(|conn| {
        conn.read_request();
        conn.send(format!("{SWITCHED}greeting"));
        while let Ok(byte) = conn.try_read_exactly(1) {
            if conn.try_send(byte).is_err() {
                return;
            }
        }
    })
}

/// After a 101 the connection belongs to the two ends: any bytes pass, both ways, even those that came in
/// one piece with the heads, until one of them ends it.
#[test]
fn an_upgraded_connection_passes_any_bytes() {
    let origin = echoing();
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    client.send(UPGRADE);
    let answer = client.response_head();
    assert_eq!(answer.status(), 101);
    assert_eq!(answer.field("upgrade").as_deref(), Some("websocket"));
    assert_eq!(answer.field("sec-websocket-accept").as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(client.read_exactly(8), b"greeting");
    let frames: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    client.send(&frames);
    assert_eq!(client.read_exactly(frames.len()), frames);
    let seen = origin.next_request();
    assert_eq!(seen.field("upgrade").as_deref(), Some("websocket"));
    assert_eq!(seen.field("connection").map(|value| value.to_ascii_lowercase()).as_deref(), Some("upgrade"));
    assert_eq!(seen.field("sec-websocket-key").as_deref(), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    client.finish();
    client.expect_close();
    weir.await_metric("weir_requests_in_flight", &[], 0);
}

/// A tunnel is long-lived by nature: it has no total timeout.
#[test]
fn a_tunnel_has_no_total_timeout() {
    let origin = RawOrigin::scripted(|conn| {
        let Some(request) = conn.read_request() else { return };
        if request.target() == "/chat" {
            conn.send(SWITCHED);
            while conn.try_read_exactly(1).is_ok_and(|byte| conn.try_send(byte).is_ok()) {}
        } else {
            // Never answered: only the timeout ends it.
            conn.read_request();
        }
    });
    let weir = Weir::start(&Config::to(&origin).section("[timeouts]\ntotal = \"200ms\""));
    let mut tunnel = weir.connect();
    tunnel.send(UPGRADE);
    assert_eq!(tunnel.response_head().status(), 101);
    // Begins later and is over before the tunnel is used.
    assert_eq!(weir.get("/").status(), 504);
    tunnel.send("x");
    assert_eq!(tunnel.read_exactly(1), b"x");
}

/// What an upgraded connection carries is not read as HTTP: bytes that look like a malformed request pass.
#[test]
fn an_upgraded_connection_is_not_read_as_http() {
    let origin = echoing();
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    client.send(UPGRADE);
    client.response_head();
    client.read_exactly(8);
    let odd = b"GET / HTTP/9.9\nHost : a\n\n\0";
    client.send(odd);
    assert_eq!(client.read_exactly(odd.len()), odd);
}

/// An app that ends its side ends the client's connection.
#[test]
fn the_end_of_the_app_ends_the_client() {
    let origin = RawOrigin::scripted(|conn| {
        conn.read_request();
        conn.send(SWITCHED);
    });
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    client.send(UPGRADE);
    assert_eq!(client.response_head().status(), 101);
    client.expect_close();
}

/// An app that does not switch answers as usual, and the connection goes on in HTTP.
#[test]
fn an_app_may_decline() {
    let origin = RawOrigin::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    assert_eq!(client.exchange(UPGRADE).text(), "no");
    assert_eq!(client.exchange("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n").text(), "no");
}

/// Only WebSocket is passed on: what another protocol would carry, h2c above all, no limit could see.
#[test]
fn other_protocols_are_not_asked_for() {
    let origin = RawOrigin::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
    let weir = Weir::start(&Config::to(&origin));
    let h2c = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n";
    assert_eq!(weir.connect().exchange(h2c).text(), "no");
    let seen = origin.next_request();
    assert_eq!((seen.field("upgrade"), seen.field("http2-settings")), (None, None));
}

/// A 101 that nobody asked for is garbage: the client must not be left on a connection that speaks something
/// else.
#[test]
fn an_unasked_switch_is_a_gateway_error() {
    let origin = RawOrigin::answering(SWITCHED);
    let weir = Weir::start(&Config::to(&origin));
    assert_eq!(weir.get("/").status(), 502);
}
