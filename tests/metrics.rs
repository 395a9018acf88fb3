//! What a scrape says of what was counted.
#![cfg(feature = "proxy")]

#[path = "engine_props/policy.rs"]
#[allow(dead_code, reason = "the engine's tests use more of these builders")]
mod policies;

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use http::StatusCode;
use weir::clause::{Behaviour, Clause};
use weir::engine::{AccountLoad, Busy, Resource, StateStats, UpstreamReport, Utilisation, WatchStats};
use weir::metrics::definitions::ALL;
use weir::metrics::{
    LoadSnapshot, Metrics, PolicyMetrics, QueueRejection, RequestDecision, Timeout, UpstreamSnapshot,
};
use weir::policy::conduct::{Answer, Detector};
use weir::policy::load::{LoadWindow, Unreasonable};
use weir::policy::{ClauseId, Exempt, LimitId, Over, Policy, Priority, RouteId, UpstreamId};
use weir::remedy::{LimitCheck, Mode};
use weir::time::WallTime;

const ROUTE: Option<RouteId> = Some(RouteId(0));

/// Routes with these names, and one limit.
fn policy(routes: &[&str]) -> Policy {
    let mut policy = policies::policy(vec![policies::per_client("per-client", policies::sliding(5, 1))]);
    policy.routes = routes.iter().map(|path| policies::route(path, 1)).collect();
    let text = String::new();
    policy.clauses = vec![Clause { id: "crawl".to_owned(), title: text.clone(), text, forbids: Vec::new() }];
    policy.conduct.detectors = vec![detector(Behaviour::Crawl)];
    policy
}

fn detector(behaviour: Behaviour) -> Detector {
    Detector {
        behaviour,
        clause: ClauseId(0),
        mode: Mode::Shadow,
        confidence: 0.8,
        answer: Answer::default(),
        lasts: Duration::from_secs(60),
        exempt: Exempt::default(),
        thresholds: Box::default(),
    }
}

fn forwarded(metrics: &PolicyMetrics, route: u16) {
    let (total, upstream) = (Duration::from_millis(4), Some(Duration::from_micros(3_970)));
    let decision = RequestDecision::Forwarded;
    metrics.request(Some(RouteId(route)), decision, StatusCode::OK, total, upstream);
}

