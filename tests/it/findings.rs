//! Conduct: a crawl of a small site is found and told everywhere, refused where that is wanted, and nobody else is.

use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::{Config, Message, RawClient, RawOrigin, Weir, assert_weirs_own, echo, eventually};

const CRAWLER: &str = "127.0.0.66";
const READER: &str = "127.0.0.67";

/// A site whose traps lead to a finding at once.
fn site(origin: &RawOrigin) -> Config {
    Config::to(origin).detection("robots = false\ntraps = [\"/trap/**\"]")
}

fn get(weir: &Weir, from: &str, target: &str) -> Message {
    let mut client = RawClient::connect_from(from, weir.addr());
    client.exchange(format!("GET {target} HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n"))
}

/// Walks into the trap, and on through the site. Gives the last answer.
fn crawl(weir: &Weir, from: &str) -> Message {
    for target in ["/", "/a", "/trap/b"] {
        get(weir, from, target);
    }
    get(weir, from, "/trap/c")
}

fn findings(weir: &Weir, query: &str) -> Vec<Value> {
    let answer = weir.admin_get(&format!("/api/v1/findings?{query}"));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.json()["findings"].as_array().unwrap().clone()
}

#[track_caller]
fn await_finding(weir: &Weir, query: &str) -> Value {
    eventually(&format!("a finding for {query}"), || findings(weir, query).pop())
}

/// A connection that follows the stream of findings, its beginning read.
fn follow(weir: &Weir, fields: &str, query: &str) -> RawClient {
    let admin = weir.admin_addr();
    let mut client = RawClient::connect(admin);
    client.send(format!("GET /api/v1/findings/stream?{query} HTTP/1.1\r\nHost: {admin}\r\n{fields}\r\n"));
    let head = client.response_head();
    assert_eq!((head.status(), head.field("content-type").as_deref()), (200, Some("text/event-stream")));
    client.read_through(": findings as they are opened, sanctioned and closed\n\n");
    client
}

fn command(weir: &Weir, args: &[&str]) -> Output {
    let admin = weir.admin_addr().to_string();
    Command::new(env!("CARGO_BIN_EXE_weir")).args(args).args(["--admin", &admin]).output().unwrap()
}

#[track_caller]
fn said(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What never becomes a request is found and told as well: heads that nobody can read are odd requests.
#[test]
fn unreadable_heads_are_told() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&site(&origin));
    for _ in 0..2 {
        let mut client = RawClient::connect_from(CRAWLER, weir.addr());
        assert_eq!(client.exchange("GET / HTTP/1.1\nHost: app.test\n\n").status(), 400);
    }
    let labels = [("detector", "probe"), ("clause", "probe"), ("mode", "shadow")];
    weir.await_metric("weir_findings_total", &labels, 1);
    assert!(weir.await_log("finding opened").contains("odd-methods"));
    assert_eq!(await_finding(&weir, "detector=probe")["principal"]["id"], CRAWLER);
    origin.expect_no_request();
}

/// What no route leads to, and what has a path that cannot be read, weir answers itself; whoever looks there for what is
/// not there is found all the same.
#[test]
fn what_leads_nowhere_is_seen() {
    let origin = RawOrigin::scripted(echo);
    let route = "[[routes]]\nname = \"shop\"\npath = \"/shop/**\"\nupstream = \"app\"";
    let weir = Weir::start(&site(&origin).section(route));
    for (target, status) in
        [("/.git/config", 404), ("/wp-config.php.bak", 404), ("/%2e%2e%2f%2e%2e%2fetc/passwd", 400)]
    {
        assert_eq!(get(&weir, CRAWLER, target).status(), status, "{target}");
    }
    let found = await_finding(&weir, "detector=probe");
    assert_eq!(found["principal"]["id"], CRAWLER);
    assert_eq!(get(&weir, READER, "/shop/a").status(), 200);
    assert!(findings(&weir, &format!("principal=client:{READER}")).is_empty());
}

