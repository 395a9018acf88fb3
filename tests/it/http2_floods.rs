//! Attacks by HTTP/2 frames, written one by one: each ends its connection with ENHANCE_YOUR_CALM within bounded work, is
//! counted, and leaves everybody else served.

use std::sync::Arc;

use tokio_rustls::rustls::ClientConfig;

use crate::harness::frames::{
    ACK, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, FrameClient, PROTOCOL_ERROR, block, frame, get, kind,
    string,
};
use crate::harness::{Authority, Config, Launch, RawOrigin, V13, Weir, echo, eventually};

/// The frame that makes a request end before its answer.
type Second = fn(u32) -> Vec<u8>;

struct Site {
    weir: Weir,
    client: Arc<ClientConfig>,
}

impl Site {
    fn start(config: Config) -> Self {
        let authority = Authority::new();
        let (cert, key) = authority.issue(&["app.test"]);
        let config = config
            .proxies("[{ address = \"127.0.0.1:0\", tls = true }]")
            .section("[tls]\ncertificates = { cert = \"cert.pem\", key = \"key.pem\" }");
        let weir = Launch::new(&config).beside("cert.pem", &cert).beside("key.pem", &key).start();
        Site { weir, client: authority.client(V13, b"h2") }
    }

    fn connect(&self, settings: &[(u16, u32)]) -> FrameClient {
        FrameClient::connect(&self.client, self.weir.addr(), settings)
    }

    /// Sends a beginning, and then the same again and again, far more than anybody may; what weir says to that.
    fn flood(&self, beginning: &[u8], again: &[u8]) -> Option<u32> {
        let mut client = self.connect(&[]);
        if client.send(beginning).is_ok() {
            // Of a client that goes on for over 1 MiB weir does not see to it that it learns why.
            let again = again.repeat(100);
            client.send_until_closed(&again, 50.min(1_000_000 / again.len()));
        }
        client.goaway()
    }

    /// So many requests with the same head; what weir says to that.
    fn heads(&self, head: &[u8], count: usize) -> Option<u32> {
        let mut client = self.connect(&[]);
        for stream in (1..).step_by(2).take(count) {
            if client.send(&frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, head)).is_err() {
                break;
            }
        }
        client.goaway()
    }

    /// Floods were counted, the last one too, and who comes now is served.
    #[track_caller]
    fn expect_calm(&self, count: u64) {
        self.weir.await_metric("weir_protocol_faults_total", &[("fault", "http2-calm")], count);
        let mut client = self.connect(&[]);
        client.send(&get(1, "/")).unwrap();
        assert!(client.read_until_end_of(1), "the next one is served");
    }
}

fn post(stream: u32) -> Vec<u8> {
    let fields = [(":method", "POST"), (":scheme", "https"), (":authority", "app.test"), (":path", "/")];
    frame(kind::HEADERS, END_HEADERS, stream, &block(&fields))
}

/// Promise: frames that bring nothing forward have an end: SETTINGS (CVE-2019-9515), PING (CVE-2019-9512), PRIORITY
/// (CVE-2019-9513), empty DATA (CVE-2019-9518), WINDOW_UPDATE, acknowledgements of nothing, types that nobody knows.
#[test]
fn control_frames_have_an_end() {
    let origin = RawOrigin::scripted(echo);
    let site = Site::start(Config::to(&origin));
    let floods = [
        ("SETTINGS", vec![], frame(kind::SETTINGS, 0, 0, &[])),
        ("SETTINGS that change something", vec![], frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 1, 0])),
        ("PING", vec![], frame(kind::PING, 0, 0, &[0; 8])),
        ("PING, acknowledged unasked", vec![], frame(kind::PING, ACK, 0, &[0; 8])),
        ("PRIORITY", vec![], frame(kind::PRIORITY, 0, 5, &[0, 0, 0, 3, 1])),
        ("WINDOW_UPDATE", vec![], frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("an unknown type", vec![], frame(0x42, 0, 0, b"x")),
        ("empty DATA", post(1), frame(kind::DATA, 0, 1, &[])),
    ];
    for (count, (what, beginning, again)) in (1..).zip(floods) {
        assert_eq!(site.flood(&beginning, &again), Some(ENHANCE_YOUR_CALM), "{what}");
        site.expect_calm(count);
    }
}

