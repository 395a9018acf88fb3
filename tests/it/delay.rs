//! Limits that have a request wait its turn instead of refusing it.

use rustix::process::Signal;

use crate::harness::{Config, RawClient, RawOrigin, Weir};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A limit for each client that has requests wait.
fn delaying(rate: &str, delay: &str) -> String {
    format!(
        "[[limits]]\nname = \"smooth\"\nkey = [\"client\"]\nrate = \"{rate}\"\nover = \"delay\"\ndelay = {delay}"
    )
}

/// A connection on which a request for `path` was sent.
fn sent(weir: &Weir, path: &str) -> RawClient {
    let mut client = weir.connect();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    client
}

fn await_waiting(weir: &Weir, count: u64) {
    weir.await_metric("weir_limit_queue_length", &[("limit", "smooth")], count);
}

/// A request over the rate is held, body and all, and admitted when there is room; the wait is counted once.
#[test]
fn a_request_waits_until_there_is_room() {
    let origin = RawOrigin::answering(OK);
    let weir = Weir::start(&Config::to(&origin).section(&delaying("1/2s", "{ max = \"20s\" }")));
    assert_eq!(weir.get("/first").status(), 200);
    let mut client = weir.connect();
    client.send("POST /second HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    await_waiting(&weir, 1);
    assert_eq!(origin.next_request().target(), "/first");
    origin.expect_no_request();
    assert_eq!(client.response().status(), 200);
    let request = origin.next_request();
    assert_eq!((request.target().as_str(), request.text().as_str()), ("/second", "hello"));
    await_waiting(&weir, 0);
    let metrics = weir.metrics();
    assert_eq!(metrics.count("weir_limit_delayed_total", &[("limit", "smooth")]), 1);
    assert_eq!(metrics.count("weir_limit_delay_seconds_count", &[("limit", "smooth")]), 1);
    assert_eq!(metrics.count("weir_limit_decisions_total", &[("decision", "over")]), 0);
    assert_eq!(metrics.count("weir_limit_decisions_total", &[("decision", "within")]), 2);
}

/// Those that wait for one budget are admitted in the order in which they came, one for each place that comes free.
#[test]
fn who_waits_longest_is_first() {
    let origin = RawOrigin::answering(OK);
    let weir = Weir::start(&Config::to(&origin).section(&delaying("1/3s", "{ max = \"30s\" }")));
    assert_eq!(weir.get("/0").status(), 200);
    let mut waiting = Vec::new();
    for n in 1..=3 {
        waiting.push(sent(&weir, &format!("/{n}")));
        await_waiting(&weir, n);
    }
    for client in &mut waiting {
        assert_eq!(client.response().status(), 200);
    }
    let order: Vec<String> = (0..4).map(|_| origin.next_request().target()).collect();
    assert_eq!(order, ["/0", "/1", "/2", "/3"]);
}

/// Nobody who comes later takes the place for which another waits, however often and whenever it asks: not even in the
/// moment in which there is room.
#[test]
fn nobody_takes_the_turn_of_who_waits() {
    let origin = RawOrigin::answering(OK);
    let weir = Weir::start(&Config::to(&origin).section(&delaying("1/2s", "{ max = \"20s\", queue = 1 }")));
    assert_eq!(weir.get("/0").status(), 200);
    let mut waits = sent(&weir, "/waits");
    await_waiting(&weir, 1);
    assert_eq!(origin.next_request().target(), "/0");
    let mut hasty = weir.connect();
    let asked =
        (1..1_000_000).find(|_| hasty.exchange("GET /hasty HTTP/1.1\r\nHost: a\r\n\r\n").status() == 200);
    assert_eq!(waits.response().status(), 200);
    let order = [origin.next_request().target(), origin.next_request().target()];
    assert_eq!(order, ["/waits", "/hasty"], "{asked:?} requests of another");
}

/// A queue holds as many as it was given: who comes then is refused at once, and told when to come back. A client that
/// leaves gives its place up. A stop of weir ends the waits.
#[test]
fn a_queue_is_bounded_and_left() {
    let origin = RawOrigin::answering(OK);
    let config = Config::to(&origin).section(&delaying("1/50s", "{ max = \"60s\", queue = 1 }"));
    let mut weir = Weir::start(&config);
    assert_eq!(weir.get("/").status(), 200);
    let leaves = sent(&weir, "/leaves");
    await_waiting(&weir, 1);
    let refused = weir.get("/refused");
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.field("retry-after").unwrap().parse().unwrap();
    assert!((1..=50).contains(&wait), "{wait}");
    leaves.vanish();
    await_waiting(&weir, 0);
    let mut stays = sent(&weir, "/stays");
    await_waiting(&weir, 1);
    weir.signal(Signal::TERM);
    assert_eq!(stays.response().status(), 429);
    stays.expect_close();
    assert_eq!(weir.wait_exit().code(), Some(0));
    origin.next_request();
    origin.expect_no_request();
}

/// A wait that would be too long is none: by the limit's own maximum, or by the time that the request has in all.
#[test]
fn too_long_a_wait_is_a_refusal() {
    for (delay, timeouts) in [("{ max = \"1s\" }", ""), ("{ max = \"60s\" }", "[timeouts]\ntotal = \"5s\"")] {
        let origin = RawOrigin::answering(OK);
        let config = Config::to(&origin).section(timeouts).section(&delaying("1/50s", delay));
        let weir = Weir::start(&config);
        assert_eq!([weir.get("/").status(), weir.get("/").status()], [200, 429], "{delay} {timeouts}");
    }
}

/// Whoever stands behind another is refused as soon as it is clear that its own turn comes too late: after 3 s it is
/// the first, but would have to wait 3 s more, and 4 s is the most.
#[test]
fn a_line_may_be_too_long_for_the_last() {
    let origin = RawOrigin::answering(OK);
    let weir = Weir::start(&Config::to(&origin).section(&delaying("1/3s", "{ max = \"4s\" }")));
    assert_eq!(weir.get("/").status(), 200);
    let mut first = sent(&weir, "/first");
    await_waiting(&weir, 1);
    let mut last = sent(&weir, "/last");
    assert_eq!((first.response().status(), last.response().status()), (200, 429));
}