/// In shadow, a crawl is a number, a line in the log, an entry at the API and an event of the stream, with who, what,
/// how sure and why; and nobody is refused.
#[test]
fn a_crawl_is_told_everywhere() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&site(&origin));
    let mut stream = follow(&weir, "", "");
    let last = crawl(&weir, CRAWLER);
    assert_eq!(last.status(), 200);
    assert_eq!(get(&weir, READER, "/").status(), 200);

    let event = stream.read_through("\n\n");
    assert!(event.contains("event: opened\n") && event.contains("\"detector\":\"crawl\""), "{event}");
    assert!(event.contains(CRAWLER), "{event}");

    let found = await_finding(&weir, "detector=crawl");
    assert_eq!((&found["principal"]["kind"], &found["principal"]["id"]), (&"client".into(), &CRAWLER.into()));
    assert_eq!((&found["clause"], &found["rule"]), (&"crawl".into(), &"trap".into()));
    assert_eq!((&found["mode"], &found["action"]), (&"shadow".into(), &"none".into()));
    assert!(found["status"].is_null() && found["until"].is_null() && found["open"] == true, "{found}");
    assert_eq!(found["evidence"][0]["counter"], "traps");
    assert!(found["confidence"].as_f64().unwrap() > 0.9, "{found}");
    assert!(found["samples"].as_array().is_some_and(|samples| !samples.is_empty()), "{found}");

    let labels = [("detector", "crawl"), ("clause", "crawl"), ("mode", "shadow")];
    let metrics = weir.metrics();
    assert_eq!(metrics.count("weir_findings_total", &labels), 1);
    assert_eq!(metrics.count("weir_findings_open", &[("detector", "crawl")]), 1);
    assert_eq!(metrics.count("weir_findings_total", &[("mode", "enforce")]), 0);

    let line: Value = serde_json::from_str(&weir.await_log("finding opened")).unwrap();
    let fields = line.get("fields").unwrap_or(&line);
    assert_eq!((&fields["detector"], &fields["principal"]), (&"crawl".into(), &CRAWLER.into()));
    assert!(fields["evidence"].as_str().unwrap().starts_with("traps "), "{line}");
}

/// In enforce the crawler is refused, for a while, with the clause and how long; an ordinary reader at another address
/// is not; and whoever asks why is told.
#[test]
fn a_crawler_is_refused_and_a_reader_is_not() {
    let origin = RawOrigin::scripted(echo);
    for (answer, status) in [("", 429), ("answer = 403\n", 403)] {
        let detector = format!("[detectors.crawl]\nmode = \"enforce\"\nfor = \"1h\"\n{answer}");
        let weir = Weir::start(&site(&origin).section(&detector));
        crawl(&weir, CRAWLER);
        let refused = eventually("the crawler is refused", || {
            Some(get(&weir, CRAWLER, "/")).filter(|answer| answer.status() != 200)
        });
        assert_weirs_own(&refused, status);
        let problem = refused.json();
        assert_eq!((&problem["clause"]["id"], &problem["status"]), (&"crawl".into(), &status.into()));
        let wait: u64 = refused.field("retry-after").unwrap().parse().unwrap();
        assert!((3500..=3600).contains(&wait), "{wait}");
        assert_eq!(get(&weir, READER, "/").status(), 200);

        let id = refused.field("x-request-id").unwrap();
        assert_eq!(problem["request_id"].as_str(), Some(&*id));
        let decision = weir.admin_get(&format!("/api/v1/decisions/{id}")).json();
        assert_eq!((&decision["finding"]["detector"], &decision["limit"]), (&"crawl".into(), &Value::Null));
        let text = said(command(&weir, &["explain", "--request", &id]));
        assert!(text.contains("of crawl (clause crawl), about its client"), "{text}");

        let asked = weir.admin_get(&format!("/api/v1/explain?client={CRAWLER}&path=/")).json();
        assert_eq!((&asked["verdict"], &asked["finding"]["clause"]), (&"refuse".into(), &"crawl".into()));
        let asked = weir.admin_get(&format!("/api/v1/explain?client={READER}&path=/")).json();
        assert_eq!((&asked["verdict"], &asked["finding"]), (&"forward".into(), &Value::Null));

        let found = await_finding(&weir, "detector=crawl");
        assert_eq!((&found["action"], &found["status"]), (&"refuse".into(), &status.into()));
        let metrics = weir.metrics();
        assert!(metrics.count("weir_finding_refusals_total", &[("detector", "crawl")]) > 0);
        assert_eq!(metrics.count("weir_findings_total", &[("mode", "enforce"), ("detector", "crawl")]), 1);
    }
}

