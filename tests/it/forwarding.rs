//! What of a request's head reaches the app, and what of the answer's head reaches the client.

use crate::harness::{Config, Message, RawOrigin, Weir, echo};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What weir itself adds to every request, taken out so that the rest can be compared exactly; panics when
/// one of these fields is missing or stands twice.
fn fields_from_client(request: &Message) -> Vec<String> {
    let added =
        ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id"];
    for name in added {
        assert!(request.field(name).is_some(), "weir adds {name}: {:?}", request.fields());
    }
    let is_added = |line: &String| added.iter().any(|name| line.starts_with(&format!("{name}: ")));
    request.fields().into_iter().filter(|line| !is_added(line)).collect()
}

/// Sends `request` through a weir without special settings and gives what reached the app.
fn forwarded(request: &str) -> Message {
    let origin = RawOrigin::answering(OK);
    let weir = Weir::start(&Config::to(&origin));
    assert_eq!(weir.connect().exchange(request).status(), 200);
    origin.next_request()
}

/// End-to-end fields pass unchanged, repeated ones in their order, odd but legal ones too
/// (RFC 9110 §5.2, §5.5).
#[test]
fn end_to_end_fields_pass_unchanged() {
    let seen = forwarded(
        "GET /page HTTP/1.1\r\nHost: App.Test:8080\r\nUser-Agent: probe/1\r\nAccept: text/html;q=0.5, */*\r\n\
         Cookie: a=1\r\nX-Multi: one\r\nX-Multi: two\r\nX-Empty:\r\nX-Odd!#$%&'*+-.^_`|~: v\r\nX-Latin: caf\u{e9}\r\n\r\n",
    );
    assert_eq!(seen.start_line(), "GET /page HTTP/1.1");
    let expected = [
        "accept: text/html;q=0.5, */*",
        "cookie: a=1",
        "host: App.Test:8080",
        "user-agent: probe/1",
        "x-empty: ",
        "x-latin: caf\u{e9}",
        "x-multi: one",
        "x-multi: two",
        "x-odd!#$%&'*+-.^_`|~: v",
    ];
    assert_eq!(fields_from_client(&seen), expected);
}

/// Hop-by-hop fields, and those that `Connection` lists, end at weir (RFC 9110 §7.6.1).
#[test]
fn hop_by_hop_fields_end_at_weir() {
    let seen = forwarded(
        "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: X-Private, keep-alive\r\nX-Private: 1\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\nUpgrade: h2c\r\n\
         X-Public: 2\r\n\r\n",
    );
    let kept: Vec<String> =
        fields_from_client(&seen).into_iter().filter(|line| !line.starts_with("connection: ")).collect();
    assert_eq!(kept, ["host: app.test", "x-public: 2"]);
    let connection = seen.all("connection").join(",").to_ascii_lowercase();
    assert!(!connection.contains("x-private") && !connection.contains("upgrade"), "{connection}");
}

/// `Connection` cannot strip what weir or the message needs: listing `Host`, `Content-Length` or a
/// forwarding field removes none of them.
#[test]
fn connection_cannot_strip_what_is_needed() {
    let seen = forwarded(
        "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 2\r\n\
         Connection: close, Host, Content-Length, X-Forwarded-For, X-Request-Id, Via\r\n\r\nhi",
    );
    let kept: Vec<String> =
        fields_from_client(&seen).into_iter().filter(|line| !line.starts_with("connection: ")).collect();
    assert_eq!(kept, ["content-length: 2", "host: app.test"]);
    assert_eq!(seen.body, b"hi");
}

