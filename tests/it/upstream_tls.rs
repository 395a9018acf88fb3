//! TLS to servers: whom weir believes, what it shows, and what becomes of a request where that fails.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use crate::harness::{
    Authority, Config, Launch, Message, RawOrigin, SecureOrigin, SecureSocket, Weir, assert_weirs_own,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// In front of the server at this address, with these lines of its upstream.
fn to(server: SocketAddr, lines: &str) -> Config {
    Config::to_servers(&[server]).upstream(lines)
}

/// weir, with the certificate of `authority` in ca.pem.
fn start(config: &Config, authority: &Authority) -> Weir {
    Launch::new(config).beside("ca.pem", &authority.pem()).start()
}

/// A 502 in weir's own words, with this error of RFC 9209.
fn assert_failed(answer: &Message, kind: &str) {
    assert_weirs_own(answer, 502);
    let status = answer.field("proxy-status").unwrap_or_default();
    assert!(status.contains(&format!("error={kind}")), "{status}");
}

/// Promise: a server is verified by the authorities that are named, asked for by its name, spoken to by HTTP/1.1, and the
/// connection is used again.
#[test]
fn a_server_is_verified_and_its_connection_kept() {
    let authority = Authority::new();
    let origin = SecureOrigin::answering(authority.server(&["localhost"], None), OK);
    let server =
        format!("servers = \"https://localhost:{}\"\ntls = {{ ca = \"ca.pem\" }}", origin.address().port());
    let weir = start(&Config::to_servers(&[]).upstreams(&server).workers(1), &authority);
    for _ in 0..3 {
        assert_eq!(weir.get("/").status(), 200);
    }
    let greeting = origin.greeting();
    assert_eq!(greeting.name.as_deref(), Some("localhost"));
    assert_eq!(greeting.protocol.as_deref(), Some(&b"http/1.1"[..]));
    assert!(!greeting.has_certificate && !origin.was_greeted_again());
    weir.await_metric("weir_upstream_connections_reused_total", &[("upstream", "app")], 2);
}

/// Promise: a new connection to a server resumes the session of the one before.
#[test]
fn a_session_is_resumed() {
    let authority = Authority::new();
    let once = |socket: &mut SecureSocket| {
        socket.read_head()?;
        socket.write(OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes())?;
        socket.close()
    };
    let origin = SecureOrigin::scripted(authority.server(&["127.0.0.1"], None), once);
    let weir = start(&to(origin.address(), "tls = { ca = \"ca.pem\" }"), &authority);
    let resumed = [0, 1].map(|_| {
        assert_eq!(weir.get("/").status(), 200);
        origin.greeting().resumes
    });
    assert_eq!(resumed, [false, true]);
}

/// Promise: without `ca`, the system's authorities verify; `https` alone is enough to be spoken to by TLS. An address is
/// verified as such, and asked for by no name.
#[test]
fn the_system_verifies() {
    let (authority, other) = (Authority::new(), Authority::new());
    let origin = SecureOrigin::answering(authority.server(&["127.0.0.1"], None), OK);
    let config = Config::to_servers(&[]).upstreams(&format!("servers = \"https://{}\"", origin.address()));
    let launch = || Launch::new(&config).beside("ca.pem", &authority.pem()).beside("other.pem", &other.pem());
    assert_eq!(launch().roots("ca.pem").start().get("/").status(), 200);
    assert_eq!(origin.greeting().name, None);
    assert_failed(&launch().roots("other.pem").start().get("/"), "tls_certificate_error");
}