/// Promise 5: a detector in shadow changes no byte of the traffic.
#[test]
fn shadow_changes_no_byte() {
    let origin = RawOrigin::scripted(echo);
    let off = "[detectors.crawl]\nmode = \"off\"\n[detectors.probe]\nmode = \"off\"\n[detectors.flood]\nmode = \"off\"";
    let (watched, unwatched) = (Weir::start(&site(&origin)), Weir::start(&site(&origin).section(off)));
    for target in ["/", "/trap/a", "/trap/b", "/.env", "/wp-config.php", "/trap/c"] {
        let seen = [&watched, &unwatched].map(|weir| {
            let mut client = RawClient::connect_from(CRAWLER, weir.addr());
            let port = weir.addr().port().to_string();
            let answer = client.exchange(format!(
                "GET {target} HTTP/1.1\r\nHost: app.test\r\nX-Request-Id: x\r\nConnection: close\r\n\r\n"
            ));
            // What differs from one request to the next anyway.
            let varies =
                |line: &&str| !line.to_ascii_lowercase().contains("x-request-id") && !line.contains(&port);
            let text = String::from_utf8([answer.head.clone(), answer.body.clone()].concat()).unwrap();
            text.split("\r\n").filter(varies).map(str::to_owned).collect::<Vec<_>>()
        });
        assert_eq!(seen[0], seen[1], "{target}");
    }
    await_finding(&watched, "detector=crawl");
}

/// A reload keeps what was found, and what follows: a finding made in shadow refuses once its detector is enforced, or
/// when it is found again; one that refuses goes on.
#[test]
fn a_reload_keeps_findings() {
    let origin = RawOrigin::scripted(echo);
    let enforced = site(&origin).section("[detectors.crawl]\nmode = \"enforce\"");
    let weir = Weir::start(&enforced);
    crawl(&weir, CRAWLER);
    let found = await_finding(&weir, "detector=crawl");
    weir.reload(&enforced.clone().limit("other", "1000/s").text());
    assert_eq!(await_finding(&weir, "detector=crawl")["id"], found["id"]);
    assert_eq!(get(&weir, CRAWLER, "/").status(), 429);
    weir.reload(&site(&origin).text());
    assert_eq!(get(&weir, CRAWLER, "/").status(), 200);
    assert_eq!(weir.metrics().count("weir_findings_open", &[("detector", "crawl")]), 1);
}

/// Nobody who is under `never_refuse` or `exempt` is refused for what they are found to do.
#[test]
fn some_are_found_and_never_refused() {
    let origin = RawOrigin::scripted(echo);
    for excepted in [
        format!("[enforcement]\nnever_refuse = [\"{CRAWLER}\"]\n[detectors.crawl]\nmode = \"enforce\""),
        format!("[detectors.crawl]\nmode = \"enforce\"\nexempt = {{ ranges = [\"{CRAWLER}\"] }}"),
    ] {
        let weir = Weir::start(&site(&origin).section(&excepted));
        crawl(&weir, CRAWLER);
        let found = await_finding(&weir, "detector=crawl");
        assert_eq!((&found["mode"], &found["action"]), (&"shadow".into(), &"none".into()));
        assert_eq!(get(&weir, CRAWLER, "/").status(), 200);
    }
}

