//! What a client sees of limits: when it is refused, when it may come back, and how much is left.

use crate::harness::{Config, Message, RawClient, RawOrigin, Vacant, Weir, wait_as_told};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A limit of one request for each client, or what else `key` says.
fn limit(name: &str, key: &str, numbers: &str) -> String {
    format!("[[limits]]\nname = {name:?}\nkey = [{key}]\n{numbers}")
}

fn retry_after(refused: &Message) -> u64 {
    assert_eq!(refused.status(), 429, "{}", refused.text());
    refused.field("retry-after").expect("says when to come back").parse().expect("whole seconds")
}

/// A client that waits as long as it is told is admitted at its first try: of the window of two seconds at most two
/// are left, and 30 a minute is one in two seconds.
#[test]
fn who_waits_as_told_is_admitted() {
    for numbers in ["rate = \"1/2s\"", "rate = \"30/min\"\nalgorithm = \"gcra\""] {
        let origin = RawOrigin::answering(OK);
        let weir = Weir::start(&Config::to(&origin).section(&limit("one", "\"client\"", numbers)));
        let mut client = weir.connect();
        assert_eq!(client.exchange(GET).status(), 200);
        let wait = retry_after(&client.exchange(GET));
        assert!((1..=2).contains(&wait), "{wait} s for {numbers}");
        wait_as_told(wait);
        assert_eq!(client.exchange(GET).status(), 200, "{numbers}");
    }
}

/// Where strangers share a budget the wait is an estimate: up to a fifth longer, and not the same for everyone, so
/// that a crowd does not come back at once. 1000 s to wait are 1000 to 1200 s told.
#[test]
fn a_crowd_is_spread_out() {
    let origin = RawOrigin::answering(OK);
    let weir = Weir::start(&Config::to(&origin).section(&limit("all", "\"everyone\"", "rate = \"1/1000s\"")));
    let mut client = weir.connect();
    assert_eq!(client.exchange(GET).status(), 200);
    let waits: Vec<u64> = (0..30).map(|_| retry_after(&client.exchange(GET))).collect();
    // A slow machine may have used up some of the thousand.
    assert!(waits.iter().all(|wait| (950..=1200).contains(wait)), "{waits:?}");
    let (first, last) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    assert!(last - first > 20, "thirty of 200 thousandths lie this close together: {waits:?}");
}

