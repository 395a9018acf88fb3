//! Stopping and restarting: no request whose head was read fails.

use std::net::TcpListener;
use std::sync::mpsc::channel;
use std::thread;

use rustix::process::Signal;

use crate::harness::{Config, Launch, Load, PATIENCE, RawClient, RawOrigin, Weir, echo, eventually};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

const SHUTDOWN: &str = "[shutdown]\ndrain_delay = \"300ms\"\ndrain_timeout = \"20s\"";

/// SIGTERM under load: every request on an accepted connection is answered, each client is told to close,
/// and weir exits 0.
#[test]
fn sigterm_under_load_fails_no_request() {
    let origin = RawOrigin::scripted(echo);
    let mut weir = Weir::start(&Config::to(&origin).section(SHUTDOWN));
    let load = Load::start(weir.addr(), 8);
    load.await_answers(200);
    weir.signal(Signal::TERM);
    let tally = load.until_refused();
    assert!(tally.failed.is_empty(), "{:?}", tally.failed);
    assert!(tally.told_to_close >= 8, "{}", tally.told_to_close);
    assert_eq!(weir.wait_exit().code(), Some(0));
}

/// A request in progress when SIGTERM comes is finished, however long the app takes within the drain
/// timeout.
#[test]
fn a_request_in_progress_is_finished() {
    let origin = RawOrigin::answering_when_told();
    let mut weir = Weir::start(
        &Config::to(&origin).section("[shutdown]\ndrain_delay = \"0s\"\ndrain_timeout = \"20s\""),
    );
    let mut client = weir.connect();
    client.send(GET);
    origin.next_request();
    weir.signal(Signal::TERM);
    eventually("the listener closes", || RawClient::try_connect(weir.addr()).is_err().then_some(()));
    origin.tell();
    let answer = client.response();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.field("connection").as_deref(), Some("close"));
    client.expect_close();
    assert_eq!(weir.wait_exit().code(), Some(0));
}

/// The next request on an idle connection is answered, with `Connection: close` (RFC 9112 §9.6).
#[test]
fn the_next_request_on_an_idle_connection_is_answered() {
    let origin = RawOrigin::scripted(echo);
    let mut weir = Weir::start(&Config::to(&origin).section(SHUTDOWN));
    let mut client = weir.connect();
    let before = client.exchange(GET);
    assert_eq!((before.status(), before.field("connection")), (200, None));
    weir.signal(Signal::TERM);
    eventually("the listener closes", || RawClient::try_connect(weir.addr()).is_err().then_some(()));
    let answer = client.exchange(GET);
    assert_eq!((answer.status(), answer.field("connection").as_deref()), (200, Some("close")));
    client.expect_close();
    assert_eq!(weir.wait_exit().code(), Some(0));
}

/// While it drains, weir says that it is not ready, still alive, and still serves, so that a balancer has
/// time to look away.
#[test]
fn draining_is_not_ready_but_serves() {
    let origin = RawOrigin::scripted(echo);
    let mut weir = Weir::start(
        &Config::to(&origin).section("[shutdown]\ndrain_delay = \"2s\"\ndrain_timeout = \"20s\""),
    );
    assert_eq!(weir.admin_get("/readyz").status(), 200);
    weir.signal(Signal::TERM);
    eventually("weir is not ready", || (weir.admin_get("/readyz").status() == 503).then_some(()));
    assert_eq!(weir.admin_get("/healthz").status(), 200);
    assert_eq!(weir.get("/").status(), 200);
    assert_eq!(weir.wait_exit().code(), Some(0));
}

/// What does not end within the drain timeout is cut, and weir exits 0 all the same.
#[test]
fn the_drain_timeout_ends_what_does_not_end() {
    let origin = RawOrigin::answering_when_told();
    let mut weir = Weir::start(
        &Config::to(&origin).section("[shutdown]\ndrain_delay = \"0s\"\ndrain_timeout = \"300ms\""),
    );
    let mut client = weir.connect();
    client.send(GET);
    origin.next_request();
    weir.signal(Signal::TERM);
    assert_eq!(weir.wait_exit().code(), Some(0));
    assert!(!matches!(client.try_response(), Ok(Some(answer)) if answer.status() == 200));
}

/// An upgraded connection has the drain timeout to end, and then does not keep weir.
#[test]
fn an_upgraded_connection_does_not_keep_weir() {
    let origin = RawOrigin::scripted(|conn| {
        conn.read_request();
        conn.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        conn.read_request();
    });
    let mut weir = Weir::start(
        &Config::to(&origin).section("[shutdown]\ndrain_delay = \"0s\"\ndrain_timeout = \"300ms\""),
    );
    let mut client = weir.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.response_head().status(), 101);
    weir.signal(Signal::TERM);
    assert_eq!(weir.wait_exit().code(), Some(0));
    client.expect_close();
}

