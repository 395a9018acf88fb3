//! The same requests, once as they come and once from the log that they leave.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use weir::clause::Behaviour;
use weir::engine::{Case, FindingFilter};
use weir::remedy::{Mode, Verdict};
use weir::replay::Replay;
use weir::replay::formats::LineReader;

use super::policy::{accounts, per_client, sliding};
use super::stage::{MEMORY, Stage, Step, address, detector, login, page, watching};

const SECOND: u64 = 1_000_000_000;

/// A crawler, a scanner, a stuffer, a flood, people who read, and an account that floods from three addresses.
fn requests() -> Vec<(u64, Step<'static>)> {
    let mut list = Vec::new();
    let from = Some("https://app.test/");
    for person in 0..5 {
        list.push((person.into(), page(1000 + person, "/")));
        list.push((u64::from(person) + 2, Step { referer: from, ..page(1000 + person, "/docs") }));
    }
    let pages = ["/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h", "/i", "/j", "/k", "/l"];
    list.extend((10..).step_by(5).zip(pages).map(|(at, path)| (at, page(1, path))));
    let holes = ["/.env", "/.git/config", "/wp-config.php.bak", "/phpmyadmin/"];
    list.extend((20..).zip(holes).map(|(at, path)| (at, page(2, path).answered(404))));
    list.extend((30..50).map(|at| (at, login(3, 401))));
    list.extend((0..90).map(|n| (60 + n / 20, page(4, "/search"))));
    let acme: &'static weir::facts::Who = Box::leak(Box::new(accounts(&[("acme", 0)])));
    list.extend((0..90).map(|n| (70 + u64::from(n / 20), Step { who: acme, ..page(5 + n % 3, "/api") })));
    list.sort_by_key(|(at, _)| *at);
    list
}

/// Everything of a finding but its number and the ids of its requests.
fn told(cases: &[Case]) -> Vec<String> {
    let mut told: Vec<String> = cases
        .iter()
        .map(|case| {
            let f = &case.finding;
            format!(
                "{:?} {} {} {:?} {:?} {} {:?} {:?} {:?} {:?} {:?}",
                f.principal,
                f.behaviour,
                f.rule,
                f.confidence,
                f.evidence,
                f.requests,
                f.since,
                f.opened,
                f.last,
                f.clients,
                case.sanction
            )
        })
        .collect();
    told.sort();
    told
}

/// Promise: requests that came live and the log of the same requests lead to the same findings, with the same numbers
/// at the same times, whether detectors are in shadow or enforced beside a limit.
#[test]
fn a_log_tells_the_same() {
    for mode in [Mode::Shadow, Mode::Enforce] {
        let kinds = [
            Behaviour::Crawl,
            Behaviour::Probe,
            Behaviour::Stuffing,
            Behaviour::Flood,
            Behaviour::Retry,
            Behaviour::Harvest,
        ];
        let policy = || {
            let all = kinds.map(|behaviour| detector(behaviour, mode)).to_vec();
            watching(all, vec![per_client("sixty", sliding(60, 60 * SECOND))])
        };
        let mut stage = Stage::new(policy());
        let start = stage.now;
        let mut log = String::new();
        for (at, step) in requests() {
            stage.now = start.after(Duration::from_secs(at));
            let came = stage.play(step);
            write_line(&mut log, &stage, step, came.verdict);
        }
        let (mut replay, mut reader) = (Replay::new(Arc::new(policy()), MEMORY), LineReader::default());
        for line in log.lines() {
            reader.read(line.as_bytes(), |entry| replay.judge(entry)).expect("a request");
        }
        let all = FindingFilter::default();
        let live = told(&stage.engine.findings(&all, usize::MAX));
        assert_eq!(told(&replay.engine().findings(&all, usize::MAX)), live);
        assert!(live.len() >= 5, "{live:#?}");
    }
}

/// As weir's own access log has it.
fn write_line(log: &mut String, stage: &Stage, step: Step<'_>, verdict: Verdict) {
    let (status, by) = if verdict == Verdict::Forward { (step.status, "app") } else { (429, "weir") };
    let account = step.who.accounts.first().map(|account| format!(",\"account\":\"{}\"", account.id));
    let referer = step.referer.map(|referer| format!(",\"referer\":\"{referer}\""));
    writeln!(
        log,
        r#"{{"time":{},"client":"{}","method":"{}","target":"{}","host":"app.test","status":{status},"response_bytes":100,"answered_by":"{by}"{}{}}}"#,
        stage.now.as_nanos() / SECOND,
        address(step.client).0,
        step.method,
        step.path,
        account.unwrap_or_default(),
        referer.unwrap_or_default(),
    )
    .expect("memory");
}
