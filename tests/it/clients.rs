//! Bad weather before weir: clients that vanish, stall or dawdle.

use std::sync::mpsc::channel;

use crate::harness::{Config, RawOrigin, Weir, echo};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A client that vanishes in mid-upload: the app sees an incomplete request, never a shortened one, and
/// nothing is left in flight.
#[test]
fn a_client_that_vanishes_in_mid_upload_leaves_nothing() {
    for framing in ["Content-Length: 100\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n4\r\n"] {
        let (complete, seen) = channel();
        let origin = RawOrigin::scripted(move |conn| {
            conn.read_request_head();
            let rest = conn.try_read_to_end();
            complete.send(rest.is_ok_and(|rest| rest.ends_with(b"0\r\n\r\n"))).unwrap();
        });
        let weir = Weir::start(&Config::to(&origin));
        let mut client = weir.connect();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}half"));
        origin.next_request();
        client.vanish();
        assert!(!seen.recv().unwrap(), "the app took half a request for a whole one");
        weir.await_metric("weir_requests_in_flight", &[], 0);
        weir.await_metric("weir_upstream_requests_in_flight", &[], 0);
        weir.await_metric("weir_connections_open", &[], 0);
    }
}

/// A client that vanishes in mid-download: the app is not made to produce the rest, and nothing is left in
/// flight.
#[test]
fn a_client_that_vanishes_in_mid_download_leaves_nothing() {
    let (stopped, noticed) = channel();
    let origin = RawOrigin::scripted(move |conn| {
        conn.read_request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n");
        conn.send_pattern_until_gone();
        stopped.send(()).unwrap();
    });
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    client.send(GET);
    assert_eq!(client.response_head().status(), 200);
    client.read_exactly(100_000);
    client.vanish();
    noticed.recv().unwrap();
    weir.await_metric("weir_requests_in_flight", &[], 0);
    weir.await_metric("weir_upstream_requests_in_flight", &[], 0);
}

/// A client that vanishes while the app still thinks: its request ends, counted as cancelled.
#[test]
fn a_client_that_vanishes_before_the_answer_is_cancelled() {
    let origin = RawOrigin::answering_when_told();
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    client.send(GET);
    origin.next_request();
    client.vanish();
    weir.await_metric("weir_requests_in_flight", &[], 0);
    weir.await_metric("weir_requests_total", &[("decision", "cancelled")], 1);
}

/// A head that does not arrive whole in time is answered 408, counted, and the connection ends
/// (RFC 9110 §15.5.9).
#[test]
fn a_slow_head_times_out() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin).section("[timeouts]\nhead_read = \"300ms\""));
    let mut client = weir.connect();
    client.send("GET / HTTP/1.1\r\nHo");
    assert_eq!(client.response().status(), 408);
    client.expect_close();
    origin.expect_no_request();
    assert_eq!(weir.metrics().count("weir_timeouts_total", &[("timeout", "head_read")]), 1);
}

/// Drops of bytes do not keep a head alive: the bound is on the whole head, not on silence.
#[test]
fn a_dripping_head_times_out() {
    let origin = RawOrigin::scripted(echo);
    let config = Config::to(&origin).section("[timeouts]\nhead_read = \"300ms\"\nidle = \"1h\"");
    let weir = Weir::start(&config);
    let mut client = weir.connect();
    client.send("GET / HTTP/1.1\r\nX: ");
    crate::harness::eventually("weir ends a dripping head", || client.try_send("x").is_err().then_some(()));
}

/// A body that stops is answered 408, and the app sees an incomplete request.
#[test]
fn a_stalled_body_times_out() {
    let (complete, seen) = channel();
    let origin = RawOrigin::scripted(move |conn| {
        conn.read_request_head();
        complete.send(conn.try_read_exactly(100).is_ok()).unwrap();
    });
    let weir = Weir::start(&Config::to(&origin).section("[timeouts]\nbody_progress = \"300ms\""));
    let mut client = weir.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf");
    assert_eq!(client.response().status(), 408);
    client.expect_close();
    assert!(!seen.recv().unwrap());
    assert_eq!(weir.metrics().count("weir_timeouts_total", &[("timeout", "body_progress")]), 1);
    weir.await_metric("weir_requests_in_flight", &[], 0);
}

