//! The proxy and the log that it writes: two ways to the same findings.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Config, RawClient, RawOrigin, Weir, echo, eventually};

/// Who asks for what: somebody in a trap, a scanner, another one whose paths weir does not pass on, somebody who guesses
/// passwords, and a reader.
const REQUESTS: [(&str, &str, &str); 16] = [
    ("127.0.0.66", "GET", "/trap/a"),
    ("127.0.0.66", "GET", "/trap/b"),
    ("127.0.0.67", "GET", "/.git/config"),
    ("127.0.0.67", "GET", "/.env"),
    ("127.0.0.67", "GET", "/wp-config.php.bak"),
    ("127.0.0.70", "GET", "/%2e%2e%2f%2e%2e%2fetc/passwd"),
    ("127.0.0.70", "GET", "/static/%2e%2e%2f%2e%2e%2fetc/passwd"),
    ("127.0.0.68", "POST", "/login"),
    ("127.0.0.68", "POST", "/login"),
    ("127.0.0.68", "POST", "/login"),
    ("127.0.0.68", "POST", "/login"),
    ("127.0.0.68", "POST", "/login"),
    ("127.0.0.68", "POST", "/login"),
    ("127.0.0.69", "GET", "/"),
    ("127.0.0.69", "GET", "/docs"),
    ("127.0.0.69", "GET", "/about"),
];

/// Client, detector, rule and clause of each finding.
type Found = BTreeSet<[String; 4]>;

/// Promise: `weir replay` of the access log finds whom the proxy that wrote it found, by the same rules and clauses,
/// and nobody else.
#[test]
fn the_log_leads_to_the_same_findings() {
    let origin = RawOrigin::scripted(echo);
    let access = "access = { file = \"$DIR/access.log\", format = \"json\" }";
    let config = Config::to(&origin).log(access).detection("robots = false\ntraps = [\"/trap/**\"]");
    let weir = Weir::start(&config);
    for (from, method, target) in REQUESTS {
        let mut client = RawClient::connect_from(from, weir.addr());
        let head = format!("{method} {target} HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n");
        let body = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
        let status = if target.contains("%2f") { 400 } else { 200 };
        assert_eq!(client.exchange(format!("{head}{body}\r\n")).status(), status);
    }
    let log = weir.dir().join("access.log");
    eventually("every line of the log", || {
        let text = fs::read_to_string(&log).ok()?;
        (text.lines().count() == REQUESTS.len()).then_some(())
    });
    let replayed = replayed(&weir);
    assert!(replayed.len() >= 4, "{replayed:?}");
    eventually("the same findings", || (live(&weir) == replayed).then_some(()));
}

fn live(weir: &Weir) -> Found {
    let answer = weir.admin_get("/api/v1/findings?");
    let told = |of: &Value| {
        let client = text(&of["principal"]["id"]);
        [client, text(&of["detector"]), text(&of["rule"]), text(&of["clause"])]
    };
    answer.json()["findings"].as_array().unwrap().iter().map(told).collect()
}

fn replayed(weir: &Weir) -> Found {
    let (config, log) = (weir.dir().join("weir.toml"), weir.dir().join("access.log"));
    let output = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["replay", "--json", "--config"])
        .args([config, log])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let findings = lines.filter(|line| line.get("detector").is_some());
    findings
        .map(|of| [text(&of["client"]), text(&of["detector"]), text(&of["rule"]), text(&of["clause"])])
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
