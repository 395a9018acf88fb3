//! One path: no spelling that the app would serve alike escapes its route's limit.

use crate::harness::{Config, RawOrigin, Weir};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

const LOGIN_LIMIT: &str = "[[limits]]\nname = \"logins\"\nkey = [\"client\"]\nrate = \"2/h\"\n\
                           match = { path = \"/account/login\", method = [\"GET\", \"POST\"] }";

/// Every spelling of a limited path counts against its one limit, while the app gets it as it was spelt.
#[test]
fn every_spelling_counts_against_one_limit() {
    let spellings = [
        "/account/login",
        "/account/login/",
        "/account//login",
        "//account/login",
        "/account/./login",
        "/account/x/../login",
        "/x/%2e%2e/account/login",
        "/account/%6Cogin",
        "/%61ccount/log%69n",
        "/account/login?next=/",
        "/../account/login",
        "/account/login/.",
    ];
    for spelling in spellings {
        let origin = RawOrigin::answering(OK);
        let weir = Weir::start(&Config::to(&origin).section(LOGIN_LIMIT));
        let status = |target: &str| weir.get(target).status();
        assert_eq!((status("/account/login"), status(spelling)), (200, 200), "{spelling}");
        origin.next_request();
        assert_eq!(origin.next_request().target(), spelling);
        assert_eq!((status(spelling), status("/account/login")), (429, 429), "{spelling}");
        assert_eq!(status("/account/other"), 200);
    }
}

/// Absolute-form, another case of the host, its port and a trailing dot are the same host; the same path
/// there is the same route.
#[test]
fn every_spelling_of_a_host_is_one_host() {
    let origin = RawOrigin::answering(OK);
    let limit =
        "[[limits]]\nname = \"on-host\"\nkey = [\"client\"]\nrate = \"5/h\"\nmatch = { host = \"app.test\" }";
    let weir = Weir::start(&Config::to(&origin).section(limit));
    let mut client = weir.connect();
    let mut get = |target: &str, host: &str| {
        client.exchange(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).status()
    };
    let spellings = [
        get("/", "app.test"),
        get("/", "APP.Test"),
        get("/", "app.test:80"),
        get("/", "app.test."),
        get("http://app.test/", "app.test"),
    ];
    assert_eq!(spellings, [200; 5]);
    assert_eq!(get("/", "App.Test.:8080"), 429);
    assert_eq!(get("/", "other.test"), 200);
}

/// A rule for GET includes HEAD, which the app computes just the same (issue 3, "One path").
#[test]
fn a_limit_on_get_includes_head() {
    let origin = RawOrigin::answering(OK);
    let weir = Weir::start(&Config::to(&origin).section(
        "[[limits]]\nname = \"reads\"\nkey = [\"client\"]\nrate = \"1/h\"\nmatch = { path = \"/**\", method = [\"GET\"] }",
    ));
    let mut client = weir.connect();
    assert_eq!(client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status(), 200);
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response_to_head().status(), 429);
    assert_eq!(client.exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").status(), 200);
}

/// The first route in file order that matches wins, by path and by host.
#[test]
fn the_first_matching_route_wins() {
    let [export, host, rest] = ["export", "host", "rest"].map(|body| {
        RawOrigin::answering(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
    });
    let section = format!(
        "[upstreams.export]\nservers = [\"{}\"]\n[upstreams.host]\nservers = [\"{}\"]\n\
         [[routes]]\npath = \"/exports/{{id}}\"\nupstream = \"export\"\n\
         [[routes]]\nhost = \"*.eu.test\"\npath = \"/**\"\nupstream = \"host\"\n\
         [[routes]]\npath = \"/**\"\nupstream = \"app\"",
        export.address(),
        host.address()
    );
    let weir = Weir::start(&Config::to(&rest).section(&section));
    let mut client = weir.connect();
    let mut get = |target: &str, host: &str| {
        client.exchange(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).text()
    };
    assert_eq!(get("/exports/7", "a.test"), "export");
    assert_eq!(get("/exports/7", "x.eu.test"), "export");
    assert_eq!(get("/exports/7/8", "x.eu.test"), "host");
    assert_eq!(get("/exports/", "a.test"), "rest");
    assert_eq!(get("/exports/7/8", "eu.test"), "rest");
}

/// A request that no route covers is weir's 404, and says so.
#[test]
fn no_route_is_not_found() {
    let origin = RawOrigin::answering(OK);
    let weir =
        Weir::start(&Config::to(&origin).section("[[routes]]\npath = \"/api/**\"\nupstream = \"app\""));
    assert_eq!(weir.get("/api/x").status(), 200);
    let answer = weir.get("/other");
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.field("content-type").as_deref(), Some("application/problem+json"));
    origin.next_request();
    origin.expect_no_request();
}

/// A route may let encoded slashes through, for apps that use them in names; they pass as they came.
#[test]
fn a_route_may_allow_encoded_slashes() {
    let origin = RawOrigin::answering(OK);
    let routes = "[[routes]]\npath = \"/files/**\"\nupstream = \"app\"\nallow_encoded_slashes = true\n\
                  [[routes]]\npath = \"/**\"\nupstream = \"app\"";
    let weir = Weir::start(&Config::to(&origin).section(routes));
    assert_eq!(weir.get("/files/a%2Fb").status(), 200);
    assert_eq!(origin.next_request().target(), "/files/a%2Fb");
    assert_eq!(weir.get("/other/a%2Fb").status(), 400);
}
