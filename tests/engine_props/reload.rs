//! A reload joins a new policy to the old counters.

use weir::engine::Engine;
use weir::facts::Facts;
use weir::policy::RouteId;

use crate::admits;
use crate::policy::{gcra, get, limits, per_client, policy, route, sliding};

/// Promise 3: limits keep their counters by name, wherever they stand in the file.
#[test]
fn counters_go_by_name() {
    let engine = Engine::new(0);
    let old = engine.bind(limits(vec![per_client("a", sliding(2, 100))]));
    assert!(admits(&engine, &old, &get(1, 0)));
    let other = per_client("b", sliding(9, 100));
    let new = engine.bind(limits(vec![other.clone(), per_client("a", sliding(2, 100)), other]));
    assert!(admits(&engine, &new, &get(1, 0)));
    assert!(!admits(&engine, &new, &get(1, 0)));
    assert!(!admits(&engine, &old, &get(1, 0)));
}

/// Promise 3: a lower limit takes effect at once, a raised one refills nothing.
#[test]
fn changed_numbers_take_effect_at_once() {
    let engine = Engine::new(0);
    let bind = |units| engine.bind(limits(vec![per_client("a", sliding(units, 100))]));
    for _ in 0..4 {
        assert!(admits(&engine, &bind(5), &get(1, 0)));
    }
    assert!(!admits(&engine, &bind(3), &get(1, 0)));
    assert!(admits(&engine, &bind(6), &get(1, 0)));
    assert!(admits(&engine, &bind(6), &get(1, 0)));
    assert!(!admits(&engine, &bind(6), &get(1, 0)));
}

/// Promise 3: a changed algorithm starts afresh.
#[test]
fn a_changed_algorithm_starts_afresh() {
    let engine = Engine::new(0);
    let old = engine.bind(limits(vec![per_client("a", sliding(1, 100))]));
    assert!(admits(&engine, &old, &get(1, 0)));
    let new = engine.bind(limits(vec![per_client("a", gcra(1, 100, 1))]));
    assert!(admits(&engine, &new, &get(1, 0)));
    assert!(!admits(&engine, &new, &get(1, 0)));
}

/// Promise 3: counters by route go by the route's name, so that a new route above does not shift them.
#[test]
fn counters_by_route_go_by_the_routes_name() {
    let engine = Engine::new(0);
    let mut limit = per_client("a", sliding(1, 100));
    limit.key.per_route = true;
    let mut old = policy(vec![limit]);
    old.routes = vec![route("/a", 1), route("/b", 1)];
    let mut new = old.clone();
    new.routes.insert(0, route("/new", 1));
    let (old, new) = (engine.bind(old.into()), engine.bind(new.into()));
    let on = |route| Facts { route: RouteId(route), ..get(1, 0) };
    assert!(admits(&engine, &old, &on(1)));
    assert!(admits(&engine, &new, &on(1)), "/a is unused");
    assert!(!admits(&engine, &new, &on(2)), "/b is used up");
}
