//! The PROXY protocol, in and out: whom everything after it sees, who is believed, and what apps are told.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::channel;

use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConnection, StreamOwned, version};

use crate::harness::{Authority, Config, Launch, PATIENCE, RawClient, RawOrigin, Weir, echo};

const GET: &str = "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n";

/// Version 2, for 192.0.2.7:4711 by way of 198.51.100.1:443, with a field that nobody knows.
const BINARY: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10\xc0\0\x02\x07\xc6\x33\x64\x01\x12\x67\x01\xbb\xe0\0\x01x";

fn config(origin: &RawOrigin, protocol: &str) -> Config {
    Config::to(origin)
        .proxies(&format!("[{{ address = \"127.0.0.1:0\", proxy_protocol = {protocol} }}]"))
        .listen("trusted_proxies = [\"127.0.0.1\", \"203.0.113.0/24\"]")
}

/// The client that the app is told of, after `header`.
fn told(weir: &Weir, origin: &RawOrigin, header: &[u8], more: &str) -> String {
    let mut client = RawClient::connect(weir.addr());
    client.send([header, format!("GET / HTTP/1.1\r\nHost: app.test\r\n{more}\r\n").as_bytes()].concat());
    assert_eq!(client.response().status(), 200);
    origin.next_request().field("x-forwarded-for").unwrap()
}

fn faults(weir: &Weir) -> u64 {
    weir.metrics().count("weir_protocol_faults_total", &[("fault", "proxy_header")])
}

/// A connection that ended without an answer.
fn is_closed(client: &mut RawClient) -> bool {
    !matches!(client.try_response(), Ok(Some(_)))
}

/// The announced client is the client: for the app, in each version and family. A header on the proxy's own behalf leaves
/// the proxy itself; addresses of IPv4 in the form of IPv6 are IPv4.
#[test]
fn the_announced_client_is_the_client() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&config(&origin, "true"));
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    for (header, client) in [
        (&b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"[..], "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n", "2001:db8::7"),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.1 4711 443\r\n", "192.0.2.7"),
        (BINARY, "192.0.2.7"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (local, "127.0.0.1"),
    ] {
        assert_eq!(told(&weir, &origin, header, ""), client);
    }
    assert_eq!(faults(&weir), 0);
}

/// Whose forwarding header is believed is a question of the announced client, not of the proxy that announced it.
#[test]
fn forwarding_headers_are_the_announced_clients() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&config(&origin, "\"v1\""));
    let header = |client: &str| format!("PROXY TCP4 {client} 198.51.100.1 4711 443\r\n").into_bytes();
    let more = "X-Forwarded-For: 192.0.2.99\r\n";
    assert_eq!(told(&weir, &origin, &header("192.0.2.7"), more), "192.0.2.7");
    assert_eq!(
        told(&weir, &origin, &header("203.0.113.5"), more),
        "192.0.2.99",
        "a trusted proxy behind the other"
    );
}

/// Limits and the bound on connections count announced clients, each for itself.
#[test]
fn announced_clients_are_counted_each_for_itself() {
    let origin = RawOrigin::scripted(echo);
    let config = config(&origin, "true").limit("per-client", "1/h").section("[connections]\nper_client = 1");
    let weir = Weir::start(&config);
    let mut open = Vec::new();
    for (last, status) in [(7, 200), (8, 200)] {
        let mut client = RawClient::connect(weir.addr());
        client.send(format!("PROXY TCP4 192.0.2.{last} 198.51.100.1 4711 443\r\n{GET}"));
        assert_eq!(client.response().status(), status);
        assert_eq!(client.exchange(GET).status(), 429);
        open.push(client);
    }
    let mut second = RawClient::connect(weir.addr());
    second.send("PROXY TCP4 192.0.2.7 198.51.100.1 4712 443\r\n");
    assert!(is_closed(&mut second));
    assert_eq!(weir.metrics().count("weir_connections_refused_total", &[("reason", "per_client")]), 1);
}