/// What is asked for is what is listed; what cannot be asked is said.
#[test]
fn findings_are_filtered() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&site(&origin));
    crawl(&weir, CRAWLER);
    let id = await_finding(&weir, "detector=crawl")["id"].as_u64().unwrap();
    for (query, count) in [
        (format!("principal=client:{CRAWLER}&detector=crawl"), 1),
        (format!("principal={READER}"), 0),
        ("principal=account".to_owned(), 0),
        ("clause=crawl&open=true".to_owned(), 1),
        ("detector=crawl&open=false".to_owned(), 0),
        ("detector=crawl&limit=0".to_owned(), 0),
    ] {
        assert_eq!(findings(&weir, &query).len(), count, "{query}");
    }
    for bad in ["limit=1001", "open=maybe", "dectector=crawl"] {
        assert_eq!(weir.admin_get(&format!("/api/v1/findings?{bad}")).status(), 400, "{bad}");
    }
    assert_eq!(weir.admin_get(&format!("/api/v1/findings/{id}")).json()["detector"], "crawl");
    assert_eq!(weir.admin_get("/api/v1/findings/0").status(), 404);
    let text = said(command(&weir, &["findings", "--detector", "crawl"]));
    assert!(text.contains(&format!("crawl  client {CRAWLER}")) && text.contains("1 open finding"), "{text}");
    let json: Value = serde_json::from_str(&said(command(&weir, &["findings", "--json"]))).unwrap();
    assert!(json["last_event"].as_u64().unwrap() >= 1, "{json}");
}

/// A follower who comes back hears what it missed; only so many may follow; and when weir stops, the stream ends.
#[test]
fn the_stream_goes_on_and_ends() {
    let origin = RawOrigin::scripted(echo);
    let mut weir = Weir::start(&site(&origin));
    crawl(&weir, CRAWLER);
    await_finding(&weir, "detector=crawl");
    let mut late = follow(&weir, "Last-Event-ID: 0\r\n", "detector=crawl");
    let event = late.read_through("\n\n");
    assert!(event.contains("event: opened") && event.contains(CRAWLER), "{event}");
    let mut deaf = follow(&weir, "Last-Event-ID: 0\r\n", "detector=flood");
    let others: Vec<RawClient> = (0..14).map(|_| follow(&weir, "", "")).collect();
    let refused = weir.admin_get("/api/v1/findings/stream");
    assert_eq!(refused.status(), 503, "{}", refused.text());
    drop(others);
    eventually("there is room again", || {
        let admin = weir.admin_addr();
        let mut client = RawClient::connect(admin);
        client.send(format!("GET /api/v1/findings/stream HTTP/1.1\r\nHost: {admin}\r\n\r\n"));
        (client.response_head().status() == 200).then_some(())
    });
    weir.signal(rustix::process::Signal::TERM);
    assert!(weir.wait_exit().success());
    let rest = String::from_utf8(deaf.try_read_to_end().unwrap()).unwrap();
    assert!(!rest.contains("event: "), "{rest}");
}

/// The app's robots.txt is read, and who fetches it and goes where it asks not to is found, by the same rules under
/// every spelling.
#[test]
fn robots_txt_is_heeded() {
    const ROBOTS: &str = "User-agent: *\nDisallow: /private/\n";
    let origin = RawOrigin::scripted(|conn| {
        while let Some(request) = conn.read_request() {
            let is_robots = request.target() == "/robots.txt";
            conn.answer(if is_robots { ROBOTS } else { "a page" });
        }
    });
    let weir = Weir::start(&Config::to(&origin).detection("robots = true"));
    let fetched = origin.next_request();
    assert_eq!(
        (fetched.target(), fetched.field("user-agent").as_deref()),
        ("/robots.txt".into(), Some("weir-robots"))
    );
    weir.await_log("robots.txt is read");
    get(&weir, CRAWLER, "/robots.txt");
    for page in ["/private/1", "/private/2", "/%70rivate/3", "/private/4"] {
        get(&weir, CRAWLER, page);
    }
    let found = await_finding(&weir, "detector=crawl");
    assert_eq!(found["rule"], "robots-disregarded", "{found}");
}

