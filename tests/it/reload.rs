//! Reloading the configuration: whole or not at all, and unnoticed by those in the middle of something.

use std::process::Command;

use rustix::process::Signal;

use crate::harness::{Config, Launch, Load, RawClient, RawOrigin, Weir, echo, eventually};

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

/// Fifty reloads under load fail no request, end no connection and reset no counter (design, promise 3).
#[test]
fn reloads_under_load_fail_nothing() {
    let origin = RawOrigin::scripted(echo);
    let config = Config::to(&origin).limit("generous", "1000000/h");
    let weir = Weir::start(&config);
    let load = Load::start(weir.addr(), 8);
    for n in 1..=25 {
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
    let explained = weir.admin_get("/api/v1/explain?client=127.0.0.1&path=%2F").json();
    let used = explained["limits"][0]["usage"]["used"].as_u64();
    assert_eq!(used, u64::try_from(tally.answered).ok(), "{explained}");
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

/// The policy file is part of the configuration: its change is taken over by itself, a bad one is reported
/// with its own name, counted, and changes nothing.
#[test]
fn the_policy_file_is_reloaded_too() {
    let clause = |title: &str| {
        format!(
            "version = 1\n[[clauses]]\nid = \"load\"\ntitle = {title:?}\ntext = \"t\"\nforbids = [\"load\"]\n"
        )
    };
    let config = Config::to(&RawOrigin::scripted(echo)).section("[policy]\nfile = \"own.toml\"");
    let weir = Launch::new(&config).beside("own.toml", &clause("First")).start();
    let title = || weir.admin_get("/config").json()["clauses"][0]["title"].clone();
    assert_eq!(title(), "First");
    weir.await_reload("ok", || weir.write_beside("own.toml", &clause("Second")));
    assert_eq!(title(), "Second");
    weir.await_reload("failed", || weir.write_beside("own.toml", "version = 1\n[[clauses]]\nid = 7\n"));
    assert!(weir.await_log("own.toml:3:").contains("refused"));
    assert_eq!(title(), "Second");
    weir.await_reload("ok", || weir.write_beside("own.toml", &clause("Third")));
    assert_eq!(title(), "Third");
}

/// So is the accounts file. What its author wrote in place of a hash is not repeated in the log.
#[test]
fn the_accounts_file_is_reloaded_too() {
    let account = |id: &str, credential: &str| {
        format!("version = 1\n[[accounts]]\nid = {id:?}\ncredentials = [{credential:?}]\n")
    };
    let hash = format!("sha256:{}", "0f".repeat(32));
    let origin = RawOrigin::scripted(echo);
    let config = Config::to(&origin).section("[identity]\naccounts_file = \"known.toml\"");
    let weir = Launch::new(&config).beside("known.toml", &account("a", &hash)).start();
    weir.await_reload("ok", || weir.write_beside("known.toml", &account("b", &hash)));
    let before = weir.admin_get("/config").json();
    weir.await_reload("failed", || weir.write_beside("known.toml", &account("b", "opensesame")));
    assert!(weir.await_log("known.toml:4:").contains("refused"));
    assert_eq!((weir.admin_get("/config").json(), weir.get("/").status()), (before, 200));
    weir.await_reload("ok", || weir.write_beside("known.toml", &account("c", &hash)));
}

/// What is fixed at start is in force until a restart: `/config` shows it, and every reload says what waits.
#[test]
fn what_is_fixed_at_start_waits_for_a_restart() {
    let origin = RawOrigin::scripted(echo);
    let config = Config::to(&origin);
    let weir = Weir::start(&config);
    let in_force = || {
        let shown = weir.admin_get("/config").json();
        ["listen", "state", "log"].map(|part| shown[part].clone())
    };
    let before = in_force();
    let changed = config.workers(3).log("level = \"debug\"").section("[state]\nmemory = \"32MiB\"");
    for times in 1..=2 {
        weir.reload(&(changed.text() + &"\n".repeat(times)));
        for part in ["[listen]", "[state]", "[log]"] {
            let warning = format!("{part} is not what it was at start");
            eventually(&format!("{times} × {warning:?}"), || {
                (weir.logs().iter().filter(|line| line.contains(&warning)).count() == times).then_some(())
            });
        }
    }
    assert_eq!(in_force(), before);
}

/// A warning in the log says where, at start and at a reload.
#[test]
fn warnings_say_where() {
    let config = Config::to(&RawOrigin::scripted(echo))
        .section("[[routes]]\npath = \"/**\"\nupstream = \"app\"")
        .section("[upstreams.idle]\nservers = [\"127.0.0.1:3000\"]");
    let place = |text: &str| {
        let line = text.lines().position(|line| line == "[upstreams.idle]").unwrap() + 1;
        format!("weir.toml:{line}:")
    };
    let weir = Weir::start(&config);
    weir.await_log(&place(&config.text()));
    let moved = format!("\n\n{}", config.text());
    weir.reload(&moved);
    weir.await_log(&place(&moved));
}

/// `weir reload` says what came of it, by its exit code too: in force, refused with every error, or for after a restart.
/// A web page cannot have it done.
#[test]
fn a_reload_on_request_says_what_came_of_it() {
    let origin = RawOrigin::scripted(echo);
    let config = Config::to(&origin).limit("two", "2/h");
    let weir = Weir::start(&config);
    let admin = weir.admin_addr().to_string();
    let reload = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        let output = command.args(["reload", "--admin", &admin]).args(more).output().unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code(), out, err)
    };
    assert_eq!(reload(&[]), (Some(0), "reloaded\n".to_owned(), String::new()));
    weir.write_config(&config.clone().workers(3).text());
    let (code, out, err) = reload(&[]);
    assert_eq!((code, out.as_str()), (Some(0), "reloaded\n"));
    assert!(err.contains("[listen] is not what it was at start"), "{err}");
    weir.write_config(
        &config.section("[[limits]]\nname = \"x\"\nkey = [\"client\"]\nrate = \"many\"").text(),
    );
    let (code, out, err) = reload(&[]);
    assert_eq!((code, out.as_str()), (Some(2), "refused; the configuration before it stays in force\n"));
    assert!(err.contains("`rate` cannot be"), "{err}");
    let (code, out, _) = reload(&["--json"]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["reloaded"]), (Some(2), &false.into()));
    assert_eq!(report["diagnostics"][0]["severity"], "error");
    let page = "POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\nOrigin: http://a.example\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(RawClient::connect(weir.admin_addr()).exchange(page).status(), 403);
}
