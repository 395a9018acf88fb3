//! The servers of an upstream: connections kept and used again, retries, queues, health.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::harness::{Config, RawClient, RawOrigin, Vacant, Weir, assert_weirs_own, echo, eventually};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";

/// A pooled connection that the app closes just as it is used: a GET is sent again on another, and the
/// client notices nothing (RFC 9110 §9.2.2).
#[test]
fn a_get_survives_a_pooled_connection_that_closes() {
    let origin = RawOrigin::scripted(|conn| {
        if conn.read_request().is_some() {
            conn.answer("ok");
        }
        if conn.number == 0 {
            // The second request on the first connection is read and never answered.
            conn.read_request();
        } else {
            echo(conn);
        }
    });
    // One worker, so that the second request finds the first one's connection.
    let weir = Weir::start(&Config::to(&origin).workers(1));
    let mut client = weir.connect();
    assert_eq!([(); 3].map(|()| client.exchange(GET).status()), [200; 3]);
    assert_eq!(weir.metrics().count("weir_upstream_retries_total", &[]), 1);
}

/// A GET that fails again on the second connection is not tried a third time.
#[test]
fn a_get_is_tried_twice_at_most() {
    let origin = RawOrigin::scripted(|conn| drop(conn.read_request()));
    let weir = Weir::start(&Config::to(&origin));
    assert_weirs_own(&weir.get("/"), 502);
    origin.next_request();
    assert!(origin.connections() <= 2, "{} attempts", origin.connections());
}

/// Without a budget there is no retry: a failing app is not made to work twice.
#[test]
fn retries_end_with_their_budget() {
    let origin = RawOrigin::scripted(|conn| drop(conn.read_request()));
    let none = "retry = { budget = \"0%\", floor_per_second = 0 }";
    let weir = Weir::start(&Config::to(&origin).upstream(none));
    assert_weirs_own(&weir.get("/"), 502);
    assert_eq!(origin.connections(), 1);
    assert_eq!(weir.metrics().count("weir_upstream_retries_total", &[]), 0);
}

/// The same for a POST that was sent is a bad gateway: it may have been acted upon, so it is not repeated.
#[test]
fn a_post_that_was_sent_is_not_repeated() {
    let origin = RawOrigin::scripted(|conn| {
        if conn.read_request().is_some() {
            conn.answer("ok");
        }
        conn.read_request();
    });
    let weir = Weir::start(&Config::to(&origin).workers(1));
    let mut client = weir.connect();
    assert_eq!(client.exchange(POST).status(), 200);
    assert_weirs_own(&client.exchange(POST), 502);
    origin.next_request();
    origin.next_request();
    origin.expect_no_request();
    assert_eq!(origin.connections(), 1);
}

/// A pooled connection that the app closed while it was idle is not used again, for a POST neither.
#[test]
fn a_connection_that_closed_while_idle_is_not_used() {
    let origin = RawOrigin::scripted(|conn| {
        conn.read_request();
        conn.answer("ok");
    });
    let weir = Weir::start(&Config::to(&origin).workers(1));
    let mut client = weir.connect();
    for n in 1..=5_u8 {
        assert_eq!(client.exchange(POST).status(), 200);
        weir.await_metric("weir_upstream_connections_closed_total", &[], u64::from(n));
    }
}

/// Connections to the app are kept and used again.
#[test]
fn connections_to_the_app_are_reused() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin).workers(1));
    let mut client = weir.connect();
    for _ in 0..10 {
        assert_eq!(client.exchange(POST).status(), 200);
    }
    assert_eq!(origin.connections(), 1);
    assert_eq!(weir.metrics().count("weir_upstream_connections_reused_total", &[("upstream", "app")]), 9);
}

