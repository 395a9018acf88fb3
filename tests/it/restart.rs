//! A restart goes on from the counters of the process before, if it can.

use std::fs;

use rustix::process::Signal;

use crate::harness::{Config, RawOrigin, Weir, eventually};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn config(origin: &RawOrigin, directory: &tempfile::TempDir) -> Config {
    Config::to(origin)
        .section(&format!("[state]\npath = \"{}\"", directory.path().join("state").display()))
        .section("[shutdown]\ndrain_delay = \"0s\"\ndrain_timeout = \"5s\"")
}

/// A client over its limit is still refused after a graceful restart; a file that was damaged meanwhile is not used,
/// which is said and counted, and weir serves.
#[test]
fn a_restart_refuses_whom_it_refused() {
    let (origin, directory) = (RawOrigin::answering(OK), tempfile::tempdir().unwrap());
    let config = config(&origin, &directory).limit("few", "2/h");
    let mut weir = Weir::start(&config);
    assert_eq!([0; 3].map(|_| weir.get("/").status()), [200, 200, 429]);
    weir.signal(Signal::TERM);
    assert_eq!(weir.wait_exit().code(), Some(0));

    let mut weir = Weir::start(&config);
    assert_eq!(weir.get("/").status(), 429);
    assert_eq!(weir.metrics().count("weir_state_file_total", &[("result", "restored")]), 1);
    weir.signal(Signal::TERM);
    assert_eq!(weir.wait_exit().code(), Some(0));

    let path = directory.path().join("state");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let weir = Weir::start(&config);
    weir.await_log("every counter starts at zero");
    assert_eq!(weir.metrics().count("weir_state_file_total", &[("result", "refused")]), 1);
    assert_eq!(weir.get("/").status(), 200);
}

/// A quota survives a kill: it is saved every five seconds.
#[test]
fn a_quota_survives_a_kill() {
    let (origin, directory) = (RawOrigin::answering(OK), tempfile::tempdir().unwrap());
    let quota = "[[limits]]\nname = \"q\"\nkey = [\"client\"]\nquota = \"2/30d\"";
    let config = config(&origin, &directory).section(quota);
    let mut weir = Weir::start(&config);
    assert_eq!([0; 3].map(|_| weir.get("/").status()), [200, 200, 429]);
    let saved = weir.metrics().count("weir_state_file_total", &[("result", "saved")]);
    // The next save may have begun before the requests.
    weir.await_metric("weir_state_file_total", &[("result", "saved")], saved + 2);
    weir.signal(Signal::KILL);
    weir.wait_exit();
    let weir = Weir::start(&config);
    assert_eq!(weir.get("/").status(), 429);
}

/// Whom a finding refuses is still refused after a graceful restart, for what is left of its time and by the same
/// finding, which an operator finds as it was; a detector that is in shadow by then refuses nobody.
#[test]
fn a_finding_survives_a_restart() {
    let (origin, directory) = (RawOrigin::answering(OK), tempfile::tempdir().unwrap());
    let plain = config(&origin, &directory).detection("robots = false\ntraps = [\"/trap/**\"]");
    let config = |mode: &str| {
        plain.clone().section(&format!("[detectors.crawl]\nmode = \"{mode}\"\nanswer = 403\nfor = \"1h\""))
    };
    let finding = |weir: &Weir| {
        let listed = weir.admin_get("/api/v1/findings?detector=crawl").json();
        listed["findings"][0].clone()
    };
    let mut weir = Weir::start(&config("enforce"));
    weir.get("/trap/a");
    eventually("the crawler is refused", || (weir.get("/").status() == 403).then_some(()));
    let before = finding(&weir);
    weir.signal(Signal::TERM);
    assert_eq!(weir.wait_exit().code(), Some(0));

    let mut weir = Weir::start(&config("enforce"));
    let refused = weir.get("/");
    assert_eq!((refused.status(), refused.json()["clause"]["id"].as_str()), (403, Some("crawl")));
    let after = finding(&weir);
    for member in
        ["id", "principal", "detector", "clause", "rule", "evidence", "opened", "since", "last", "addresses"]
    {
        assert_eq!(after[member], before[member], "{member}");
    }
    assert_eq!(
        (&after["open"], &after["action"], &after["until"]),
        (&true.into(), &"refuse".into(), &before["until"])
    );
    assert_eq!(weir.metrics().count("weir_findings_open", &[("detector", "crawl")]), 1);
    weir.signal(Signal::TERM);
    assert_eq!(weir.wait_exit().code(), Some(0));

    let weir = Weir::start(&config("shadow"));
    assert_eq!(weir.get("/").status(), 200);
}
