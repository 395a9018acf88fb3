//! What never becomes a request: counted by client, and found where nobody does as much by accident.

use std::time::Duration;

use weir::clause::Behaviour;
use weir::engine::{ConnVerdict, FindingEvent, FindingEvents};
use weir::facts::{ConnFacts, ProtocolEvent};
use weir::finding::Evidence;
use weir::policy::Policy;
use weir::policy::identity::{Place, Source};
use weir::remedy::Mode;

use super::stage::{Stage, address, detector, page, watching};

fn stage(mode: Mode) -> Stage {
    Stage::new(watching(vec![detector(Behaviour::Protocol, mode)], Vec::new()))
}

fn tell(stage: &Stage, client: u32, event: ProtocolEvent) -> FindingEvents {
    stage.engine.event(&stage.binding, &conn(stage, client), event)
}

fn conn(stage: &Stage, client: u32) -> ConnFacts {
    let (address, client) = address(client);
    ConnFacts { at: stage.now, address, client }
}

fn is_taken(stage: &Stage, client: u32) -> bool {
    stage.engine.connect(&stage.binding, &conn(stage, client)) == ConnVerdict::Accept
}

/// Promise: 100 heads that did not come in time are a finding with that number as its evidence, opened once, about the
/// client that sent them; in shadow it is served on.
#[test]
fn slowloris_is_found() {
    let mut stage = stage(Mode::Shadow);
    for _ in 1..100 {
        assert!(tell(&stage, 1, ProtocolEvent::HeadTimeout).is_empty());
        tell(&stage, 2, ProtocolEvent::Aborted);
        tell(&stage, 2, ProtocolEvent::TooLarge);
        stage.wait(Duration::from_millis(100));
    }
    tell(&stage, 2, ProtocolEvent::HeadTimeout);
    let opened = tell(&stage, 1, ProtocolEvent::HeadTimeout);
    assert!(matches!(opened.as_slice(), [FindingEvent::Opened(_)]), "{opened:?}");
    assert!(tell(&stage, 1, ProtocolEvent::HeadTimeout).is_empty(), "it is open already");
    let found = stage.found(Behaviour::Protocol);
    let [case] = found.as_slice() else { panic!("one finding: {found:?}") };
    assert_eq!(case.finding.principal, address(1).1.into());
    assert_eq!(case.finding.rule, "slow");
    assert_eq!(*case.finding.evidence, [Evidence { counter: "slow", value: 101, threshold: 100 }]);
    assert!(stage.play(page(1, "/")).is_forwarded());
}

/// Promise: where only that is looked for, no request is read for it.
#[test]
fn requests_are_not_read_for_it() {
    let alone = stage(Mode::Shadow);
    assert!(alone.binding.is_watching() && !alone.binding.reads_requests());
    let both = vec![detector(Behaviour::Protocol, Mode::Shadow), detector(Behaviour::Flood, Mode::Shadow)];
    assert!(Stage::new(watching(both, Vec::new())).binding.reads_requests());
}

/// Promise: handshakes, floods of HTTP/2, malformed heads and refused connections are found by their own numbers.
#[test]
fn every_kind_is_found() {
    let stage = stage(Mode::Shadow);
    let kinds = [
        (ProtocolEvent::HandshakeFailed, 600, "handshakes"),
        (ProtocolEvent::HandshakeTimeout, 600, "handshakes"),
        (ProtocolEvent::Http2, 10, "floods"),
        (ProtocolEvent::MalformedBody, 100, "malformed"),
        (ProtocolEvent::MalformedHead, 100, "malformed"),
        (ProtocolEvent::BodyStalled, 100, "slow"),
        (ProtocolEvent::TooManyConnections, 6000, "connections"),
    ];
    for (client, (event, number, rule)) in (1..).zip(kinds) {
        let found = |events: FindingEvents| {
            events.into_iter().find_map(|event| match event {
                FindingEvent::Opened(case) if case.finding.behaviour == Behaviour::Protocol => Some(case),
                _ => None,
            })
        };
        for n in 1..number {
            assert!(found(tell(&stage, client, event)).is_none(), "{event:?} after {n}");
        }
        let case = found(tell(&stage, client, event)).expect("a finding");
        assert_eq!(case.finding.rule, rule, "{event:?}");
    }
}

/// Promise: in `enforce`, whoever does so is refused, and for as long as the policy says; others are not, and what was
/// counted before does not bring on the next finding.
#[test]
fn who_is_found_is_refused() {
    let mut stage = stage(Mode::Enforce);
    let mut opened = 0;
    for _ in 0..10 {
        opened += tell(&stage, 1, ProtocolEvent::Http2).len();
    }
    assert_eq!(opened, 1);
    assert!(!stage.play(page(1, "/")).is_forwarded());
    assert!(stage.play(page(2, "/")).is_forwarded());
    assert!(!is_taken(&stage, 1) && is_taken(&stage, 2), "nor its connections");
    stage.wait(Duration::from_secs(601));
    assert!(is_taken(&stage, 1));
    assert!(stage.play(page(1, "/")).is_forwarded());
    tell(&stage, 1, ProtocolEvent::Http2);
    assert!(stage.play(page(1, "/")).is_forwarded());
}

/// Promise: a connection is only refused for what is enforced, and never where its requests may name an account, which
/// answers for itself, or come from where nobody is refused.
#[test]
fn connections_are_refused_for_nothing_else() {
    let named = |mut policy: Policy| {
        policy.identity.sources.push(Source::Token(Place::Bearer));
        policy
    };
    let spared = |mut policy: Policy| {
        policy.enforcement.never_refuse.push("0.0.0.0/0".parse().unwrap());
        policy
    };
    let watching = |mode| watching(vec![detector(Behaviour::Protocol, mode)], Vec::new());
    let enforce = watching(Mode::Enforce);
    for policy in [watching(Mode::Shadow), named(enforce.clone()), spared(enforce)] {
        let stage = Stage::new(policy);
        for _ in 0..10 {
            tell(&stage, 1, ProtocolEvent::Http2);
        }
        assert_eq!(stage.found(Behaviour::Protocol).len(), 1);
        assert!(is_taken(&stage, 1));
    }
}

/// Promise: ordinary trouble is none: a day of an office on a bad line, where every half minute a body stands still, every
/// ten seconds a handshake fails and something is broken off twenty times a second.
#[test]
fn a_bad_line_is_not() {
    let mut stage = stage(Mode::Enforce);
    for second in 0..24 * 3600_u32 {
        if second % 30 == 0 {
            tell(&stage, 1, ProtocolEvent::BodyStalled);
            tell(&stage, 1, ProtocolEvent::HeadTimeout);
        }
        if second % 10 == 0 {
            tell(&stage, 1, ProtocolEvent::HandshakeFailed);
        }
        for _ in 0..20 {
            tell(&stage, 1, ProtocolEvent::Aborted);
        }
        stage.wait(Duration::from_secs(1));
    }
    assert!(stage.found(Behaviour::Protocol).is_empty());
    assert!(stage.play(page(1, "/")).is_forwarded());
}

/// Promise: a detector that is off finds nothing, and remembers nobody for it.
#[test]
fn off_is_off() {
    let stage = Stage::new(watching(vec![detector(Behaviour::Probe, Mode::Shadow)], Vec::new()));
    for _ in 0..1000 {
        tell(&stage, 1, ProtocolEvent::HeadTimeout);
    }
    assert!(stage.found(Behaviour::Protocol).is_empty());
    assert_eq!(stage.engine.watch_stats().principals, 0);
}