/// With one of two servers down no client sees an error, whatever its method: nothing was sent to the dead
/// one, so the request goes to the other; and the dead one is soon left alone.
#[test]
fn one_server_of_two_down_is_not_noticed() {
    let origin = RawOrigin::scripted(echo);
    let nowhere = Vacant::reserve();
    let weir = Weir::start(&Config::to_servers(&[nowhere.address(), origin.address()]));
    for request in [GET, POST].repeat(20) {
        assert_eq!(weir.connect().exchange(request).status(), 200);
    }
    let metrics = weir.metrics();
    assert!(metrics.count("weir_upstream_ejections_total", &[("upstream", "app")]) >= 1);
    assert_eq!(metrics.count("weir_requests_total", &[("decision", "failed")]), 0);
}

/// A server that was left alone for its failures is tried again, and serves again once it is well.
#[test]
fn an_ejected_server_comes_back() {
    let (well, dead) = (RawOrigin::scripted(echo), Vacant::reserve());
    let ejection = "ejection = { failures = 1, base = \"100ms\", max = \"200ms\" }";
    let weir = Weir::start(&Config::to_servers(&[dead.address(), well.address()]).upstream(ejection));
    eventually("the dead server is ejected", || {
        assert_eq!(weir.get("/").status(), 200);
        (weir.metrics().count("weir_upstream_ejections_total", &[]) > 0).then_some(())
    });
    let back = RawOrigin::on(dead.listen(), echo);
    eventually("the server that came back is used", || {
        assert_eq!(weir.get("/").status(), 200);
        (back.connections() > 0).then_some(())
    });
}

/// Two servers share the load.
#[test]
fn servers_share_the_load() {
    let [first, second] = [(); 2].map(|()| RawOrigin::scripted(echo));
    let weir = Weir::start(&Config::to_servers(&[first.address(), second.address()]));
    for _ in 0..40 {
        assert_eq!(weir.get("/").status(), 200);
    }
    assert!(first.connections() > 0 && second.connections() > 0);
    first.next_request();
    second.next_request();
}

/// `max_connections` bounds what one server gets at once, over all workers; the rest waits its turn, and
/// all are served.
#[test]
fn max_connections_holds_over_all_workers() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (here, peak) = (Arc::clone(&now), Arc::clone(&most));
    let origin = RawOrigin::scripted(move |conn| {
        while conn.read_request().is_some() {
            peak.fetch_max(here.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::yield_now();
            here.fetch_sub(1, Ordering::SeqCst);
            conn.answer("ok");
        }
    });
    let weir = Weir::start(
        &Config::to(&origin).upstream("max_connections = 2\nqueue = { length = 100, timeout = \"20s\" }"),
    );
    let address = weir.addr();
    let clients: Vec<_> = (0..12)
        .map(|_| {
            std::thread::spawn(move || {
                let mut client = RawClient::connect(address);
                (0..10).all(|_| client.exchange(POST).status() == 200)
            })
        })
        .collect();
    assert!(clients.into_iter().all(|client| client.join().unwrap()));
    assert!(most.load(Ordering::SeqCst) <= 2);
}

/// When the server and its queue are full, the next request is refused at once by 503 and told when to come
/// back; those that waited are served.
#[test]
fn a_full_queue_is_service_unavailable() {
    let origin = RawOrigin::answering_when_told();
    let weir = Weir::start(
        &Config::to(&origin).upstream("max_connections = 1\nqueue = { length = 1, timeout = \"20s\" }"),
    );
    let mut served = weir.connect();
    served.send(GET);
    origin.next_request();
    let mut waiting = weir.connect();
    waiting.send(GET);
    weir.await_metric("weir_upstream_queue_length", &[("upstream", "app")], 1);
    let refused = weir.get("/");
    assert_weirs_own(&refused, 503);
    assert!(refused.field("retry-after").is_some_and(|wait| wait.parse::<u64>().is_ok()));
    let rejected = [("upstream", "app"), ("reason", "full")];
    assert_eq!(weir.metrics().count("weir_upstream_queue_rejected_total", &rejected), 1);
    origin.tell();
    origin.tell();
    assert_eq!((served.response().status(), waiting.response().status()), (200, 200));
}

