//! `weir explain` as a person or a script runs it, on files alone.

#![cfg(feature = "proxy")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails by a panic")]

use std::process::{Command, Output};

use serde_json::Value;

fn explain(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir")).arg("explain").args(args).output().unwrap()
}

/// Promise 6: on the shipped example, the agreement's numbers are told with their reference, and the plan's and the
/// limit's own as what they override; other limits keep their own. Worked out by hand from config/weir.toml.
#[test]
fn the_example_gives_the_layers() {
    let args = ["--config", "config/weir.toml", "--account", "acme", "--client", "192.0.2.7", "--all"];
    let explained = explain(&[&args[..], &["GET", "/api/v1/exports/9?x=1"]].concat());
    assert_eq!(explained.status.code(), Some(0), "{explained:?}");
    let out = String::from_utf8(explained.stdout).unwrap();
    for line in [
        "GET /api/v1/exports/9 from 192.0.2.7",
        "  route        exports, to app, counts as 20 requests",
        "  account      acme, plan pro, agreement \"MSA 2026-03, 4.2\"",
        "  enforcement  enforce",
        "  per-client (clause load): at most 100 in any 10s, by client 192.0.2.7",
        "      from [[limits]]",
        "  per-account (clause load): 20000 per 1min, paced, 2000 at once, by account acme",
        "      from the agreement of acme, \"MSA 2026-03, 4.2\"",
        "      instead of 6000 per 1min, paced, 500 at once, from plan",
        "      instead of 600 per 1min, paced, 50 at once, from [[limits]]",
        "  exports-in-flight (clause load): at most 4 at once, by client 192.0.2.7, on route exports",
        "  logins: another path than its match has",
    ] {
        assert!(out.lines().any(|l| l == line), "{line:?} is not in\n{out}");
    }
}

/// Promise: a script gets the same as JSON, whose members docs/operating.md lists.
#[test]
fn json_holds_the_same() {
    let args = ["--config", "config/weir.toml", "--json", "--account", "acme", "GET", "/api/v1/exports/9"];
    let explained = explain(&args);
    let report: Value = serde_json::from_slice(&explained.stdout).unwrap();
    assert_eq!((report["verdict"].as_str(), report["route"]["weight"].as_u64()), (Some("forward"), Some(20)));
    let limits = report["limits"].as_array().unwrap();
    let limit = limits.iter().find(|limit| limit["name"] == "per-account").unwrap();
    assert_eq!((limit["layer"].as_str(), limit["from"].as_str()), (Some("agreement"), Some("acme")));
    assert_eq!(
        (limit["bound"]["algorithm"].as_str(), limit["bound"]["burst"].as_u64()),
        (Some("gcra"), Some(2000))
    );
    assert_eq!(limit["reference"], "MSA 2026-03, 4.2");
    let below: Vec<_> =
        limit["overrides"].as_array().unwrap().iter().map(|o| o["layer"].as_str().unwrap()).collect();
    assert_eq!(below, ["plan", "policy"]);
}

/// Promise: a credential leads to its account, as it does on the wire, also beside junk; one that nobody has is said to be
/// that, and never printed. The example's accounts file has the hash of this one.
#[test]
fn a_credential_leads_to_its_account() {
    let args = ["--config", "config/weir.toml", "--header", "Cookie: session=a-junk-cookie", "--json"];
    let ask = |more: &[&str]| -> (Value, String) {
        let out = explain(&[&args[..], more, &["GET", "/api/v1/exports/9"]].concat());
        (serde_json::from_slice(&out.stdout).unwrap(), String::from_utf8(out.stdout).unwrap())
    };
    let (known, _) = ask(&["--header", "Authorization: Bearer change-me-acme"]);
    assert_eq!(
        (known["account"]["id"].as_str(), known["account"]["plan"].as_str()),
        (Some("acme"), Some("pro"))
    );
    assert_eq!(known["unknown_credential"], false);
    let (both, _) = ask(&["--header", "X-API-Key: change-me-globex", "--account", "acme"]);
    let ids: Vec<_> =
        both["accounts"].as_array().unwrap().iter().map(|a| a["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["globex", "acme"]);
    let (unknown, text) = ask(&[]);
    assert_eq!((&unknown["account"], unknown["unknown_credential"].as_bool()), (&Value::Null, Some(true)));
    assert!(!text.contains("junk"), "{text}");
}

/// Promise: what no limit is ever asked about is an answer too; a wrong file or command line is not, and exits with 2.
#[test]
fn exit_codes() {
    let refused = explain(&["--config", "config/minimal.toml", "GET", "/a%2Fb"]);
    assert_eq!(refused.status.code(), Some(0));
    assert!(String::from_utf8(refused.stdout).unwrap().contains("encoded slash"));
    for wrong in [
        &["--config", "tests/config_bad/unknown-key.toml", "GET", "/"][..],
        &["--config", "config/minimal.toml", "/"][..],
        &["--config", "config/minimal.toml", "--client", "nobody", "GET", "/"][..],
        &["--config", "config/minimal.toml", "--header", "nonsense", "GET", "/"][..],
        &[][..],
    ] {
        assert_eq!(explain(wrong).status.code(), Some(2), "{wrong:?}");
    }
}
