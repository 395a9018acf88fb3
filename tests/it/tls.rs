//! TLS towards clients: the real binary, rustls and curl as its peers, certificates made for the test.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, StreamOwned, SupportedProtocolVersion,
    version,
};

use crate::harness::{Authority, Config, Launch, PATIENCE, RawClient, RawOrigin, Tool, Weir};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET /a HTTP/1.1\r\nHost: app.test\r\n\r\n";

fn http1_client(authority: &Authority, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
    authority.client(versions, b"http/1.1")
}

const BOTH: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

type Stream = StreamOwned<ClientConnection, TcpStream>;

fn connect(config: &Arc<ClientConfig>, name: &'static str, to: SocketAddr) -> std::io::Result<Stream> {
    let socket = TcpStream::connect_timeout(&to, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::try_from(name).unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// Sends a request and returns the response, which ends with `ok`.
fn exchange(stream: &mut Stream) -> String {
    stream.write_all(GET.as_bytes()).unwrap();
    let (mut response, mut piece) = (Vec::new(), [0; 1024]);
    while !response.ends_with(b"\r\n\r\nok") {
        let n = stream.read(&mut piece).unwrap();
        assert_ne!(n, 0, "the response ends early: {}", String::from_utf8_lossy(&response));
        response.extend_from_slice(&piece[..n]);
    }
    String::from_utf8(response).unwrap()
}

fn shown(stream: &Stream) -> CertificateDer<'_> {
    stream.conn.peer_certificates().unwrap()[0].clone()
}

/// weir in front of `origin` with a plain listener and a TLS one, and further lines of `[tls]`.
fn config(origin: &RawOrigin, certificates: &str, lines: &str) -> Config {
    Config::to(origin)
        .listen("proxy_tls = \"127.0.0.1:0\"")
        .section(&format!("[tls]\ncertificates = {certificates}\n{lines}"))
}

fn start(config: &Config, (cert, key): &(String, String)) -> Weir {
    Launch::new(config).beside("cert.pem", cert).beside("key.pem", key).start()
}

const ONE: &str = "[{ cert = \"cert.pem\", key = \"key.pem\" }]";

fn secure(weir: &Weir) -> SocketAddr {
    weir.addrs()[1]
}

/// Promise: TLS 1.3 and 1.2 are spoken, requests on one connection follow each other, the app is told of the scheme,
/// and a browser of how long to come by TLS alone.
#[test]
fn both_versions_are_spoken() {
    let (origin, authority) = (RawOrigin::answering(OK), Authority::new());
    let weir = start(&config(&origin, ONE, "hsts = \"365d\""), &authority.issue(&["app.test"]));
    for (version, name) in
        [(&version::TLS13, ProtocolVersion::TLSv1_3), (&version::TLS12, ProtocolVersion::TLSv1_2)]
    {
        let mut stream = connect(&http1_client(&authority, &[version]), "app.test", secure(&weir)).unwrap();
        assert_eq!(stream.conn.protocol_version(), Some(name));
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        for _ in 0..2 {
            let response = exchange(&mut stream);
            assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
            assert!(response.contains("strict-transport-security: max-age=31536000\r\n"), "{response}");
            let request = origin.next_request();
            assert_eq!(request.field("x-forwarded-proto").as_deref(), Some("https"));
        }
    }
    let plain = RawClient::get(weir.addr(), "/a");
    assert_eq!(plain.field("strict-transport-security"), None, "means nothing there (RFC 6797 §7.2)");
    assert_eq!(origin.next_request().field("x-forwarded-proto").as_deref(), Some("http"));
}

/// Promise: `min_version = "1.3"` speaks nothing older, and the failure is counted.
#[test]
fn an_older_version_can_be_refused() {
    let (origin, authority) = (RawOrigin::answering(OK), Authority::new());
    let weir = start(&config(&origin, ONE, "min_version = \"1.3\""), &authority.issue(&["app.test"]));
    connect(&http1_client(&authority, &[&version::TLS12]), "app.test", secure(&weir)).unwrap_err();
    exchange(&mut connect(&http1_client(&authority, BOTH), "app.test", secure(&weir)).unwrap());
    weir.await_metric("weir_protocol_faults_total", &[("fault", "tls_handshake")], 1);
}

/// Promise: each name is served by a certificate that has it, one label by a wildcard, and any other name, or none, by
/// the first.
#[test]
fn the_name_chooses_the_certificate() {
    let (origin, authority) = (RawOrigin::answering(OK), Authority::new());
    let first = authority.issue(&["app.test", "127.0.0.1"]);
    let second = authority.issue(&["other.test", "*.wild.test"]);
    let two = "[{ cert = \"cert.pem\", key = \"key.pem\" }, { cert = \"cert2.pem\", key = \"key2.pem\" }]";
    let weir = Launch::new(&config(&origin, two, ""))
        .beside("cert.pem", &first.0)
        .beside("key.pem", &first.1)
        .beside("cert2.pem", &second.0)
        .beside("key2.pem", &second.1)
        .start();
    let client = http1_client(&authority, BOTH);
    let of = |name| connect(&client, name, secure(&weir)).map(|stream| shown(&stream).into_owned());
    let (app, other) = (of("app.test").unwrap(), of("other.test").unwrap());
    assert_ne!(app, other);
    assert_eq!(of("a.wild.test").unwrap(), other);
    assert_eq!(of("127.0.0.1").unwrap(), app, "an address is no name to choose by");
    for unknown in ["a.b.wild.test", "unknown.test"] {
        let error = of(unknown).unwrap_err().to_string();
        assert!(error.contains("NotValidForName") || error.contains("not valid for name"), "{error}");
    }
}

/// Promise 3: a renewed certificate is shown to whoever comes next, open connections go on, sessions resume; files that
/// do not fit each other change nothing.
#[test]
fn certificates_are_renewed_without_dropping_anybody() {
    let (origin, authority) = (RawOrigin::answering(OK), Authority::new());
    let weir = start(&config(&origin, ONE, ""), &authority.issue(&["app.test"]));
    let client = http1_client(&authority, &[&version::TLS13]);
    let mut open = connect(&client, "app.test", secure(&weir)).unwrap();
    // The tickets come with the first response.
    exchange(&mut open);
    let before = shown(&open).into_owned();

    let (cert, key) = authority.issue(&["app.test"]);
    weir.await_reload("failed", || weir.write_beside("cert.pem", &cert));
    weir.await_reload("ok", || weir.write_beside("key.pem", &key));
    exchange(&mut open);
    let mut resumed = connect(&client, "app.test", secure(&weir)).unwrap();
    assert_eq!(resumed.conn.handshake_kind(), Some(HandshakeKind::Resumed));
    exchange(&mut resumed);
    let new = connect(&http1_client(&authority, BOTH), "app.test", secure(&weir)).unwrap();
    assert_eq!(new.conn.handshake_kind(), Some(HandshakeKind::Full));
    assert_ne!(shown(&new), before);
}

/// Promise: who says nothing is let go in time, who does not speak TLS at once; both are counted.
#[test]
fn a_handshake_ends() {
    let (origin, authority) = (RawOrigin::answering(OK), Authority::new());
    let config = config(&origin, ONE, "").section("[timeouts]\nhandshake = \"100ms\"");
    let weir = start(&config, &authority.issue(&["app.test"]));
    let mut silent = TcpStream::connect(secure(&weir)).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(silent.read(&mut [0; 16]).unwrap(), 0);
    let mut plain = TcpStream::connect(secure(&weir)).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(GET.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // The socket may be reset: what was sent is not read to its end.
    let _ = plain.read_to_end(&mut answer);
    assert_eq!(answer.first(), Some(&21), "an alert (RFC 8446 §5.1): {answer:?}");
    weir.await_metric("weir_timeouts_total", &[("timeout", "handshake")], 1);
    weir.await_metric("weir_protocol_faults_total", &[("fault", "tls_handshake")], 1);
    weir.await_metric("weir_connections_open", &[], 0);
}

/// Promise: with `redirect` the plain listener sends everyone to the same place by TLS, with method and body kept; but
/// not those whom a trusted proxy speaks for, which may have come by TLS.
#[test]
fn plain_requests_are_redirected() {
    let (origin, authority) = (RawOrigin::answering(OK), Authority::new());
    let config = config(&origin, ONE, "redirect = true").listen("trusted_proxies = \"127.0.0.9\"");
    let weir = start(&config, &authority.issue(&["app.test"]));
    let mut client = weir.connect();
    let answer = client.exchange("POST /a?b=%20 HTTP/1.1\r\nHost: App.test:80\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(answer.status(), 308);
    let port = secure(&weir).port();
    let location = format!("https://app.test:{port}/a?b=%20");
    assert_eq!(answer.field("location"), Some(location));
    origin.expect_no_request();
    let mut trusted = RawClient::connect_from("127.0.0.9", weir.addr());
    assert_eq!(trusted.exchange(GET).status(), 200);
    assert_eq!(
        weir.metrics().count("weir_requests_total", &[("decision", "redirected"), ("class", "3xx")]),
        1
    );
}

/// Promise: curl, which has a TLS of its own, is served.
#[test]
fn curl_is_served() {
    let Some(curl) = Tool::find("curl") else { return };
    let (origin, authority) = (RawOrigin::answering(OK), Authority::new());
    let weir = start(&config(&origin, ONE, ""), &authority.issue(&["app.test"]));
    weir.write_beside("ca.pem", &authority.pem());
    let (port, ca) = (secure(&weir).port(), weir.dir().join("ca.pem"));
    for version in ["--tlsv1.2", "--tlsv1.3"] {
        let output = curl.run(&[
            "-sS",
            version,
            "--cacert",
            ca.to_str().unwrap(),
            "--resolve",
            &format!("app.test:{port}:127.0.0.1"),
            &format!("https://app.test:{port}/"),
        ]);
        assert_eq!(output.stdout, b"ok");
    }
}
