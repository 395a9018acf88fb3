//! HTTP/2 towards clients: the real binary, with h2, curl and h2load as its peers.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use h2::{Reason, RecvStream};
use http::{Request, StatusCode};
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version;

use crate::harness::{Authority, Config, Launch, PATIENCE, RawOrigin, Tool, Weir, echo};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

struct Site {
    weir: Weir,
    authority: Authority,
    runtime: Runtime,
}

/// A connection, and how it ends.
struct Connection {
    send: SendRequest<Bytes>,
    ended: JoinHandle<Result<(), h2::Error>>,
}

impl Site {
    fn start(config: Config) -> Self {
        let authority = Authority::new();
        let (cert, key) = authority.issue(&["app.test"]);
        let config = config
            .proxies("[{ address = \"127.0.0.1:0\", tls = true }]")
            .section("[tls]\ncertificates = { cert = \"cert.pem\", key = \"key.pem\" }");
        let weir = Launch::new(&config).beside("cert.pem", &cert).beside("key.pem", &key).start();
        weir.write_beside("ca.pem", &authority.pem());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Site { weir, authority, runtime }
    }

    fn address(&self) -> SocketAddr {
        self.weir.addr()
    }

    /// `window`: what weir may send of each response before the client takes it.
    async fn connect(&self, window: u32) -> Connection {
        let config = self.authority.client(&[&version::TLS13], b"h2");
        let socket = TcpStream::connect(self.address()).await.unwrap();
        let name = ServerName::try_from("app.test").unwrap();
        let stream = TlsConnector::from(config).connect(name, socket).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut builder = client::Builder::new();
        builder.initial_window_size(window).max_concurrent_reset_streams(2000);
        let (send, connection) = builder.handshake(stream).await.unwrap();
        Connection { send, ended: tokio::spawn(connection) }
    }
}

fn get(path: &str) -> Request<()> {
    Request::get(format!("https://app.test{path}")).body(()).unwrap()
}

impl Connection {
    /// Sends a request without a body and reads the whole answer.
    async fn exchange(&mut self, request: Request<()>) -> (StatusCode, Vec<u8>) {
        poll_fn(|cx| self.send.poll_ready(cx)).await.unwrap();
        let (response, _) = self.send.send_request(request, true).unwrap();
        let (head, body) = timeout(PATIENCE, response).await.unwrap().unwrap().into_parts();
        (head.status, read(body).await)
    }

    /// How the connection ends: by weir's will, for a reason.
    async fn end(self) -> Option<Reason> {
        let Connection { send, ended } = self;
        let ended = timeout(PATIENCE, ended).await.expect("the connection ends").unwrap();
        drop(send);
        ended.err().and_then(|error| error.reason())
    }
}

async fn read(mut body: RecvStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(piece) = timeout(PATIENCE, body.data()).await.unwrap() {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        bytes.extend_from_slice(&piece);
    }
    bytes
}

const WINDOW: u32 = 65_535;

/// Promise: requests share a connection and do not wait for each other; what the app sees is one HTTP/1.1 request each,
/// with a Host, one Cookie and a Via that tells of HTTP/2.
#[test]
fn many_requests_share_a_connection() {
    let origin = RawOrigin::answering_when_told();
    let site = Site::start(Config::to(&origin));
    site.runtime.block_on(async {
        let mut connection = site.connect(WINDOW).await;
        let mut waiting = Vec::new();
        for n in 0..20 {
            poll_fn(|cx| connection.send.poll_ready(cx)).await.unwrap();
            let mut request = get(&format!("/{n}"));
            let fields = request.headers_mut();
            fields.append("cookie", "a=1".parse().unwrap());
            fields.append("cookie", "b=2".parse().unwrap());
            waiting.push(connection.send.send_request(request, true).unwrap().0);
        }
        // Driven here: all of them are at the app before the first is answered.
        let arrived = tokio::task::spawn_blocking(move || {
            let requests: Vec<_> = (0..20).map(|_| origin.next_request()).collect();
            (0..20).for_each(|_| origin.tell());
            requests
        });
        let requests = arrived.await.unwrap();
        for request in &requests {
            assert_eq!(request.field("host").as_deref(), Some("app.test"));
            assert_eq!(request.field("cookie").as_deref(), Some("a=1; b=2"));
            assert_eq!(request.field("via").as_deref(), Some("2 weir"));
            assert_eq!(request.field("x-forwarded-proto").as_deref(), Some("https"));
        }
        for response in waiting {
            let response = timeout(PATIENCE, response).await.unwrap().unwrap();
            assert_eq!(response.status(), 200);
            assert!(response.headers().get("connection").is_none());
        }
    });
}