/// The answer's hop-by-hop fields end at weir too, and everything else of it passes unchanged.
#[test]
fn the_answers_hop_by_hop_fields_end_at_weir() {
    let origin = RawOrigin::answering(
        "HTTP/1.1 418 Short and Stout\r\nConnection: keep-alive, X-Inner\r\nX-Inner: 1\r\nKeep-Alive: timeout=5\r\n\
         Server: app/1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n",
    );
    let weir = Weir::start(&Config::to(&origin));
    let answer = weir.connect().exchange("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(answer.start_line(), "HTTP/1.1 418 Short and Stout");
    assert_eq!(answer.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(answer.field("server").as_deref(), Some("app/1"));
    assert_eq!(answer.field("date").as_deref(), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
    assert_eq!((answer.field("x-inner"), answer.field("keep-alive")), (None, None));
}

/// weir says for whom, from where and through what it forwards (RFC 7239, RFC 9110 §7.6.3), and drops every
/// claim of a client that is no trusted proxy (design, promise 10).
#[test]
fn an_untrusted_clients_forwarding_fields_are_replaced() {
    let seen = forwarded(
        "GET / HTTP/1.1\r\nHost: app.test\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: evil.test\r\nForwarded: for=203.0.113.9;proto=https\r\nX-Real-IP: 203.0.113.9\r\n\
         CF-Connecting-IP: 203.0.113.9\r\nTrue-Client-IP: 203.0.113.9\r\nX-Forwarded-Port: 443\r\n\
         X-Original-URL: /admin\r\nX-Rewrite-URL: /admin\r\nX-Original-Host: evil.test\r\nX_Request_Id: forged\r\n\
         X-Request-Id: forged\r\n\r\n",
    );
    assert_eq!(fields_from_client(&seen), ["host: app.test"]);
    assert_eq!(seen.field("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(seen.field("x-forwarded-proto").as_deref(), Some("http"));
    assert_eq!(seen.field("x-forwarded-host").as_deref(), Some("app.test"));
    assert_eq!(seen.field("via").as_deref(), Some("1.1 weir"));
    assert_ne!(seen.field("x-request-id").as_deref(), Some("forged"));
    assert_eq!(forwarded_pairs(&seen), ["for=127.0.0.1", "proto=http"]);
}

/// An IPv6 client is written as each field wants it (RFC 7239 §6).
#[test]
fn an_ipv6_client_is_written_in_each_fields_way() {
    let origin = RawOrigin::answering(OK);
    let weir = Weir::start(&Config::to(&origin).proxy("[::1]:0".parse().unwrap()));
    assert_eq!(weir.connect().exchange("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n").status(), 200);
    let seen = origin.next_request();
    assert_eq!(seen.field("x-forwarded-for").as_deref(), Some("::1"));
    assert_eq!(seen.field("x-forwarded-host").as_deref(), Some("[::1]:80"));
    assert_eq!(forwarded_pairs(&seen), ["for=[::1]", "proto=http"]);
}

/// Targets pass byte for byte, however odd, as long as they are legal: what limits see is normalised, what
/// the app sees is not.
#[test]
fn targets_pass_byte_for_byte() {
    let origin = RawOrigin::answering(OK);
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    for target in [
        "/",
        "/?",
        "/a//b/./c",
        "/a/b/../c",
        "/%7Euser/%c3%A9",
        "/a;v=1,2/b=c&d",
        "/x?q=%2F..%2f&a=b=c?d/e",
        "/:@!$&'()*+,;=-._~",
        "/?a[]=1&b={}|^`\\",
        "//double/start",
    ] {
        let answer = client.exchange(format!("GET {target} HTTP/1.1\r\nHost: app.test\r\n\r\n"));
        assert_eq!(answer.status(), 200, "{target}");
        assert_eq!(origin.next_request().target(), target);
    }
}

/// Absolute-form with the same authority is one reading: it reaches the app in origin-form
/// (RFC 9112 §3.2.2).
#[test]
fn absolute_form_becomes_origin_form() {
    let seen = forwarded("GET http://app.test/a?b HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(seen.start_line(), "GET /a?b HTTP/1.1");
    assert_eq!(seen.field("host").as_deref(), Some("app.test"));
}

/// `OPTIONS *` asks about the server as a whole and stays so (RFC 9110 §9.3.7).
#[test]
fn options_asterisk_passes() {
    assert_eq!(forwarded("OPTIONS * HTTP/1.1\r\nHost: app.test\r\n\r\n").start_line(), "OPTIONS * HTTP/1.1");
}

/// Methods that weir does not know are the app's business (RFC 9110 §9.1).
#[test]
fn unknown_methods_pass() {
    let seen = forwarded("PURGE-ALL /x HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(seen.start_line(), "PURGE-ALL /x HTTP/1.1");
}

/// An HTTP/1.0 client is served: without `Host`, with an answer that ends by closing, and never chunked
/// (RFC 9112 §6.1).
#[test]
fn http_1_0_clients_are_served() {
    let origin =
        RawOrigin::answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    let answer = client.exchange("GET / HTTP/1.0\r\n\r\n");
    assert_eq!((answer.status(), answer.text().as_str()), (200, "hello"));
    assert_eq!(answer.field("transfer-encoding"), None);
    client.expect_close();
    let seen = origin.next_request();
    assert_eq!(
        (seen.start_line().as_str(), seen.field("via").as_deref()),
        ("GET / HTTP/1.1", Some("1.0 weir"))
    );
    assert_eq!(seen.field("host"), Some(origin.address().to_string()));
}

/// A client that asks to close is answered so, and the connection ends (RFC 9112 §9.6).
#[test]
fn a_client_may_ask_to_close() {
    let origin = RawOrigin::answering(OK);
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    let answer = client.exchange("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n");
    assert_eq!((answer.status(), answer.field("connection").as_deref()), (200, Some("close")));
    client.expect_close();
    assert!(
        !origin.next_request().all("connection").concat().contains("close"),
        "it is about this hop alone"
    );
}

/// A body of no bytes is still a body: the app sees that there is one (RFC 9110 §8.6).
#[test]
fn an_empty_body_keeps_its_length() {
    let seen = forwarded("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(seen.field("content-length").as_deref(), Some("0"));
    let seen = forwarded("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!((seen.field("content-length"), seen.field("transfer-encoding")), (None, None));
}

/// Requests sent without waiting are answered in their order (RFC 9112 §9.3.2).
#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = RawOrigin::scripted(|conn| {
        while let Some(request) = conn.read_request() {
            conn.answer(request.target());
        }
    });
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    let get = |n: usize| format!("GET /{n} HTTP/1.1\r\nHost: app.test\r\n\r\n");
    client.send((0..20).map(get).collect::<String>());
    for n in 0..20 {
        assert_eq!(client.response().text(), format!("/{n}"));
    }
}

/// Every answer names its request, the app's as well as weir's, so that a user can quote it.
#[test]
fn every_answer_has_a_request_id() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin).limit("one", "1/h"));
    let mut client = weir.connect();
    let request = "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n";
    let passed = client.exchange(request);
    let refused = client.exchange(request);
    assert_eq!((passed.status(), refused.status()), (200, 429));
    let ids = [passed.field("x-request-id").unwrap(), refused.field("x-request-id").unwrap()];
    assert_ne!(ids[0], ids[1]);
    assert_eq!(origin.next_request().field("x-request-id").as_ref(), Some(&ids[0]));
}

/// The parameters of a request's one `Forwarded` element, without quotes, sorted.
fn forwarded_pairs(request: &Message) -> Vec<String> {
    let value = request.field("forwarded").expect("weir writes Forwarded").replace('"', "");
    let mut pairs: Vec<String> = value.split(';').map(|pair| pair.trim().to_ascii_lowercase()).collect();
    pairs.sort();
    pairs
}
