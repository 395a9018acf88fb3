//! The published ways to make two servers disagree on where a request ends, with weir as the one and nginx, HAProxy, Node
//! and Python as the other: the app reads exactly the requests that weir forwards, and none that weir did not count.
//!
//! Every attempt hides a request for `/N/hidden`, asks for `/N/outer`, and goes on with `/N/end`. Whether weir refuses an
//! attempt or takes it in one reading is for `one_reading`; here it is all the same, as long as the other side agrees.

use std::collections::BTreeSet;

use crate::harness::frames::{self, END_HEADERS, END_STREAM, FrameClient, block, frame, kind};
use crate::harness::{App, Authority, Config, Kind, Launch, RawClient, V13, Weir, eventually};

/// What stands for the hidden request, and for a number of its length.
const HIDDEN: &str = "GET /$N/hidden HTTP/1.1\r\nHost: a\r\n\r\n";

/// How an attempt announces its body in two ways. Each stands after `Content-Length: $L`, before it and alone.
const CODINGS: &[&str] = &[
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding:chunked",
    "Transfer-Encoding: Chunked",
    "Transfer-Encoding: chunked ",
    "Transfer-Encoding: \tchunked\t",
    "Transfer-Encoding:\u{b}chunked",
    "Transfer-Encoding: \u{c}chunked",
    "Transfer-Encoding: chunked\u{b}",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: 'chunked'",
    "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: ,chunked",
    "Transfer-Encoding: chunked,",
    "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    "Transfer-Encoding: chunked\r\nTransfer-encoding: identity",
    "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding\r\n: chunked",
    "X: y\r\n Transfer-Encoding: chunked",
    "X: y\nTransfer-Encoding: chunked",
    "X: y\rTransfer-Encoding: chunked",
    "\u{0}Transfer-Encoding: chunked",
    "Transfer\u{0}-Encoding: chunked",
    " Transfer-Encoding: chunked",
    "Transfer_Encoding: chunked",
    "Transfer Encoding: chunked",
    "Transfer-Encoding: chun\u{212a}ed",
    "tRANSFER-ENCODING: chunked",
    "Transfer-Encoding: cow",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding",
    "Transfer-Encoding:",
    "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
    "TE: chunked\r\nTransfer-Encoding: chunked",
];

/// Announcements of a body that is the hidden request, `$L` octets long, which some servers do not see (CL.0, 0.CL).
const LENGTHS: &[&str] = &[
    "Content-Length: $L",
    "Content-Length: $L\r\nContent-Length: 0",
    "Content-Length: 0\r\nContent-Length: $L",
    "Content-Length: $L, $L",
    "Content-Length: 0, $L",
    "Content-Length: +$L",
    "Content-Length: -$L",
    "Content-Length: 0$L",
    "Content-Length: $L.0",
    "Content-Length: $L ",
    "Content-Length: \u{b}$L",
    "Content-Length: 0x$L",
    "Content-Length: $L;",
    "Content-Length: \"$L\"",
    "Content-Length: 1e1",
    "Content-Length: 4_0",
    "Content-Length: 18446744073709551616",
    "Content-Length : $L",
    "Content-Length\u{b}: $L",
    " Content-Length: $L",
    "Content_Length: $L",
    "Content-Length:\r\n $L",
    "X: y\r\n Content-Length: $L",
    "X: y\nContent-Length: $L",
    "X: y\rContent-Length: $L",
    "X: y\0Content-Length: $L",
    "Connection: Content-Length\r\nContent-Length: $L",
    "Connection: close, Content-Length\r\nContent-Length: $L",
    "Expect: 100-continue\r\nContent-Length: $L",
    "Expect: 100-Continue\r\nContent-Length: $L",
    "Expect: y 100-continue\r\nContent-Length: $L",
    "Expect: 100-continue, y\r\nContent-Length: $L",
    "Expect:\r\n 100-continue\r\nContent-Length: $L",
    "Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: $L",
    "Expect: 200-ok\r\nContent-Length: $L",
    "Content-Length: $L\r\nUpgrade: websocket\r\nConnection: Upgrade",
    "Content-Length: $L\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk",
    "Content-Length: $L\r\nX-HTTP-Method-Override: GET",
    "Content-Encoding: gzip\r\nContent-Length: $L",
];

