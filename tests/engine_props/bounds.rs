//! The state is bounded, and what matters in it outlasts a flood.

use weir::engine::Engine;

use crate::admits;
use crate::policy::{get, limits, per_client, sliding};

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
    for at in 0..100 {
        for client in 0..3000 {
            admits(&engine, &binding, &get(client, at));
        }
        assert!(engine.stats().bytes <= 1 << 20);
    }
    assert!(engine.stats().evictions > 0);
}
