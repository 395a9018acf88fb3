//! Who uses an upstream: shares, what is shed when it is full, and the alerts on it.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::harness::{
    Config, Launch, RawClient, RawOrigin, Tool, Vacant, Weir, assert_weirs_own, eventually,
};

const ACCOUNTS: &str = include_str!("../../config/accounts.toml");
const RULES: &str = include_str!("../../deploy/prometheus/weir.rules.yml");
const SCRAPE: &str = include_str!("../../deploy/prometheus/prometheus.yml");

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A request of one of the accounts of config/accounts.toml.
fn get_by(account: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer change-me-{account}\r\n\r\n")
}

/// When an upstream and its queue are full, the lowest priority is sent away, and the highest let in first.
#[test]
fn the_lowest_priority_is_shed_first() {
    let origin = RawOrigin::answering_when_told();
    let routes = [("/batch", "batch"), ("/urgent", "high"), ("/**", "normal")].map(|(path, priority)| {
        format!("[[routes]]\npath = \"{path}\"\nupstream = \"app\"\npriority = \"{priority}\"\n")
    });
    let weir = Weir::start(
        &Config::to(&origin)
            .upstream("capacity = { concurrency = 1 }\nqueue = { length = 2, timeout = \"20s\" }")
            .section(&routes.concat()),
    );
    let mut served = weir.connect();
    served.send(GET);
    assert_eq!(origin.next_request().target(), "/");
    let [mut batch, mut normal, mut urgent] = [(); 3].map(|()| weir.connect());
    batch.send("GET /batch HTTP/1.1\r\nHost: a\r\n\r\n");
    weir.await_metric("weir_upstream_queue_length", &[], 1);
    normal.send("GET /normal HTTP/1.1\r\nHost: a\r\n\r\n");
    weir.await_metric("weir_upstream_queue_length", &[], 2);
    assert_weirs_own(&weir.get("/batch"), 503);
    urgent.send("GET /urgent HTTP/1.1\r\nHost: a\r\n\r\n");
    let displaced = batch.response();
    assert_weirs_own(&displaced, 503);
    assert!(displaced.field("retry-after").is_some());
    for next in ["/urgent", "/normal"] {
        origin.tell();
        assert_eq!(origin.next_request().target(), next);
    }
    origin.tell();
    for client in [&mut served, &mut urgent, &mut normal] {
        assert_eq!(client.response().status(), 200);
    }
    let metrics = weir.metrics();
    for (priority, shed) in [("batch", 2), ("normal", 0), ("high", 0)] {
        assert_eq!(metrics.count("weir_upstream_shed_total", &[("priority", priority)]), shed, "{priority}");
    }
    assert_eq!(metrics.count("weir_upstream_queue_rejected_total", &[("reason", "displaced")]), 1);
}

/// A capacity that finds itself is a metric, and requests pass.
#[test]
fn a_capacity_that_finds_itself_lets_requests_pass() {
    let origin = RawOrigin::scripted(crate::harness::echo);
    let weir = Weir::start(
        &Config::to(&origin).upstream("capacity = { concurrency = \"adaptive\", min = 2, max = 3 }"),
    );
    let mut client = weir.connect();
    for _ in 0..50 {
        assert_eq!(client.exchange(GET).status(), 200);
    }
    let capacity = weir.metrics().count("weir_upstream_capacity", &[("upstream", "app")]);
    assert!((2..=3).contains(&capacity), "{capacity}");
}

/// A real Prometheus, with the rules as they are shipped (and less patience), says that an account takes an
/// unreasonable share of an upstream that is near its capacity, and whose it is.
#[test]
fn prometheus_alerts_when_an_account_takes_too_much() {
    let Some(prometheus) = Tool::find("prometheus") else { return };
    let origin = RawOrigin::answering_when_told();
    let config = Config::to(&origin)
        .upstream("capacity = { concurrency = 4 }\nthird_party = \"sms provider\"")
        .section("[identity]\naccount = [\"bearer\"]\naccounts_file = \"accounts.toml\"")
        .section("[load]\nunreasonable = { share = 0.5, over = \"1m\", when_utilisation = 0.7 }");
    let weir = Launch::new(&config).beside("accounts.toml", ACCOUNTS).start();
    // Three requests of acme and one of globex fill the upstream, for as long as the test takes.
    let held: Vec<RawClient> = ["acme", "acme", "acme", "globex"]
        .map(|account| {
            let mut client = weir.connect();
            client.send(get_by(account));
            origin.next_request();
            client
        })
        .into();
    let server = Prometheus::start(&prometheus, weir.admin_addr());
    let alert = server.await_alert("WeirAccountTakesUnreasonableShare");
    assert_eq!(
        (&alert["labels"]["account"], &alert["labels"]["resource"]),
        (&"acme".into(), &"concurrency".into())
    );
    let alert = server.await_alert("WeirUpstreamNearCapacity");
    assert_eq!(alert["labels"]["upstream"], "app");
    let by_whom = alert["annotations"]["description"].as_str().unwrap();
    assert!(by_whom.starts_with("Most by acme (7"), "{by_whom}");
    assert_eq!(weir.metrics().count("weir_upstream_info", &[("third_party", "sms provider")]), 1);
    drop(held);
}

/// A Prometheus that scrapes one weir every second.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Prometheus {
    /// With the shipped configuration and rules, but for the address and for how long they wait.
    fn start(tool: &Tool, weir: SocketAddr) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = SCRAPE
            .replace("127.0.0.1:9900", &weir.to_string())
            .replace("interval: 15s", "interval: 1s")
            .replace("scrape_timeout: 5s", "scrape_timeout: 1s");
        fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        let impatient = |line: &str| match line.split_once("for: ") {
            Some((indent, _)) => format!("{indent}for: 1s\n"),
            None => format!("{line}\n"),
        };
        fs::write(dir.path().join("weir.rules.yml"), RULES.lines().map(impatient).collect::<String>())
            .unwrap();
        let address = {
            let free = Vacant::reserve();
            free.address()
        };
        let child = tool
            .command()
            .current_dir(dir.path())
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Prometheus { child, address, _dir: dir }
    }

    #[track_caller]
    fn await_alert(&self, name: &str) -> Value {
        eventually(&format!("{name} fires"), || {
            let alerts = self.alerts()?;
            let fires = |alert: &&Value| alert["labels"]["alertname"] == name && alert["state"] == "firing";
            alerts["data"]["alerts"].as_array()?.iter().find(fires).cloned()
        })
    }

    fn alerts(&self) -> Option<Value> {
        let mut client = RawClient::try_connect(self.address).ok()?;
        client.try_send("GET /api/v1/alerts HTTP/1.1\r\nHost: prometheus\r\n\r\n").ok()?;
        let answer = client.try_response().ok()??;
        serde_json::from_str(&answer.text()).ok()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
