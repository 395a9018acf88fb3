//! Unix sockets: clients that come by one.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::process::Signal;

use crate::harness::{Config, PATIENCE, RawOrigin, Weir, echo};

/// One GET by a Unix socket, read to its end.
fn get(path: &Path, more: &str) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("{more}GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A listener on a Unix socket serves like any other, whichever worker wakes; its clients count as 127.0.0.1; its file
/// has the permissions that were asked for, takes the place of one left behind, and is gone at the end.
#[test]
fn clients_come_by_a_unix_socket() {
    let origin = RawOrigin::scripted(echo);
    let config = Config::to(&origin)
        .proxies("[\"127.0.0.1:0\", { address = \"unix:$DIR/weir.sock\", mode = \"0600\" }]");
    let mut weir = Weir::start(&config);
    let path = weir.dir().join("weir.sock");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for _ in 0..20 {
        assert!(get(&path, "").starts_with("HTTP/1.1 200 "));
        assert_eq!(origin.next_request().field("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    }
    assert_eq!(weir.get("/").status(), 200, "the other listener too");
    weir.signal(Signal::TERM);
    assert!(weir.wait_exit().success());
    assert!(!path.exists());
}

/// A proxy on the same machine may say for whom it connects, where 127.0.0.1 is trusted.
#[test]
fn a_neighbour_may_announce_clients() {
    let origin = RawOrigin::scripted(echo);
    let config = Config::to(&origin)
        .proxies("[\"127.0.0.1:0\", { address = \"unix:$DIR/weir.sock\", proxy_protocol = true }]")
        .listen("trusted_proxies = [\"127.0.0.1\"]");
    let weir = Weir::start(&config);
    let path = weir.dir().join("weir.sock");
    assert!(get(&path, "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n").starts_with("HTTP/1.1 200 "));
    assert_eq!(origin.next_request().field("x-forwarded-for").as_deref(), Some("192.0.2.7"));
}