/// Chunked bodies that servers measure differently: extensions, terminators, sizes, trailers. `$H` is the hidden request,
/// `$X` its length in hexadecimal digits.
const CHUNKED: &[&str] = &[
    "0\r\n\r\n",
    "$X\r\n$H\r\n0\r\n\r\n",
    "$X \r\n$H\r\n0\r\n\r\n",
    "$X\t\r\n$H\r\n0\r\n\r\n",
    " $X\r\n$H\r\n0\r\n\r\n",
    "$X;a=b\r\n$H\r\n0\r\n\r\n",
    "$X;\r\n$H\r\n0\r\n\r\n",
    "$X;a=\"\r\n\"\r\n$H\r\n0\r\n\r\n",
    "$X;a\n$H\r\n0\r\n\r\n",
    "$X;a\r$H\r\n0\r\n\r\n",
    "$X\n$H\r\n0\r\n\r\n",
    "$X\r$H\r\n0\r\n\r\n",
    "$X\r\n$H\n0\r\n\r\n",
    "$X\r\n$H0\r\n\r\n",
    "$X\r\n$HXX0\r\n\r\n",
    "$X\r\n$H\r\n0\n\n",
    "$X\r\n$H\r\n0\r\n\n",
    "2\r\nxx\r\n$X;\n\r\n$H\r\n0\r\n\r\n",
    "2;\nxx\r\n$X\r\n$H\r\n0\r\n\r\n",
    "5\r\n0\r\n\r\n\r\n$H0\r\n\r\n",
    "000000000000000000000$X\r\n$H\r\n0\r\n\r\n",
    "10000000000000000\r\n$H\r\n0\r\n\r\n",
    "100000000000000$X\r\n$H\r\n0\r\n\r\n",
    "ffffffffffffffff\r\n$H\r\n0\r\n\r\n",
    "0x$X\r\n$H\r\n0\r\n\r\n",
    "+$X\r\n$H\r\n0\r\n\r\n",
    "-1\r\n$H\r\n0\r\n\r\n",
    "$X,\r\n$H\r\n0\r\n\r\n",
    "\r\n$X\r\n$H\r\n0\r\n\r\n",
    "00\r\n\r\n",
    "0;a=b\r\n\r\n",
    "0 \r\n\r\n",
    "0\r\nX: y\r\n\r\n",
    "0\r\nContent-Length: 40\r\n\r\n",
    "0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "0\r\nHost: b\r\nConnection: close\r\n\r\n",
    "0\r\nX: y\n\n",
    "0\r\n X: y\r\n\r\n",
    "0\r\nX\r\n\r\n",
    "0\r\n: y\r\n\r\n",
    "0\r\nX: y\0z\r\n\r\n",
    "0\r\nGET /$N/hidden HTTP/1.1\r\nHost: a\r\n\r\n",
    "0\r\nX: y\r\rGET /$N/hidden HTTP/1.1\r\nHost: a\r\n\r\n",
];

