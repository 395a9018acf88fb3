//! How many may be connected: whoever is too many is closed at once, and everybody else is served.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::harness::{Authority, Config, Launch, RawClient, RawOrigin, Weir, echo, skip};

fn refused(weir: &Weir, reason: &str) -> u64 {
    weir.metrics().count("weir_connections_refused_total", &[("reason", reason)])
}

/// A connection that was closed before its first byte.
fn is_closed(client: &mut RawClient) -> bool {
    !matches!(client.try_response(), Ok(Some(_)))
}

/// A client that has as many connections as it may gets no further one, and others do. Once it lets one go, it may come
/// again.
#[test]
fn one_client_has_so_many_and_no_more() {
    let origin = RawOrigin::scripted(echo);
    let config = Config::to(&origin).section("[connections]\nper_client = 2");
    let weir = Weir::start(&config);
    let get = "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n";
    let mut first = RawClient::connect_from("127.0.0.2", weir.addr());
    let mut second = RawClient::connect_from("127.0.0.2", weir.addr());
    assert_eq!((first.exchange(get).status(), second.exchange(get).status()), (200, 200));
    let mut third = RawClient::connect_from("127.0.0.2", weir.addr());
    assert!(is_closed(&mut third));
    assert_eq!(refused(&weir, "per_client"), 1);
    let mut other = RawClient::connect_from("127.0.0.3", weir.addr());
    assert_eq!(other.exchange(get).status(), 200);
    drop(first);
    weir.await_metric("weir_connections_open", &[], 2);
    let mut again = RawClient::connect_from("127.0.0.2", weir.addr());
    assert_eq!(again.exchange(get).status(), 200);
}

/// A trusted proxy is many clients: it is not bound as one.
#[test]
fn a_trusted_proxy_may_have_more() {
    let origin = RawOrigin::scripted(echo);
    let config = Config::to(&origin)
        .listen("trusted_proxies = [\"127.0.0.2\"]")
        .section("[connections]\nper_client = 1");
    let weir = Weir::start(&config);
    let get = "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n";
    let mut open: Vec<_> = (0..3).map(|_| RawClient::connect_from("127.0.0.2", weir.addr())).collect();
    assert!(open.iter_mut().all(|client| client.exchange(get).status() == 200));
    assert_eq!(refused(&weir, "per_client"), 0);
}

/// Whoever is refused for what it did below requests gets no handshake any more, and others do; in clear it is told why.
#[test]
fn a_client_that_is_refused_gets_no_handshake() {
    let (origin, authority) = (RawOrigin::scripted(echo), Authority::new());
    let config = Config::to(&origin)
        .listen("proxy_tls = \"127.0.0.1:0\"")
        .section("[tls]\ncertificates = [{ cert = \"cert.pem\", key = \"key.pem\" }]")
        .section("[detectors.protocol]\nmode = \"enforce\"\nmalformed = 5");
    let (certificate, key) = authority.issue(&["app.test"]);
    let weir = Launch::new(&config).beside("cert.pem", &certificate).beside("key.pem", &key).start();
    for _ in 0..5 {
        let mut client = RawClient::connect_from("127.0.0.2", weir.addr());
        assert_eq!(client.exchange("GET / HTTP/1.1\r\nHost : a\r\n\r\n").status(), 400);
    }
    let mut refused_client = RawClient::connect_from("127.0.0.2", weir.addrs()[1]);
    assert!(is_closed(&mut refused_client));
    assert_eq!(refused(&weir, "finding"), 1);
    let _other = RawClient::connect_from("127.0.0.3", weir.addrs()[1]);
    weir.await_metric("weir_connections_open", &[], 1);
    let mut client = RawClient::connect_from("127.0.0.2", weir.addr());
    assert_eq!(client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status(), 429);
}

/// The bound on all holds over all workers and whoever they are.
#[test]
fn all_clients_together_are_bounded() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin).section("[connections]\nmax = 3"));
    let get = "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n";
    let mut open: Vec<_> =
        (2..5).map(|n| RawClient::connect_from(&format!("127.0.0.{n}"), weir.addr())).collect();
    assert!(open.iter_mut().all(|client| client.exchange(get).status() == 200));
    assert!(is_closed(&mut RawClient::connect_from("127.0.0.9", weir.addr())));
    assert_eq!(refused(&weir, "max"), 1);
    assert!(open.iter_mut().all(|client| client.exchange(get).status() == 200), "who is in stays in");
}

/// Half-open handshakes make room for those that come after them, the oldest first.
#[test]
fn half_open_handshakes_keep_nobody_out() {
    let origin = RawOrigin::scripted(echo);
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&["app.test"]);
    let config = Config::to(&origin)
        .workers(1)
        .proxies("[{ address = \"127.0.0.1:0\", tls = true }]")
        .section("[tls]\ncertificates = [{ cert = \"cert.pem\", key = \"key.pem\" }]")
        .section("[connections]\nhandshakes = 2");
    let weir = Launch::new(&config).beside("cert.pem", &certificate).beside("key.pem", &key).start();
    let mut silent: Vec<_> = (0..3).map(|_| RawClient::connect(weir.addr())).collect();
    assert!(is_closed(&mut silent[0]), "the oldest gives way to the third");
    weir.await_metric("weir_connections_refused_total", &[("reason", "handshakes")], 1);
}

/// A listener on `[::]` takes clients of both families, each by its own address; with `v6only` it takes those of IPv6 alone.
#[test]
fn both_families_or_one() {
    if TcpListener::bind("[::1]:0").is_err() {
        return skip("no IPv6 here");
    }
    let origin = RawOrigin::scripted(echo);
    let listeners = "[\"[::]:0\", { address = \"[::]:0\", v6only = true }]";
    let weir = Weir::start(&Config::to(&origin).proxies(listeners));
    let [both, one] = [0, 1].map(|nth| weir.addrs()[nth].port());
    for (client, port) in [("127.0.0.1", both), ("::1", both), ("::1", one)] {
        let address = SocketAddr::new(client.parse().unwrap(), port);
        assert_eq!(RawClient::get(address, "/").status(), 200);
        assert_eq!(origin.next_request().field("x-forwarded-for").as_deref(), Some(client));
    }
    assert!(RawClient::try_connect(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), one)).is_err());
}