/// Promise: bodies go both ways whole, larger than any window, byte for byte.
#[test]
fn bodies_pass_both_ways() {
    let origin = RawOrigin::scripted(echo);
    let site = Site::start(Config::to(&origin));
    site.runtime.block_on(async {
        let mut connection = site.connect(WINDOW).await;
        let sent: Vec<u8> = (0..1_000_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        poll_fn(|cx| connection.send.poll_ready(cx)).await.unwrap();
        let request = Request::post("https://app.test/").body(()).unwrap();
        let (response, mut body) = connection.send.send_request(request, false).unwrap();
        let upload = sent.clone();
        let sending = tokio::spawn(async move {
            let mut rest = Bytes::from(upload);
            while !rest.is_empty() {
                body.reserve_capacity(rest.len());
                let room = poll_fn(|cx| body.poll_capacity(cx)).await.unwrap().unwrap();
                let piece = rest.split_to(room.min(rest.len()));
                let last = rest.is_empty();
                body.send_data(piece, last).unwrap();
            }
        });
        let response = timeout(PATIENCE, response).await.unwrap().unwrap();
        assert_eq!(response.status(), 200);
        let came = read(response.into_body()).await;
        assert!(came.ends_with(&sent), "what comes back is the head that the app saw, and what was sent");
        sending.await.unwrap();
    });
}

/// Promise: limits and paths are the same over HTTP/2; what has two readings is refused and the connection goes on.
#[test]
fn the_same_rules_hold() {
    let origin = RawOrigin::answering(OK);
    let site = Site::start(Config::to(&origin).limit("per-client", "2/h"));
    site.runtime.block_on(async {
        let mut connection = site.connect(WINDOW).await;
        let mut two_hosts = get("/");
        two_hosts.headers_mut().insert("host", "other.test".parse().unwrap());
        assert_eq!(connection.exchange(two_hosts).await.0, 400);
        origin.expect_no_request();
        for _ in 0..2 {
            assert_eq!(connection.exchange(get("/")).await, (StatusCode::OK, b"ok".to_vec()));
        }
        let (status, body) = connection.exchange(get("/")).await;
        assert_eq!(status, 429);
        assert!(String::from_utf8(body).unwrap().contains("\"violated-policies\":[\"per-client\"]"));
    });
    site.weir.await_metric("weir_protocol_faults_total", &[("fault", "host-mismatch")], 1);
}

/// Promise: a client that resets its requests as fast as it sends them (CVE-2023-44487) loses its connection, which is
/// counted; others are served.
#[test]
fn a_rapid_reset_ends_the_connection() {
    let origin = RawOrigin::answering(OK);
    let site = Site::start(Config::to(&origin));
    site.runtime.block_on(async {
        let mut connection = site.connect(WINDOW).await;
        for _ in 0..1000 {
            if poll_fn(|cx| connection.send.poll_ready(cx)).await.is_err() {
                break;
            }
            let Ok((_, mut stream)) = connection.send.send_request(get("/"), true) else { break };
            // Let the request leave first: h2 sends nothing of what is reset before.
            tokio::task::yield_now().await;
            stream.send_reset(Reason::CANCEL);
        }
        connection.end().await;
        assert_eq!(site.connect(WINDOW).await.exchange(get("/")).await.0, 200);
    });
    site.weir.await_metric("weir_protocol_faults_total", &[("fault", "http2-calm")], 1);
}

/// Promise: a client that takes nothing of a response is let go after `body_progress`, though its connection is silent
/// and well.
#[test]
fn a_stalled_reader_is_let_go() {
    let origin = RawOrigin::scripted(|conn| {
        if conn.read_request().is_some() {
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n");
            conn.send_pattern_until_gone();
        }
    });
    let site = Site::start(Config::to(&origin).section("[timeouts]\nbody_progress = \"200ms\""));
    site.runtime.block_on(async {
        let mut connection = site.connect(WINDOW).await;
        poll_fn(|cx| connection.send.poll_ready(cx)).await.unwrap();
        let (response, _) = connection.send.send_request(get("/"), true).unwrap();
        let response = timeout(PATIENCE, response).await.unwrap().unwrap();
        // The body is kept, and nothing of it is ever taken.
        connection.end().await;
        drop(response);
    });
    site.weir.await_metric("weir_timeouts_total", &[("timeout", "body_progress")], 1);
    site.weir.await_metric("weir_requests_in_flight", &[], 0);
}

/// Promise: an upload that stops moving is answered 408, and the connection goes on.
#[test]
fn a_stalled_upload_is_answered() {
    let origin = RawOrigin::answering(OK);
    let site = Site::start(Config::to(&origin).section("[timeouts]\nbody_progress = \"200ms\""));
    site.runtime.block_on(async {
        let mut connection = site.connect(WINDOW).await;
        poll_fn(|cx| connection.send.poll_ready(cx)).await.unwrap();
        let request = Request::post("https://app.test/").body(()).unwrap();
        let (response, body) = connection.send.send_request(request, false).unwrap();
        let response = timeout(PATIENCE, response).await.unwrap().unwrap();
        assert_eq!(response.status(), 408);
        drop(body);
        assert_eq!(connection.exchange(get("/")).await.0, 200);
    });
}

/// Promise: a connection without a request is closed after `idle`, in order.
#[test]
fn an_idle_connection_is_closed() {
    let origin = RawOrigin::answering(OK);
    let site = Site::start(Config::to(&origin).section("[timeouts]\nidle = \"200ms\""));
    site.runtime.block_on(async {
        let mut connection = site.connect(WINDOW).await;
        assert_eq!(connection.exchange(get("/")).await.0, 200);
        assert_eq!(connection.end().await, None, "no error");
    });
    site.weir.await_metric("weir_timeouts_total", &[("timeout", "idle")], 1);
    site.weir.await_metric("weir_connections_open", &[], 0);
}

/// Promise: a stop lets what was begun end, and the connection with it.
#[test]
fn a_stop_fails_no_request() {
    let origin = RawOrigin::answering_when_told();
    let mut site = Site::start(Config::to(&origin));
    site.runtime.block_on(async {
        let mut connection = site.connect(WINDOW).await;
        poll_fn(|cx| connection.send.poll_ready(cx)).await.unwrap();
        let (response, _) = connection.send.send_request(get("/"), true).unwrap();
        let told = tokio::task::spawn_blocking(move || {
            origin.next_request();
            origin
        });
        let origin = told.await.unwrap();
        site.weir.signal(Signal::TERM);
        site.weir.await_log("stopping");
        origin.tell();
        let response = timeout(PATIENCE, response).await.unwrap().unwrap();
        assert_eq!(response.status(), 200);
        read(response.into_body()).await;
        assert_eq!(connection.end().await, None);
    });
    assert!(site.weir.wait_exit().success());
}

/// Promise: curl and h2load, with HTTP/2 of their own, are served.
#[test]
fn other_peoples_clients_are_served() {
    let origin = RawOrigin::answering(OK);
    let site = Site::start(Config::to(&origin));
    let port = site.address().port();
    if let Some(curl) = Tool::find("curl") {
        let ca = site.weir.dir().join("ca.pem");
        let output = curl.run(&[
            "-sS",
            "--http2",
            "--cacert",
            ca.to_str().unwrap(),
            "--resolve",
            &format!("app.test:{port}:127.0.0.1"),
            "-w",
            " %{http_version}",
            &format!("https://app.test:{port}/"),
        ]);
        assert_eq!(output.stdout, b"ok 2");
    }
    if let Some(h2load) = Tool::find("h2load") {
        let output = h2load.run(&["-n", "500", "-c", "4", "-m", "10", &format!("https://127.0.0.1:{port}/")]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("500 succeeded, 0 failed, 0 errored"), "{said}");
    }
}

/// Promise: whoever wants HTTP/1.1 alone says so.
#[test]
fn it_can_be_switched_off() {
    let origin = RawOrigin::answering(OK);
    let authority = Authority::new();
    let (cert, key) = authority.issue(&["app.test"]);
    let config = Config::to(&origin)
        .proxies("[{ address = \"127.0.0.1:0\", tls = true }]")
        .section("[tls]\ncertificates = { cert = \"cert.pem\", key = \"key.pem\" }\nhttp2 = false");
    let weir = Launch::new(&config).beside("cert.pem", &cert).beside("key.pem", &key).start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let socket = TcpStream::connect(weir.addr()).await.unwrap();
        let config = authority.client(&[&version::TLS13], b"h2");
        let name = ServerName::try_from("app.test").unwrap();
        let refused =
            timeout(Duration::from_secs(10), TlsConnector::from(config).connect(name, socket)).await;
        let error = refused.unwrap().unwrap_err().to_string();
        assert!(error.contains("NoApplicationProtocol") || error.contains("no application"), "{error}");
    });
}