/// Whole heads whose start, lines or target servers take differently, with the hidden request behind them in one reading.
const HEADS: &[&str] = &[
    "\r\n\r\n\r\nGET /$N/outer HTTP/1.1\r\nHost: a\r\n\r\n",
    " GET /$N/outer HTTP/1.1\r\nHost: a\r\n\r\n",
    "\tGET /$N/outer HTTP/1.1\r\nHost: a\r\n\r\n",
    "\nGET /$N/outer HTTP/1.1\r\nHost: a\r\n\r\n",
    "\0GET /$N/outer HTTP/1.1\r\nHost: a\r\n\r\n",
    "\u{feff}GET /$N/outer HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /$N/outer HTTP/1.1\r\nHost: a\r\nX: y\n\nGET /$N/hidden HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /$N/outer HTTP/1.1\r\nHost: a\r\nX: y\r\rGET /$N/hidden HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /$N/outer HTTP/1.1\nHost: a\r\n\r\nGET /$N/hidden HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /$N/outer HTTP/1.1\r\n\r\nHost: a\r\n\r\nGET /$N/hidden HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /$N/outer HTTP/1.1\r\nHost: a\r\n \r\nGET /$N/hidden HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /$N/outer HTTP/1.1\r\nHost: a\r\nX: GET /$N/hidden HTTP/1.1\r\n\r\n",
    "GET /$N/outer?x=\r\nX: y HTTP/1.1\r\nHost: a\r\n\r\nGET /$N/hidden HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /$N/hidden HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /$N/hidden HTTP/1.1\t\r\nHost: a\r\n\r\n",
    "GET /$N/hidden HTTP/1.10\r\nHost: a\r\n\r\n",
    "GET /$N/hidden HTTP/01.1\r\nHost: a\r\n\r\n",
    "GET /$N/hidden HTTP/1.2\r\nHost: a\r\n\r\n",
    "GET /$N/hidden\r\nHost: a\r\n\r\n",
    "GET /$N/hidden\u{85}HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http://b/$N/hidden HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http:/$N/hidden HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET //$N/hidden@b HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "GET /$N/hidden HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET /$N/hidden HTTP/1.1\r\nHost: a\r\n Host: b\r\n\r\n",
    "GET /$N/hidden HTTP/1.1\r\nHost: a b\r\n\r\n",
    "GET /$N/hidden HTTP/1.1\r\nHost : a\r\n\r\n",
    "GET /$N/hidden HTTP/1.1\r\nHost: a/\r\n\r\n",
    "GET /$N/hidden#x HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /$N/hidden\\x HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\nGET /$N/hidden HTTP/1.1\r\nHost: a\r\nX:\0\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET /$N/hidden HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /$N/outer HTTP/1.0\r\n\r\nGET /$N/hidden HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /$N/outer HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\nGET /$N/hidden HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /$N/outer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /$N/hidden HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /$N/outer HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /$N/hidden HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /$N/outer HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: $L\r\n\r\n$H",
    "HEAD /$N/outer HTTP/1.1\r\nHost: a\r\nContent-Length: $L\r\n\r\n$H",
    "OPTIONS /$N/outer HTTP/1.1\r\nHost: a\r\nContent-Length: $L\r\n\r\n$H",
    "DELETE /$N/outer HTTP/1.1\r\nHost: a\r\nContent-Length: $L\r\n\r\n$H",
];

/// Every attempt over HTTP/1.1, without its number.
fn attempts() -> Vec<String> {
    let mut attempts = Vec::new();
    for coding in CODINGS {
        let post = |fields: String, body: &str| {
            format!("POST /$N/outer HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}")
        };
        // CL.TE: by its length all is one body. TE.CL: by its chunks it is, and by its length it ends after the size.
        attempts.push(post(format!("Content-Length: $C\r\n{coding}"), "0\r\n\r\n$H"));
        attempts.push(post(format!("{coding}\r\nContent-Length: 4"), "$X\r\n$H\r\n0\r\n\r\n"));
        attempts.push(post((*coding).to_owned(), "$X\r\n$H\r\n0\r\n\r\n"));
    }
    for length in LENGTHS {
        for method in ["GET", "POST"] {
            attempts.push(format!("{method} /$N/outer HTTP/1.1\r\nHost: a\r\n{length}\r\n\r\n$H"));
        }
    }
    for body in CHUNKED {
        let head = "POST /$N/outer HTTP/1.1\r\nHost: a\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n";
        attempts.push(format!("{head}{body}"));
    }
    attempts.extend(HEADS.iter().map(ToString::to_string));
    attempts
}

