//! The switch for everything, thrown at run time.

use weir::engine::{Engine, ModeOverride};
use weir::remedy::Mode;
use weir::time::Moment;

use crate::admits;
use crate::policy::{get, limits, per_client, policy, sliding};

const LONG: u64 = 1 << 40;

/// Promise: an override holds from the next decision on, under every binding, until its expiry and not a nanosecond
/// longer; counters go on in shadow and stand still while everything is off.
#[test]
fn an_override_holds_at_once_and_until_it_expires() {
    let engine = Engine::new(0);
    let binding = engine.bind(limits(vec![per_client("a", sliding(1, LONG))]));
    assert!(admits(&engine, &binding, &get(1, 0)) && !admits(&engine, &binding, &get(1, 1)));
    engine.override_mode(Some(ModeOverride { mode: Mode::Shadow, until: Some(Moment::from_nanos(50)) }));
    let reloaded = engine.bind(limits(vec![per_client("a", sliding(1, LONG))]));
    for (binding, at) in [(&binding, 2), (&reloaded, 49)] {
        let (decision, _ticket) = engine.admit(binding, &get(1, at));
        assert_eq!((decision.checks[0].mode, decision.checks[0].within), (Mode::Shadow, false));
        assert!(admits(&engine, binding, &get(1, at)));
    }
    assert_eq!(engine.mode_override(Moment::from_nanos(49)).map(|to| to.mode), Some(Mode::Shadow));
    assert!(!admits(&engine, &binding, &get(1, 50)));
    assert_eq!(engine.mode_override(Moment::from_nanos(50)), None);
    engine.override_mode(Some(ModeOverride { mode: Mode::Off, until: None }));
    assert!(engine.admit(&binding, &get(2, LONG / 2)).0.checks.is_empty());
    engine.override_mode(None);
    assert!(admits(&engine, &binding, &get(2, LONG / 2)), "nothing was counted while it was off");
    assert!(!admits(&engine, &binding, &get(2, LONG / 2)));
}

/// Promise: an override may also enforce what the policy only watches; a limit's own mode is never strengthened, nor is
/// anyone refused who is never to be.
#[test]
fn an_override_replaces_the_policys_mode_alone() {
    let engine = Engine::new(0);
    let mut shadow = per_client("shadow", sliding(1, LONG));
    shadow.mode = Mode::Shadow;
    let mut policy = policy(vec![per_client("a", sliding(2, LONG)), shadow]);
    policy.enforcement.mode = Mode::Shadow;
    policy.enforcement.never_refuse = vec!["10.0.0.9/32".parse().expect("a range")];
    let binding = engine.bind(policy.into());
    let pass = |client| (0..4).filter(|_| admits(&engine, &binding, &get(client, 0))).count();
    assert_eq!(pass(1), 4);
    engine.override_mode(Some(ModeOverride { mode: Mode::Enforce, until: None }));
    assert_eq!([pass(1), pass(2), pass(9)], [0, 2, 4]);
}
