//! Unix sockets: clients that come by one, and apps that listen on one.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::Signal;

use crate::harness::{Config, PATIENCE, RawOrigin, Weir, echo, eventually};

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

/// An app on a Unix socket gets requests, one after the other on a kept connection, and passes health checks; a client of
/// HTTP/1.0 that names no host is given one.
#[test]
fn an_app_listens_on_a_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.sock");
    let app = UnixListener::bind(&path).unwrap();
    let requests = serve(app);
    let config = Config::to_servers(&[])
        .upstreams(&format!("servers = [\"unix:{}\"]", path.display()))
        .upstream("health_check = { path = \"/health\", interval = \"20ms\" }");
    let weir = Weir::start(&config);
    let mut client = weir.connect();
    for _ in 0..3 {
        let answer = client.exchange("GET /a HTTP/1.1\r\nHost: app.test\r\n\r\n");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
    }
    assert_eq!(weir.metrics().count("weir_upstream_connections_reused_total", &[]), 2);
    let mut old = weir.connect();
    assert_eq!(old.exchange("GET /old HTTP/1.0\r\n\r\n").status(), 200);
    let heads = || requests.lock().unwrap().clone();
    eventually("a health check", || {
        heads().iter().any(|head| head.starts_with("GET /health ")).then_some(())
    });
    for target in ["/health", "/old"] {
        let head = heads().into_iter().find(|head| head.starts_with(&format!("GET {target} "))).unwrap();
        assert!(head.to_ascii_lowercase().contains("\r\nhost: localhost\r\n"), "{head}");
    }
}

/// Answers every request `ok`, and keeps the heads.
fn serve(app: UnixListener) -> Arc<Mutex<Vec<String>>> {
    let requests = Arc::<Mutex<Vec<String>>>::default();
    let kept = Arc::clone(&requests);
    thread::spawn(move || {
        for connection in app.incoming() {
            let (mut connection, kept) = (connection.unwrap(), Arc::clone(&kept));
            thread::spawn(move || {
                let mut head = String::new();
                let mut byte = [0];
                while matches!(connection.read(&mut byte), Ok(1)) {
                    head.push(char::from(byte[0]));
                    if head.ends_with("\r\n\r\n") {
                        kept.lock().unwrap().push(std::mem::take(&mut head));
                        connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
                    }
                }
            });
        }
    });
    requests
}
