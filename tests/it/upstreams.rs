//! Bad weather behind weir: what the client sees when the app, or one server of it, fails.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use socket2::{Domain, Socket, Type};

use crate::harness::{Config, Message, RawClient, RawOrigin, Weir, echo};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";

/// An address at which nothing listens.
fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Whether `answer` is weir's own: a problem document that says which status it stands for.
#[track_caller]
fn assert_weirs_own(answer: &Message, status: u16) {
    assert_eq!(answer.status(), status, "{}", answer.text());
    assert_eq!(answer.field("content-type").as_deref(), Some("application/problem+json"));
    assert_eq!(answer.json()["status"], status);
}

/// Nobody listens: 502, by weir.
#[test]
fn a_refused_connection_is_a_bad_gateway() {
    let weir = Weir::start(&Config::to_servers(&[nowhere()]));
    assert_weirs_own(&weir.get("/"), 502);
    let failed = weir.metrics().count("weir_upstream_connections_failed_total", &[("upstream", "app")]);
    assert!(failed >= 1);
}

/// A connect that nobody answers ends at the connect timeout: 504.
#[test]
fn a_connect_that_stalls_is_a_gateway_timeout() {
    // A queue of one that is full: the kernel leaves further connects unanswered.
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap();
    let _waiting: Vec<Socket> = (0..4)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            drop(socket.connect(&address));
            socket
        })
        .collect();
    let config = Config::to_servers(&[address.as_socket().unwrap()]);
    let weir = Weir::start(&config.section("[timeouts]\nconnect = \"200ms\""));
    assert_weirs_own(&weir.get("/"), 504);
    assert!(weir.metrics().count("weir_timeouts_total", &[("timeout", "connect")]) >= 1);
}

/// An app that takes the request and says nothing ends at the first-byte timeout: 504.
#[test]
fn an_app_that_says_nothing_is_a_gateway_timeout() {
    let origin = RawOrigin::scripted(|conn| while conn.read_request().is_some() {});
    let weir = Weir::start(&Config::to(&origin).section("[timeouts]\nfirst_byte = \"200ms\""));
    assert_weirs_own(&weir.connect().exchange(POST), 504);
    assert_eq!(weir.metrics().count("weir_timeouts_total", &[("timeout", "first_byte")]), 1);
    weir.await_metric("weir_requests_in_flight", &[], 0);
}

/// An app that stops in mid-body: the client sees that its answer is incomplete, whatever the framing, and
/// weir lets go of both connections.
#[test]
fn an_app_that_stalls_in_mid_body_is_cut() {
    for head in ["Content-Length: 100\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n4\r\n"] {
        let origin = RawOrigin::scripted(move |conn| {
            conn.read_request();
            conn.send(format!("HTTP/1.1 200 OK\r\n{head}half"));
            conn.read_request();
        });
        let weir = Weir::start(&Config::to(&origin).section("[timeouts]\nbody_progress = \"300ms\""));
        let mut client = weir.connect();
        client.send(GET);
        assert!(client.try_response().is_err(), "the answer must not look complete");
        assert_eq!(weir.metrics().count("weir_timeouts_total", &[("timeout", "body_progress")]), 1);
        weir.await_metric("weir_requests_in_flight", &[], 0);
    }
}

/// The whole request has its bound too, however steadily its answer flows.
#[test]
fn an_endless_answer_ends_at_the_total_timeout() {
    let origin = RawOrigin::scripted(|conn| {
        conn.read_request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n");
        conn.send_pattern_until_gone();
    });
    let weir = Weir::start(&Config::to(&origin).section("[timeouts]\ntotal = \"500ms\""));
    let mut client = weir.connect();
    client.send(GET);
    assert_eq!(client.response_head().status(), 200);
    while client.try_read_exactly(10_000).is_ok() {}
    weir.await_metric("weir_timeouts_total", &[("timeout", "total")], 1);
    weir.await_metric("weir_requests_in_flight", &[], 0);
}

