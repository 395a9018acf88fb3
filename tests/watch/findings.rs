//! The life of a finding.

use std::time::Duration;

use weir::clause::Behaviour;
use weir::engine::{FindingEvent, FindingFilter};
use weir::facts::PrincipalKind;
use weir::remedy::Mode;

use super::policy::{accounts, in_session};
use super::stage::{Stage, Step, address, detector, login, page, watching};

fn shadow(behaviour: Behaviour) -> Stage {
    Stage::new(watching(vec![detector(behaviour, Mode::Shadow)], Vec::new()))
}

/// Promise: one open finding for a principal and a behaviour, however long it goes on: it grows, and names the first
/// requests and the last.
#[test]
fn one_finding_that_grows() {
    let mut stage = shadow(Behaviour::Stuffing);
    let opened: Vec<usize> =
        (1..=30).filter(|_| stage.play(login(1, 401)).opened(Behaviour::Stuffing)).collect();
    assert_eq!(opened, [5]);
    let found = stage.found(Behaviour::Stuffing);
    assert_eq!(found.len(), 1);
    let finding = &found[0].finding;
    assert_eq!((finding.principal, finding.requests, finding.times), (address(1).1.into(), 30, 26));
    assert!(finding.confidence > 0.9);
    let samples: Vec<String> = finding.samples.iter().map(ToString::to_string).collect();
    assert_eq!(samples, ["5", "6", "7", "30"]);
    assert_eq!(finding.clients.as_slice(), [address(1).1]);
    assert!(finding.closed.is_none() && found[0].sanction.is_none());
}

/// Promise: a finding outlives a pause, ends after a quiet time, and is remembered as closed for a day; what happens anew
/// is a new one.
#[test]
fn a_finding_ends_when_all_is_quiet() {
    let mut stage = shadow(Behaviour::Stuffing);
    let stuff = |stage: &mut Stage| (0..10).for_each(|_| drop(stage.play(login(1, 401))));
    stuff(&mut stage);
    stage.wait(Duration::from_secs(599));
    assert!(stage.engine.sweep_findings(stage.now).is_empty());
    stuff(&mut stage);
    stage.wait(Duration::from_secs(600));
    let events = stage.engine.sweep_findings(stage.now);
    let [FindingEvent::Closed(case)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((case.finding.closed, case.finding.requests), (Some(stage.now), 20));
    let closed = FindingFilter { is_open: Some(false), ..FindingFilter::default() };
    assert_eq!(stage.engine.findings(&closed, 10).len(), 1);
    stuff(&mut stage);
    let all: Vec<bool> =
        stage.found(Behaviour::Stuffing).iter().map(|case| case.finding.closed.is_none()).collect();
    assert_eq!(all, [true, false]);
    // The first is forgotten a day later; the second is closed only then.
    stage.wait(Duration::from_secs(24 * 3600));
    stage.engine.sweep_findings(stage.now);
    assert_eq!(stage.engine.findings(&closed, 10).len(), 1);
}

/// Promise: whether anybody looked for what is over makes no difference: after a quiet time, the same again is new.
#[test]
fn what_comes_after_a_quiet_time_is_new() {
    let mut stage = shadow(Behaviour::Stuffing);
    let stuff = |stage: &mut Stage| (0..10).for_each(|_| drop(stage.play(login(1, 401))));
    stuff(&mut stage);
    stage.wait(Duration::from_secs(600));
    stuff(&mut stage);
    let found = stage.found(Behaviour::Stuffing);
    assert_eq!(found.iter().map(|case| case.finding.closed.is_none()).collect::<Vec<_>>(), [true, false]);
    assert_eq!(found[1].finding.closed, Some(found[0].finding.opened));
    // The one that is open is over later than the first was to be.
    assert!(stage.engine.sweep_findings(stage.now).is_empty());
    stage.wait(Duration::from_secs(600));
    assert_eq!(stage.engine.sweep_findings(stage.now).len(), 1);
    // Once closed it is remembered for a day.
    stage.wait(Duration::from_secs(24 * 3600 - 1));
    stage.engine.sweep_findings(stage.now);
    assert_eq!(stage.found(Behaviour::Stuffing).len(), 1);
    stage.wait(Duration::from_secs(1));
    stage.engine.sweep_findings(stage.now);
    assert!(stage.found(Behaviour::Stuffing).is_empty());
}

/// Promise: a known account answers for what it does, and its session; its client does not. One account over many
/// addresses is one finding that names them.
#[test]
fn an_account_answers_for_itself() {
    let mut stage = shadow(Behaviour::Flood);
    let who = in_session(accounts(&[("acme", 0)]), 5);
    for n in 0..80 {
        stage.play(Step { who: &who, ..page(n % 4, "/") });
    }
    let found = stage.found(Behaviour::Flood);
    let mut kinds: Vec<PrincipalKind> = found.iter().map(|case| case.finding.principal.kind()).collect();
    kinds.sort();
    assert_eq!(kinds, [PrincipalKind::Account, PrincipalKind::Session]);
    assert!(found.iter().all(|case| case.finding.clients.len() == 4));
    let of_one = FindingFilter { client: Some(address(3).1), ..FindingFilter::default() };
    assert_eq!(stage.engine.findings(&of_one, 10).len(), 2);
}

/// Promise: a reload keeps conduct and findings, and its thresholds are the new ones: four failed logins before it
/// and one after it are five; with a threshold of four the next client needs four.
#[test]
fn a_reload_keeps_conduct() {
    let mut stage = shadow(Behaviour::Stuffing);
    (0..4).for_each(|_| drop(stage.play(login(1, 401))));
    let mut other = detector(Behaviour::Stuffing, Mode::Shadow);
    stage.reload(watching(vec![other.clone()], Vec::new()));
    assert!(stage.play(login(1, 401)).opened(Behaviour::Stuffing));
    other.thresholds[0] = 4;
    stage.reload(watching(vec![other], Vec::new()));
    assert_eq!(stage.found(Behaviour::Stuffing).len(), 1);
    let opened: Vec<usize> =
        (1..=4).filter(|_| stage.play(login(2, 401)).opened(Behaviour::Stuffing)).collect();
    assert_eq!(opened, [4]);
}

/// Promise: nobody is watched where no detector is on.
#[test]
fn without_detectors_nobody_is_watched() {
    let mut stage = Stage::new(watching(Vec::new(), Vec::new()));
    assert!(!stage.binding.is_watching());
    (0..100).for_each(|_| drop(stage.play(login(1, 401))));
    assert_eq!(stage.engine.watch_stats().principals, 0);
}