/// `capacity` bounds what a whole upstream gets at once, over all its servers.
#[test]
fn capacity_holds_over_all_servers() {
    let [first, second] = [(); 2].map(|()| RawOrigin::answering_when_told());
    let weir = Weir::start(
        &Config::to_servers(&[first.address(), second.address()])
            .upstream("capacity = { concurrency = 1 }\nqueue = { length = 1, timeout = \"20s\" }"),
    );
    let mut clients = [weir.connect(), weir.connect()];
    for client in &mut clients {
        client.send(GET);
    }
    weir.await_metric("weir_upstream_queue_length", &[], 1);
    assert_weirs_own(&weir.get("/"), 503);
    for origin in [&first, &second] {
        origin.tell();
        origin.tell();
    }
    assert_eq!(clients.map(|mut client| client.response().status()), [200, 200]);
}

/// Waiting in the queue is bounded: 503 at its timeout, and the place is given up.
#[test]
fn waiting_in_the_queue_ends_at_its_timeout() {
    let origin = RawOrigin::answering_when_told();
    let weir = Weir::start(
        &Config::to(&origin).upstream("max_connections = 1\nqueue = { length = 9, timeout = \"200ms\" }"),
    );
    let mut served = weir.connect();
    served.send(GET);
    origin.next_request();
    assert_weirs_own(&weir.get("/"), 503);
    weir.await_metric("weir_upstream_queue_length", &[], 0);
    origin.tell();
    assert_eq!(served.response().status(), 200);
    origin.tell();
    assert_eq!(weir.get("/").status(), 200);
}

/// A client that gives up while it waits leaves no place behind.
#[test]
fn a_client_that_leaves_the_queue_frees_its_place() {
    let origin = RawOrigin::answering_when_told();
    let weir = Weir::start(
        &Config::to(&origin).upstream("max_connections = 1\nqueue = { length = 1, timeout = \"20s\" }"),
    );
    let mut served = weir.connect();
    served.send(GET);
    origin.next_request();
    let mut waiting = weir.connect();
    waiting.send(GET);
    weir.await_metric("weir_upstream_queue_length", &[], 1);
    waiting.vanish();
    weir.await_metric("weir_upstream_queue_length", &[], 0);
    origin.tell();
    assert_eq!(served.response().status(), 200);
}

/// Active health checks take a sick server out and bring it back; meanwhile weir is not ready and says 503.
#[test]
fn health_checks_take_a_server_out_and_back() {
    let sick = Arc::new(AtomicBool::new(false));
    let says = Arc::clone(&sick);
    let origin = RawOrigin::scripted(move |conn| {
        while let Some(request) = conn.read_request() {
            if request.target() == "/health" && says.load(Ordering::SeqCst) {
                conn.send("HTTP/1.1 500 Sick\r\nContent-Length: 0\r\n\r\n");
            } else {
                conn.answer("ok");
            }
        }
    });
    let weir = Weir::start(&Config::to(&origin).upstream(
        "health_check = { path = \"/health\", interval = \"100ms\", timeout = \"5s\", unhealthy_after = 2, healthy_after = 2 }",
    ));
    let healthy = "weir_upstream_servers_healthy";
    weir.await_metric(healthy, &[("upstream", "app")], 1);
    assert_eq!((weir.admin_get("/readyz").status(), weir.get("/").status()), (200, 200));
    sick.store(true, Ordering::SeqCst);
    weir.await_metric(healthy, &[], 0);
    assert_eq!(weir.admin_get("/readyz").status(), 503);
    assert_weirs_own(&weir.get("/"), 503);
    sick.store(false, Ordering::SeqCst);
    weir.await_metric(healthy, &[], 1);
    assert_eq!((weir.admin_get("/readyz").status(), weir.get("/").status()), (200, 200));
}

/// An app that comes up after weir is found by itself.
#[test]
fn an_app_that_comes_up_late_is_found() {
    let late = Vacant::reserve();
    let weir = Weir::start(&Config::to_servers(&[late.address()]));
    assert_eq!(weir.get("/").status(), 502);
    let _origin = RawOrigin::on(late.listen(), echo);
    eventually("weir finds the app", || (weir.get("/").status() == 200).then_some(()));
}