/// Where no least rate is asked for, a body that moves, however slowly, is not stalled.
#[test]
fn a_dripping_body_is_not_stalled() {
    let origin = RawOrigin::scripted(echo);
    let timeouts = "[timeouts]\nbody_progress = \"500ms\"\nbody_rate_min = \"none\"";
    let weir = Weir::start(&Config::to(&origin).section(timeouts));
    let mut client = weir.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
    // A byte at each poll: the body takes twice as long as it may stand still.
    let mut left = 100;
    crate::harness::eventually("the body is sent", || {
        client.send("x");
        left -= 1;
        (left == 0).then_some(())
    });
    assert_eq!(client.response().status(), 200);
}

/// A body that moves far below the least rate ends, though it is never silent for long.
#[test]
fn a_trickling_body_times_out() {
    let origin = RawOrigin::scripted(echo);
    let timeouts = "[timeouts]\nbody_progress = \"300ms\"\nbody_rate_min = \"1MiB/s\"";
    let weir = Weir::start(&Config::to(&origin).section(timeouts));
    let mut client = weir.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    crate::harness::eventually("the body is given up", || {
        client.send("x");
        (weir.metrics().count("weir_timeouts_total", &[("timeout", "body_progress")]) == 1).then_some(())
    });
    assert_eq!(client.response().status(), 408);
}

/// A client that takes no byte of its answer does not hold the app's connection for ever.
#[test]
fn a_client_that_takes_nothing_times_out() {
    let (stopped, noticed) = channel();
    let origin = RawOrigin::scripted(move |conn| {
        conn.read_request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n");
        conn.send_pattern_until_gone();
        stopped.send(()).unwrap();
    });
    let weir = Weir::start(&Config::to(&origin).section("[timeouts]\nbody_progress = \"300ms\""));
    let mut client = weir.connect();
    client.send(GET);
    client.response_head();
    noticed.recv().unwrap();
    weir.await_metric("weir_requests_in_flight", &[], 0);
}

/// Nor does one that takes none of many small ones, whose pieces weir counts as written before the kernel takes them.
#[test]
fn a_client_that_takes_no_answer_times_out() {
    let origin = RawOrigin::scripted(|conn| {
        let body = "x".repeat(4000);
        while conn.read_request().is_some() {
            conn.answer(&body);
        }
    });
    let weir = Weir::start(&Config::to(&origin).section("[timeouts]\nbody_progress = \"300ms\""));
    let mut client = weir.connect();
    client.send(GET.repeat(10_000));
    weir.await_metric("weir_timeouts_total", &[("timeout", "body_progress")], 1);
    weir.await_metric("weir_connections_open", &[], 0);
}

/// An idle connection ends without a word, before its first request as well as between requests.
#[test]
fn idle_connections_end() {
    let origin = RawOrigin::scripted(echo);
    let config = Config::to(&origin).section("[timeouts]\nidle = \"300ms\"\nhead_read = \"300ms\"");
    let weir = Weir::start(&config);
    let mut silent = weir.connect();
    let mut between = weir.connect();
    assert_eq!(between.exchange(GET).status(), 200);
    silent.expect_close();
    between.expect_close();
    weir.await_metric("weir_connections_open", &[], 0);
}

/// Clients that send mutilated requests in pieces and leave in any way: each is dealt with, none leaves
/// anything behind, and the next sound request is answered.
#[test]
fn mutilated_requests_leave_nothing() {
    const SEED: u64 = 7;
    let sound = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n\
                 GET /y HTTP/1.1\r\nHost: a\r\n\r\n";
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin));
    let mut random = fastrand::Rng::with_seed(SEED);
    for _ in 0..300 {
        let mut bytes = sound.as_bytes()[..random.usize(0..=sound.len())].to_vec();
        if random.bool() && !bytes.is_empty() {
            let at = random.usize(0..bytes.len());
            bytes[at] = random.u8(..);
        }
        let mut client = weir.connect();
        let piece = random.usize(1..60);
        // weir may have refused and closed while pieces are still on their way.
        bytes.chunks(piece).take_while(|piece| client.try_send(piece).is_ok()).for_each(drop);
        if random.bool() {
            client.vanish();
        }
    }
    weir.await_metric("weir_connections_open", &[], 0);
    weir.await_metric("weir_requests_in_flight", &[], 0);
    weir.await_metric("weir_upstream_requests_in_flight", &[], 0);
    assert_eq!(weir.metrics().count("weir_panics_total", &[]), 0);
    assert_eq!(weir.get("/").status(), 200);
}