/// An attempt with its number, as it goes over the wire, and what comes after it.
fn numbered(attempt: &str, number: usize) -> Vec<u8> {
    let number = number.to_string();
    let hidden = HIDDEN.replace("$N", &number);
    let length = hidden.len();
    let attempt = attempt
        .replace("$H", &hidden)
        .replace("$C", &(length + 5).to_string())
        .replace("$L", &length.to_string())
        .replace("$X", &format!("{length:x}"))
        .replace("$N", &number);
    let end = format!("GET /{number}/end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    // U+0080 to U+00FF are octets here, and everything above is UTF-8.
    let mut bytes = Vec::new();
    for character in attempt.chars() {
        match u8::try_from(u32::from(character)) {
            Ok(octet) => bytes.push(octet),
            Err(_) => bytes.extend(character.to_string().as_bytes()),
        }
    }
    bytes.extend(end.as_bytes());
    bytes
}

const HURRY: &str = "[timeouts]\nhead_read = \"500ms\"\nbody_progress = \"500ms\"\nidle = \"2s\"";

fn in_front_of(app: &App) -> Config {
    let socket = app.socket().display().to_string();
    Config::to_servers(&[]).upstreams(&format!("servers = [\"unix:{socket}\"]")).section(HURRY)
}

/// What the app has read: of each attempt the outer request at most once, and what came after it at most once; all of it
/// forwarded by weir, and counted.
#[track_caller]
fn expect_agreement(weir: &Weir, app: &App, what: &[String]) {
    assert_eq!(weir.get("/last/end").status(), 200);
    let forwarded = || {
        let metrics = weir.metrics();
        ["forwarded", "cancelled", "failed", "malformed"]
            .map(|decision| metrics.count("weir_requests_total", &[("decision", decision)]))
    };
    let seen = eventually("the app has read the last request", || {
        let seen = app.seen();
        seen.iter().any(|line| line == "GET /last/end").then_some(seen)
    });
    let mut wrong = Vec::new();
    let mut once = BTreeSet::new();
    for line in &seen {
        let target = line.split(' ').nth(1).unwrap_or_default();
        let number = target.split('/').nth(1).and_then(|number| number.parse::<usize>().ok());
        let of = number.and_then(|number| what.get(number)).map_or("none", String::as_str);
        let is_expected = target.ends_with("/outer") || target.ends_with("/end");
        if !is_expected || !once.insert(line.clone()) {
            wrong.push(format!("{line:?} of {of:?}"));
        }
    }
    assert!(wrong.is_empty(), "the app has read, of {} attempts:\n{}", what.len(), wrong.join("\n"));
    // One that failed or was cancelled may have been read by the app, or not.
    let [forwarded, cancelled, failed, malformed] = forwarded();
    let read = seen.len() as u64;
    assert!(read > 20, "most attempts have a reading, or what comes after them has");
    let counted = forwarded + cancelled + failed + malformed;
    assert!(forwarded <= read && read <= counted, "{forwarded} forwarded, {read} read, {counted} counted");
}

fn agrees_over_http1(kind: Kind) {
    let Some(app) = App::start(kind) else { return };
    let weir = Weir::start(&in_front_of(&app));
    let attempts = attempts();
    for (number, attempt) in attempts.iter().enumerate() {
        let mut client = RawClient::connect(weir.addr());
        // weir may answer and close before it has taken everything.
        if client.try_send(numbered(attempt, number)).is_ok() {
            drop(client.try_read_to_end());
        }
    }
    expect_agreement(&weir, &app, &attempts);
}

/// A field that smuggles something out of HTTP/2, beside a body that is the hidden request.
const FIELDS: &[(&str, &str)] = &[
    ("content-length", "0"),
    ("content-length", "$L"),
    ("content-length", "3"),
    ("content-length", "9999"),
    ("content-length", "+$L"),
    ("content-length", "$L "),
    ("content-length", "0, $L"),
    ("content-length", "-1"),
    ("content-length", "18446744073709551616"),
    ("content-length:", "0"),
    ("content_length", "0"),
    ("transfer-encoding", "chunked"),
    ("transfer-encoding", "identity"),
    ("transfer-encoding", "CHUNKED"),
    ("transfer-encoding ", "chunked"),
    ("Transfer-Encoding", "chunked"),
    ("transfer_encoding", "chunked"),
    ("transfer-encoding: chunked\r\nx", "y"),
    ("transfer-encoding:chunked", ""),
    ("connection", "keep-alive"),
    ("connection", "transfer-encoding"),
    ("keep-alive", "timeout=5"),
    ("proxy-connection", "keep-alive"),
    ("upgrade", "h2c"),
    ("http2-settings", "AAMAAABk"),
    ("te", "trailers"),
    ("te", "chunked"),
    ("trailer", "transfer-encoding"),
    ("expect", "100-continue"),
    ("expect", "y"),
    ("x", "y\r\ntransfer-encoding: chunked"),
    ("x", "y\r\ncontent-length: 0"),
    ("x", "y\r\n\r\n$H"),
    ("x", "y\n\n$H"),
    ("x", "y\r\r$H"),
    ("x", "y\0z"),
    ("x", "\x7f"),
    ("x", " y"),
    ("x", "y "),
    ("x", "\u{10a}\u{10d}"),
    ("x: y\r\nz", "1"),
    ("x:y", "1"),
    ("x y", "1"),
    ("x\r\ny", "1"),
    ("x\n", "1"),
    ("x\0", "1"),
    ("X", "1"),
    ("", "1"),
    (":x", "1"),
    (":", "1"),
    (":path", "/$N/hidden"),
    (":method", "GET"),
    (":authority", "b"),
    (":status", "200"),
    (":protocol", "websocket"),
    ("host", "b"),
    ("host", "app.test"),
    ("host", "app.test\r\nx: y"),
    ("host", ""),
    ("cookie", "a=b\r\nx: y"),
    ("cookie", "a=b\r\n\r\n$H"),
];

/// What a pseudo-field may say that is more than itself; in the place of the sound one.
const PSEUDO_FIELDS: &[(&str, &str)] = &[
    (":method", "GET /$N/hidden HTTP/1.1\r\nHost: a\r\n\r\nGET"),
    (":method", "GET /$N/hidden"),
    (":method", "GET "),
    (":method", ""),
    (":method", "GET\0"),
    (":method", "CONNECT"),
    (":path", "/$N/outer HTTP/1.1\r\nx: y"),
    (":path", "/$N/outer HTTP/1.1\r\nHost: a\r\n\r\nGET /$N/hidden"),
    (":path", "/$N/outer HTTP/1.1"),
    (":path", "/$N/hidden x"),
    (":path", "/$N/hidden\t"),
    (":path", " /$N/hidden"),
    (":path", "/$N/hidden\0"),
    (":path", "/$N/hidden\n"),
    // h2 leaves a fragment out, as clients should have; weir sees and forwards the rest.
    (":path", "/$N/outer#x"),
    (":path", "/$N/hidden\\"),
    (":path", "http://b/$N/hidden"),
    (":path", "b/$N/hidden"),
    (":path", "?/$N/hidden"),
    (":path", "*"),
    (":path", ""),
    (":scheme", "http://b/$N/hidden?"),
    (":scheme", "https\r\nx: y"),
    (":scheme", "ftp"),
    (":scheme", ""),
    (":authority", "app.test\r\nx: y"),
    (":authority", "app.test\r\n\r\n$H"),
    (":authority", "app.test b"),
    (":authority", "b@app.test"),
    (":authority", "app.test/$N/hidden"),
    (":authority", "app.test:99999"),
    (":authority", "app.test,b"),
    (":authority", "[::1"),
    (":authority", ""),
];

/// Trailers that say more than themselves.
const TRAILERS: &[(&str, &str)] = &[
    ("content-length", "0"),
    ("transfer-encoding", "chunked"),
    ("connection", "close"),
    ("host", "b"),
    (":path", "/$N/hidden"),
    ("x", "y\r\n\r\n$H"),
    ("x", "y\n$H"),
    ("x\r\n\r\n$H", "y"),
    ("x", "y"),
];

/// A request with a body, by HTTP/2.
#[derive(Clone, Debug)]
struct Attempt {
    head: Vec<(&'static str, &'static str)>,
    body: &'static str,
    trailers: Option<(&'static str, &'static str)>,
}

fn attempts_by_http2() -> Vec<Attempt> {
    let sound =
        [(":method", "POST"), (":scheme", "https"), (":authority", "app.test"), (":path", "/$N/outer")];
    let mut attempts = Vec::new();
    for field in FIELDS {
        for body in ["$H", "0\r\n\r\n$H"] {
            let head = sound.into_iter().chain([*field]).collect();
            attempts.push(Attempt { head, body, trailers: None });
        }
    }
    for twice in [("content-length", "$L"), ("host", "app.test"), (":path", "/$N/outer")] {
        let head = sound.into_iter().chain([twice, twice]).collect();
        attempts.push(Attempt { head, body: "$H", trailers: None });
    }
    for other in PSEUDO_FIELDS {
        let head = sound.map(|field| if field.0 == other.0 { *other } else { field }).to_vec();
        attempts.push(Attempt { head, body: "$H", trailers: None });
    }
    for (name, _) in sound {
        let without = sound.into_iter().filter(|field| field.0 != name);
        attempts.push(Attempt { head: without.collect(), body: "$H", trailers: None });
    }
    for trailer in TRAILERS {
        let head = sound.into_iter().chain([("trailer", "x")]).collect();
        attempts.push(Attempt { head, body: "$H", trailers: Some(*trailer) });
    }
    attempts
}

/// The frames of an attempt, all on stream 1.
fn frames_of(attempt: &Attempt, number: usize) -> Vec<u8> {
    let number = number.to_string();
    let hidden = HIDDEN.replace("$N", &number);
    let length = hidden.len().to_string();
    let filled = |text: &str| text.replace("$H", &hidden).replace("$L", &length).replace("$N", &number);
    let fields = |fields: &[(&str, &str)]| {
        let filled: Vec<_> = fields.iter().map(|(name, value)| (filled(name), filled(value))).collect();
        block(&filled.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>())
    };
    let mut bytes = frame(kind::HEADERS, END_HEADERS, 1, &fields(&attempt.head));
    let ends = if attempt.trailers.is_none() { END_STREAM } else { 0 };
    bytes.extend(frame(kind::DATA, ends, 1, filled(attempt.body).as_bytes()));
    if let Some(trailer) = attempt.trailers {
        bytes.extend(frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, &fields(&[trailer])));
    }
    bytes
}

