//! Many connections, and more than there are files for.

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::harness::{Config, Launch, RawClient, RawOrigin, Weir, echo, eventually, skip};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// When descriptors run out, weir keeps serving the connections it has, and serves everyone again once some
/// have gone; it does not spin or exit meanwhile.
#[test]
fn running_out_of_files_is_survived() {
    let origin = RawOrigin::scripted(echo);
    // More connections than there are files for: by default no more are let in than half of those allow.
    let config = Config::to(&origin).workers(1).section("[connections]\nmax = 1000");
    let weir = Launch::new(&config).files_max(64).start();
    let mut early = weir.connect();
    assert_eq!(early.exchange(GET).status(), 200);
    // The kernel completes these connects whether or not weir can accept them.
    let crowd: Vec<RawClient> = (0..100).map(|_| weir.connect()).collect();
    eventually("descriptors run out", || (weir.open_files() >= 64).then_some(()));
    for _ in 0..20 {
        assert_eq!(early.exchange(GET).status(), 200);
    }
    drop(crowd);
    assert_eq!(weir.get("/").status(), 200);
    let metrics = weir.metrics();
    assert!(metrics.count("weir_accept_errors_total", &[]) >= 1);
    assert_eq!(metrics.count("weir_panics_total", &[]), 0);
}

/// Ten thousand idle connections are held, cost little memory each, and slow nobody down.
#[test]
fn ten_thousand_idle_connections_are_held() {
    const IDLE: usize = 10_000;
    // Of a debug build, in which futures are large.
    const KIB_EACH_MAX: u64 = 32;
    // Each end needs its descriptor in its own process, and some more.
    if !raise_files_to(IDLE as u64 + 500) {
        skip("the hard limit of open files is too low");
        return;
    }
    let origin = RawOrigin::scripted(echo);
    let config = Config::to(&origin).section("[connections]\nmax = 10400");
    let weir = Launch::new(&config).files_max(10_500).start();
    let before = weir.peak_memory_kib();
    // From several addresses, for a source port each.
    let idle: Vec<RawClient> = (0..IDLE)
        .map(|n| RawClient::connect_from(&format!("127.0.1.{}", n % 200 + 1), weir.addr()))
        .collect();
    weir.await_metric("weir_connections_open", &[], IDLE as u64);
    for _ in 0..20 {
        assert_eq!(weir.get("/").status(), 200);
    }
    let each = (weir.peak_memory_kib() - before) / IDLE as u64;
    assert!(each <= KIB_EACH_MAX, "{each} KiB for each idle connection");
    drop(idle);
    weir.await_metric("weir_connections_open", &[], 0);
}

/// A client that sends requests without end and reads no answer is not read any further: neither answers
/// nor requests pile up in memory, and nothing is left of it when it goes.
#[test]
fn a_client_that_only_sends_is_held_back() {
    const SENT_MAX: u64 = 256 << 20;
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin));
    assert_eq!(weir.get("/warm-up").status(), 200);
    let before = weir.peak_memory_kib();
    let mut flood = RawClient::connect_with_small_window(weir.addr(), 8 << 10);
    let sent = flood.send_again_until_stalled(GET.repeat(1000).as_bytes(), SENT_MAX);
    assert!(sent < SENT_MAX, "all of it was taken");
    let growth = weir.peak_memory_kib() - before;
    assert!(growth < 16 * 1024, "grew by {growth} KiB");
    flood.vanish();
    weir.await_metric("weir_connections_open", &[], 0);
    weir.await_metric("weir_requests_in_flight", &[], 0);
}

/// Many clients at once, each on a new connection for each request, are all served.
#[test]
fn a_connection_for_each_request_is_served() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin));
    let address = weir.addr();
    let clients: Vec<_> = (0..16)
        .map(|_| std::thread::spawn(move || (0..25).all(|_| RawClient::get(address, "/").status() == 200)))
        .collect();
    assert!(clients.into_iter().all(|client| client.join().unwrap()));
    weir.await_metric("weir_connections_open", &[], 0);
}

/// Whether this process may have `count` files open, raising its soft limit where it can.
fn raise_files_to(count: u64) -> bool {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|hard| hard < count) {
        return false;
    }
    if limit.current.is_none_or(|soft| soft >= count) {
        return true;
    }
    limit.current = Some(count);
    setrlimit(Resource::Nofile, limit).is_ok()
}