/// A reset before any answer is a bad gateway for a request that may have been acted upon.
#[test]
fn a_reset_before_the_answer_is_a_bad_gateway() {
    let origin = RawOrigin::scripted(|conn| {
        conn.read_request();
        conn.reset();
    });
    let weir = Weir::start(&Config::to(&origin));
    assert_weirs_own(&weir.connect().exchange(POST), 502);
    origin.next_request();
    origin.expect_no_request();
}

/// A reset in mid-answer reaches the client as an answer that is visibly cut, whatever the framing.
#[test]
fn a_reset_in_mid_answer_is_visible() {
    for head in ["Content-Length: 100\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n4\r\n"] {
        let origin = RawOrigin::scripted(move |conn| {
            conn.read_request();
            conn.send(format!("HTTP/1.1 200 OK\r\n{head}half"));
            conn.await_told();
            conn.reset();
        });
        let weir = Weir::start(&Config::to(&origin));
        let mut client = weir.connect();
        client.send(GET);
        assert_eq!(client.response_head().status(), 200);
        origin.tell();
        let rest = client.try_read_to_end();
        assert!(rest.is_err() || rest.is_ok_and(|rest| !rest.ends_with(b"0\r\n\r\n")));
        weir.await_metric("weir_requests_in_flight", &[], 0);
    }
}

/// What is no HTTP answer is a bad gateway, and none of it reaches the client.
#[test]
fn garbage_is_a_bad_gateway() {
    let garbage = [
        "SSH-2-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 banana\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        "\0\u{1}\u{2}\u{3}\r\n\r\n",
    ];
    for bytes in garbage {
        let origin = RawOrigin::scripted(move |conn| {
            conn.read_request();
            conn.send(bytes);
        });
        let weir = Weir::start(&Config::to(&origin));
        let answer = weir.connect().exchange(POST);
        assert_eq!(answer.status(), 502, "{bytes:?}");
        assert!(!answer.text().contains("SSH-2.0"), "{}", answer.text());
    }
}

/// A body shorter than its Content-Length is visibly cut; the client cannot take it for whole.
#[test]
fn less_than_its_content_length_is_visible() {
    let origin = RawOrigin::scripted(|conn| {
        conn.read_request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
    });
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    client.send(GET);
    assert!(client.try_response().is_err());
}

/// Bytes beyond a Content-Length never become the next client's answer.
#[test]
fn more_than_its_content_length_is_nobodys_answer() {
    let origin = RawOrigin::scripted(|conn| {
        while conn.read_request().is_some() {
            let forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
            conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood{forged}"));
        }
    });
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    for _ in 0..10 {
        let answer = client.exchange(GET);
        // A connection that was found out may cost a request its answer, but never gives it another's.
        assert!(answer.text() == "good" || answer.status() == 502, "{}", answer.text());
    }
}

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
    let weir = Weir::start(&Config::to_servers(&[nowhere(), origin.address()]));
    for request in [GET, POST].repeat(20) {
        assert_eq!(weir.connect().exchange(request).status(), 200);
    }
    let metrics = weir.metrics();
    assert!(metrics.count("weir_upstream_ejections_total", &[("upstream", "app")]) >= 1);
    assert_eq!(metrics.count("weir_requests_total", &[("decision", "failed")]), 0);
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
    let reserved = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let weir = Weir::start(&Config::to_servers(&[address]));
    assert_eq!(weir.get("/").status(), 502);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.listen(16).unwrap();
    let _origin = RawOrigin::on(socket.into(), echo);
    crate::harness::eventually("weir finds the app", || (weir.get("/").status() == 200).then_some(()));
}

/// An answer that comes before the whole request was sent reaches the client (RFC 9112 §9.5).
#[test]
fn an_early_answer_reaches_the_client() {
    let (answered, wait) = channel();
    let origin = RawOrigin::scripted(move |conn| {
        conn.read_request_head();
        conn.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        answered.send(()).unwrap();
        conn.read_request();
    });
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegin");
    wait.recv().unwrap();
    assert_eq!(client.response().status(), 403);
}