/// Promise: a server with a certificate of somebody else's, or for another name, gets no request; `server_name` says
/// which name it must have. Each failure is a 502 that says why, counted, and the server's fault.
#[test]
fn a_wrong_server_gets_nothing() {
    let (authority, other) = (Authority::new(), Authority::new());
    let origin = SecureOrigin::answering(authority.server(&["app.test"], None), OK);
    let by = |lines| to(origin.address(), lines);
    let strict = "tls = { ca = \"ca.pem\", server_name = \"app.test\" }\nejection = { failures = 1 }";
    let weir = start(&by(strict), &authority);
    assert_eq!(weir.get("/").status(), 200);
    assert_eq!(origin.greeting().name.as_deref(), Some("app.test"));

    let weir = start(&by("tls = { ca = \"ca.pem\" }"), &authority);
    assert_failed(&weir.get("/"), "tls_certificate_error");
    let weir = start(&by(strict), &other);
    assert_failed(&weir.get("/"), "tls_certificate_error");
    weir.await_metric("weir_upstream_handshakes_failed_total", &[("upstream", "app")], 1);
    weir.await_metric("weir_upstream_connections_failed_total", &[("upstream", "app")], 1);
    weir.await_metric("weir_upstream_servers_healthy", &[("upstream", "app")], 0);
}

/// Promise: a server that speaks no TLS is a 502 that says so, one that says nothing a 504 within the time to connect.
#[test]
fn a_server_without_tls() {
    let authority = Authority::new();
    let plain = RawOrigin::scripted(|conn| conn.answer("what?"));
    let tls = "tls = { ca = \"ca.pem\" }";
    assert_failed(&start(&to(plain.address(), tls), &authority).get("/"), "tls_protocol_error");

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = to(silent.local_addr().unwrap(), tls).section("[timeouts]\nconnect = \"200ms\"");
    let weir = start(&config, &authority);
    assert_weirs_own(&weir.get("/"), 504);
    weir.await_metric("weir_timeouts_total", &[("timeout", "connect")], 1);
}

/// Promise: a server that asks for a certificate is shown the configured one; without it, it refuses.
#[test]
fn a_server_can_ask_for_a_certificate() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let origin = SecureOrigin::answering(authority.server(&["127.0.0.1"], Some(&clients)), OK);
    let (cert, key) = clients.issue(&["weir.test"]);
    let with = to(origin.address(), "tls = { ca = \"ca.pem\", cert = \"own.pem\", key = \"own.key\" }");
    let weir = Launch::new(&with)
        .beside("ca.pem", &authority.pem())
        .beside("own.pem", &cert)
        .beside("own.key", &key)
        .start();
    assert_eq!(weir.get("/").status(), 200);
    assert!(origin.greeting().has_certificate);
    let without = start(&to(origin.address(), "tls = { ca = \"ca.pem\" }"), &authority);
    assert_weirs_own(&without.get("/"), 502);
}

/// Promise: nobody is verified only where the operator insists, and weir says so when it starts.
#[test]
fn verification_can_be_left_out_loudly() {
    let (authority, other) = (Authority::new(), Authority::new());
    let origin = SecureOrigin::answering(authority.server(&["elsewhere.test"], None), OK);
    let weir = start(&to(origin.address(), "tls = { dangerously_unverified = true }"), &other);
    assert_eq!(weir.get("/").status(), 200);
    weir.await_log("NOT verified");
}

/// Promise: health checks go the same way: a server that cannot be verified fails them, and passes once it can.
#[test]
fn health_checks_verify_too() {
    let (authority, other) = (Authority::new(), Authority::new());
    let origin = SecureOrigin::answering(authority.server(&["127.0.0.1"], None), OK);
    let check =
        "health_check = { path = \"/healthz\", interval = \"20ms\", unhealthy_after = 1, healthy_after = 1 }";
    let weir = start(&to(origin.address(), &format!("tls = {{ ca = \"ca.pem\" }}\n{check}")), &other);
    weir.await_metric("weir_upstream_servers_healthy", &[("upstream", "app")], 0);
    // Another authority is another upstream to verify by, on the next connection.
    weir.await_reload("ok", || weir.write_beside("ca.pem", &authority.pem()));
    weir.await_metric("weir_upstream_servers_healthy", &[("upstream", "app")], 1);
    assert_eq!(weir.get("/").status(), 200);
}