/// Whoever is not trusted is refused before it can say anything; what is no header, or another version, is refused;
/// each is counted and nothing of it reaches the app.
#[test]
fn nobody_else_is_believed() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&config(&origin, "\"v2\""));
    let mut stranger = RawClient::connect_from("127.0.0.2", weir.addr());
    // The connection may be gone before this is sent.
    let _ = stranger.try_send(BINARY);
    assert!(is_closed(&mut stranger));
    assert_eq!(weir.metrics().count("weir_connections_refused_total", &[("reason", "untrusted")]), 1);
    for (count, start) in
        [GET, "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n", "\r\n\r\n\0\r\nQUIT\n\x11"].iter().enumerate()
    {
        let mut client = RawClient::connect(weir.addr());
        client.send(format!("{start}{GET}"));
        assert!(is_closed(&mut client), "{start:?}");
        assert_eq!(faults(&weir), count as u64 + 1);
    }
    assert_eq!(origin.connections(), 0);
}

/// A header that does not come is not waited for.
#[test]
fn a_header_has_a_deadline() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&config(&origin, "true").section("[timeouts]\nhandshake = \"50ms\""));
    let mut silent = RawClient::connect(weir.addr());
    let mut partial = RawClient::connect(weir.addr());
    partial.send("PROXY TCP4 192.0.2");
    assert!(is_closed(&mut silent) && is_closed(&mut partial));
    assert_eq!(weir.metrics().count("weir_timeouts_total", &[("timeout", "handshake")]), 2);
}

/// Behind a header, a TLS handshake is as it always is, though both come in one piece.
#[test]
fn tls_follows_the_header() {
    let origin = RawOrigin::scripted(echo);
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&["app.test"]);
    let config = Config::to(&origin)
        .proxies("[{ address = \"127.0.0.1:0\", proxy_protocol = true, tls = true }]")
        .listen("trusted_proxies = [\"127.0.0.1\"]")
        .section("[tls]\ncertificates = [{ cert = \"cert.pem\", key = \"key.pem\" }]");
    let weir = Launch::new(&config).beside("cert.pem", &certificate).beside("key.pem", &key).start();
    let mut socket = TcpStream::connect(weir.addr()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let rustls = authority.client(&[&version::TLS13], b"http/1.1");
    let name = ServerName::try_from("app.test").unwrap();
    let mut session = ClientConnection::new(Arc::clone(&rustls), name).unwrap();
    let mut first = BINARY.to_vec();
    session.write_tls(&mut first).unwrap();
    socket.write_all(&first).unwrap();
    let mut stream = StreamOwned::new(session, socket);
    stream.write_all(GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert_eq!(origin.next_request().field("x-forwarded-for").as_deref(), Some("192.0.2.7"));
}

/// An app that wants to be told for whom connections are made: each begins with a header, and is one client's alone.
/// Health checks speak for weir itself.
#[test]
fn an_app_is_told_for_whom() {
    let (lines, told) = channel();
    let origin = RawOrigin::scripted(move |conn| {
        let line = conn.read_through("\r\n");
        while conn.read_request().is_some_and(|request| request.target() != "/health") {
            lines.send(line.clone()).unwrap();
            conn.answer("ok");
        }
        if line == "PROXY UNKNOWN\r\n" {
            lines.send(line).unwrap();
            conn.answer("ok");
        }
    });
    let config = Config::to(&origin)
        .workers(1)
        .proxies("[{ address = \"127.0.0.1:0\", proxy_protocol = true }]")
        .listen("trusted_proxies = [\"127.0.0.1\"]")
        .upstream("send_proxy_protocol = \"v1\"");
    let weir = Weir::start(&config);
    let announce = |last: u8, port: u16| {
        let mut client = RawClient::connect(weir.addr());
        client.send(format!("PROXY TCP4 192.0.2.{last} 198.51.100.1 {port} 443\r\n"));
        client
    };
    let [mut one, mut other] = [announce(7, 4711), announce(8, 4712)];
    let at = weir.addr().port();
    let line = |last: u8, port: u16| format!("PROXY TCP4 192.0.2.{last} 127.0.0.1 {port} {at}\r\n");
    for _ in 0..2 {
        assert_eq!(one.exchange(GET).status(), 200);
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), line(7, 4711));
        assert_eq!(other.exchange(GET).status(), 200);
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), line(8, 4712));
    }
    assert_eq!(origin.connections(), 2, "each client has its own, and keeps it");
    weir.reload(&config.upstream("health_check = { path = \"/health\", interval = \"20ms\" }").text());
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "PROXY UNKNOWN\r\n");
}