fn agrees_over_http2(kind: Kind) {
    let Some(app) = App::start(kind) else { return };
    let authority = Authority::new();
    let (cert, key) = authority.issue(&["app.test"]);
    let config = in_front_of(&app)
        .proxies("[\"127.0.0.1:0\", { address = \"127.0.0.1:0\", tls = true }]")
        .section("[tls]\ncertificates = { cert = \"cert.pem\", key = \"key.pem\" }");
    let weir = Launch::new(&config).beside("cert.pem", &cert).beside("key.pem", &key).start();
    let client = authority.client(V13, b"h2");
    let attempts = attempts_by_http2();
    for (number, attempt) in attempts.iter().enumerate() {
        let mut client = FrameClient::connect(&client, weir.addrs()[1], &[]);
        client.send(&frames_of(attempt, number)).unwrap();
        if client.read_until_end_of(1) && client.send(&frames::get(3, &format!("/{number}/end"))).is_ok() {
            client.read_until_end_of(3);
        }
    }
    let attempts: Vec<_> = attempts.iter().map(|attempt| format!("{attempt:?}")).collect();
    expect_agreement(&weir, &app, &attempts);
}

/// Promise: nginx reads the requests that weir forwards from HTTP/1.1, and no other.
#[test]
fn nginx_agrees_over_http1() {
    agrees_over_http1(Kind::Nginx);
}

