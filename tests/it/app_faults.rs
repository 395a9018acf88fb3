//! Bad weather behind weir: what the client sees when the app fails.

use std::net::SocketAddr;
use std::sync::mpsc::channel;

use socket2::{Domain, Socket, Type};

use crate::harness::{Config, RawOrigin, Vacant, Weir, assert_weirs_own};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";

/// Nobody listens: 502, by weir.
#[test]
fn a_refused_connection_is_a_bad_gateway() {
    let nowhere = Vacant::reserve();
    let weir = Weir::start(&Config::to_servers(&[nowhere.address()]));
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

/// A route whose answers are long-lived by nature has no such bound.
#[test]
fn a_stream_has_no_total_timeout() {
    let origin = RawOrigin::answering_when_told();
    let routes = "[timeouts]\ntotal = \"200ms\"\n\n[[routes]]\npath = \"/events\"\nupstream = \"app\"\nstream = true\n\n\
                  [[routes]]\npath = \"/**\"\nupstream = \"app\"";
    let weir = Weir::start(&Config::to(&origin).section(routes));
    let mut stream = weir.connect();
    stream.send(GET.replace("/ ", "/events "));
    origin.next_request();
    assert_weirs_own(&weir.get("/"), 504);
    // The other request began later and is over: the stream outlived the bound. The app is told twice, for
    // it does not know that nobody waits for the other answer any more.
    origin.tell();
    origin.tell();
    assert_eq!(stream.response().status(), 200);
}

/// Nor has an answer that says that it is an event stream, on whatever route.
#[test]
fn an_event_stream_has_no_total_timeout() {
    let origin = RawOrigin::scripted(|conn| {
        let Some(request) = conn.read_request() else { return };
        if request.target() == "/events" {
            conn.send(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 16\r\n\r\ndata: 1\n",
            );
            conn.await_told();
            conn.send("data: 2\n");
        } else {
            // Never answered: only the timeout ends it.
            conn.read_request();
        }
    });
    let weir = Weir::start(&Config::to(&origin).section("[timeouts]\ntotal = \"200ms\""));
    let mut stream = weir.connect();
    stream.send(GET.replace("/ ", "/events "));
    assert_eq!(stream.response_head().status(), 200);
    assert_eq!(stream.read_exactly(8), b"data: 1\n");
    // Begins later and is over before the stream goes on.
    assert_weirs_own(&weir.get("/"), 504);
    origin.tell();
    assert_eq!(stream.read_exactly(8), b"data: 2\n");
}

/// The total time-out ends a request and blames no server: it may have gone by on the client's time, here in an
/// upload that goes on slowly and never ends.
#[test]
fn the_total_timeout_blames_no_server() {
    let origin = RawOrigin::scripted(|conn| drop(conn.read_request()));
    let ejection = "ejection = { failures = 1, base = \"60s\", max = \"60s\" }";
    let weir = Weir::start(&Config::to(&origin).upstream(ejection).section("[timeouts]\ntotal = \"200ms\""));
    let mut client = weir.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nslowly");
    assert_weirs_own(&client.response(), 504);
    let metrics = weir.metrics();
    assert_eq!(metrics.count("weir_timeouts_total", &[("timeout", "total")]), 1);
    assert_eq!(metrics.count("weir_upstream_ejections_total", &[]), 0);
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
        "HTTP/1.1 200 OK\r\nFolded: 1\r\n 2\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nNul: \0\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
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
        assert!(answer.field("proxy-status").is_some_and(|why| why.contains("http_protocol_error")));
        assert!(!answer.text().contains("SSH-2.0"), "{}", answer.text());
    }
}

/// A head without end is a bad gateway, and is not collected in memory.
#[test]
fn an_endless_head_is_a_bad_gateway() {
    let origin = RawOrigin::scripted(|conn| {
        conn.read_request();
        drop(conn.try_send("HTTP/1.1 200 OK\r\nX-Endless: "));
        while conn.try_send([b'x'; 16 * 1024]).is_ok() {}
    });
    let weir = Weir::start(&Config::to(&origin));
    let before = weir.peak_memory_kib();
    assert_weirs_own(&weir.connect().exchange(POST), 502);
    let growth = weir.peak_memory_kib() - before;
    assert!(growth < 16 * 1024, "grew by {growth} KiB");
}

/// An answer with both lengths has two readings, and may be response splitting: a bad gateway (RFC 9112 §6.3).
#[test]
fn an_answer_with_both_lengths_is_a_bad_gateway() {
    let origin = RawOrigin::answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    );
    let weir = Weir::start(&Config::to(&origin));
    assert_weirs_own(&weir.connect().exchange(POST), 502);
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
    // Whether the head was on its way before the fault was seen is chance; a whole answer there never is.
    let got = client.try_response();
    assert!(!matches!(got, Ok(Some(_))), "{got:?}");
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

/// After an answer that came before the request's body, the rest of that body is nobody's next request,
/// neither from the client nor to the app.
#[test]
fn the_body_behind_an_early_answer_is_not_a_request() {
    const LENGTH: usize = 100_000;
    let origin = RawOrigin::scripted(|conn| {
        while let Some(head) = conn.read_request_head() {
            conn.answer("early");
            let length = head.field("content-length").map_or(0, |length| length.parse().unwrap());
            if conn.try_read_exactly(length).is_err() {
                return;
            }
        }
    });
    let weir = Weir::start(&Config::to(&origin).workers(1));
    let mut client = weir.connect();
    client.send(format!("POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\nbegin"));
    assert_eq!(client.response().status(), 200);
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let rest = smuggled.repeat(LENGTH / smuggled.len() + 1);
    // weir may have closed instead of reading a body that nobody wants.
    drop(client.try_send(&rest.as_bytes()[.."begin".len().abs_diff(LENGTH)]));
    drop(client.try_send(GET.replace("/ ", "/second ")));
    let second = client.try_response();
    assert_eq!(weir.get("/third").status(), 200);
    let mut targets = vec![origin.next_request().target(), origin.next_request().target()];
    if matches!(second, Ok(Some(_))) {
        targets.push(origin.next_request().target());
    }
    origin.expect_no_request();
    assert!(
        targets.iter().all(|target| ["/first", "/second", "/third"].contains(&target.as_str())),
        "{targets:?}"
    );
}
