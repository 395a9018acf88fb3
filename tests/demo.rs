//! `weir demo` as a newcomer runs it: the real binary, the real proxy, a short run.

use std::process::Command;

use serde_json::Value;

fn demo(args: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.arg("demo").args(args).output().expect("weir can be started")
}

fn count(of: &Value, name: &str) -> u64 {
    of[name].as_u64().expect(name)
}

/// Promise: the demo runs by itself, ends in time, lets the reader through, and holds the crawler and the flood
/// to what they may have, each by limits that name their clause.
#[test]
fn a_short_demo_tells_visitors_apart() {
    let output = demo(&["--seconds", "4", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let summary: Value = serde_json::from_slice(&output.stdout).expect("JSON on standard output");
    let visitors = summary["visitors"].as_array().expect("visitors");
    let visitor =
        |name: &str| visitors.iter().find(|v| v["visitor"] == name).expect("a visitor of that name");

    for visitor in visitors {
        let parts = count(visitor, "admitted") + count(visitor, "refused") + count(visitor, "failed");
        assert_eq!(count(visitor, "requests"), parts, "{visitor}");
        assert!(count(visitor, "admitted") > 0, "{visitor}");
        assert_eq!(count(visitor, "failed"), 0, "{visitor}");
    }
    assert_eq!(count(visitor("reader"), "refused"), 0);
    let clauses = |name: &str| -> Vec<&Value> {
        visitor(name)["refused_by"].as_array().into_iter().flatten().map(|by| &by["clause"]).collect()
    };
    assert!(clauses("crawler").iter().all(|clause| *clause == "crawl"), "{summary}");
    assert!(clauses("flood").iter().all(|clause| *clause == "load"), "{summary}");
    // The run is shorter than the windows: thirty articles and the five pages before them, a hundred requests of the flood.
    let crawler = visitor("crawler");
    assert_eq!(count(crawler, "admitted"), count(crawler, "requests").min(30 + 5), "{crawler}");
    let flood = visitor("flood");
    assert!(count(flood, "admitted") <= 100, "{flood}");
    assert!(!summary["metrics"].as_array().expect("metrics").is_empty());
    let findings = summary["findings"].as_array().expect("findings");
    for (visitor, detector) in [("crawler", "crawl"), ("flood", "flood")] {
        let found = findings.iter().find(|it| it["visitor"] == visitor && it["detector"] == detector);
        assert_eq!(
            found.map(|it| &it["mode"]),
            Some(&"shadow".into()),
            "{detector} of {visitor}: {findings:?}"
        );
    }
}

/// Promise: away from a terminal the demo prints lines, without any escape sequence.
#[test]
fn without_a_terminal_it_prints_plain_lines() {
    let output = demo(&["--seconds", "1"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(!text.contains('\x1b'), "{text}");
    for part in ["Who got what", "How long the reader waited", "What to try next"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// Promise: a mistake on the command line is exit code 2, and says what is possible.
#[test]
fn bad_usage_is_exit_code_2() {
    let output = demo(&["--seconds", "0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("1..=600"));
}