/// Nobody can say when a request in flight ends, so a refusal because of them says no time.
#[test]
fn concurrency_says_no_time() {
    let origin = RawOrigin::answering_when_told();
    let numbers = "concurrency = 1";
    let weir = Weir::start(&Config::to(&origin).section(&limit("one-at-once", "\"client\"", numbers)));
    let mut held = weir.connect();
    held.send(GET);
    origin.next_request();
    let refused = weir.get("/");
    assert_eq!((refused.status(), refused.field("retry-after")), (429, None));
    let policy = refused.field("ratelimit-policy").unwrap();
    assert_eq!(policy, r#""one-at-once";q=1;qu="concurrent-requests""#);
    assert_eq!(refused.field("ratelimit").unwrap(), r#""one-at-once";r=0"#);
    assert!(refused.json().get("retry_after_seconds").is_none());
    origin.tell();
    assert_eq!(held.response().status(), 200);
}

/// A refusal names every enforced limit that is over, in the problem details and in the fields, and none in shadow;
/// its numbers are told in full. Nothing may keep it.
#[test]
fn a_refusal_tells_all_that_is_enforced_and_over() {
    let origin = RawOrigin::answering(OK);
    let limits = [
        limit("watched", "\"client\"", "rate = \"1/h\"\nmode = \"shadow\""),
        limit("hourly", "\"client\"", "rate = \"1/h\""),
        limit("paced", "\"client\"", "rate = \"60/min\"\nalgorithm = \"gcra\"\nburst = 5"),
        limit("daily \"x\"", "\"client\"", "rate = \"1/d\""),
    ];
    let config = limits.iter().fold(Config::to(&origin), |config, limit| config.section(limit));
    let weir = Weir::start(&config);
    assert_eq!(weir.get("/").status(), 200);
    let refused = weir.get("/");
    assert_eq!(refused.field("cache-control").as_deref(), Some("no-store"));
    assert_eq!(
        refused.field("ratelimit-policy").unwrap(),
        "\"hourly\";q=1;w=3600,\"paced\";q=60;w=60;weir-burst=5,\"daily \\\"x\\\"\";q=1;w=86400"
    );
    let available = refused.field("ratelimit").unwrap();
    let starts: Vec<&str> = available.split(',').map(|member| member.split_once(";r=").unwrap().0).collect();
    assert_eq!(starts, ["\"hourly\"", "\"paced\"", "\"daily \\\"x\\\"\""]);
    // The longest wait of those that are over.
    let wait = retry_after(&refused);
    assert!((86_300..=86_400).contains(&wait), "{wait}");
    assert!(available.ends_with(&format!("r=0;t={wait}")), "{available} and {wait}");

    let problem = refused.json();
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(problem["violated-policies"], serde_json::json!(["daily \"x\"", "hourly"]));
    assert_eq!(problem["limit"], "daily \"x\"");
    assert_eq!(problem["detail"], "The limit “daily \"x\"” is used up: at most 1 request in every day.");
    assert_eq!(
        problem["quota"],
        serde_json::json!({ "units": 1, "unit": "requests", "window_seconds": 86400 })
    );
    assert_eq!(problem["clause"]["id"], "load");
    assert_eq!(problem["retry_after_seconds"], wait);
    assert_eq!(problem["request_id"].as_str(), refused.field("x-request-id").as_deref());
}

/// A person reads the same on a page: what is used up, under which clause, when to come back, and by which id to ask.
#[test]
fn a_page_tells_people_the_same() {
    let origin = RawOrigin::answering(OK);
    let weir = Weir::start(&Config::to(&origin).limit("articles", "1/h"));
    assert_eq!(weir.get("/").status(), 200);
    let page = weir.connect().exchange("GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n");
    let (text, wait) = (page.text(), retry_after(&page));
    for part in [
        "The limit “articles” is used up: at most 1 request in every hour.",
        "under the clause “",
        &format!("try again in {wait} s"),
        &page.field("x-request-id").unwrap(),
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

fn grpc(client: &mut RawClient, content_type: &str) -> Message {
    client.exchange(format!(
        "POST /pkg.Service/Method HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\nContent-Length: 0\r\n\r\n"
    ))
}

/// A gRPC client is refused in its own words: a 200 whose head has the status, the message and the time.
#[test]
fn grpc_is_refused_in_its_own_words() {
    let origin = RawOrigin::answering(OK);
    let weir = Weir::start(&Config::to(&origin).limit("calls", "1/h"));
    let mut client = weir.connect();
    assert_eq!(
        grpc(&mut client, "application/grpc").field("grpc-status"),
        None,
        "the app's answer is its own"
    );
    for (sent, answered) in [
        ("application/grpc+proto", "application/grpc"),
        ("application/grpc-web-text", "application/grpc-web-text"),
    ] {
        let refused = grpc(&mut client, sent);
        assert_eq!((refused.status(), refused.body.len()), (200, 0));
        assert_eq!(refused.field("content-type").as_deref(), Some(answered));
        assert_eq!(refused.field("grpc-status").as_deref(), Some("8"));
        assert_eq!(
            refused.field("grpc-message").as_deref(),
            Some("The limit %E2%80%9Ccalls%E2%80%9D is used up: at most 1 request in every hour.")
        );
        let wait: u64 = refused.field("retry-after").unwrap().parse().unwrap();
        let ms: u64 = refused.field("grpc-retry-pushback-ms").unwrap().parse().unwrap();
        assert_eq!(ms.div_ceil(1000), wait);
        assert_eq!(refused.field("cache-control").as_deref(), Some("no-store"));
    }
    let refused = weir.metrics().count("weir_requests_total", &[("decision", "refused"), ("class", "2xx")]);
    assert_eq!(refused, 2, "counted as refused, with the status that was sent");
}

/// Other errors of weir's are what a gRPC client would make of their HTTP status: 502 is UNAVAILABLE.
#[test]
fn grpc_errors_are_mapped() {
    let nobody = Vacant::reserve();
    let weir = Weir::start(&Config::to_servers(&[nobody.address()]));
    let failed = grpc(&mut weir.connect(), "application/grpc");
    assert_eq!((failed.status(), failed.field("grpc-status").as_deref()), (200, Some("14")));
    assert_eq!(failed.field("grpc-message").as_deref(), Some("The site's server could not be reached."));
}

/// What the app says of limits of its own reaches the client as it is; by default, weir adds nothing to it.
#[test]
fn the_apps_answers_are_left_alone() {
    let origin = RawOrigin::answering(
        "HTTP/1.1 200 OK\r\nRateLimit: \"app\";r=5\r\nX-RateLimit-Limit: 7\r\nContent-Length: 0\r\n\r\n",
    );
    let weir = Weir::start(&Config::to(&origin).limit("weirs", "10/h"));
    let answer = weir.get("/");
    assert_eq!(answer.field("ratelimit").as_deref(), Some("\"app\";r=5"));
    assert_eq!(answer.field("x-ratelimit-limit").as_deref(), Some("7"));
    assert_eq!((answer.field("ratelimit-policy"), answer.field("x-ratelimit-reset")), (None, None));
}

/// Asserts that `text` is `start` and a number of seconds, or one more: a cell counts time in ticks of its own.
#[track_caller]
fn assert_told(text: &str, start: &str, seconds: u64) {
    let told: u64 = text.strip_prefix(start).and_then(|rest| rest.parse().ok()).expect(text);
    assert!((seconds..=seconds + 1).contains(&told), "{text}");
}

/// With `always` the app's answers tell what is left of every enforced limit, as further members of what the app
/// itself says; a limit in shadow stays unseen. One of ten an hour is used: nine are left, and none in use after an
/// hour.
#[test]
fn allowed_answers_tell_what_is_left() {
    let origin =
        RawOrigin::answering("HTTP/1.1 200 OK\r\nRateLimit: \"app\";r=5\r\nContent-Length: 0\r\n\r\n");
    let config = Config::to(&origin)
        .section("[responses]\nrate_limit_fields = \"always\"")
        .section(&limit("watched", "\"client\"", "rate = \"1/h\"\nmode = \"shadow\""))
        .section(&limit("hourly", "\"client\"", "rate = \"10/h\""))
        .section(&limit("paced", "\"client\"", "rate = \"60/min\"\nalgorithm = \"gcra\"\nburst = 5"));
    let weir = Weir::start(&config);
    let answer = weir.get("/");
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.field("ratelimit-policy").unwrap(),
        "\"hourly\";q=10;w=3600,\"paced\";q=60;w=60;weir-burst=5"
    );
    let lines = answer.all("ratelimit");
    assert_eq!((lines.len(), lines[0].as_str()), (2, "\"app\";r=5"), "{lines:?}");
    let members: Vec<&str> = lines[1].split(',').collect();
    assert_told(members[0], "\"hourly\";r=9;t=", 3600);
    assert_told(members[1], "\"paced\";r=4;t=", 1);
    assert_eq!(answer.field("retry-after"), None);
    let second = weir.get("/").all("ratelimit").pop().unwrap();
    assert!(second.starts_with("\"hourly\";r=8;t="), "{second}");
    assert!(!lines.concat().contains("watched") && !second.contains("watched"));
}

/// The older fields tell of the limit with the smallest share left: one of two beside four of five. An app that has
/// them itself keeps its own.
#[test]
fn older_fields_tell_the_most_restrictive_limit() {
    let origin = RawOrigin::scripted(|conn| {
        while let Some(request) = conn.read_request() {
            let own = if request.target() == "/own" { "X-RateLimit-Limit: 99\r\n" } else { "" };
            conn.send(format!("HTTP/1.1 200 OK\r\n{own}Content-Length: 0\r\n\r\n"));
        }
    });
    let config = Config::to(&origin)
        .section("[responses]\nrate_limit_fields = \"always\"\nlegacy_rate_limit_fields = true")
        .section(&limit("five", "\"client\"", "rate = \"5/h\""))
        .section(&limit("two", "\"client\"", "rate = \"2/h\""));
    let weir = Weir::start(&config);
    let older = |answer: &Message| {
        ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"].map(|name| answer.field(name))
    };
    let some = |text: &str| Some(text.to_owned());
    let [limit, remaining, reset] = older(&weir.get("/"));
    assert_eq!([limit, remaining], [some("2"), some("1")]);
    assert_told(&reset.unwrap(), "", 3600);
    assert_eq!(older(&weir.get("/own")), [some("99"), None, None]);
    let refused = weir.get("/");
    assert_eq!(older(&refused), [some("2"), some("0"), refused.field("retry-after")]);
}

/// `never`: not even a refusal tells.
#[test]
fn nothing_is_told_where_nothing_is_to_be() {
    let origin = RawOrigin::answering(OK);
    let config =
        Config::to(&origin).section("[responses]\nrate_limit_fields = \"never\"").limit("one", "1/h");
    let weir = Weir::start(&config);
    assert_eq!(weir.get("/").status(), 200);
    let refused = weir.get("/");
    assert!((3500..=3600).contains(&retry_after(&refused)));
    assert_eq!((refused.field("ratelimit"), refused.field("ratelimit-policy")), (None, None));
}

fn from_page(client: &mut RawClient, method: &str, path: &str, page: &str) -> Message {
    client.exchange(format!(
        "{method} {path} HTTP/1.1\r\nHost: a\r\nOrigin: {page}\r\nContent-Length: 0\r\n\r\n"
    ))
}

/// A browser app of a configured origin can read refusals and errors, also those of its preflights; one of another
/// origin cannot; the app's own answers stay as they are.
#[test]
fn browser_apps_can_read_what_weir_says() {
    let origin = RawOrigin::answering(OK);
    let config = Config::to(&origin)
        .section("[responses]\ncors = { origins = [\"https://app.example\"], credentials = true }")
        .section("[[routes]]\npath = \"/api/**\"\nupstream = \"app\"")
        .limit("one", "1/h");
    let weir = Weir::start(&config);
    let mut client = weir.connect();
    let app = from_page(&mut client, "GET", "/api/x", "https://app.example");
    assert_eq!(
        (app.status(), app.field("access-control-allow-origin"), app.field("vary")),
        (200, None, None)
    );
    for (method, path, status) in [("GET", "/api/x", 429), ("OPTIONS", "/api/x", 429), ("GET", "/else", 404)]
    {
        let answer = from_page(&mut client, method, path, "https://app.example");
        assert_eq!(answer.status(), status);
        assert_eq!(answer.field("access-control-allow-origin").as_deref(), Some("https://app.example"));
        assert_eq!(answer.field("access-control-allow-credentials").as_deref(), Some("true"));
        assert_eq!(answer.field("vary").as_deref(), Some("Origin"));
        let exposed = answer.field("access-control-expose-headers").unwrap();
        for name in ["Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id"] {
            assert!(exposed.split(", ").any(|exposed| exposed == name), "{name} in {exposed}");
        }
    }
    let other = from_page(&mut client, "GET", "/api/x", "https://other.example");
    assert_eq!((other.status(), other.field("access-control-allow-origin")), (429, None));
    assert_eq!(other.field("vary").as_deref(), Some("Origin"));
}
