//! WebSockets over HTTP/2 (RFC 8441): the extended CONNECT from a client, an upgrade of HTTP/1.1 to the app.

use http::{Method, Request};
use rustix::process::Signal;

use crate::harness::http2_client::Http2Call;
use crate::harness::{Config, Http2Client, RawOrigin, Weir};

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n";

/// An app that switches, greets, and sends every byte back; to `/page`, one that answers as if nothing had been asked.
fn app() -> RawOrigin {
    RawOrigin::scripted(|conn| {
        while let Some(request) = conn.read_request() {
            if request.target() != "/chat" {
                conn.answer("a page");
                continue;
            }
            conn.send(format!("{SWITCHED}greeting"));
            while let Ok(byte) = conn.try_read_exactly(1) {
                if conn.try_send(byte).is_err() {
                    return;
                }
            }
            return;
        }
    })
}

fn start(origin: &RawOrigin) -> Weir {
    let config = Config::to(origin).proxies("[{ address = \"127.0.0.1:0\", h2c = true }]");
    Weir::start(&config.section("[timeouts]\ntotal = \"2s\"\nbody_progress = \"300ms\""))
}

fn connect(path: &str, protocol: &'static str) -> Request<()> {
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("http://app.test{path}"))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat")
        .body(())
        .unwrap();
    request.extensions_mut().insert(h2::ext::Protocol::from_static(protocol));
    request
}

fn open(client: &mut Http2Client) -> Http2Call {
    let mut call = client.open(connect("/chat", "websocket"));
    assert_eq!(call.response.status(), 200);
    assert_eq!(client.talk(&mut call, b"", 8), b"greeting");
    call
}

/// Promise: a client of HTTP/2 gets a tunnel to an app of HTTP/1.1, which sees an upgrade like any other; bytes pass both
/// ways beside other requests, however long both are silent, until one of them ends it.
#[test]
fn frames_pass_both_ways() {
    let origin = app();
    let weir = start(&origin);
    let mut client = Http2Client::connect(weir.addr());
    assert_eq!(client.get("/page").body, b"a page");
    assert!(client.may_connect());
    let mut call = open(&mut client);
    let fields = call.response.headers();
    assert_eq!(fields["sec-websocket-protocol"], "chat");
    for of_http1 in ["connection", "upgrade", "sec-websocket-accept"] {
        assert!(!fields.contains_key(of_http1), "{of_http1}");
    }
    origin.next_request();
    let seen = origin.next_request();
    assert_eq!(seen.start_line(), "GET /chat HTTP/1.1");
    assert_eq!(seen.field("host").as_deref(), Some("app.test"));
    assert_eq!(seen.field("upgrade").as_deref(), Some("websocket"));
    assert_eq!(seen.field("connection").as_deref(), Some("upgrade"));
    assert_eq!(seen.field("sec-websocket-version").as_deref(), Some("13"));
    assert_eq!(seen.field("sec-websocket-key").map(|key| key.len()), Some(24));
    assert_eq!(client.talk(&mut call, b"hello", 5), b"hello");
    // Longer than a request may be silent, and than it may take.
    assert_eq!(
        weir.connect().exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n").status(),
        408
    );
    assert_eq!(client.get("/page").body, b"a page");
    assert_eq!(client.talk(&mut call, b"again", 5), b"again");
    drop(call);
    assert_eq!(client.get("/page").body, b"a page");
    weir.await_metric("weir_requests_in_flight", &[], 0);
}

/// Promise: an app that does not switch has not opened a tunnel, whatever else it says; other protocols, and a CONNECT
/// without one, are not passed on.
#[test]
fn what_is_no_tunnel_is_refused() {
    let origin = app();
    let weir = start(&origin);
    let mut client = Http2Client::connect(weir.addr());
    let answer = client.exchange(connect("/page", "websocket"), b"");
    assert_eq!(answer.head.status(), 502);
    origin.next_request();
    assert_eq!(client.exchange(connect("/chat", "connect-udp"), b"").head.status(), 501);
    let plain = Request::builder().method(Method::CONNECT).uri("app.test:443").body(()).unwrap();
    assert_eq!(client.exchange(plain, b"").head.status(), 501);
    assert_eq!(client.get("/page").head.status(), 200);
    origin.next_request();
    origin.expect_no_request();
}

/// Promise: a stop lets tunnels go one by one, as it does over HTTP/1.1, and then ends.
#[test]
fn a_stop_ends_tunnels() {
    let origin = app();
    let config = Config::to(&origin)
        .proxies("[{ address = \"127.0.0.1:0\", h2c = true }]")
        .section("[shutdown]\ndrain_tunnels = \"100ms\"");
    let mut weir = Weir::start(&config);
    let mut client = Http2Client::connect(weir.addr());
    let mut call = open(&mut client);
    weir.signal(Signal::TERM);
    assert_eq!(client.talk(&mut call, b"", usize::MAX), b"");
    drop((call, client));
    assert!(weir.wait_exit().success());
}
