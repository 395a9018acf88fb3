//! The state is bounded, and what matters in it outlasts a flood.

use weir::engine::Engine;
use weir::facts::Facts;
use weir::policy::RouteId;

use crate::admits;
use crate::policy::{get, limits, per_client, policy, route, sliding};

const FLOOD: u32 = 200_000;

/// Promise 2: memory stays within its bound under a flood of new clients; each of them is served, and one at
/// its limit is not forgotten because they came.
#[test]
fn a_flood_of_keys_displaces_only_itself() {
    let engine = Engine::new(1 << 20);
    let binding = engine.bind(limits(vec![per_client("a", sliding(20, 1 << 40))]));
    while admits(&engine, &binding, &get(0, 0)) {}
    for client in 1..=FLOOD {
        assert!(admits(&engine, &binding, &get(client, 0)));
        assert!(client % 4096 != 0 || engine.stats().bytes <= 1 << 20);
    }
    let stats = engine.stats();
    assert!(stats.bytes <= stats.bytes_max);
    assert_eq!(stats.bytes_max, 1 << 20);
    assert_eq!(u64::from(FLOOD) + 2, stats.records + stats.evictions);
    assert!(!admits(&engine, &binding, &get(0, 0)));
}

/// Promise 2: the same when the records of known clients grow, with no new ones to make room for.
#[test]
fn growing_records_stay_within_the_bound() {
    let engine = Engine::new(1 << 20);
    let binding = engine.bind(limits(vec![per_client("a", sliding(128, 1 << 40))]));
    // Apart enough for stamps of their own.
    for at in (0..100).map(|turn| turn << 20) {
        for client in 0..3000 {
            admits(&engine, &binding, &get(client, at));
        }
        assert!(engine.stats().bytes <= 1 << 20);
    }
    assert!(engine.stats().evictions > 0);
}

/// Promise 2: a record holds cells of what its client does lately, not of every route it ever visited, and not
/// of limits that are gone; those that still count are kept.
#[test]
fn idle_cells_are_forgotten() {
    let engine = Engine::new(1 << 20);
    let mut limit = per_client("a", sliding(2, 100));
    limit.key.per_route = true;
    let mut routes = policy(vec![limit]);
    routes.routes = (0..300).map(|n| route(&format!("/{n}"), 1)).collect();
    let binding = engine.bind(routes.into());
    let visit = |route, at| admits(&engine, &binding, &Facts { route: RouteId(route), ..get(1, at) });
    for (route, at) in (0..300).zip((0..).step_by(200)) {
        assert!(visit(route, at));
        assert!(visit(route, at));
        assert!(engine.stats().bytes < 2048, "{} bytes", engine.stats().bytes);
    }
    let last = 299 * 200;
    assert!(visit(0, last + 50));
    assert!(!visit(299, last + 50));
}