/// Promise: a head that never ends does (CVE-2024-27316), whether its pieces are empty, small or large.
#[test]
fn heads_have_an_end() {
    let origin = RawOrigin::scripted(echo);
    let site = Site::start(Config::to(&origin));
    let fields =
        block(&[(":method", "GET"), (":scheme", "https"), (":authority", "app.test"), (":path", "/")]);
    let beginning = frame(kind::HEADERS, END_STREAM, 1, &fields);
    let large = block(&[("x", &"y".repeat(8000))]);
    for (count, piece) in (1..).zip([&[][..], &block(&[("x", "y")]), &large]) {
        let again = frame(kind::CONTINUATION, 0, 1, piece);
        assert_eq!(site.flood(&beginning, &again), Some(ENHANCE_YOUR_CALM), "{} octets", piece.len());
        site.expect_calm(count);
    }
}

/// Promise: heads of a few kilobytes that stand for megabytes (an HPACK bomb) are not forwarded, and have an end; so do
/// fields without a name or a value, which cost nothing to write.
#[test]
fn compressed_heads_have_an_end() {
    let origin = RawOrigin::scripted(echo);
    let site = Site::start(Config::to(&origin));
    let mut bomb =
        block(&[(":method", "GET"), (":scheme", "https"), (":authority", "app.test"), (":path", "/")]);
    // A literal that goes into the table (RFC 7541 §6.2.1), and 12,000 references to it: index 62 is the newest entry.
    bomb.push(0x40);
    string(&mut bomb, "x");
    string(&mut bomb, &"y".repeat(3900));
    bomb.resize(bomb.len() + 12_000, 0x80 + 62);
    let bombed = site.heads(&bomb, 60);
    assert_eq!(bombed, Some(ENHANCE_YOUR_CALM));
    origin.expect_no_request();
    site.expect_calm(1);
    // h2 ends a connection at the first name that is empty.
    assert_eq!(site.heads(&block(&[("", "")].repeat(4000)), 60), Some(PROTOCOL_ERROR));
    site.weir.await_metric("weir_protocol_faults_total", &[("fault", "http2-protocol")], 1);
    let mut values =
        block(&[(":method", "GET"), (":scheme", "https"), (":authority", "app.test"), (":path", "/")]);
    values.extend(block(&[("x", "")].repeat(4000)));
    assert_eq!(site.heads(&values, 60), Some(ENHANCE_YOUR_CALM));
    site.expect_calm(2);
}

/// Promise: requests that are given up as soon as they are sent have an end: by the client's own reset (CVE-2023-44487),
/// and by whatever makes weir reset them (CVE-2025-8671).
#[test]
fn resets_have_an_end() {
    let origin = RawOrigin::answering_when_told();
    let site = Site::start(Config::to(&origin));
    let ways: [(&str, Second); 4] = [
        ("RST_STREAM", |stream| frame(kind::RST_STREAM, 0, stream, &[0, 0, 0, 8])),
        ("DATA after the end", |stream| frame(kind::DATA, END_STREAM, stream, b"x")),
        ("HEADERS after the end", |stream| get(stream, "/")),
        ("a window that overflows", |stream| {
            frame(kind::WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff])
        }),
    ];
    for (what, second) in ways {
        let counted = || site.weir.metrics().count("weir_protocol_faults_total", &[]);
        let before = counted();
        let mut client = site.connect(&[]);
        for stream in (1..).step_by(2).take(2000) {
            if client.send(&[get(stream, "/"), second(stream)].concat()).is_err() {
                break;
            }
        }
        // h2 takes some of these for errors of the whole connection, which is an end as well.
        assert!(client.goaway().is_some_and(|code| code > 0), "{what}");
        eventually("it is counted", || (counted() > before).then_some(()));
    }
    site.weir.await_metric("weir_requests_in_flight", &[], 0);
}