/// Promise: bodies larger than any buffer pass both ways, and a switched connection carries bytes both ways.
#[test]
fn bodies_and_tunnels_pass() {
    const SIZE: usize = 3 * 1024 * 1024;
    let authority = Authority::new();
    let echo = |socket: &mut SecureSocket| {
        let head = socket.read_head()?;
        if head.contains("upgrade: websocket") {
            socket.write(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            )?;
            let said = socket.read(4)?;
            socket.write(&said)?;
            return socket.close();
        }
        let body = socket.read(SIZE)?;
        socket.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes())?;
        socket.write(&body)
    };
    let origin = SecureOrigin::scripted(authority.server(&["127.0.0.1"], None), echo);
    let weir = start(&to(origin.address(), "tls = { ca = \"ca.pem\" }"), &authority);
    let body: Vec<u8> = (0..SIZE).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let head = format!("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: {SIZE}\r\n\r\n");
    let mut socket = std::net::TcpStream::connect(weir.addr()).unwrap();
    let mut sender = socket.try_clone().unwrap();
    let sent = body.clone();
    let sending = std::thread::spawn(move || sender.write_all(&[head.as_bytes(), &sent].concat()).unwrap());
    let mut answer = Vec::new();
    while answer.len() < SIZE || !answer.ends_with(&body[SIZE - 1000..]) {
        let mut piece = [0; 16 * 1024];
        let n = socket.read(&mut piece).unwrap();
        assert_ne!(n, 0, "the answer ends after {} octets", answer.len());
        answer.extend_from_slice(&piece[..n]);
    }
    sending.join().unwrap();
    assert!(answer.ends_with(&body));

    let mut tunnel = std::net::TcpStream::connect(weir.addr()).unwrap();
    tunnel
        .write_all(
            b"GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nping",
        )
        .unwrap();
    let mut all = Vec::new();
    tunnel.read_to_end(&mut all).unwrap();
    assert!(
        all.starts_with(b"HTTP/1.1 101 ") && all.ends_with(b"\r\n\r\nping"),
        "{}",
        String::from_utf8_lossy(&all)
    );
}

/// Promise: a body that ends with the connection is whole only where TLS says so; cut off, it is not (RFC 9112 §9.8).
#[test]
fn a_body_that_is_cut_off_is_not_whole() {
    let authority = Authority::new();
    let cut = |socket: &mut SecureSocket| {
        let head = socket.read_head()?;
        socket.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf")?;
        if head.starts_with("GET /whole ") { socket.close() } else { Ok(()) }
    };
    let origin = SecureOrigin::scripted(authority.server(&["127.0.0.1"], None), cut);
    let weir = start(&to(origin.address(), "tls = { ca = \"ca.pem\" }"), &authority);
    let ends_with = |target: &str| {
        let mut client = std::net::TcpStream::connect(weir.addr()).unwrap();
        client.write_all(format!("GET {target} HTTP/1.1\r\nHost: app.test\r\n\r\n").as_bytes()).unwrap();
        let mut all = Vec::new();
        let mut piece = [0; 1024];
        // A chunked body that ends does so with a last chunk; the connection stays open then.
        while !all.ends_with(b"0\r\n\r\n") {
            match client.read(&mut piece) {
                Ok(n) if n > 0 => all.extend_from_slice(&piece[..n]),
                _ => return false,
            }
        }
        true
    };
    assert!(ends_with("/whole"));
    assert!(!ends_with("/cut"));
}

/// Promise: `/config` says how servers are verified, and nothing of keys.
#[test]
fn the_running_policy_says_how() {
    let authority = Authority::new();
    let origin = SecureOrigin::answering(authority.server(&["127.0.0.1"], None), OK);
    let weir = start(&to(origin.address(), "tls = { ca = \"ca.pem\" }"), &authority);
    let tls = weir.admin_get("/config").json()["upstreams"][0]["servers"][0]["tls"].clone();
    assert_eq!(tls["verified_by"], "ca.pem");
    assert_eq!(tls["server_name"], "127.0.0.1");
}
