use std::time::Duration;

use http::HeaderMap;
use proptest::prelude::*;

use super::*;
use crate::detect::{Answer, Conduct, Reader, Request, Seen, Signs, Site};
use crate::time::Moment;

/// Somebody who asked for three distinct pages in three seconds, one of which was not there, and for one style; the
/// last request is for `/shop/3?sort=price` and was answered 404 with 500 bytes.
struct Story {
    conduct: Conduct,
    site: Site,
    reader: Reader,
    now: Moment,
}

const LAST: Request<'_> =
    Request { method: "GET", path: "/shop/3", query: Some("sort=price"), referer: None };

impl Story {
    fn told() -> Self {
        let now = Moment::from_nanos(1_700_000_000_000_000_000);
        let mut story =
            Story { conduct: Conduct::new(now), site: Site::default(), reader: Reader::new(1), now };
        story.note("/shop/1", None, 200);
        story.note("/shop/style.css", None, 200);
        story.note("/shop/2", None, 200);
        story.note(LAST.path, LAST.query, 404);
        story
    }

    fn note(&mut self, path: &str, query: Option<&str>, status: u16) {
        let sight = self.reader.read(&Request { path, query, ..LAST });
        let event = self.site.learn(&sight, None, answer(status), self.now);
        self.conduct.note(&event);
        if status == 200 {
            self.now = self.now.after(Duration::from_secs(1));
        }
    }

    /// Whether `text` is true of the last request, and the numbers that it read.
    fn says(&self, text: &str) -> Option<Vec<(&'static str, u32, u32)>> {
        let program = Program::compile(text).unwrap_or_else(|faults| panic!("{text}: {faults:?}"));
        let sight = self.reader.read(&LAST);
        let event = crate::detect::Event::unlearned(&sight, None, answer(404), self.now);
        let (lately, site) = (self.conduct.lately(self.now), Signs::default());
        let seen = Seen { conduct: &self.conduct, lately, site: &site, now: self.now };
        let scene = Scene { seen: &seen, event: &event };
        let headers = headers();
        let evidence = program.holds(program.ask(&asked(&headers))?, &scene)?;
        Some(evidence.iter().map(|e| (e.counter, e.value, e.threshold)).collect())
    }

    fn is_true(&self, text: &str) -> bool {
        self.says(text).is_some()
    }
}

fn answer(status: u16) -> Answer {
    Answer { status, bytes: 500, took: Some(Duration::from_millis(20)), login: None, told: None }
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-tenant", http::HeaderValue::from_static("acme"));
    headers.insert("authorization", http::HeaderValue::from_static("Bearer secret"));
    headers
}

fn asked(headers: &HeaderMap) -> Asked<'_> {
    Asked {
        method: LAST.method,
        host: "shop.example",
        path: LAST.path,
        query: LAST.query.unwrap_or_default(),
        route: "shop",
        user_agent: "tool/1.0",
        referer: "",
        accounts: &[("7", "pro"), ("8", "free")],
        address: [192, 0, 2, 7].into(),
        headers,
    }
}