/// WebSockets are ended one after the other, each within `drain_tunnels` and before the drain timeout, whose end nobody waits
/// for then.
#[test]
fn upgraded_connections_leave_one_after_the_other() {
    let origin = RawOrigin::scripted(|conn| {
        conn.read_request();
        conn.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        conn.read_request();
    });
    let mut weir = Weir::start(
        &Config::to(&origin)
            .section("[shutdown]\ndrain_delay = \"0s\"\ndrain_timeout = \"1h\"\ndrain_tunnels = \"1s\""),
    );
    let (ended, ends) = channel();
    for nth in 0..20 {
        let mut client = weir.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        assert_eq!(client.response_head().status(), 101);
        let ended = ended.clone();
        thread::spawn(move || {
            client.expect_close();
            ended.send(nth).unwrap();
        });
    }
    assert!(ends.try_recv().is_err(), "none ends while weir runs");
    weir.signal(Signal::TERM);
    let order: Vec<i32> = (0..20).map(|_| ends.recv_timeout(PATIENCE).unwrap()).collect();
    assert!(!order.is_sorted(), "each at a moment of its own: {order:?}");
    assert_eq!(weir.wait_exit().code(), Some(0));
}

/// A listening socket that outlives the process: a restart refuses no connection and fails no request
/// (`sd_listen_fds(3)`).
#[test]
fn a_restart_on_an_inherited_socket_refuses_nothing() {
    let origin = RawOrigin::scripted(echo);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = Config::to(&origin).proxy(address).section("[shutdown]\ndrain_delay = \"0s\"");
    let mut old = Launch::new(&config).inherit(&listener).start();
    assert_eq!(old.addr(), address);
    let load = Load::start(address, 8);
    load.await_answers(200);
    for _ in 0..2 {
        old.signal(Signal::TERM);
        assert_eq!(old.wait_exit().code(), Some(0));
        old = Launch::new(&config).inherit(&listener).start();
        load.await_answers(200);
    }
    let tally = load.stop();
    assert!(tally.failed.is_empty(), "{:?}", tally.failed);
    assert_eq!(tally.turned_away, 0);
}

/// One inherited socket serves all workers: with more connections than one worker would be given alone,
/// every one is served.
#[test]
fn an_inherited_socket_serves_all_workers() {
    let origin = RawOrigin::scripted(echo);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = Config::to(&origin).workers(4).proxy(listener.local_addr().unwrap());
    let weir = Launch::new(&config).inherit(&listener).start();
    let mut clients: Vec<RawClient> = (0..64).map(|_| weir.connect()).collect();
    assert!(clients.iter_mut().all(|client| client.exchange(GET).status() == 200));
    weir.await_metric("weir_connections_open", &[], 64);
}

/// SIGINT, which a terminal sends, stops as SIGTERM does.
#[test]
fn sigint_stops_too() {
    let origin = RawOrigin::scripted(echo);
    let mut weir = Weir::start(&Config::to(&origin).section("[shutdown]\ndrain_delay = \"0s\""));
    assert_eq!(weir.get("/").status(), 200);
    weir.signal(Signal::INT);
    assert_eq!(weir.wait_exit().code(), Some(0));
}

/// A signal that comes as soon as weir says that it listens is acted upon, and ends nothing.
#[test]
fn signals_are_caught_from_the_first_moment() {
    let origin = RawOrigin::scripted(echo);
    let config = Config::to(&origin)
        .log("access = { file = \"$DIR/access.log\" }")
        .section("[shutdown]\ndrain_delay = \"0s\"");
    for _ in 0..5 {
        let mut weir = Weir::start(&config);
        weir.signal(Signal::HUP);
        weir.signal(Signal::USR1);
        weir.await_log("configuration reloaded");
        weir.await_log("access log reopened");
        assert_eq!(weir.get("/").status(), 200);
        weir.signal(Signal::TERM);
        assert_eq!(weir.wait_exit().code(), Some(0));
    }
}

/// A socket that was handed over for an address which the config does not name is told of.
#[test]
fn an_inherited_socket_of_no_listener_is_told_of() {
    let origin = RawOrigin::scripted(echo);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let weir = Launch::new(&Config::to(&origin)).inherit(&listener).start();
    assert!(weir.await_log("handed over").contains(&listener.local_addr().unwrap().to_string()));
    assert_eq!(weir.get("/").status(), 200);
}