/// Promise: a client that lets weir send an octet at a time, or none, is let go: by `body_progress` where it is silent,
/// and by its frames where it asks for every octet.
#[test]
fn tiny_windows_have_an_end() {
    let origin = RawOrigin::scripted(|conn| {
        while conn.read_request().is_some() {
            conn.answer("x".repeat(100_000));
        }
    });
    let site = Site::start(Config::to(&origin).section("[timeouts]\nbody_progress = \"400ms\""));
    let mut silent = site.connect(&[(4, 1)]);
    silent.send(&get(1, "/")).unwrap();
    assert_eq!(silent.goaway(), Some(ENHANCE_YOUR_CALM));
    site.weir.await_metric("weir_timeouts_total", &[("timeout", "body_progress")], 1);

    let mut greedy = site.connect(&[(4, 1)]);
    greedy.send(&get(1, "/")).unwrap();
    greedy.send_until_closed(&frame(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]).repeat(100), 50);
    assert_eq!(greedy.goaway(), Some(ENHANCE_YOUR_CALM));
    site.weir.await_metric("weir_protocol_faults_total", &[("fault", "http2-calm")], 1);
    site.weir.await_metric("weir_requests_in_flight", &[], 0);
}

/// Promise: a head that does not come whole within `head_read` ends its connection, as it does by HTTP/1.1.
#[test]
fn slow_heads_have_an_end() {
    let origin = RawOrigin::scripted(echo);
    let site = Site::start(Config::to(&origin).section("[timeouts]\nhead_read = \"200ms\""));
    let fields = block(&[(":method", "GET")]);
    let begun = frame(kind::HEADERS, END_STREAM, 1, &fields);
    let cut = get(1, "/");
    for (count, part) in (1..).zip([&begun[..], &cut[..cut.len() - 3]]) {
        let mut client = site.connect(&[]);
        client.send(part).unwrap();
        assert_eq!(client.goaway(), Some(ENHANCE_YOUR_CALM));
        site.weir.await_metric("weir_timeouts_total", &[("timeout", "head_read")], count);
    }
    origin.expect_no_request();
}

/// Promise: who floods again and again is found for it, with the number, under the clause on denial of service.
#[test]
fn floods_are_evidence() {
    let origin = RawOrigin::scripted(echo);
    let site = Site::start(Config::to(&origin).section("[detectors.protocol]\nfloods = 2"));
    let ping = frame(kind::PING, 0, 0, &[0; 8]);
    for _ in 0..2 {
        assert_eq!(site.flood(&[], &ping), Some(ENHANCE_YOUR_CALM));
    }
    let finding = eventually("a finding", || {
        let found = site.weir.admin_get("/api/v1/findings").json();
        found["findings"].get(0).cloned()
    });
    let evidence = &finding["evidence"][0];
    assert_eq!(
        (&finding["behaviour"], &finding["rule"], &finding["clause"]),
        (&"protocol".into(), &"floods".into(), &"dos".into()),
        "{finding}"
    );
    assert_eq!((&evidence["value"], &evidence["threshold"]), (&2.into(), &2.into()), "{finding}");
}

/// Promise: a client that is lively, and no more, is left alone: a thousand PINGs and as many priorities between a
/// hundred requests on one connection.
#[test]
fn lively_clients_are_served() {
    let origin = RawOrigin::scripted(echo);
    let site = Site::start(Config::to(&origin));
    let mut client = site.connect(&[]);
    for stream in (1..).step_by(2).take(100) {
        let ping = frame(kind::PING, 0, 0, &[0; 8]).repeat(10);
        let priority = frame(kind::PRIORITY, 0, stream, &[0, 0, 0, 0, 1]).repeat(10);
        client.send(&[ping, priority, get(stream, "/")].concat()).unwrap();
        assert!(client.read_until_end_of(stream), "request {stream}");
    }
    assert_eq!(site.weir.metrics().count("weir_protocol_faults_total", &[]), 0);
}
