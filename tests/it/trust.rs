//! Whose word on the client's address is believed (design, promise 10).

use crate::harness::{Config, RawClient, RawOrigin, Weir};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// From a trusted proxy the one configured field is believed: the rightmost address that is not itself a
/// trusted proxy. The request id is taken over; what other fields say of the scheme and the host is not.
#[test]
fn a_trusted_proxy_is_believed() {
    let origin = RawOrigin::answering(OK);
    let trust = "trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]\nforwarded_header = \"x-forwarded-for\"";
    let weir = Weir::start(&Config::to(&origin).listen(trust));
    let request = "GET / HTTP/1.1\r\nHost: app.test\r\nX-Forwarded-For: 203.0.113.1, 198.51.100.7, 10.1.2.3\r\n\
                   X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\nX-Real-IP: 203.0.113.9\r\n\
                   X-Request-Id: from-the-edge-1\r\n\r\n";
    assert_eq!(weir.connect().exchange(request).status(), 200);
    let seen = origin.next_request();
    assert_eq!(seen.field("x-forwarded-for").as_deref(), Some("198.51.100.7"));
    assert_eq!(seen.field("x-forwarded-proto").as_deref(), Some("http"));
    assert_eq!(seen.field("x-forwarded-host").as_deref(), Some("app.test"));
    assert_eq!(seen.field("x-request-id").as_deref(), Some("from-the-edge-1"));
    assert_eq!(seen.field("x-real-ip"), None);
}

/// A believed address is what limits count by: two clients behind one trusted proxy have a limit each.
#[test]
fn limits_count_the_believed_client() {
    let origin = RawOrigin::answering(OK);
    let config = Config::to(&origin).listen("trusted_proxies = [\"127.0.0.1/32\"]").limit("few", "2/h");
    let weir = Weir::start(&config);
    let mut client = weir.connect();
    let mut from = |address: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: app.test\r\nX-Forwarded-For: {address}\r\n\r\n");
        client.exchange(request).status()
    };
    let answers = ["198.51.100.1", "198.51.100.1", "198.51.100.1", "198.51.100.2"].map(&mut from);
    assert_eq!(answers, [200, 200, 429, 200]);
}

/// Each kind of forwarding field can be the one that is believed; then the others are not.
#[test]
fn only_the_configured_field_is_believed() {
    let fields = [
        ("x-forwarded-for", "X-Forwarded-For: 198.51.100.1"),
        ("forwarded", "Forwarded: for=\"[2001:db8::7]:4711\";proto=https"),
        ("cf-connecting-ip", "CF-Connecting-IP: 198.51.100.3"),
    ];
    let all: Vec<&str> = fields.iter().map(|(_, line)| *line).collect();
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n\r\n", all.join("\r\n"));
    let believed = [("198.51.100.1", "http"), ("2001:db8::7", "https"), ("198.51.100.3", "http")];
    for ((field, _), (believed, scheme)) in fields.iter().zip(believed) {
        let origin = RawOrigin::answering(OK);
        let trust = format!("trusted_proxies = [\"127.0.0.1/32\"]\nforwarded_header = {field:?}");
        let weir = Weir::start(&Config::to(&origin).listen(&trust));
        assert_eq!(weir.connect().exchange(&request).status(), 200);
        let seen = origin.next_request();
        assert_eq!(seen.field("x-forwarded-for").as_deref(), Some(believed), "{field}");
        assert_eq!(seen.field("x-forwarded-proto").as_deref(), Some(scheme), "{field}");
        assert_eq!(seen.field("cf-connecting-ip"), None);
    }
}

/// What is no address is not believed: the connection's own address stands.
#[test]
fn what_is_no_address_is_not_believed() {
    let origin = RawOrigin::answering(OK);
    let weir = Weir::start(&Config::to(&origin).listen("trusted_proxies = [\"127.0.0.1/32\"]"));
    let mut client = weir.connect();
    for odd in ["unknown", "", "198.51.100.1, evil", "1.2.3.4.5", "localhost"] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {odd}\r\n\r\n");
        assert_eq!(client.exchange(request).status(), 200, "{odd}");
        assert_eq!(origin.next_request().field("x-forwarded-for").as_deref(), Some("127.0.0.1"), "{odd}");
    }
}

/// Trust belongs to a listener and to an address: neither another listener nor another peer has it.
#[test]
fn trust_belongs_to_a_listener_and_a_peer() {
    let origin = RawOrigin::answering(OK);
    let listeners = "[{ address = \"127.0.0.1:0\", trusted_proxies = [\"127.0.0.5/32\"] }, \"127.0.0.1:0\"]";
    let weir = Weir::start(&Config::to(&origin).proxies(listeners));
    let [trusting, other] = weir.addrs() else { panic!("two listeners: {:?}", weir.addrs()) };
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n";
    for (from, to, seen) in [
        ("127.0.0.5", trusting, "198.51.100.1"),
        ("127.0.0.6", trusting, "127.0.0.6"),
        ("127.0.0.5", other, "127.0.0.5"),
    ] {
        assert_eq!(RawClient::connect_from(from, *to).exchange(request).status(), 200);
        assert_eq!(origin.next_request().field("x-forwarded-for").as_deref(), Some(seen), "{from} to {to}");
    }
}
