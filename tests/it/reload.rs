//! Reloading the configuration: whole or not at all, and unnoticed by those in the middle of something.

use rustix::process::Signal;

use crate::harness::{Config, Load, RawOrigin, Weir, echo};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A changed file is taken over by itself, and by SIGHUP at the latest; the connection that was open stays
/// so and lives by the new policy.
#[test]
fn a_changed_file_takes_effect_on_open_connections() {
    let [old, new] = ["old", "new"]
        .map(|body| RawOrigin::answering(format!("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{body}")));
    let weir = Weir::start(&Config::to(&old));
    let mut client = weir.connect();
    assert_eq!(client.exchange(GET).text(), "old");
    weir.reload(&Config::to(&new).text());
    assert_eq!(client.exchange(GET).text(), "new");
}

/// SIGHUP reads the file again although it has not changed.
#[test]
fn sighup_reads_the_file_again() {
    let origin = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&origin));
    weir.await_reload("ok", || weir.signal(Signal::HUP));
    assert_eq!(weir.get("/").status(), 200);
}

/// Reloads under load fail no request and end no connection.
#[test]
fn reloads_under_load_fail_nothing() {
    let origin = RawOrigin::scripted(echo);
    let config = Config::to(&origin).limit("generous", "1000000/h");
    let weir = Weir::start(&config);
    let load = Load::start(weir.addr(), 8);
    for n in 1..=4 {
        load.await_answers(50);
        weir.reload(&(config.text() + &"\n".repeat(n)));
        load.await_answers(50);
        weir.await_reload("ok", || weir.signal(Signal::HUP));
    }
    load.await_answers(50);
    let tally = load.stop();
    assert!(tally.failed.is_empty(), "{:?}", tally.failed);
    assert_eq!((tally.turned_away, tally.told_to_close), (0, 0));
    assert_eq!(weir.metrics().count("weir_connections_total", &[]), 8);
}

/// A bad file is reported with file and line, counted, and changes nothing; a good one after it is taken.
#[test]
fn a_bad_file_changes_nothing() {
    let origin = RawOrigin::scripted(echo);
    let config = Config::to(&origin).limit("two", "2/h");
    let weir = Weir::start(&config);
    let bad = config.section("[[limits]]\nname = \"x\"\nkey = [\"client\"]\nrate = \"many\"");
    weir.await_reload("failed", || weir.write_config(&bad.text()));
    let report = weir.await_log("many");
    assert!(report.contains("weir.toml:"), "names file and line: {report}");
    assert_eq!([(); 3].map(|()| weir.get("/").status()), [200, 200, 429]);
    weir.reload(&Config::to(&origin).text());
    assert_eq!(weir.get("/").status(), 200);
}

/// A reload keeps every counter: it neither refills nor resets a limit (design, promise 3).
#[test]
fn a_reload_keeps_every_counter() {
    let origin = RawOrigin::scripted(echo);
    let config = Config::to(&origin).limit("three", "3/h");
    let weir = Weir::start(&config);
    assert_eq!([(); 2].map(|()| weir.get("/").status()), [200, 200]);
    weir.reload(&config.clone().limit("other", "1000/h").text());
    assert_eq!([(); 2].map(|()| weir.get("/").status()), [200, 429]);
    assert_eq!(
        weir.metrics().count("weir_limit_decisions_total", &[("limit", "three"), ("decision", "over")]),
        1
    );
}

/// A request in progress ends by the policy under which it began.
#[test]
fn a_request_in_progress_survives_a_reload() {
    let old = RawOrigin::answering_when_told();
    let new = RawOrigin::scripted(echo);
    let weir = Weir::start(&Config::to(&old));
    let mut client = weir.connect();
    client.send(GET);
    old.next_request();
    weir.reload(&Config::to(&new).text());
    assert_eq!(weir.get("/").status(), 200);
    old.tell();
    assert_eq!(client.response().text(), "told");
}
