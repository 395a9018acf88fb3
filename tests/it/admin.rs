//! The admin listener: what Prometheus, orchestrators and operators ask.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Stdio};

use crate::harness::{Config, RawClient, RawOrigin, Tool, Weir, echo, eventually};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A weir that has met one of everything: answers, a refusal, a fault, a failure.
fn seasoned(origin: &RawOrigin) -> Weir {
    let weir = Weir::start(&Config::to(origin).limit("few", "3/h"));
    for expected in [200, 200, 200, 429] {
        assert_eq!(weir.get("/secret-path?token=abc").status(), expected);
    }
    assert_eq!(weir.connect().exchange("GET / HTTP/1.1\r\nHost : a\r\n\r\n").status(), 400);
    weir
}

/// `/metrics` is what Prometheus' own checker accepts, without a warning.
#[test]
fn promtool_accepts_the_metrics() {
    let Some(promtool) = Tool::find("promtool") else { return };
    let origin = RawOrigin::scripted(echo);
    let weir = seasoned(&origin);
    let metrics = weir.admin_get("/metrics");
    assert!(metrics.field("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let mut check = promtool
        .command()
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(&metrics.body).unwrap();
    let output = check.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}

/// A real Prometheus, with the scrape configuration that is shipped, loads it and scrapes weir.
#[test]
fn a_real_prometheus_scrapes_weir() {
    let Some(prometheus) = Tool::find("prometheus") else { return };
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus");
    let origin = RawOrigin::scripted(echo);
    let weir = seasoned(&origin);
    let config = fs::read_to_string(shipped.join("prometheus.yml")).unwrap();
    for as_shipped in ["127.0.0.1:9900", "scrape_interval: 15s", "scrape_timeout: 5s"] {
        assert!(config.contains(as_shipped), "{as_shipped} is what this test replaces");
    }
    let config = config
        .replace("127.0.0.1:9900", &weir.admin_addr().to_string())
        .replace("scrape_interval: 15s", "scrape_interval: 1s")
        .replace("scrape_timeout: 5s", "scrape_timeout: 1s");
    let file = weir.dir().join("prometheus.yml");
    fs::write(&file, config).unwrap();
    fs::copy(shipped.join("weir.rules.yml"), weir.dir().join("weir.rules.yml")).unwrap();
    // Prometheus cannot be given port 0 and asked which it took; at an address of its own nobody takes it.
    let address = std::net::TcpListener::bind("127.0.0.90:0").unwrap().local_addr().unwrap();
    let server = prometheus
        .command()
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", weir.dir().join("tsdb").display()))
        .arg(format!("--web.listen-address={address}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _server = Ended(server);
    let query = "/api/v1/query?query=weir_limit_decisions_total";
    eventually("Prometheus has a sample of weir's", || {
        let mut client = RawClient::try_connect(address).ok()?;
        client.try_send(format!("GET {query} HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n")).ok()?;
        client.try_response().ok()??.text().contains("\"few\"").then_some(())
    });
}

/// No label holds an address, a path or anything else of a request (design, promise 11).
#[test]
fn no_label_holds_what_a_client_sent() {
    let origin = RawOrigin::scripted(echo);
    let metrics = seasoned(&origin).metrics();
    for value in metrics.label_values() {
        assert!(!value.contains("secret") && !value.contains("127.0.0.1"), "{value}");
    }
}

/// Requests are counted by route, decision and class of status; what passed and what was refused add up.
#[test]
fn requests_are_counted() {
    let origin = RawOrigin::scripted(echo);
    let weir = seasoned(&origin);
    let metrics = weir.metrics();
    let requests = |decision: &str, class: &str| {
        metrics.count("weir_requests_total", &[("decision", decision), ("class", class)])
    };
    assert_eq!((requests("forwarded", "2xx"), requests("refused", "4xx")), (3, 1));
    assert_eq!(requests("malformed", "4xx"), 1);
    assert_eq!(metrics.count("weir_protocol_faults_total", &[]), 1);
    assert_eq!(metrics.count("weir_request_duration_seconds_count", &[("route", "/**")]), 3);
    assert_eq!(metrics.count("weir_connections_total", &[]), 5);
    assert!(metrics.has("weir_build_info") && metrics.has("process_resident_memory_bytes"));
}

/// Alive and ready are told apart, each by its status.
#[test]
fn health_and_readiness_are_told() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin));
    assert_eq!((weir.admin_get("/healthz").status(), weir.admin_get("/readyz").status()), (200, 200));
    assert_eq!(weir.admin_get("/nothing-here").status(), 404);
}

/// `/config` is the running policy, as JSON: after a reload the new one.
#[test]
fn the_running_policy_is_shown() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin).limit("first", "10/s"));
    let shown = weir.admin_get("/config");
    assert_eq!(shown.field("content-type").as_deref(), Some("application/json"));
    assert!(shown.json().to_string().contains("\"first\""), "{}", shown.text());
    weir.reload(&Config::to(&origin).limit("second", "10/s").text());
    let shown = weir.admin_get("/config").json().to_string();
    assert!(shown.contains("\"second\"") && !shown.contains("\"first\""), "{shown}");
}

/// weir's own log is JSON, one object a line, when it is asked to be, whatever it has to say.
#[test]
fn every_line_of_the_log_is_json() {
    let origin = RawOrigin::scripted(echo);
    let weir = seasoned(&origin);
    weir.await_reload("failed", || weir.write_config("listen = 1"));
    weir.reload(&Config::to(&origin).text());
    weir.await_log("reloaded");
    for line in weir.logs() {
        let record: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(record["timestamp"].is_string() && record["level"].is_string(), "{line}");
    }
}

/// The admin listener's answers never stand on the proxy's port: `/metrics` there is the app's.
#[test]
fn the_proxy_serves_nothing_of_the_admin_listener() {
    let origin = RawOrigin::answering("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\napp!");
    let weir = Weir::start(&Config::to(&origin));
    let mut client = weir.connect();
    assert_eq!(client.exchange(GET.replace("/ ", "/metrics ")).text(), "app!");
    assert_eq!(client.exchange(GET.replace("/ ", "/config ")).text(), "app!");
}

/// A child process that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
