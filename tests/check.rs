//! `weir check` as a person or a script runs it: exit codes, what is on stdout and what on stderr.

#![cfg(feature = "proxy")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails by a panic")]

use std::process::{Command, Output};

use serde_json::Value;

/// Promise: a valid file exits with 0 and says what is in force, and plainly what is not.
#[test]
fn a_valid_file_is_summed_up() {
    let checked = check(&["config/weir.toml"]);
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
    let out = String::from_utf8(checked.stdout).unwrap();
    for line in [
        "config/weir.toml is valid",
        "127.0.0.1:8080 clients; x-forwarded-for is believed from 127.0.0.1/32, ::1/128",
        "logins at most 5 in any 1min, by client, method POST, path /login (clause circumvent)",
        "crawl detector crawl (shadow)",
        "content nothing",
        "crawl in shadow: finds, and refuses nobody (clause crawl)",
        "WITHOUT EFFECT in this version",
        "per-account 600 per 1min, paced, 50 at once, by account (clause load); without account: not counted",
        "downloads at most 2GiB of response bodies in any 1h, by account and client, header range, plan pro \
         (clause load); without account: not counted",
        "browsers at most 300 in any 1min, by session, host www.example.com, not path /assets/** or /healthz, \
         client 192.0.2.0/24 (clause load); without session: counted together",
        "agreement acme per-account 20000 per 1min, paced, 2000 at once; else as plan pro (MSA 2026-03, 4.2)",
        "detectors.load without [load] unreasonable, no share of an upstream is ever unreasonable",
    ] {
        // How the columns are padded is nobody's concern.
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(out.lines().any(|l| words(l) == line), "{line:?} is not in\n{out}");
    }
    assert!(checked.stderr.is_empty(), "{}", String::from_utf8_lossy(&checked.stderr));
}

/// Promise: certificates that are obtained are told: for which names, from whom, how and where they are kept; and their
/// terms are not agreed to by anybody but the operator.
#[test]
fn certificates_by_acme_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("weir.toml");
    let text = "[listen]\nproxy_tls = \"127.0.0.1:8443\"\n[upstreams.app]\nservers = [\"127.0.0.1:3000\"]\n\
                [tls.acme]\nnames = \"App.example.com\"\nstate_dir = \"/var/lib/weir/acme\"\n";
    std::fs::write(&file, text).unwrap();
    assert_eq!(check(&[file.to_str().unwrap()]).status.code(), Some(2));
    std::fs::write(&file, format!("{text}terms_agreed = true\n")).unwrap();
    let checked = check(&[file.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
    let out = String::from_utf8(checked.stdout).unwrap();
    let line = "app.example.com  obtained from https://acme-v02.api.letsencrypt.org/directory, which connects to port 443 of \
                the name (tls-alpn-01); kept in /var/lib/weir/acme";
    assert!(out.contains(line), "{out}");
}

/// Promise: a bad file exits with 2; what is wrong is on stderr, with its place, and nothing is on stdout.
#[test]
fn a_bad_file_is_refused() {
    let checked = check(&["tests/config_bad/unknown-key.toml"]);
    assert_eq!(checked.status.code(), Some(2));
    let err = String::from_utf8(checked.stderr).unwrap();
    for words in [
        "unknown key `limts`",
        "tests/config_bad/unknown-key.toml:6:3",
        "did you mean `limits`?",
        "weir: 1 error",
    ] {
        assert!(err.contains(words), "{words:?} is not in\n{err}");
    }
    assert!(checked.stdout.is_empty());
}

/// Promise: a file that is not there is an error like any other.
#[test]
fn a_missing_file_is_refused() {
    let checked = check(&["tests/config_bad/nowhere.toml"]);
    assert_eq!(checked.status.code(), Some(2));
    let err = String::from_utf8(checked.stderr).unwrap();
    assert!(err.contains("cannot read tests/config_bad/nowhere.toml: there is no such file"), "{err}");
}

/// Promise: a script gets all of it as one JSON object, with the same exit codes.
#[test]
fn json_holds_the_same() {
    let good = check(&["--json", "config/minimal.toml"]);
    assert_eq!(good.status.code(), Some(0));
    let good: Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!(good["valid"], true);
    assert_eq!(good["policy"]["limits"][0]["name"], "per-client");
    assert_eq!(good["policy"]["clauses"][0]["upheld_by"][0], "per-client");

    let bad = check(&["--json", "tests/config_bad/unknown-key.toml"]);
    assert_eq!(bad.status.code(), Some(2));
    let bad: Value = serde_json::from_slice(&bad.stdout).unwrap();
    assert_eq!(bad["valid"], false);
    assert_eq!(bad["diagnostics"][0]["line"], 6);
    assert_eq!(bad["diagnostics"][0]["help"], "did you mean `limits`?");
}

fn check(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir")).arg("check").args(args).output().unwrap()
}
