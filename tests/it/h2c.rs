//! HTTP/2 in clear, with prior knowledge (RFC 9113 §3.3), on listeners that take it.

use crate::harness::frames::{self, ENHANCE_YOUR_CALM, frame, kind};
use crate::harness::http2_origin::{send, status};
use crate::harness::{Config, Http2Client, Http2Exchange, Http2Origin, RawOrigin, Tool, Weir, echo};

const TAKES_IT: &str = "[{ address = \"127.0.0.1:0\", h2c = true }]";
static BODY: [u8; 300_000] = [b'x'; 300_000];
const GET: &str = "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n";

/// Promise: one listener serves both protocols, each as it begins, with the same log, limits and fields to the app.
#[test]
fn both_protocols_share_a_listener() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin).proxies(TAKES_IT).limit("few", "3/h"));
    let mut client = Http2Client::connect(weir.addr());
    let answer = client.get("/a?b=c");
    assert_eq!(answer.head.status(), 200);
    let seen = origin.next_request();
    assert_eq!(seen.start_line(), "GET /a?b=c HTTP/1.1");
    assert_eq!(seen.field("host").as_deref(), Some("app.test"));
    assert_eq!(seen.field("x-forwarded-proto").as_deref(), Some("http"));
    assert_eq!(seen.field("via").as_deref(), Some("2 weir"));
    assert_eq!(weir.get("/").status(), 200);
    assert_eq!(client.get("/").head.status(), 200);
    // The limit is the client's, whatever it speaks.
    assert_eq!(weir.get("/").status(), 429);
    assert_eq!(client.get("/").head.status(), 429);
}

/// Promise: requests pass from HTTP/2 to HTTP/2, with their bodies, and answers with trailers that nobody announced.
#[test]
fn from_h2c_to_h2c() {
    let origin = Http2Origin::serving(|mut exchange: Http2Exchange| async move {
        let (body, _) = exchange.read().await?;
        let mut stream = exchange.respond.send_response(status(200), false)?;
        send(&mut stream, body.into()).await?;
        let trailers =
            [("grpc-status", "0"), ("host", "b")].map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()));
        stream.send_trailers(trailers.into_iter().collect())
    });
    let config = Config::to_servers(&[origin.address()]).upstream("protocol = \"h2\"").proxies(TAKES_IT);
    let weir = Weir::start(&config);
    let mut client = Http2Client::connect(weir.addr());
    let request = http::Request::post("http://app.test/").body(()).unwrap();
    let answer = client.exchange(request, &BODY);
    assert_eq!(answer.body, BODY);
    let trailers = answer.trailers.unwrap();
    assert_eq!((trailers.len(), trailers["grpc-status"].as_bytes()), (1, &b"0"[..]));
}

/// Promise: it is recognised however the preface comes, and only at the very beginning of a connection; without `h2c`,
/// it is a version that is not spoken.
#[test]
fn only_where_and_when_it_may_be() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin).proxies(TAKES_IT));
    let mut client = weir.connect();
    for octet in frames::PREFACE {
        client.send([*octet]);
    }
    client.send(frames::settings(&[]));
    assert_eq!(client.read_exactly(9)[3], kind::SETTINGS);

    let mut client = weir.connect();
    assert_eq!(client.exchange(GET).status(), 200);
    assert_eq!(client.exchange(frames::PREFACE).status(), 505);
    let mut client = weir.connect();
    assert_eq!(client.exchange("PRI * HTTP/2.0\r\nHost: app.test\r\n\r\n").status(), 505);

    let plain = Weir::start(&Config::to(&origin));
    assert_eq!(plain.connect().exchange(frames::PREFACE).status(), 505);
}

/// Promise: frames are held to the same budget as by TLS.
#[test]
fn floods_end() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin).proxies(TAKES_IT));
    let mut client = weir.connect();
    client.send([frames::PREFACE, &frames::settings(&[])].concat());
    // Pings that nobody reads the answers of would fill both sockets.
    let pings = frame(kind::PING, frames::ACK, 0, &[0; 8]).repeat(5000);
    drop(client.try_send(pings));
    let said = client.try_read_to_end().unwrap_or_default();
    let goaway = frame(kind::GOAWAY, 0, 0, &[[0; 4], ENHANCE_YOUR_CALM.to_be_bytes()].concat());
    assert!(said.ends_with(&goaway), "{said:?}");
    weir.await_metric("weir_protocol_faults_total", &[("fault", "http2-calm")], 1);
}

/// Promise: curl and h2load, with HTTP/2 of their own, are served, and no request of a few thousand fails; nor on the way
/// to a server that speaks it.
#[test]
fn other_peoples_clients_are_served() {
    let origin = Http2Origin::serving(|exchange: Http2Exchange| exchange.answer("ok"));
    let config = Config::to_servers(&[origin.address()]).upstream("protocol = \"h2\"").proxies(TAKES_IT);
    let weir = Weir::start(&config);
    let url = format!("http://{}/", weir.addr());
    if let Some(curl) = Tool::find("curl") {
        let output = curl.run(&["-sS", "--http2-prior-knowledge", "-w", " %{http_version}", &url]);
        assert_eq!(output.stdout, b"ok 2");
    }
    if let Some(h2load) = Tool::find("h2load") {
        let output = h2load.run(&["-n", "3000", "-c", "4", "-m", "20", &url]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("3000 succeeded, 0 failed, 0 errored"), "{said}");
        assert!(origin.connections() <= 3, "{}", origin.connections());
    }
}
