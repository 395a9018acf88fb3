//! The first limits, through the whole proxy. What each algorithm admits is tested with the engine.

use crate::harness::{Config, RawClient, RawOrigin, Weir};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// `n` requests on one connection, and their statuses.
fn statuses(client: &mut RawClient, n: usize) -> Vec<u16> {
    (0..n).map(|_| client.exchange(GET).status()).collect()
}

/// The quickstart: a hundred requests pass, the next is refused by 429, which says when to come back
/// (RFC 6585 §4), and names the limit, the clause and the request (RFC 9457).
#[test]
fn the_quickstart_limit_holds() {
    let origin = RawOrigin::answering(OK);
    // As in quickstart.toml, but for a window that no slow machine outlasts.
    let weir = Weir::start(&Config::to(&origin).limit("per-client", "100/h"));
    let mut client = weir.connect();
    assert_eq!(statuses(&mut client, 100), [200; 100]);
    let refused = client.exchange(GET);
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.field("retry-after").unwrap().parse().expect("whole seconds");
    assert!((3500..=3600).contains(&wait), "{wait}");
    assert_eq!(refused.field("content-type").as_deref(), Some("application/problem+json"));
    let problem = refused.json();
    assert_eq!((problem["status"].as_u64(), problem["limit"].as_str()), (Some(429), Some("per-client")));
    assert!(problem["title"].is_string() && problem["type"].is_string(), "{problem}");
    assert!(problem.to_string().contains("load"), "names the clause: {problem}");
    assert!(
        problem.to_string().contains(&refused.field("x-request-id").unwrap()),
        "names the request: {problem}"
    );
}

/// A refused request never reaches the app, and the connection stays usable.
#[test]
fn a_refused_request_stays_at_weir() {
    let origin = RawOrigin::answering(OK);
    let limit = "[[limits]]\nname = \"x\"\nkey = [\"client\"]\nrate = \"1/h\"\nmatch = { path = \"/x\" }";
    let weir = Weir::start(&Config::to(&origin).section(limit));
    let mut client = weir.connect();
    let mut get = |path: &str| client.exchange(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).status();
    assert_eq!(["/x", "/x", "/y"].map(&mut get), [200, 429, 200]);
    assert_eq!((origin.next_request().target(), origin.next_request().target()), ("/x".into(), "/y".into()));
    origin.expect_no_request();
}

/// The body of a refused request does not become the next request.
#[test]
fn the_body_of_a_refused_request_is_not_the_next_request() {
    let origin = RawOrigin::answering(OK);
    let weir = Weir::start(&Config::to(&origin).limit("one", "1/h"));
    let mut client = weir.connect();
    assert_eq!(client.exchange(GET).status(), 200);
    let inner = "GET /inner HTTP/1.1\r\nHost: a\r\n\r\n";
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{inner}", inner.len()));
    assert_eq!(client.response().status(), 429);
    // Whether weir closes or goes on, there is no answer to the inner bytes.
    client.finish();
    client.expect_close();
    origin.next_request();
    origin.expect_no_request();
}

/// Each client has its own allowance, and one connection or many make no difference.
#[test]
fn clients_are_counted_apart_and_connections_together() {
    let origin = RawOrigin::answering(OK);
    let weir = Weir::start(&Config::to(&origin).limit("few", "3/h"));
    let get = |from: &str| RawClient::connect_from(from, weir.addr()).exchange(GET).status();
    let answers = ["127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.3"].map(get);
    assert_eq!(answers, [200, 200, 200, 429, 200]);
}

/// A limit in shadow decides and counts, and never changes a byte (design, promise 5).
#[test]
fn shadow_never_touches_the_traffic() {
    let origin = RawOrigin::answering("HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 0\r\n\r\n");
    let shadow = "[[limits]]\nname = \"candidate\"\nkey = [\"client\"]\nrate = \"2/h\"\nmode = \"shadow\"";
    let weir = Weir::start(&Config::to(&origin).section(shadow));
    let mut client = weir.connect();
    let answers: Vec<Vec<String>> = (0..5)
        .map(|_| {
            let answer = client.exchange(GET);
            assert_eq!(answer.status(), 200);
            answer.fields().into_iter().filter(|line| !line.starts_with("x-request-id")).collect()
        })
        .collect();
    assert!(answers.iter().all(|fields| *fields == answers[0]), "{answers:?}");
    let metrics = weir.metrics();
    let counted = |decision: &str| {
        let labels = [("limit", "candidate"), ("mode", "shadow"), ("decision", decision)];
        metrics.count("weir_limit_decisions_total", &labels)
    };
    assert_eq!((counted("within"), counted("over")), (2, 3));
}

/// The switch for everything: in shadow, no limit refuses.
#[test]
fn enforcement_in_shadow_refuses_nothing() {
    let origin = RawOrigin::answering(OK);
    let config = Config::to(&origin).section("[enforcement]\nmode = \"shadow\"").limit("few", "2/h");
    let weir = Weir::start(&config);
    assert_eq!(statuses(&mut weir.connect(), 5), [200; 5]);
}

/// Addresses under `never_refuse` are counted and never refused.
#[test]
fn never_refuse_is_counted_and_passes() {
    let origin = RawOrigin::answering(OK);
    let config =
        Config::to(&origin).section("[enforcement]\nnever_refuse = [\"127.0.0.8/29\"]").limit("few", "2/h");
    let weir = Weir::start(&config);
    assert_eq!(statuses(&mut RawClient::connect_from("127.0.0.9", weir.addr()), 4), [200; 4]);
    assert_eq!(statuses(&mut RawClient::connect_from("127.0.0.7", weir.addr()), 3), [200, 200, 429]);
    let over = weir.metrics().count("weir_limit_decisions_total", &[("limit", "few"), ("decision", "over")]);
    assert_eq!(over, 3);
}

/// A route's weight is how many requests one of its requests counts for.
#[test]
fn a_weighty_route_costs_more() {
    let origin = RawOrigin::answering(OK);
    let routes = "[[routes]]\npath = \"/export\"\nupstream = \"app\"\nweight = 4\n\n\
                  [[routes]]\npath = \"/**\"\nupstream = \"app\"";
    let weir = Weir::start(&Config::to(&origin).section(routes).limit("ten", "10/h"));
    let answers = ["/export", "/export", "/export", "/", "/", "/"].map(|path| weir.get(path).status());
    assert_eq!(answers, [200, 200, 429, 200, 200, 429]);
}

/// A concurrency limit counts what is in flight, and gives the place back when a request ends.
#[test]
fn a_concurrency_limit_counts_what_is_in_flight() {
    let origin = RawOrigin::scripted(|conn| {
        // Answers once the client has sent its body, and so when the test wants it to.
        while conn.read_request().is_some() {
            conn.answer("done");
        }
    });
    let limit = "[[limits]]\nname = \"two-at-once\"\nkey = [\"client\"]\nconcurrency = 2";
    let weir = Weir::start(&Config::to(&origin).section(limit));
    let mut held: Vec<RawClient> = (0..2)
        .map(|_| {
            let mut client = weir.connect();
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
            client
        })
        .collect();
    weir.await_metric("weir_requests_in_flight", &[], 2);
    assert_eq!(weir.get("/").status(), 429);
    assert_eq!(held[0].exchange("x").status(), 200);
    weir.await_metric("weir_requests_in_flight", &[], 1);
    assert_eq!(weir.get("/").status(), 200);
    held[1].send("x");
    assert_eq!(held[1].response().status(), 200);
}
