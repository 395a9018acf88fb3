//! Fingerprints of TLS clients: taken where that is asked for, counted by, and written down.

use std::sync::Arc;

use serde_json::Value as Json;
use tokio_rustls::rustls::ClientConfig;

use crate::harness::{Authority, Config, Launch, RawOrigin, SecureClient, V12, V13, Weir, eventually};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// weir with a limit of two requests an hour for each fingerprint, believing X-Forwarded-For of everyone here.
fn start(origin: &RawOrigin, authority: &Authority, tls: &str) -> Weir {
    let (cert, key) = authority.issue(&["app.test"]);
    let config = Config::to(origin)
        .listen("proxy_tls = \"127.0.0.1:0\"\ntrusted_proxies = \"127.0.0.0/8\"")
        .section(&format!("[tls]\ncertificates = {{ cert = \"cert.pem\", key = \"key.pem\" }}\n{tls}"))
        .section("[[limits]]\nname = \"two\"\nkey = [\"fingerprint\"]\nrate = \"2/h\"")
        .log("access = { file = \"$DIR/access.log\", format = \"json\" }");
    Launch::new(&config).beside("cert.pem", &cert).beside("key.pem", &key).start()
}

/// The status that the client at this address gets, on a connection of its own.
fn status(weir: &Weir, client: &Arc<ClientConfig>, address: &str) -> u16 {
    let mut connection = SecureClient::connect(client, weir.addrs()[1]).unwrap();
    connection.status("/", &format!("X-Forwarded-For: {address}\r\n")).unwrap()
}

/// The fingerprints in the access log, in the order of its lines.
fn logged(weir: &Weir, lines: usize) -> Vec<Option<String>> {
    let text = eventually("the lines", || {
        let text = std::fs::read_to_string(weir.dir().join("access.log")).ok()?;
        (text.lines().count() == lines).then_some(text)
    });
    let line = |line: &str| serde_json::from_str::<Json>(line).unwrap();
    text.lines()
        .map(|text| line(text).get("fingerprint").map(|print| print.as_str().unwrap().to_owned()))
        .collect()
}

/// Promise: the same software has the same fingerprint at every address and in every connection, and its own budget;
/// other software has another. A plain connection has none, and the limit skips it. The log tells them apart.
#[test]
fn software_is_counted_by_its_fingerprint() {
    let (origin, authority) = (RawOrigin::answering(OK), Authority::new());
    let weir = start(&origin, &authority, "fingerprint = true");
    // A new client each time: one that resumes sends something else.
    let modern = || authority.client(V13, b"http/1.1");
    let old = || authority.client(V12, b"http/1.1");
    let of_modern = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|address| status(&weir, &modern(), address));
    assert_eq!(of_modern, [200, 200, 429]);
    assert_eq!(status(&weir, &old(), "192.0.2.1"), 200);
    for _ in 0..3 {
        assert_eq!(weir.get("/").status(), 200);
    }
    let logged = logged(&weir, 7);
    let [Some(modern), one, another, Some(old), None, None, None] = &logged[..] else { panic!("{logged:?}") };
    assert_eq!([one.as_ref(), another.as_ref()], [Some(modern); 2]);
    assert!(modern.starts_with("t13d") && old.starts_with("t12d"), "{modern} {old}");
    let [first, _, _] = modern.split('_').collect::<Vec<_>>()[..] else { panic!("{modern}") };
    assert!(first.ends_with("h1"), "{first}: http/1.1 is offered first");
}

/// Promise: the admin listener explains a limit by fingerprint to whoever names one.
#[test]
fn a_fingerprint_can_be_asked_about() {
    let (origin, authority) = (RawOrigin::answering(OK), Authority::new());
    let weir = start(&origin, &authority, "fingerprint = true");
    let print = "t13d1516h2_8daaf6152771_e5627efa2ab1";
    let with = weir.admin_get(&format!("/api/v1/explain?path=/&client=192.0.2.1&fingerprint={print}"));
    assert!(with.text().contains(&format!("fingerprint {print}")), "{}", with.text());
    let without = weir.admin_get("/api/v1/explain?path=/&client=192.0.2.1");
    assert!(without.text().contains("fingerprint") && !without.text().contains(print), "{}", without.text());
}

/// Promise: a client that cuts its first message into octets, each in a packet of its own, is served and fingerprinted
/// like others; what is no TLS is answered with an alert, as without fingerprints.
#[test]
fn slow_and_foreign_first_messages() {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use tokio_rustls::rustls::ClientConnection;
    use tokio_rustls::rustls::pki_types::ServerName;

    let (origin, authority) = (RawOrigin::answering(OK), Authority::new());
    let weir = start(&origin, &authority, "fingerprint = true");
    let client = authority.client(V13, b"http/1.1");
    let mut socket = TcpStream::connect(weir.addrs()[1]).unwrap();
    socket.set_nodelay(true).unwrap();
    let mut session = ClientConnection::new(client, ServerName::try_from("app.test").unwrap()).unwrap();
    let mut hello = Vec::new();
    session.write_tls(&mut hello).unwrap();
    for octet in &hello {
        socket.write_all(&[*octet]).unwrap();
    }
    while session.is_handshaking() {
        session.complete_io(&mut socket).unwrap();
    }
    session.writer().write_all(b"GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok") {
        session.complete_io(&mut socket).unwrap();
        let _ = session.reader().read_to_end(&mut answer);
    }
    assert!(logged(&weir, 1)[0].as_ref().is_some_and(|print| print.starts_with("t13d")));

    let mut plain = TcpStream::connect(weir.addrs()[1]).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: app.test\r\n\r\n").unwrap();
    let mut alert = Vec::new();
    let _ = plain.read_to_end(&mut alert);
    assert_eq!(alert.first(), Some(&21), "an alert (RFC 8446 §5.1): {alert:?}");
    weir.await_metric("weir_protocol_faults_total", &[("fault", "tls_handshake")], 1);
}

/// Promise: where it is not asked for, none is taken, `weir check` says that such a limit has no effect, and nobody is
/// limited by it.
#[test]
fn without_asking_there_are_none() {
    let (origin, authority) = (RawOrigin::answering(OK), Authority::new());
    let weir = start(&origin, &authority, "");
    let client = authority.client(V13, b"http/1.1");
    for _ in 0..3 {
        assert_eq!(status(&weir, &client, "192.0.2.1"), 200);
    }
    assert_eq!(logged(&weir, 3), [None, None, None]);
    let config = weir.admin_get("/config").json();
    assert_eq!(config["without_effect"][0]["part"], "limits.two");
}
