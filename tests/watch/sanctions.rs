//! What is done about findings, and to whom never.

use std::time::Duration;

use weir::clause::Behaviour;
use weir::engine::{FindingEvent, ModeOverride};
use weir::policy::Policy;
use weir::policy::conduct::{Answer, Detector};
use weir::remedy::{Mode, Verdict};

use super::policy::{accounts, per_client, sliding};
use super::stage::{Came, Stage, Step, address, detector, login, page, watching};

fn enforced() -> Detector {
    detector(Behaviour::Stuffing, Mode::Enforce)
}

fn stuff(stage: &mut Stage, client: u32) -> Came {
    (0..4).for_each(|_| drop(stage.play(login(client, 401))));
    stage.play(login(client, 401))
}

/// Promise: an enforced finding refuses its principal for the stated time and nobody else, and says why; afterwards
/// what was done before it counts no more, and the same again is found again.
#[test]
fn a_finding_refuses_for_a_while() {
    let mut detector = enforced();
    detector.answer = Answer::Forbidden;
    let mut stage = Stage::new(watching(vec![detector], vec![per_client("a", sliding(100, 1))]));
    let came = stuff(&mut stage, 1);
    let [FindingEvent::Opened(case)] = came.events.as_slice() else { panic!("{came:?}") };
    let until = stage.now.after(Duration::from_secs(600));
    assert_eq!(case.sanction.map(|sanction| sanction.until), Some(until));
    let Verdict::Convict(conviction) = stage.play(page(1, "/")).verdict else { panic!("admitted") };
    assert_eq!((conviction.finding, conviction.behaviour), (case.finding.id, Behaviour::Stuffing));
    assert_eq!((conviction.principal, conviction.until), (address(1).1.into(), until));
    assert_eq!(conviction.answer, Answer::Forbidden);
    assert!(stage.play(page(2, "/")).is_forwarded());
    stage.now = until;
    assert!(stage.play(login(1, 401)).is_forwarded());
    (0..3).for_each(|_| assert!(stage.play(login(1, 401)).is_forwarded()));
    let again = stage.play(login(1, 401));
    assert!(matches!(again.events.as_slice(), [FindingEvent::Sanctioned(_)]), "{again:?}");
    assert!(!stage.play(page(1, "/")).is_forwarded());
}

/// Promise: shadow never refuses anybody, whichever of the switches says so, and what was enforced before is not when
/// the operator turns to shadow.
#[test]
fn shadow_refuses_nobody() {
    let shadows = |policy: Policy| {
        let mut stage = Stage::new(policy);
        let came = stuff(&mut stage, 1);
        assert!(came.opened(Behaviour::Stuffing));
        stage.play(page(1, "/")).is_forwarded()
    };
    assert!(!shadows(watching(vec![enforced()], Vec::new())));
    assert!(shadows(watching(vec![detector(Behaviour::Stuffing, Mode::Shadow)], Vec::new())));
    let mut policy = watching(vec![enforced()], Vec::new());
    policy.enforcement.mode = Mode::Shadow;
    assert!(shadows(policy));
    let mut unsure = enforced();
    unsure.confidence = 0.99;
    assert!(shadows(watching(vec![unsure], Vec::new())));

    let mut stage = Stage::new(watching(vec![enforced()], Vec::new()));
    stuff(&mut stage, 1);
    let over = ModeOverride { mode: Mode::Shadow, until: None };
    stage.engine.override_mode(Some(over));
    assert!(stage.play(page(1, "/")).is_forwarded());
    stage.engine.override_mode(None);
    assert!(!stage.play(page(1, "/")).is_forwarded());
    stage.reload(watching(vec![detector(Behaviour::Stuffing, Mode::Shadow)], Vec::new()));
    assert!(stage.play(page(1, "/")).is_forwarded());
}

/// Promise: who is exempt, or never refused, is found but not refused.
#[test]
fn the_exempt_are_found_and_not_refused() {
    let spares = |policy: Policy| {
        let mut stage = Stage::new(policy);
        assert!(stuff(&mut stage, 1).opened(Behaviour::Stuffing));
        assert!(stage.play(page(1, "/")).is_forwarded());
        assert!(stage.found(Behaviour::Stuffing)[0].sanction.is_none());
        // Its neighbour is not exempt.
        stuff(&mut stage, 2);
        assert!(!stage.play(page(2, "/")).is_forwarded());
    };
    let one = vec!["10.0.0.1/32".parse().expect("a range")];
    let mut exempt = enforced();
    exempt.exempt.ranges.clone_from(&one);
    spares(watching(vec![exempt], Vec::new()));
    let mut policy = watching(vec![enforced()], Vec::new());
    policy.enforcement.never_refuse = one;
    spares(policy);
}

/// Promise: what people behind an address did refuses those of them whom nobody knows; a known account behind it is
/// served, and what an account did refuses that account, wherever it comes from, and no other.
#[test]
fn an_account_in_good_standing_is_served() {
    let mut stage = Stage::new(watching(vec![enforced()], Vec::new()));
    stuff(&mut stage, 1);
    let (good, bad) = (accounts(&[("good", 0)]), accounts(&[("bad", 0)]));
    assert!(!stage.play(page(1, "/")).is_forwarded());
    assert!(stage.play(Step { who: &good, ..page(1, "/") }).is_forwarded());
    (0..5).for_each(|_| drop(stage.play(Step { who: &bad, ..login(2, 401) })));
    assert!(!stage.play(Step { who: &bad, ..page(3, "/") }).is_forwarded());
    assert!(stage.play(Step { who: &good, ..page(2, "/") }).is_forwarded());
    assert!(stage.play(page(2, "/")).is_forwarded());
}
