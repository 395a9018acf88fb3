//! Asking a running weir: why a request was refused, why one would be, and which mode is in force.

use std::process::{Command, Output};

use crate::harness::{Config, Message, RawClient, RawOrigin, Weir, eventually};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn command(weir: &Weir, args: &[&str]) -> Output {
    let admin = weir.admin_addr().to_string();
    Command::new(env!("CARGO_BIN_EXE_weir")).args(args).args(["--admin", &admin]).output().unwrap()
}

#[track_caller]
fn said(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn set_mode(weir: &Weir, extra: &str, body: &str) -> Message {
    let mut client = RawClient::connect(weir.admin_addr());
    let length = body.len();
    client.exchange(format!(
        "POST /api/v1/mode HTTP/1.1\r\nHost: {}\r\n{extra}Content-Length: {length}\r\n\r\n{body}",
        weir.admin_addr()
    ))
}

/// From a customer's complaint to the reason in one command: the request id of a 429 leads to the limit, its numbers at
/// that moment, its layer and clause (design, promise 6).
#[test]
fn a_request_id_leads_to_the_reason() {
    let origin = RawOrigin::answering(OK);
    let weir = Weir::start(&Config::to(&origin).limit("few", "2/h"));
    for expected in [200, 200] {
        assert_eq!(weir.get("/").status(), expected);
    }
    let refused = weir.get("/");
    assert_eq!(refused.status(), 429);
    let id = refused.field("x-request-id").unwrap();
    let decision = weir.admin_get(&format!("/api/v1/decisions/{id}"));
    assert_eq!(decision.status(), 200);
    let decision = decision.json();
    assert_eq!(
        (decision["request_id"].as_str(), decision["client"].as_str()),
        (Some(&*id), Some("127.0.0.1"))
    );
    assert_eq!((decision["limit"].as_str(), decision["method"].as_str()), (Some("few"), Some("GET")));
    let over = &decision["over"][0];
    assert_eq!((over["clause"].as_str(), over["layer"].as_str()), (Some("load"), Some("policy")));
    assert_eq!((over["mode"].as_str(), over["counts"].as_str()), (Some("enforce"), Some("client")));
    assert_eq!((over["usage"]["used"].as_u64(), over["usage"]["limit"].as_u64()), (Some(2), Some(2)));
    let text = said(command(&weir, &["explain", "--request", &id]));
    for words in [&*id, "because of   few", "at most 2 in any 1h, by client", "used 2 of 2 then"] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    let list = weir.admin_get("/api/v1/decisions?limit=1").json();
    assert_eq!(list["decisions"].as_array().unwrap().len(), 1);
    assert_eq!(list["decisions"][0]["request_id"].as_str(), Some(&*id));
    assert_eq!(weir.admin_get("/api/v1/decisions?limit=1001").status(), 400);
    assert_eq!(weir.admin_get("/api/v1/decisions/nothing").status(), 404);
    assert_eq!(command(&weir, &["explain", "--request", "nothing"]).status.code(), Some(1));
}

/// A candidate in shadow can be judged by its cases: what it would have refused is remembered like a refusal, and said to
/// have been let pass (design, promises 5 and 6).
#[test]
fn what_shadow_would_refuse_is_remembered() {
    let origin = RawOrigin::answering(OK);
    let candidate = "[[limits]]\nname = \"candidate\"\nkey = [\"client\"]\nrate = \"1/h\"\nmode = \"shadow\"";
    let weir = Weir::start(&Config::to(&origin).limit("roomy", "100/h").section(candidate));
    assert_eq!(weir.get("/").status(), 200);
    let over = weir.get("/");
    assert_eq!(over.status(), 200);
    let id = over.field("x-request-id").unwrap();
    let decision = weir.admin_get(&format!("/api/v1/decisions/{id}")).json();
    assert_eq!(
        (decision["verdict"].as_str(), decision["limit"].as_str()),
        (Some("shadow"), Some("candidate")),
        "{decision}"
    );
    let listed = decision["over"].as_array().unwrap();
    assert_eq!(listed.len(), 1, "the limit that it was within is not among them: {decision}");
    assert_eq!((listed[0]["usage"]["used"].as_u64(), listed[0]["mode"].as_str()), (Some(1), Some("shadow")));
    let text = said(command(&weir, &["explain", "--request", &id]));
    assert!(text.contains("let pass") && text.contains("would be refused by candidate"), "{text}");
}

/// The running weir explains with what is used now, and asking uses nothing.
#[test]
fn a_running_weir_explains_with_live_counters() {
    let origin = RawOrigin::answering(OK);
    let weir = Weir::start(&Config::to(&origin).limit("few", "2/h"));
    let ask = || weir.admin_get("/api/v1/explain?client=127.0.0.1&method=GET&path=%2F&host=a").json();
    let used = |report: &serde_json::Value| report["limits"][0]["usage"]["used"].as_u64();
    assert_eq!(used(&ask()), Some(0));
    assert_eq!(weir.get("/").status(), 200);
    assert_eq!((used(&ask()), ask()["verdict"].as_str()), (Some(1), Some("forward")));
    assert_eq!(weir.get("/").status(), 200);
    assert_eq!((used(&ask()), ask()["verdict"].as_str()), (Some(2), Some("refuse")));
    let text = said(command(&weir, &["explain", "--client", "127.0.0.1", "GET", "/"]));
    assert!(
        text.contains("would be refused because of few") && text.contains("used 2 of 2 now: OVER"),
        "{text}"
    );
    assert_eq!(weir.admin_get("/api/v1/explain?client=nobody&path=/").status(), 400);
    assert_eq!(weir.admin_get("/api/v1/explain?path=/").status(), 400);
}

/// The switch holds at once, is audited and measured, and is given back.
#[test]
fn the_mode_is_set_at_once() {
    let origin = RawOrigin::answering(OK);
    let weir = Weir::start(&Config::to(&origin).limit("few", "1/h"));
    assert_eq!([weir.get("/").status(), weir.get("/").status()], [200, 429]);
    assert_eq!(said(command(&weir, &["mode"])), "enforce, as the configuration has it\n");
    let set = said(command(&weir, &["mode", "shadow", "--for", "30m", "--reason", "a bad limit"]));
    assert!(set.starts_with("shadow, for 30min more; the configuration has enforce\n"), "{set}");
    assert_eq!(weir.get("/").status(), 200);
    let audited = weir.await_log("enforcement mode set");
    for words in ["\"old\":\"enforce\"", "\"new\":\"shadow\"", "a bad limit", "127.0.0.1", "weir::audit"] {
        assert!(audited.contains(words), "{words} is not in {audited}");
    }
    let metrics = weir.metrics();
    let is = |mode| metrics.count("weir_enforcement_mode", &[("mode", mode)]);
    assert_eq!((is("enforce"), is("shadow"), is("off")), (0, 1, 0));
    let left = metrics.count("weir_mode_override_expires_seconds", &[]);
    assert!((1700..=1800).contains(&left), "{left}");
    said(command(&weir, &["mode", "policy"]));
    assert_eq!(weir.get("/").status(), 429);
    assert_eq!(weir.metrics().count("weir_mode_override_expires_seconds", &[]), 0);
}

/// When its time is over, the configuration's own mode is back, and the log says so.
#[test]
fn a_mode_expires() {
    let origin = RawOrigin::answering(OK);
    let weir = Weir::start(&Config::to(&origin).limit("few", "1/h"));
    assert_eq!([weir.get("/").status(), weir.get("/").status()], [200, 429]);
    let json = "Content-Type: application/json\r\n";
    assert_eq!(set_mode(&weir, json, "{\"mode\": \"off\", \"for_seconds\": 1}").status(), 200);
    weir.await_log("its time was over");
    eventually("it refuses again", || (weir.get("/").status() == 429).then_some(()));
    assert_eq!(weir.admin_get("/api/v1/mode").json()["overridden"], false);
}

/// No page that an operator looks at can throw the switch, and nonsense changes nothing.
#[test]
fn a_page_cannot_set_the_mode() {
    let origin = RawOrigin::answering(OK);
    let weir = Weir::start(&Config::to(&origin).limit("few", "1/h"));
    let (off, json) = ("{\"mode\": \"off\"}", "Content-Type: application/json\r\n");
    for (extra, body, expected) in [
        ("", off, 415),
        ("Content-Type: text/plain\r\n", off, 415),
        ("Content-Type: application/json\r\nOrigin: http://evil.example\r\n", off, 403),
        ("Content-Type: application/json\r\nSec-Fetch-Site: same-origin\r\n", off, 403),
        (json, "{\"mode\": \"none\"}", 400),
        (json, "{\"mode\": \"off\", \"for_seconds\": 0}", 400),
        (json, "{\"mode\": \"policy\", \"for_seconds\": 9}", 400),
        (json, "{\"mode\": \"off\", \"fo\": 9}", 400),
        (json, "off", 400),
        (json, &"x".repeat(5000), 413),
    ] {
        assert_eq!(set_mode(&weir, extra, body).status(), expected, "{extra}{body}");
    }
    let mut rebound = RawClient::connect(weir.admin_addr());
    let request = "GET /api/v1/decisions HTTP/1.1\r\nHost: rebound.example:9900\r\n\r\n";
    assert_eq!(rebound.exchange(request).status(), 421);
    assert_eq!(weir.admin_get("/api/v1/mode").json()["mode"], "enforce");
}