/// Failed logins are told by the configured routes and answers, and the crawler's clause is not theirs.
#[test]
fn logins_fail_as_configured() {
    let origin = RawOrigin::answering("HTTP/1.1 418 No\r\nContent-Length: 0\r\n\r\n");
    let weir = Weir::start(
        &Config::to(&origin)
            .detection("robots = false\nlogins = [{ path = \"/enter\", failed = { status = [418] } }]"),
    );
    let mut client = RawClient::connect_from(CRAWLER, weir.addr());
    for _ in 0..12 {
        let login = "POST /enter HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\n\r\na=b";
        assert_eq!(client.exchange(login).status(), 418);
    }
    let found = await_finding(&weir, "detector=stuffing");
    assert_eq!((&found["clause"], &found["principal"]["id"]), (&"circumvent".into(), &CRAWLER.into()));
}

/// Addresses are told as configured, in the log as at the API.
#[test]
fn addresses_are_kept_as_configured() {
    let origin = RawOrigin::scripted(echo);
    let lines = "robots = false\ntraps = [\"/trap/**\"]\naddresses = \"none\"";
    let weir = Weir::start(&Config::to(&origin).detection(lines));
    crawl(&weir, CRAWLER);
    let found = await_finding(&weir, "detector=crawl");
    assert_eq!(found["addresses"], Value::Array(Vec::new()));
    assert!(!found.to_string().contains("127.0.0."), "{found}");
    assert!(!weir.await_log("finding opened").contains("127.0.0."));
}

/// A rule of the operator's is told everywhere under its own name, refuses whom it finds, and is asked of what it matches
/// alone; the fields and the query of a request are there to be asked about.
#[test]
fn a_rule_is_told_under_its_name() {
    let origin = RawOrigin::scripted(echo);
    let rule = "[[rules]]\nname = \"exports\"\nclause = \"custom\"\nmode = \"enforce\"\nanswer = 403\n\
                match = { path = \"/export\" }\nwhen = 'asked_1m >= 2 && query == \"all\" && \"host\" in headers'";
    let weir = Weir::start(&site(&origin).section(rule));
    for _ in 0..3 {
        get(&weir, READER, "/export?some");
        get(&weir, CRAWLER, "/export?all");
    }
    let found = await_finding(&weir, "detector=exports");
    assert_eq!((&found["principal"]["id"], &found["clause"]), (&CRAWLER.into(), &"custom".into()));
    assert_eq!((&found["behaviour"], &found["confidence"]), (&"rule".into(), &1.0.into()));
    assert_eq!(
        (&found["evidence"][0]["counter"], &found["evidence"][0]["threshold"]),
        (&"asked_1m".into(), &2.into())
    );
    assert!(weir.await_log("finding opened").contains("exports"));

    let refused = get(&weir, CRAWLER, "/");
    assert_weirs_own(&refused, 403);
    assert_eq!(refused.json()["clause"]["id"], "custom");
    let decision =
        weir.admin_get(&format!("/api/v1/decisions/{}", refused.field("x-request-id").unwrap())).json();
    assert_eq!(decision["finding"]["detector"], "exports");
    assert_eq!(get(&weir, READER, "/export?some").status(), 200);

    let metrics = weir.metrics();
    let labels = [("detector", "exports"), ("clause", "custom"), ("mode", "enforce")];
    assert_eq!(metrics.count("weir_findings_total", &labels), 1);
    assert_eq!(metrics.count("weir_findings_open", &[("detector", "exports")]), 1);
    assert!(metrics.count("weir_finding_refusals_total", &[("detector", "exports")]) > 0);

    let incidents = weir.admin_get("/incidents").json();
    let incident = &incidents["incidents"][0];
    assert_eq!((&incident["principal"]["kind"], &incident["action"]), (&"address".into(), &"suspend".into()));
    assert_eq!(
        (&incident["detector"], &incident["principal"]["addresses"][0]),
        (&"exports".into(), &CRAWLER.into())
    );
    assert!(incident["time"].as_f64() < incident["until"].as_f64(), "{incident}");
}
