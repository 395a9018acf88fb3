//! Promise 4, both ways of getting it wrong: what weir refused is demand, and is no evidence of anything else.

use std::time::Duration;

use weir::clause::Behaviour;
use weir::remedy::{Mode, Refusal, Verdict};

use super::policy::{per_client, sliding};
use super::stage::{Stage, detector, login, page, watching};

const SECOND: u64 = 1_000_000_000;

/// Promise: an office that crossed a limit and comes back no earlier than it was told to is not found to retry,
/// however long that goes on.
#[test]
fn polite_retries_are_none() {
    let limits = vec![per_client("ten", sliding(10, 10 * SECOND))];
    let mut stage = Stage::new(watching(vec![detector(Behaviour::Retry, Mode::Enforce)], limits));
    let mut refused = 0;
    for _ in 0..500 {
        if let Verdict::Refuse(Refusal { retry_after, .. }) = stage.play(page(1, "/inbox")).verdict {
            refused += 1;
            stage.wait(retry_after.expect("a time"));
        }
    }
    assert!(refused >= 40, "{refused}");
    assert!(stage.found(Behaviour::Retry).is_empty());
}

/// Promise: who asks again and again while it is told to stay away is found to retry, though weir refused all of it.
#[test]
fn impatient_retries_are_seen_though_refused() {
    let limits = vec![per_client("ten", sliding(10, 10 * SECOND))];
    let mut stage = Stage::new(watching(vec![detector(Behaviour::Retry, Mode::Shadow)], limits));
    for _ in 0..200 {
        stage.play(page(1, "/inbox"));
        stage.wait(Duration::from_millis(100));
    }
    assert_eq!(stage.found(Behaviour::Retry).len(), 1);
}

/// Promise: a flood that is refused down to its limit does not look compliant: 90 pages in 9 s, of which 3 are
/// admitted, are a flood.
#[test]
fn a_refused_flood_is_a_flood() {
    let limits = vec![per_client("three", sliding(3, 60 * SECOND))];
    let mut stage = Stage::new(watching(vec![detector(Behaviour::Flood, Mode::Shadow)], limits));
    let mut admitted = 0;
    for n in 0..90 {
        admitted += u32::from(stage.play(page(1, &format!("/{n}"))).is_forwarded());
        stage.wait(Duration::from_millis(100));
    }
    assert_eq!(admitted, 3);
    assert_eq!(stage.found(Behaviour::Flood).len(), 1);
}

/// Promise: of the same request, refused thousands of times a second, all but fifteen a second count, in the finding as
/// well; and what hammers at one thing is found for certain.
#[test]
fn a_hammer_that_is_refused_counts_in_full() {
    let limits = vec![per_client("one", sliding(1, 3600 * SECOND))];
    let mut stage = Stage::new(watching(vec![detector(Behaviour::Flood, Mode::Shadow)], limits));
    let sent = 3 * 2000;
    for _ in 0..sent {
        stage.play(page(1, "/export"));
        stage.wait(Duration::from_micros(500));
    }
    let found = stage.found(Behaviour::Flood);
    let finding = &found.first().expect("a finding").finding;
    assert!((sent - 4 * 15..=sent).contains(&finding.requests), "{}", finding.requests);
    assert!(finding.confidence > 0.9);
}

/// Promise: a limit on logins does not hide stuffing: of forty attempts three are admitted and fail, and the other
/// thirty-seven are attempts all the same.
#[test]
fn a_login_limit_does_not_hide_stuffing() {
    let limits = vec![per_client("three", sliding(3, 3600 * SECOND))];
    let mut stage = Stage::new(watching(vec![detector(Behaviour::Stuffing, Mode::Shadow)], limits));
    for _ in 0..40 {
        stage.play(login(1, 401));
        stage.wait(Duration::from_secs(1));
    }
    assert_eq!(stage.found(Behaviour::Stuffing).len(), 1);
}

/// Promise: an office at nine o'clock, most of whose logins a limit refuses while those that pass succeed, is not
/// found to stuff credentials.
#[test]
fn refused_logins_are_not_failed_ones() {
    let limits = vec![per_client("three", sliding(3, 3600 * SECOND))];
    let mut stage = Stage::new(watching(vec![detector(Behaviour::Stuffing, Mode::Shadow)], limits));
    for _ in 0..40 {
        stage.play(login(1, 303));
        stage.wait(Duration::from_secs(1));
    }
    assert!(stage.found(Behaviour::Stuffing).is_empty());
}

/// Promise: weir's own answers say nothing of the app: pages that were refused are neither pages crawled nor pages
/// missed, however many.
#[test]
fn refusals_are_no_evidence() {
    let limits = vec![per_client("two", sliding(2, 3600 * SECOND))];
    let kinds = [Behaviour::Crawl, Behaviour::Probe, Behaviour::Harvest];
    let all = kinds.map(|behaviour| detector(behaviour, Mode::Shadow)).to_vec();
    let mut stage = Stage::new(watching(all, limits));
    stage.people_read();
    for n in 0..100 {
        stage.play(page(1, &format!("/articles/{n}")).answered(404));
        stage.wait(Duration::from_secs(1));
    }
    for behaviour in kinds {
        assert!(stage.found(behaviour).is_empty(), "{behaviour}");
    }
}

/// Promise: what is refused for a finding does not prolong the sanction, unless the finding is about demand: a
/// crawler that goes on asking is free when its time is over, a flood is not.
#[test]
fn a_sanction_is_prolonged_by_demand_alone() {
    let both = vec![detector(Behaviour::Crawl, Mode::Enforce), detector(Behaviour::Flood, Mode::Enforce)];
    let mut stage = Stage::new(watching(both, Vec::new()));
    stage.people_read();
    for n in 0..10 {
        stage.play(page(1, &format!("/{n}")));
        stage.wait(Duration::from_secs(5));
    }
    let crawl = stage.found(Behaviour::Crawl);
    let until = crawl[0].sanction.expect("a sanction").until;
    while stage.now < until {
        assert!(!stage.play(page(1, "/again")).is_forwarded());
        stage.wait(Duration::from_secs(10));
    }
    assert!(stage.play(page(1, "/again")).is_forwarded());
    assert_eq!(stage.found(Behaviour::Crawl)[0].sanction.expect("a sanction").until, until);

    let mut flood = || {
        for n in 0..200 {
            stage.play(page(2, &format!("/{n}")));
            stage.wait(Duration::from_millis(100));
        }
        stage.found(Behaviour::Flood)[0].sanction.expect("a sanction").until
    };
    let first = flood();
    assert!(flood() > first);
}
