//! The metrics as they are declared, held against what operators read and load.
#![cfg(feature = "proxy")]

use std::collections::BTreeSet;
use std::process::Command;

use weir::metrics::definitions::{ALL, DURATION_BOUNDS, Definition, Kind, OVERHEAD_BOUNDS};

const PAGE: &str = include_str!("../docs/metrics.md");
const RULES: &str = include_str!("../deploy/prometheus/weir.rules.yml");
const SCRAPE: &str = include_str!("../deploy/prometheus/prometheus.yml");
const CONFIG: &str = include_str!("../config/weir.toml");

/// Promise: docs/metrics.md lists exactly the metrics there are, each with its kind, labels and meaning.
#[test]
fn the_page_lists_every_metric_as_it_is_declared() {
    let declared: BTreeSet<String> = ALL.iter().map(row).collect();
    let written: BTreeSet<String> =
        PAGE.lines().filter(|line| line.starts_with("| `weir_")).map(str::to_owned).collect();
    let missing: Vec<_> = declared.difference(&written).collect();
    let stale: Vec<_> = written.difference(&declared).collect();
    assert!(missing.is_empty() && stale.is_empty(), "missing: {missing:#?}\nstale: {stale:#?}");
}

/// Promise: docs/metrics.md gives the buckets of the histograms as they are.
#[test]
fn the_page_gives_the_buckets() {
    for (name, bounds) in [("duration", &DURATION_BOUNDS[..]), ("overhead", &OVERHEAD_BOUNDS[..])] {
        let seconds: Vec<String> = bounds.iter().map(|&ns| in_seconds(ns)).collect();
        let line = format!("- {name}: {}", seconds.join(", "));
        assert!(PAGE.lines().any(|written| written == line), "not in docs/metrics.md: {line}");
    }
}

/// Promise: names follow Prometheus's conventions, and no two metrics share one.
#[test]
fn names_follow_the_conventions() {
    let mut seen = BTreeSet::new();
    for metric in ALL {
        let name = metric.name;
        assert!(seen.insert(name), "{name} is declared twice");
        assert!(name.starts_with("weir_"), "{name} does not begin with weir_");
        assert_eq!(
            name.ends_with("_total"),
            metric.kind == Kind::Counter,
            "{name}: only counters end in _total"
        );
        if metric.kind == Kind::Histogram {
            assert!(name.ends_with("_seconds"), "{name} does not say its unit");
        }
        assert!(metric.help.ends_with('.'), "the help of {name} is no sentence");
    }
}

/// Promise: no label can hold what traffic chooses.
#[test]
fn labels_are_bounded_by_the_configuration() {
    let bounded = [
        "route",
        "limit",
        "upstream",
        "decision",
        "class",
        "mode",
        "fault",
        "timeout",
        "reason",
        "result",
        "outcome",
        "priority",
        "resource",
        "window",
        "third_party",
        "detector",
        "clause",
        "certificate",
        // Of load alone, and at most [load] top of them for each upstream, resource and window.
        "account",
    ];
    let of_the_build = ["version", "commit"];
    for metric in ALL {
        for label in metric.labels {
            let known = bounded.contains(label) || of_the_build.contains(label);
            assert!(known, "{}: is the label {label} bounded? Then add it to this list", metric.name);
        }
    }
}

/// Promise: alerts and recording rules speak only of metrics that exist.
#[test]
fn the_rules_name_metrics_that_exist() {
    let names: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
    let used: Vec<&str> = RULES
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("weir_"))
        .collect();
    assert!(!used.is_empty());
    for word in used {
        let base = word.strip_suffix("_bucket").unwrap_or(word);
        assert!(names.contains(base), "weir.rules.yml names {word}, which does not exist");
    }
}

/// Promise: the shipped Prometheus configuration scrapes the admin listener of the shipped configuration.
#[test]
fn prometheus_scrapes_where_weir_listens() {
    let admin = CONFIG.lines().find_map(|line| line.strip_prefix("admin = ")).unwrap();
    assert!(SCRAPE.contains(&format!("targets: [{admin}]")), "prometheus.yml does not scrape {admin}");
}

/// Promise: Prometheus loads the shipped configuration and rules.
#[test]
fn promtool_accepts_the_configuration() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/prometheus/prometheus.yml");
    let Ok(said) = Command::new("promtool").args(["check", "config", file]).output() else {
        eprintln!("SKIPPED: promtool is not installed");
        return;
    };
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

/// Promise: each rule on load fires when it should, and not before: the cases of weir.rules.test.yml.
#[test]
fn promtool_finds_the_rules_true() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/prometheus/weir.rules.test.yml");
    let Ok(said) = Command::new("promtool").args(["test", "rules", file]).output() else {
        eprintln!("SKIPPED: promtool is not installed");
        return;
    };
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

fn row(metric: &Definition) -> String {
    let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    format!("| `{}` | {} | {} | {} |", metric.name, metric.kind.name(), labels.join(", "), metric.help)
}

/// Whole nanoseconds as a decimal fraction of a second, exactly.
fn in_seconds(ns: u64) -> String {
    let fraction = format!("{:09}", ns % 1_000_000_000);
    let fraction = fraction.trim_end_matches('0');
    let whole = ns / 1_000_000_000;
    if fraction.is_empty() { whole.to_string() } else { format!("{whole}.{fraction}") }
}