/// Promise: each operator and each kind of fact means what the page on rules says, and what it means in CEL.
#[test]
fn expressions_say_what_they_mean() {
    let story = Story::told();
    let true_ones = [
        "true",
        "!false",
        "method == 'GET' && host == \"shop.example\"",
        "path.startsWith('/shop/') && path.endsWith('3') && path.contains('hop')",
        "query == 'sort=price' && referer == ''",
        "user_agent != 'curl' && route in ['other', 'shop']",
        "path != query",
        "account == '8' && plan == 'pro'",
        "client == '192.0.2.7' && client in ['10.0.0.0/8', '192.0.2.0/24']",
        "client != '192.0.2.8'",
        "'X-Tenant' in headers && !('cookie' in headers) && 'authorization' in headers",
        "headers['x-tenant'] == 'acme' && headers['x-other'] == ''",
        "status == 404 && bytes >= 500 && took_ms < 21 && status in [403, 404]",
        "pages == 3 && assets == 1 && requests == 4 && failed == 1",
        "intervals == 2 && interval_mean_ms == 1500 && interval_deviation_ms == 500",
        "asked_10s == 3 && asked_24h == 3 && known_for_s == 3",
        // `&&` binds closer than `||`, `*` closer than `+`, and both closer than `<`.
        "true || false && false",
        "2 + 3 * 4 == 14 && (2 + 3) * 4 == 20 && 10 - 4 - 3 == 3",
        "pages * 2 > requests && -pages < 0",
        "double(failed) / double(pages) > 0.3 && share_failed < 0.34 && share_assets == 0.25",
        "share_failed * 3.0 < 1.0 && pages > 2.5",
        "(pages > 2) == (requests > 3) && (pages > 2) != (requests > 4)",
        "'abc'.contains('b') && 'a' == 'a' && 'a' != 'b'",
        r#"'it\'s' == "it's" && path != '\\' && "\"" != "\t""#,
    ];
    for text in true_ones {
        assert!(story.is_true(text), "{text}");
    }
    for text in ["false", "method == 'get'", "pages > 3", "9223372036854775807 + 1 < 0", "1.0 / 0.0 < 5.0"] {
        assert!(!story.is_true(text), "{text}");
    }
}

/// Promise: the numbers behind a finding are those that its rule reads, each once, with what it was compared with.
#[test]
fn evidence_is_what_was_read() {
    let story = Story::told();
    let evidence = story.says("(pages > 2 || asked_1m > 1000) && share_failed >= 0.25 && pages < 100");
    assert_eq!(evidence, Some(vec![("pages", 3, 2), ("asked_1m", 3, 1000), ("share_failed", 333, 250)]));
    assert_eq!(story.says("method == 'GET'"), Some(Vec::new()));
}

/// Promise: a request of which a rule cannot be true is known before its answer; nothing is read for it then.
#[test]
fn what_is_settled_is_settled_at_once() {
    let headers = headers();
    let open = |text: &str| Program::compile(text).unwrap().ask(&asked(&headers)).is_some();
    for (text, is_open) in [
        ("path == '/other' && pages > 1", false),
        ("!(path == '/shop/3') && pages > 1", false),
        ("path == '/other' || pages > 1", true),
        ("path == '/shop/3' || pages > 1", true),
        ("(path == '/other' || method == 'PUT') && pages > 1", false),
        ("(path == '/other') == (pages > 1)", true),
    ] {
        assert_eq!(open(text), is_open, "{text}");
    }
}

/// Promise: what reads demand alone is asked of refused requests too; what looks back an hour at most is brief.
#[test]
fn what_a_rule_reads_says_when_it_is_asked() {
    let of =
        |text: &str| Program::compile(text).map(|program| (program.is_demand(), program.is_brief())).unwrap();
    assert_eq!(of("asked_1m > 100 && path == '/'"), (true, true));
    assert_eq!(of("user_agent == ''"), (true, true));
    assert_eq!(of("asked_1m > 100 && status == 200"), (false, true));
    assert_eq!(of("asked_24h > 100"), (true, false));
    assert_eq!(of("pages > 100"), (false, false));
    assert!(Program::compile("disallowed > 3").unwrap().reads("disallowed"));
}