/// Promise: nginx reads the requests that weir forwards from HTTP/2, and no other.
#[test]
fn nginx_agrees_over_http2() {
    agrees_over_http2(Kind::Nginx);
}

/// Promise: HAProxy reads the requests that weir forwards from HTTP/1.1, and no other.
#[test]
fn haproxy_agrees_over_http1() {
    agrees_over_http1(Kind::Haproxy);
}

/// Promise: HAProxy reads the requests that weir forwards from HTTP/2, and no other.
#[test]
fn haproxy_agrees_over_http2() {
    agrees_over_http2(Kind::Haproxy);
}

/// Promise: Node reads the requests that weir forwards from HTTP/1.1, and no other.
#[test]
fn node_agrees_over_http1() {
    agrees_over_http1(Kind::Node);
}

/// Promise: Node reads the requests that weir forwards from HTTP/2, and no other.
#[test]
fn node_agrees_over_http2() {
    agrees_over_http2(Kind::Node);
}

/// Promise: Python reads the requests that weir forwards from HTTP/1.1, and no other.
#[test]
fn python_agrees_over_http1() {
    agrees_over_http1(Kind::Python);
}

/// Promise: Python reads the requests that weir forwards from HTTP/2, and no other.
#[test]
fn python_agrees_over_http2() {
    agrees_over_http2(Kind::Python);
}
