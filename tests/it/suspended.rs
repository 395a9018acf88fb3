//! Accounts that the accounts file suspends.

use crate::harness::{Config, Launch, Message, RawOrigin, Weir};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// SHA-256 of `acme-key` and of `globex-key`: `printf %s acme-key | sha256sum`.
const ACME: &str = "sha256:afacab3575137afa4e00d9cbcafcb14c9ae25f779d964eb0ea5b2c4eb5dfd163";
const GLOBEX: &str = "sha256:f2a455b59b858a04c51108416af2042203cb6ac35fa4141fba4148bc856e78d4";

fn accounts(suspended: &str) -> String {
    format!(
        "version = 1\n[[accounts]]\nid = \"acme\"\ncredentials = [{ACME:?}]\n{suspended}\n\
         [[accounts]]\nid = \"globex\"\ncredentials = [{GLOBEX:?}]\n"
    )
}

fn start(origin: &RawOrigin, enforcement: &str) -> Weir {
    let identity = "[identity]\naccounts_file = \"accounts.toml\"\naccount = [\"bearer\"]\n\
                    session = [\"bearer\", \"cookie:session\"]\nlearn_account_from = \"x-weir-account\"";
    let config = Config::to(origin).section(identity).section(enforcement).limit("per-client", "100/h");
    Launch::new(&config).beside("accounts.toml", &accounts("suspended = \"crawl\"")).start()
}

fn get(weir: &Weir, line: &str) -> Message {
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{line}\r\n\r\n");
    weir.connect().exchange(request)
}

/// A suspended account is refused with its clause before the app hears of it, whatever else the request shows, and uses
/// nothing of any limit; others are served. Once the file says so, it is served again.
#[test]
fn a_suspended_account_is_refused() {
    let origin = RawOrigin::answering(OK);
    let weir = start(&origin, "");
    let refused = get(&weir, "Authorization: Bearer acme-key");
    assert_eq!((refused.status(), refused.field("retry-after")), (403, None));
    assert_eq!(refused.field("cache-control").as_deref(), Some("no-store"));
    let problem = refused.json();
    assert_eq!((problem["clause"]["id"].as_str(), problem["status"].as_u64()), (Some("crawl"), Some(403)));
    assert_eq!(problem["request_id"].as_str(), refused.field("x-request-id").as_deref());
    origin.expect_no_request();
    // Arrivals are demand, admitted or not: detectors go on seeing it (design, promise 4).
    assert!(weir.metrics().count("weir_conduct_principals", &[]) > 0);
    assert_eq!(get(&weir, "Authorization: Bearer globex-key").status(), 200);
    assert_eq!(
        get(&weir, "Authorization: Bearer globex-key\r\nAuthorization: Bearer acme-key").status(),
        403
    );
    let explained = weir.admin_get("/api/v1/explain?path=%2F&client=127.0.0.1&account=acme").json();
    assert_eq!(
        (explained["verdict"].as_str(), explained["suspended"].as_str()),
        (Some("refuse"), Some("crawl")),
        "{explained}"
    );
    assert_eq!(explained["limits"][0]["usage"]["used"], 1, "only the forwarded one is charged: {explained}");
    let metrics = weir.metrics();
    assert_eq!(metrics.count("weir_requests_total", &[("decision", "suspended"), ("class", "4xx")]), 2);
    weir.await_reload("ok", || weir.write_beside("accounts.toml", &accounts("")));
    assert_eq!(get(&weir, "Authorization: Bearer acme-key").status(), 200);
}

/// What the app answers to a session that turns out to be a suspended account's is withheld, and the session is bound to
/// it: its next request does not reach the app.
#[test]
fn an_answer_to_a_suspended_account_is_withheld() {
    let origin =
        RawOrigin::answering("HTTP/1.1 200 OK\r\nX-Weir-Account: acme\r\nContent-Length: 6\r\n\r\nsecret");
    let weir = start(&origin, "");
    for _ in 0..2 {
        let answer = get(&weir, "Cookie: session=mine");
        assert_eq!(answer.status(), 403);
        assert!(!answer.text().contains("secret"), "{}", answer.text());
        assert_eq!(answer.field("x-weir-account"), None);
    }
    origin.next_request();
    origin.expect_no_request();
}

/// Promise 5: with the switch on shadow, and for whom weir never refuses, a suspension changes nothing.
#[test]
fn a_suspension_obeys_the_switch() {
    for lenient in
        ["mode = \"shadow\"", "never_refuse = [\"127.0.0.0/8\"]", "never_refuse = { accounts = [\"acme\"] }"]
    {
        let origin =
            RawOrigin::answering("HTTP/1.1 200 OK\r\nX-Weir-Account: acme\r\nContent-Length: 2\r\n\r\nok");
        let weir = start(&origin, &format!("[enforcement]\n{lenient}"));
        assert_eq!(get(&weir, "Authorization: Bearer acme-key").status(), 200, "{lenient}");
        assert_eq!(get(&weir, "Cookie: session=mine").status(), 200, "{lenient}");
    }
}