/// Promise: what is wrong is pointed at, and said in words with what would have been right.
#[test]
fn faults_are_pointed_at() {
    let cases = [
        ("pages > 3 &&", 12..12, "this ends too early"),
        ("", 0..0, "this ends too early"),
        ("pages = 3", 6..7, "`=` alone compares nothing"),
        ("pages > 3 pages", 10..15, "`pages` does not belong here"),
        ("path == \"/x", 8..11, "this text has no end"),
        ("pages > 5min", 8..9, "this is no number"),
        ("pags > 3", 0..4, "nothing is called `pags`"),
        ("pages", 0..5, "a rule is true or not, and this is a whole number"),
        ("path > 3", 0..8, "a text and a whole number cannot be compared so"),
        ("pages / 2 > 3", 0..9, "whole numbers are not divided: what is left over would be lost"),
        ("share_assets * 2 > 1.0", 0..16, "a whole number and one with a fraction do not mix"),
        ("path.matches('x')", 5..12, "a text has no `matches`"),
        ("size(path) > 3", 0..4, "there is no function `size`"),
        ("client == 'example.org'", 10..23, "\"example.org\" is no address"),
        ("headers['cookie'] == 'x'", 8..16, "what `cookie` holds is a secret, and not looked at"),
        ("1 < pages < 3", 0..9, "two comparisons in a row"),
        ("pages in 3", 9..10, "`in` looks for something in a list"),
        ("path == '\\x'", 9..10, "no such escape"),
        ("pages > 3 && é", 13..15, "'é' means nothing here"),
    ];
    for (text, span, message) in cases {
        let faults = Program::compile(text).unwrap_err();
        assert_eq!((&faults[0].span, &*faults[0].message), (&span, message), "{text}");
    }
    let faults = Program::compile("pags > 3 && paht == 'x' && (1 || 2)").unwrap_err();
    assert_eq!(faults.len(), 4, "{faults:?}");
    assert!(
        faults[0].unknown.as_ref().is_some_and(|(name, names)| name == "pags" && names.contains(&"pages"))
    );
}

/// Promise: names are unique, and every one of them is understood.
#[test]
fn every_name_is_understood() {
    let names = names::all();
    for (at, name) in names.iter().enumerate() {
        assert!(!names[..at].contains(name), "{name}");
        let text = match *name {
            "client" => "client == '192.0.2.1'".to_owned(),
            "headers" => "'a' in headers".to_owned(),
            name if names::counter(name).is_some() => format!("{name} >= 0"),
            name => format!("{name} == ''"),
        };
        assert!(Program::compile(&text).is_ok(), "{text}");
    }
}

/// Promise: what is longer, deeper or wider than a rule ever has to be is refused, and no stack is spent on it.
#[test]
fn bounds_hold() {
    for (open, close) in [("(", ")"), ("!", ""), ("-", ""), ("[", "]"), ("headers[", "]"), ("double(", ")")] {
        for depth in [40, 100, 1000] {
            let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert!(Program::compile(&text).is_err(), "{open} {depth}");
        }
    }
    let wide = vec!["pages > 1"; 128].join(" || ");
    assert!(Program::compile(&wide).is_ok());
    assert!(Program::compile(&vec!["pages > 1"; 129].join(" || ")).is_err());
    let asks = |count: usize| (0..count).map(|n| format!("path == '{n}'")).collect::<Vec<_>>().join(" || ");
    assert!(Program::compile(&asks(64)).is_ok());
    assert!(Program::compile(&asks(65)).is_err());
    assert!(Program::compile(&" ".repeat(5000)).is_err());
}

/// A token of some expression.
fn token() -> impl Strategy<Value = String> {
    let fixed = [
        "||",
        "&&",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "!",
        "-",
        "+",
        "*",
        "/",
        "(",
        ")",
        "[",
        "]",
        ",",
        ".",
        "in",
        "pages",
        "path",
        "status",
        "share_failed",
        "client",
        "headers",
        "contains",
        "double",
        "true",
        "'a'",
        "3",
        "0.5",
        "é",
        "'",
    ];
    prop::sample::select(fixed.map(str::to_owned).to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    /// Promise: no text makes the compiler panic, and faults point into the text. What compiles can be asked.
    #[test]
    fn no_text_panics(tokens in prop::collection::vec(token(), 0..24), rest in ".{0,12}") {
        let text = tokens.join(" ") + &rest;
        match Program::compile(&text) {
            Ok(_) => { Story::told().is_true(&text); }
            Err(faults) => for fault in &faults {
                prop_assert!(fault.span.start <= fault.span.end && fault.span.end <= text.len(), "{text:?} {fault:?}");
                prop_assert!(text.is_char_boundary(fault.span.start), "{text:?} {fault:?}");
            }
        }
    }
}
