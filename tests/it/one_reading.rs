//! Requests that could be read in two ways are refused, and nothing of them reaches the app: what weir
//! counts and what the app serves can never be two different requests.

use crate::harness::{Config, RawClient, RawOrigin, Weir, echo};

/// A request that weir must refuse: what is wrong with it, its bytes, and the status that says so.
type Case = (&'static str, &'static str, u16);

/// Two lengths, or one that can be read in two ways (RFC 9112 §6.1, §6.3).
const FRAMING: &[Case] = &[
    (
        "both lengths",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "both, other order",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "two equal lengths",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        400,
    ),
    ("two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400),
    ("a list of lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx", 400),
    ("a signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx", 400),
    ("a negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nx", 400),
    ("an empty length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nx", 400),
    ("a hexadecimal length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\nx", 400),
    (
        "a length above 2^64",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\nx",
        400,
    ),
    (
        "an unknown coding",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        501,
    ),
    ("a misspelt coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    ("no chunked at all", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n", 400),
    (
        "chunked not last",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "chunked twice",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("a coding in 1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
];

/// Lines and fields that servers cut at different places (RFC 9112 §2.2, §5; RFC 9110 §5.5).
const LINES: &[Case] = &[
    ("bare LF after a field", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400),
    ("bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    ("bare LF everywhere", "GET / HTTP/1.1\nHost: a\n\n", 400),
    ("bare CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: b\rY: c\r\n\r\n", 400),
    ("obsolete folding", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400),
    ("folding by a tab", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n", 400),
    ("folding of the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    ("space before the colon", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 1\r\n\r\nx", 400),
    ("tab before the colon", "GET / HTTP/1.1\r\nHost: a\r\nX\t: 1\r\n\r\n", 400),
    ("space in a name", "GET / HTTP/1.1\r\nHost: a\r\nX Y: 1\r\n\r\n", 400),
    ("an empty name", "GET / HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n", 400),
    ("no colon", "GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n", 400),
    ("NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
    ("NUL in a name", "GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n", 400),
    ("a control character in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x01b\r\n\r\n", 400),
    ("DEL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n", 400),
];

/// Request lines and authorities that name two resources, or none (RFC 9112 §3).
const TARGETS: &[Case] = &[
    ("no Host", "GET / HTTP/1.1\r\nX: a\r\n\r\n", 400),
    ("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    ("two equal Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    ("a list of Hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
    ("a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    ("a Host with a user", "GET / HTTP/1.1\r\nHost: b@a\r\n\r\n", 400),
    ("absolute-form with another Host", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("absolute-form with a user", "GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n", 400),
    ("another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("a tab for a space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("a space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("a trailing space", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    ("no slash", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("a fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("NUL in the target", "GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("raw UTF-8 in the target", "GET /caf\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("a method that is no token", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("another major version", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
    ("no version", "GET /\r\n\r\n", 505),
    ("a lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n", 400),
];

/// Paths that apps decode or resolve in different ways.
const PATHS: &[&str] = &["/a%00b", "/a%zz", "/a%4", "/a%", "/a%2fb", "/a%5Cb", "/a\\b", "/a//../b"];

/// Chunks that servers measure differently (RFC 9112 §7.1). Their heads are sound, so the app may see the
/// head; what counts is that the bytes after the fault are never taken for another request.
const CHUNKS: &[Case] = &[
    ("a size that is no number", "zz\r\nabc\r\n0\r\n\r\n", 400),
    ("a size with a sign", "+3\r\nabc\r\n0\r\n\r\n", 400),
    ("a size with 0x", "0x3\r\nabc\r\n0\r\n\r\n", 400),
    ("no size", "\r\nabc\r\n0\r\n\r\n", 400),
    ("a size above 2^64", "10000000000000003\r\nabc\r\n0\r\n\r\n", 400),
    ("bare LF after a size", "3\nabc\r\n0\r\n\r\n", 400),
    ("bare LF after an extension", "3;a=b\nabc\r\n0\r\n\r\n", 400),
    ("more than its size", "3\r\nabcd\r\n0\r\n\r\n", 400),
    ("bare LF after a chunk", "3\r\nabc\n0\r\n\r\n", 400),
    ("bare LF in a trailer", "3\r\nabc\r\n0\r\nX: a\nY: b\r\n\r\n", 400),
];

/// Each ambiguous head is answered by weir with the status that says what is wrong, as a problem document,
/// counted; the connection ends, and neither it nor what follows reaches the app.
#[test]
fn ambiguous_heads_are_refused() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin));
    let cases = [FRAMING, LINES, TARGETS].concat();
    let mut wrong = Vec::new();
    for (what, request, status) in &cases {
        if let Some(complaint) = refused(&weir, request, *status) {
            wrong.push(format!("{what}: {complaint}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    origin.expect_no_request();
    let counted = weir.metrics().count("weir_requests_total", &[("decision", "malformed")]);
    assert!(counted >= cases.len() as u64, "only {counted} were counted");
}

/// A path that apps resolve in different ways never reaches one; the head around it is sound, so the
/// connection may go on.
#[test]
fn ambiguous_paths_are_refused() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin));
    for path in PATHS {
        let answer = weir.get(path);
        assert_eq!(answer.status(), 400, "{path}");
        assert_eq!(answer.field("content-type").as_deref(), Some("application/problem+json"));
    }
    origin.expect_no_request();
    let counted = weir.metrics().count("weir_requests_total", &[("decision", "malformed")]);
    assert_eq!(counted, PATHS.len() as u64);
}

/// Each faulty chunked body ends its request and its connection; what follows is never a request.
#[test]
fn ambiguous_chunks_end_the_connection() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin));
    let mut wrong = Vec::new();
    for (what, body, status) in CHUNKS {
        let head = "POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        if let Some(complaint) = refused(&weir, &format!("{head}{body}"), *status) {
            wrong.push(format!("{what}: {complaint}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), CHUNKS.len(), wrong.join("\n"));
    origin.expect_no_request();
}

/// A head over a bound is refused by the status made for it (RFC 9110 §15.5.15, RFC 6585 §5), and at the
/// bound it passes.
#[test]
fn heads_over_a_bound_are_refused() {
    let origin = RawOrigin::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let bounds = "[http]\nhead_size = \"8KiB\"\nheader_count = 10\nuri_size = \"1KiB\"";
    let weir = Weir::start(&Config::to(&origin).section(bounds));
    let uri = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(length - 1));
    let count = |fields: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(fields - 1));
    let status = |request: String| weir.connect().exchange(request).status();
    assert_eq!((status(uri(1024)), status(uri(1025))), (200, 414));
    assert_eq!((status(count(10)), status(count(11))), (200, 431));
    assert_eq!((status(head_of(8192)), status(head_of(8193))), (200, 431));
    assert_eq!(status(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(9000))), 431);
}

/// The largest bound that the configuration takes is kept by weir itself: a head at it passes, one over it is
/// refused with a problem document, not by the HTTP library with a bare status.
#[test]
fn the_largest_bound_on_a_head_is_kept() {
    const SIZE: usize = 400 << 10;
    let origin = RawOrigin::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let weir = Weir::start(&Config::to(&origin).section("[http]\nhead_size = \"400KiB\""));
    assert_eq!(weir.connect().exchange(head_of(SIZE)).status(), 200);
    let refused = weir.connect().exchange(head_of(SIZE + 1));
    assert_eq!((refused.status(), &refused.json()["status"]), (431, &431.into()));
}

/// A browser, which asks for HTML, gets a page that a person can read; nothing of the request stands in it.
#[test]
fn a_browser_gets_a_readable_page() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin).limit("one", "1/h"));
    let request =
        "GET /page?script HTTP/1.1\r\nHost: a\r\nAccept: text/html,application/xhtml+xml,*/*;q=0.8\r\n\r\n";
    let mut client = weir.connect();
    assert_eq!(client.exchange(request).status(), 200);
    let answer = client.exchange(request);
    assert_eq!(answer.status(), 429);
    let kind = answer.field("content-type").unwrap();
    assert!(kind.starts_with("text/html") || kind.starts_with("text/plain"), "{kind}");
    assert!(!answer.text().contains("page?script"), "{}", answer.text());
    assert!(answer.text().contains(&answer.field("x-request-id").unwrap()), "{}", answer.text());
}

/// A sound request is answered although an ambiguous one follows it in the same segment.
#[test]
fn a_sound_request_before_an_ambiguous_one_is_answered_first() {
    let origin = RawOrigin::answering("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    client.send("GET /good HTTP/1.1\r\nHost: a\r\n\r\nGET /bad HTTP/1.1\r\nHost : a\r\n\r\n");
    assert_eq!(client.response().text(), "good");
    assert_eq!(client.response().status(), 400);
    client.expect_close();
    assert_eq!(origin.next_request().target(), "/good");
    origin.expect_no_request();
}

/// What a request smuggles in its body stays its body.
#[test]
fn a_request_inside_a_body_stays_a_body() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin));
    let inner = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n";
    let length = inner.len();
    let mut client = weir.connect();
    let answer =
        client.exchange(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{inner}"));
    assert!(answer.text().ends_with(inner));
    assert_eq!(origin.next_request().text(), inner);
    origin.expect_no_request();
}

/// A head that comes a byte at a time is read as one that comes at once.
#[test]
fn a_head_in_pieces_is_one_head() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    for byte in b"GET /slowly HTTP/1.1\r\nHost: a\r\n\r\n" {
        client.send([*byte]);
    }
    assert_eq!(client.response().status(), 200);
    assert_eq!(origin.next_request().target(), "/slowly");
}

/// An empty line before a request, which old clients send after a body, is skipped (RFC 9112 §2.2).
#[test]
fn an_empty_line_before_a_request_is_skipped() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    assert_eq!(client.exchange("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").status(), 200);
    assert_eq!(client.exchange("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").status(), 200);
}

/// CONNECT would make weir a tunnel to anywhere: refused (RFC 9110 §9.3.6).
#[test]
fn connect_is_refused() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin));
    let answer = weir.connect().exchange("CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n");
    assert!([400, 405, 501].contains(&answer.status()), "{}", answer.status());
    origin.expect_no_request();
}

/// A sound head of `bytes` bytes.
fn head_of(bytes: usize) -> String {
    let around = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n";
    around.replace("X: ", &format!("X: {}", "y".repeat(bytes - around.len())))
}

/// What is wrong with weir's answer to `request`, which has a smuggled request behind it; `None`: nothing.
fn refused(weir: &Weir, request: &str, status: u16) -> Option<String> {
    let mut client = RawClient::connect(weir.addr());
    client.send(format!("{request}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"));
    let answer = match client.try_response() {
        Ok(Some(answer)) => answer,
        Ok(None) => return Some("closed without an answer".to_owned()),
        Err(error) => return Some(format!("no answer: {error}")),
    };
    let kind = answer.field("content-type").unwrap_or_default();
    if answer.status() != status {
        return Some(format!("{} instead of {status}", answer.status()));
    }
    if kind != "application/problem+json" || answer.json()["status"] != status {
        return Some(format!("no problem document but {kind}: {}", answer.text()));
    }
    match client.try_response() {
        Ok(Some(second)) => Some(format!("answered again, {}", second.status())),
        _ => None,
    }
}
