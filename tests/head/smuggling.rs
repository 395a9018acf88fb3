//! The published ways to smuggle a request: each is refused, or has one reading.

use weir::proxy::head::HeadLimits;

use crate::against_hyper::read_by_hyper;
use crate::reading::read_at_once;

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 4096, header_count_max: 20, uri_bytes_max: 256 };

/// What the attacker hopes that the application takes for a request of its own.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";

fn post(fields: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}")
}

/// Each of these must be stopped before the application could take any part of it for a second request.
fn refused() -> Vec<(&'static str, String)> {
    let chunked = "Transfer-Encoding: chunked";
    let last_then_hidden = format!("0\r\n\r\n{HIDDEN}");
    let both = |te: &str| post(&format!("Content-Length: 6\r\n{te}"), &last_then_hidden);
    let mut cases = vec![
        ("CL.TE", both(chunked)),
        ("TE.CL", post(&format!("{chunked}\r\nContent-Length: 4"), &format!("21\r\n{HIDDEN}\r\n0\r\n\r\n"))),
        ("CL.CL", post("Content-Length: 0\r\nContent-Length: 33", HIDDEN)),
        ("CL list", post("Content-Length: 0, 33", HIDDEN)),
        ("CL plus", post("Content-Length: +33", HIDDEN)),
        ("CL octal or decimal", post("Content-Length: 041", HIDDEN)),
        ("CL wraps to zero", post("Content-Length: 18446744073709551616", HIDDEN)),
        ("CL of CGI", post("Content_Length: 33", HIDDEN)),
        ("obs-fold CL", post("X: y\r\n Content-Length: 33", HIDDEN)),
        ("bare LF hides CL", post("X: y\nContent-Length: 33", HIDDEN)),
        ("bare CR hides CL", post("X: y\rContent-Length: 33", HIDDEN)),
        ("NUL hides CL", post("X: y\0Content-Length: 33", HIDDEN)),
        ("bare LF ends the head", format!("GET / HTTP/1.1\r\nHost: a\r\nX: y\n\n{HIDDEN}")),
        ("TE in HTTP/1.0", format!("POST / HTTP/1.0\r\nHost: a\r\n{chunked}\r\n\r\n{last_then_hidden}")),
        ("two hosts", format!("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n{HIDDEN}")),
        ("host in the target", format!("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n{HIDDEN}")),
        ("space before the target's version", format!("GET / HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n{HIDDEN}")),
        ("HTTP/0.9", format!("GET /\r\n{HIDDEN}")),
        ("HTTP/2 preface", format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{HIDDEN}")),
    ];
    for te in [
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:\u{b}chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding\r\n: chunked",
        " Transfer-Encoding: chunked",
        "X: y\nTransfer-Encoding: chunked",
        "Transfer-Encoding: 'chunked'",
        "Transfer-Encoding: \u{a0}chunked",
        "Transfer_Encoding: chunked",
        "\u{0}Transfer-Encoding: chunked",
    ] {
        cases.push(("TE.TE", post(te, &last_then_hidden)));
    }
    for body in [
        format!("1;\nxx\r\n0\r\n\r\n{HIDDEN}"),   // TERM.EXT and EXT.TERM
        format!("1\nx\r\n0\r\n\r\n{HIDDEN}"),     // LF for CR LF
        format!("1\r\nx\n0\r\n\r\n{HIDDEN}"),     // SPILL.TERM
        format!("1\r\nxyz\r\n0\r\n\r\n{HIDDEN}"), // ONE.TWO
        format!("2\r\nx\r\n0\r\n\r\n{HIDDEN}"),   // TWO.ONE
        format!("1\r\nx0\r\n\r\n{HIDDEN}"),       // ZERO.TWO
        format!("0x1\r\nx\r\n0\r\n\r\n{HIDDEN}"), // another radix
        format!("-1\r\nx\r\n0\r\n\r\n{HIDDEN}"),  // a sign
        format!("1 \r\nx\r\n0\r\n\r\n{HIDDEN}"),  // padding
        format!("10000000000000000\r\n{HIDDEN}"), // wraps to zero
        format!("0\r\n\n{HIDDEN}"),               // LF ends the trailers
        format!("0\r\nContent-Length: 0\r\n\r\n{HIDDEN}"),
    ] {
        cases.push(("chunks", post(chunked, &body)));
    }
    cases
}

/// Nothing of a refused message that could be a second request is taken.
#[test]
fn refuses_what_could_be_read_in_two_ways() {
    for (name, input) in refused() {
        let reading = read_at_once(input.as_bytes(), LIMITS);
        assert!(reading.fault.is_some(), "{name}: {input:?}");
        let taken = &input[..reading.consumed];
        assert!(!taken.contains("/hidden"), "{name}: took {taken:?}");
    }
}

/// What looks like smuggling but is clear stays one message to weir and to hyper.
#[test]
fn reads_what_is_clear_in_one_way() {
    let body_of = |input: &str| {
        let reading = read_at_once(input.as_bytes(), LIMITS);
        assert_eq!((reading.consumed, reading.fault), (input.len(), None), "{input:?}");
        let (mut seen, result) = read_by_hyper(input.as_bytes().to_vec());
        assert!(result.is_ok(), "{input:?}");
        assert_eq!(seen.len(), 1, "{input:?}");
        assert_eq!(seen, reading.requests, "{input:?}");
        String::from_utf8(seen.remove(0).body).unwrap()
    };
    assert_eq!(body_of(&post("Content-Length: 33", HIDDEN)), HIDDEN);
    assert_eq!(body_of(&post("Transfer-Encoding: chunked", &format!("21\r\n{HIDDEN}\r\n0\r\n\r\n"))), HIDDEN);
    let get_with_body = format!("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\n{HIDDEN}");
    assert_eq!(body_of(&get_with_body), HIDDEN);
    assert_eq!(body_of(&post("Expect: 100-continue\r\nContent-Length: 33", HIDDEN)), HIDDEN);
    assert_eq!(body_of(&post("X-Content-Length: 5\r\nContent-Length: 33", HIDDEN)), HIDDEN);
}
