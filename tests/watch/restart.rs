//! Open findings across a restart.

use std::sync::Arc;
use std::time::Duration;

use weir::clause::{Behaviour, RuleId};
use weir::engine::{Engine, Extent, FindingFilter};
use weir::remedy::Mode;
use weir::time::{Moment, WallTime};

use super::rules::{NAME, behaviour, rule, ruled};
use super::stage::{MEMORY, Stage, detector, login, page, watching};

/// An engine with the same key that starts so long after the first one, at whose moment zero it is 1970.
fn restarted(stage: &Stage, after: Duration) -> Engine {
    started_at(stage, Duration::from_nanos(stage.now.as_nanos()) + after)
}

/// The same, at a time since 1970.
fn started_at(stage: &Stage, start: Duration) -> Engine {
    let head = stage.engine.snapshot_head();
    let parts: Vec<_> = stage.engine.snapshot_parts(&head, Extent::Everything, stage.now).collect();
    let unix_ms = u64::try_from(start.as_millis()).expect("in time");
    let engine = Engine::with_key(MEMORY, [7; 16]).watching(MEMORY).starting_at(WallTime { unix_ms });
    let restore = engine.restore(head, Moment::ORIGIN).expect("the same key");
    for part in parts {
        restore.add(part);
    }
    drop(restore);
    engine
}

/// Promise: a finding that is open at a restart is open after it, with its number, evidence and name, and its sanction
/// lasts as long as it would have; later findings have larger numbers.
#[test]
fn findings_go_on() {
    let policy = || ruled(vec![rule("asked_10s >= 3", Mode::Enforce)]);
    let mut stage = Stage::new(policy());
    (0..3).for_each(|n| drop(stage.play(page(1, &format!("/{n}")))));
    let before = stage.found(behaviour())[0].clone();
    let engine = restarted(&stage, Duration::from_secs(100));
    let binding = engine.bind(Arc::new(policy()));
    let mut next = Stage { engine, binding, now: Moment::ORIGIN, requests: 0 };
    let after = next.found(behaviour())[0].clone();
    assert_eq!((after.finding.id, &*after.detector, after.mode), (before.finding.id, NAME, Mode::Enforce));
    assert_eq!(after.finding.evidence, before.finding.evidence);
    assert_eq!(after.finding.clients, before.finding.clients);
    let opened = before.finding.opened.as_nanos() / 1_000_000;
    assert_eq!(after.earlier.map(|earlier| earlier.opened.unix_ms), Some(opened));

    next.now = Moment::ORIGIN.after(Duration::from_secs(499));
    assert!(!next.play(page(1, "/")).is_forwarded());
    next.now = Moment::ORIGIN.after(Duration::from_secs(500));
    assert!(next.play(page(1, "/")).is_forwarded());
    (0..3).for_each(|n| drop(next.play(page(2, &format!("/{n}")))));
    let newest = next.found(behaviour()).into_iter().map(|case| case.finding.id).max();
    assert!(newest > Some(before.finding.id));
}

/// Promise: a restart prolongs nothing: what would have been over by then is forgotten, and the rest closes when it would
/// have, however often weir is restarted.
#[test]
fn a_restart_prolongs_nothing() {
    let policy = || watching(vec![detector(Behaviour::Stuffing, Mode::Shadow)], Vec::new());
    let mut stage = Stage::new(policy());
    (0..10).for_each(|_| drop(stage.play(login(1, 401))));
    let filter = FindingFilter { is_open: Some(true), ..FindingFilter::default() };
    let open = |engine: &Engine| engine.findings(&filter, usize::MAX).len();
    assert_eq!(open(&stage.engine), 1);
    // Ten minutes after the last of it.
    let over = stage.now.as_nanos() / 1_000_000_000 + 600;
    let at = |seconds: u64| Duration::from_secs(seconds);
    assert_eq!(open(&started_at(&stage, at(over))), 0);
    let late = started_at(&stage, at(over - 30));
    assert_eq!(open(&late), 1);
    let binding = late.bind(Arc::new(policy()));
    let mut next = Stage { engine: late, binding, now: Moment::ORIGIN, requests: 0 };
    assert_eq!(open(&started_at(&next, at(over - 1))), 1);
    assert_eq!(open(&started_at(&next, at(over))), 0);
    // Recognised again, it is as open as ever.
    (0..10).for_each(|_| drop(next.play(login(1, 401))));
    next.wait(Duration::from_secs(60));
    next.engine.sweep_findings(next.now);
    assert_eq!(open(&next.engine), 1);
    assert_eq!(open(&started_at(&next, at(over + 60))), 1);
    assert_eq!(open(&started_at(&next, at(over + 48 * 3600))), 0);
}

/// Promise: a finding by a rule that is gone from the configuration is remembered by its name, and refuses nobody.
#[test]
fn a_rule_that_is_gone_refuses_nobody() {
    let mut stage = Stage::new(ruled(vec![rule("asked_10s >= 3", Mode::Enforce)]));
    (0..3).for_each(|n| drop(stage.play(page(1, &format!("/{n}")))));
    let engine = restarted(&stage, Duration::ZERO);
    let binding = engine.bind(Arc::new(ruled(Vec::new())));
    let mut next = Stage { engine, binding, now: Moment::ORIGIN, requests: 0 };
    assert!(next.play(page(1, "/")).is_forwarded());
    assert_eq!(&*next.found(Behaviour::Rule(RuleId::named(NAME)))[0].detector, NAME);
}