/// The value of one series, written as the exposition writes it; `None` where there is no such series.
fn value(metrics: &Metrics, series: &str) -> Option<f64> {
    let text = metrics.render();
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[track_caller]
fn assert_value(metrics: &Metrics, series: &str, expected: f64) {
    let value = value(metrics, series);
    let is_as_expected = value.is_some_and(|value| (value - expected).abs() < 1e-9);
    assert!(is_as_expected, "{series}: {value:?}, not {expected}");
}

/// Promise: a request is counted once under its route, decision and class, and in the buckets its times
/// belong to: 4 ms in all, 30 µs of them without the upstream.
#[test]
fn a_forwarded_request_is_counted_with_its_times() {
    let metrics = Metrics::new();
    forwarded(&metrics.bind(&policy(&["/a", "/b"])), 0);
    let labels =
        |route| format!(r#"weir_requests_total{{route="{route}",decision="forwarded",class="2xx"}}"#);
    assert_value(&metrics, &labels("/a"), 1.0);
    assert_value(&metrics, &labels("/b"), 0.0);
    assert_value(&metrics, r#"weir_request_duration_seconds_bucket{route="/a",le="0.0025"}"#, 0.0);
    assert_value(&metrics, r#"weir_request_duration_seconds_bucket{route="/a",le="0.005"}"#, 1.0);
    assert_value(&metrics, r#"weir_request_duration_seconds_sum{route="/a"}"#, 0.004);
    assert_value(&metrics, r#"weir_request_overhead_seconds_bucket{route="/a",le="0.000025"}"#, 0.0);
    assert_value(&metrics, r#"weir_request_overhead_seconds_bucket{route="/a",le="0.00005"}"#, 1.0);
    assert_value(&metrics, r#"weir_request_overhead_seconds_sum{route="/a"}"#, 0.00003);
    assert_value(&metrics, r#"weir_request_overhead_seconds_count{route="/a"}"#, 1.0);
}

/// Promise: a bound belongs to its bucket (`le` is "less or equal"), and what is above all bounds is counted.
#[test]
fn bounds_are_inclusive_and_nothing_falls_out() {
    let metrics = Metrics::new();
    let bound = metrics.bind(&policy(&["/a"]));
    for total in [Duration::from_millis(1), Duration::from_nanos(1_000_001), Duration::from_secs(3600)] {
        bound.request(ROUTE, RequestDecision::Forwarded, StatusCode::OK, total, None);
    }
    assert_value(&metrics, r#"weir_request_duration_seconds_bucket{route="/a",le="0.001"}"#, 1.0);
    assert_value(&metrics, r#"weir_request_duration_seconds_bucket{route="/a",le="60"}"#, 2.0);
    assert_value(&metrics, r#"weir_request_duration_seconds_bucket{route="/a",le="+Inf"}"#, 3.0);
    assert_value(&metrics, r#"weir_request_duration_seconds_count{route="/a"}"#, 3.0);
}

/// Promise: refusals, quick as they are, never make the app look fast; whoever left says nothing of times.
#[test]
fn only_forwarded_requests_have_a_duration() {
    let metrics = Metrics::new();
    let bound = metrics.bind(&policy(&["/a"]));
    let quick = Duration::from_micros(20);
    bound.request(ROUTE, RequestDecision::Refused, StatusCode::TOO_MANY_REQUESTS, quick, None);
    bound.request(ROUTE, RequestDecision::Cancelled, StatusCode::OK, quick, None);
    assert_value(&metrics, r#"weir_requests_total{route="/a",decision="refused",class="4xx"}"#, 1.0);
    assert_value(&metrics, r#"weir_requests_total{route="/a",decision="cancelled",class="2xx"}"#, 1.0);
    assert_value(&metrics, r#"weir_request_duration_seconds_count{route="/a"}"#, 0.0);
    assert_value(&metrics, r#"weir_request_overhead_seconds_count{route="/a"}"#, 1.0);
}

/// Promise: a request without a route is counted too, under no name that a route could have.
#[test]
fn requests_without_a_route_are_counted() {
    let metrics = Metrics::new();
    let bound = metrics.bind(&policy(&["/a"]));
    bound.request(None, RequestDecision::NoRoute, StatusCode::NOT_FOUND, Duration::ZERO, None);
    assert_value(&metrics, r#"weir_requests_total{route="",decision="no_route",class="4xx"}"#, 1.0);
}

/// Promise: after a reload, what keeps its name counts on whatever its place, what is gone disappears, and
/// requests still in flight under the old policy are counted where their route remains.
#[test]
fn series_follow_a_reload() {
    let metrics = Metrics::new();
    let count = |route| {
        value(
            &metrics,
            &format!(r#"weir_requests_total{{route="{route}",decision="forwarded",class="2xx"}}"#),
        )
    };
    let old = metrics.bind(&policy(&["/gone", "/stays"]));
    forwarded(&old, 0);
    forwarded(&old, 1);
    let new = metrics.bind(&policy(&["/stays", "/new"]));
    assert_eq!((count("/gone"), count("/stays"), count("/new")), (None, Some(1.0), Some(0.0)));
    forwarded(&new, 0);
    forwarded(&old, 0);
    forwarded(&old, 1);
    assert_eq!((count("/gone"), count("/stays"), count("/new")), (None, Some(3.0), Some(0.0)));
}

/// Promise: what a limit would have refused in shadow is told apart from what it refused; a limit that is off
/// is not counted.
#[test]
fn limit_checks_are_counted_by_mode() {
    let metrics = Metrics::new();
    let bound = metrics.bind(&policy(&["/a"]));
    let limit = LimitId(0);
    for mode in Mode::ALL {
        bound.limit_check(&LimitCheck { limit, mode, within: false });
    }
    bound.limit_check(&LimitCheck { limit, mode: Mode::Enforce, within: true });
    for (mode, decision, count) in [
        ("enforce", "within", 1.0),
        ("enforce", "over", 1.0),
        ("shadow", "within", 0.0),
        ("shadow", "over", 1.0),
    ] {
        let labels = format!(r#"limit="per-client",mode="{mode}",decision="{decision}""#);
        assert_value(&metrics, &format!("weir_limit_decisions_total{{{labels}}}"), count);
    }
}

/// Promise: gauges come back to where they were; times are in seconds.
#[test]
fn upstreams_are_counted() {
    let metrics = Metrics::new();
    let bound = metrics.bind(&policy(&["/a"]));
    let upstream = bound.upstream(UpstreamId(0));
    upstream.request_started();
    upstream.request_started();
    upstream.request_ended(Duration::from_millis(1500));
    upstream.set_queue_length(1);
    upstream.queue_rejected(QueueRejection::Timeout, Priority::Batch);
    upstream.set_servers_healthy(2);
    assert_value(&metrics, r#"weir_upstream_requests_in_flight{upstream="app"}"#, 1.0);
    assert_value(&metrics, r#"weir_upstream_seconds_total{upstream="app"}"#, 1.5);
    assert_value(&metrics, r#"weir_upstream_queue_length{upstream="app"}"#, 1.0);
    assert_value(&metrics, r#"weir_upstream_queue_rejected_total{upstream="app",reason="timeout"}"#, 1.0);
    assert_value(&metrics, r#"weir_upstream_shed_total{upstream="app",priority="batch"}"#, 1.0);
    assert_value(&metrics, r#"weir_upstream_shed_total{upstream="app",priority="high"}"#, 0.0);
    assert_value(&metrics, r#"weir_upstream_servers_healthy{upstream="app"}"#, 2.0);
}

/// Promise: protocol faults are told apart by name, and however many names there are, the number of series is
/// bounded and no fault goes uncounted.
#[test]
fn protocol_faults_are_bounded() {
    let metrics = Metrics::new();
    metrics.declare_protocol_faults(["never_seen"]);
    metrics.protocol_fault("bare_lf");
    metrics.protocol_fault("bare_lf");
    assert_value(&metrics, r#"weir_protocol_faults_total{fault="bare_lf"}"#, 2.0);
    assert_value(&metrics, r#"weir_protocol_faults_total{fault="never_seen"}"#, 0.0);
    for number in 0..1000 {
        metrics.protocol_fault(format!("fault_{number}").leak());
    }
    let text = metrics.render();
    let series: Vec<&str> =
        text.lines().filter(|line| line.starts_with("weir_protocol_faults_total{")).collect();
    assert!(series.len() <= 65, "{} series", series.len());
    let sum: u64 = series.iter().map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(sum, 1002);
}

/// Everything counted at least once.
fn busy() -> Metrics {
    let metrics = Metrics::new();
    let mut policy = policy(&["/a", "/quoted\"\\"]);
    policy.limits[0].over = Over::Delay { wait_max: Duration::from_secs(1), queue_max: 1 };
    let bound = metrics.bind(&policy);
    forwarded(&bound, 0);
    forwarded(&bound, 1);
    bound.limit_wait_began(LimitId(0));
    bound.upstream(UpstreamId(0)).request_started();
    metrics.protocol_fault("bare_lf");
    metrics.timeout(Timeout::HeadRead);
    metrics.reload_succeeded(WallTime { unix_ms: 1_795_499_772_345 });
    metrics.set_state(StateStats {
        records: 1,
        bytes: 2,
        bytes_max: 3,
        evictions: 4,
        ..StateStats::default()
    });
    metrics.set_load(load());
    metrics.set_certificates(vec![("a.example".into(), WallTime { unix_ms: 1_795_499_772_000 })]);
    metrics
}

/// Promise: requests that wait for a limit are counted when they begin, in the queue while they do, and by how long they
/// did: 3 ms are above the second bound, 2.5 ms, and not above the third.
#[test]
fn waits_for_a_limit_are_counted() {
    let metrics = Metrics::new();
    let mut policy = policy(&["/a"]);
    policy.limits[0].over = Over::Delay { wait_max: Duration::from_secs(1), queue_max: 2 };
    let bound = metrics.bind(&policy);
    bound.limit_wait_began(LimitId(0));
    bound.limit_wait_began(LimitId(0));
    bound.limit_wait_ended(LimitId(0), Duration::from_millis(3));
    for (series, value) in [
        ("weir_limit_delayed_total{limit=\"per-client\"}", 2.0),
        ("weir_limit_queue_length{limit=\"per-client\"}", 1.0),
        ("weir_limit_delay_seconds_bucket{limit=\"per-client\",le=\"0.0025\"}", 0.0),
        ("weir_limit_delay_seconds_bucket{limit=\"per-client\",le=\"0.005\"}", 1.0),
        ("weir_limit_delay_seconds_count{limit=\"per-client\"}", 1.0),
    ] {
        assert_value(&metrics, series, value);
    }
}

/// Half of the upstream's requests are an account's, whose fair share is a quarter.
fn load() -> LoadSnapshot {
    let account = AccountLoad {
        account: Some("acme".into()),
        resource: Resource::Requests,
        window: LoadWindow::TenMinutes,
        used: 2,
        total: 4,
        fair: 1,
    };
    let utilisation = Some(Utilisation { in_flight: 30, capacity: 40 });
    LoadSnapshot {
        upstreams: vec![UpstreamSnapshot {
            name: "app".to_owned(),
            third_party: Some("sms provider".to_owned()),
            busy: Some(Busy { in_flight: 3, capacity: 8 }),
            report: UpstreamReport { utilisation: [None, utilisation, None], accounts: vec![account] },
        }],
        unreasonable: Some(Unreasonable {
            share_permille: 400,
            over: LoadWindow::TenMinutes,
            when_utilisation_permille: 700,
        }),
    }
}

/// Promise: findings are counted by detector, clause and mode from a zero on, and go on over a reload; a detector that is
/// gone has no series. Of those that are open, as many are told as there are.
#[test]
fn findings_are_counted() {
    let (metrics, mut policy) = (Metrics::new(), policy(&["/a"]));
    let total = |detector: &str, mode: &str| {
        format!(r#"weir_findings_total{{detector="{detector}",clause="crawl",mode="{mode}"}}"#)
    };
    let bound = metrics.bind(&policy);
    assert_value(&metrics, &total("crawl", "enforce"), 0.0);
    bound.finding(Behaviour::Crawl, Mode::Shadow);
    bound.finding_refusal(Behaviour::Crawl);
    bound.finding(Behaviour::Flood, Mode::Shadow);
    let stats = WatchStats { findings_displaced: 5, ..WatchStats::default() };
    metrics.set_watch(vec![(Behaviour::Flood, 3), (Behaviour::Crawl, 2)], stats);
    assert_value(&metrics, &total("crawl", "shadow"), 1.0);
    assert_value(&metrics, r#"weir_finding_refusals_total{detector="crawl"}"#, 1.0);
    assert_value(&metrics, r#"weir_findings_open{detector="crawl"}"#, 2.0);
    assert_value(&metrics, "weir_findings_displaced_total", 5.0);
    policy.conduct.detectors.push(detector(Behaviour::Flood));
    metrics.bind(&policy).finding(Behaviour::Crawl, Mode::Enforce);
    assert_value(&metrics, &total("crawl", "shadow"), 1.0);
    assert_value(&metrics, &total("crawl", "enforce"), 1.0);
    policy.conduct.detectors.remove(0);
    metrics.bind(&policy);
    assert_eq!(value(&metrics, &total("crawl", "shadow")), None);
    assert_value(&metrics, r#"weir_findings_open{detector="flood"}"#, 3.0);
}

/// Promise: shares are fractions, beside the threshold that they are held against.
#[test]
fn shares_stand_beside_their_threshold() {
    let metrics = busy();
    let account = r#"{upstream="app",account="acme",resource="requests",window="10m"}"#;
    assert_value(&metrics, &format!("weir_account_load_share{account}"), 0.5);
    assert_value(&metrics, &format!("weir_account_load_fair_share{account}"), 0.25);
    assert_value(&metrics, r#"weir_load_unreasonable_share{window="10m"}"#, 0.4);
    assert_value(&metrics, r#"weir_load_unreasonable_utilisation{window="10m"}"#, 0.7);
    assert_value(&metrics, r#"weir_upstream_utilisation{upstream="app",window="10m"}"#, 0.75);
    assert_value(&metrics, r#"weir_upstream_capacity{upstream="app"}"#, 8.0);
    assert_value(&metrics, r#"weir_upstream_info{upstream="app",third_party="sms provider"}"#, 1.0);
}

/// Promise: a scrape holds exactly the metrics that are declared, and those of the operating system.
#[test]
fn a_scrape_holds_what_is_declared() {
    let text = busy().render();
    let scraped: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let declared: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
    let ours: BTreeSet<&str> = scraped.iter().copied().filter(|name| name.starts_with("weir_")).collect();
    assert_eq!(ours, declared);
    assert!(scraped.difference(&ours).all(|name| name.starts_with("process_")));
}

/// Promise: Prometheus's own linter finds nothing to say.
#[test]
fn promtool_accepts_a_scrape() {
    let linter = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut linter) = linter else {
        eprintln!("SKIPPED: promtool is not installed");
        return;
    };
    let mut scrape = linter.stdin.take().unwrap();
    scrape.write_all(busy().render().as_bytes()).unwrap();
    drop(scrape);
    let said = linter.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && text.trim().is_empty(), "{text}");
}
