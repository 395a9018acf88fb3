//! The state is bounded, and what matters in it outlasts a flood.

use weir::engine::Engine;
use weir::facts::Facts;
use weir::policy::{RouteId, WhoPart};

use crate::admits;
use crate::policy::{accounts, get, keyed, limits, per_client, policy, route, sliding};

const FLOOD: u32 = 200_000;
/// In nanoseconds.
const HOUR: u64 = 3600 * 1_000_000_000;
/// A unit of an hour's window comes back at most so much later: 2^-30 of the window.
const GRAIN: u64 = HOUR >> 30;

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
    assert!(visit(0, 0));
    let bytes = engine.stats().bytes;
    for (route, at) in (0..300).zip((200..).step_by(200)) {
        assert!(visit(route, at));
        assert!(visit(route, at));
        assert!(engine.stats().bytes < bytes + 512, "{} bytes", engine.stats().bytes - bytes);
    }
    let last = 300 * 200;
    assert!(visit(0, last + 50));
    assert!(!visit(299, last + 50));
}

/// Promise 2: a hundred clients over their limit stay refused through a flood of new clients, not one of which is
/// refused; the state stays within its bound.
#[test]
fn offenders_are_held_through_a_flood() {
    let engine = Engine::new(2 << 20);
    let binding =
        engine.bind(limits(vec![per_client("a", sliding(3, HOUR)), per_client("b", sliding(9, HOUR))]));
    for offender in 0..100 {
        while admits(&engine, &binding, &get(offender, 0)) {}
    }
    for new in 100..300_000 {
        assert!(admits(&engine, &binding, &get(new, 1)), "client {new} is new");
        if new % 100 == 0 {
            let offender = new / 100 % 100;
            assert!(!admits(&engine, &binding, &get(offender, 1)), "client {offender} after {new}");
        }
    }
    let stats = engine.stats();
    assert!(stats.bytes <= 2 << 20);
    assert_eq!((stats.let_off, stats.charged_to_networks), (0, 0));
    for offender in 0..100 {
        assert!(!admits(&engine, &binding, &get(offender, HOUR - 1)));
        assert!(admits(&engine, &binding, &get(offender, HOUR + GRAIN)), "all is back");
    }
}

/// Promise 2: where offenders alone are too many to be held, their networks go on counting for them. None gets a
/// request more than its limit, no neighbour that comes for the first time is refused, and an account that is over
/// its limit stays so.
#[test]
fn networks_stand_for_offenders() {
    const NETWORKS: u32 = 300;
    const EACH: u32 = 100;
    let engine = Engine::new(1 << 20);
    let binding = engine.bind(limits(vec![
        per_client("a", sliding(2, HOUR)),
        keyed("b", &[WhoPart::Account], sliding(5, HOUR)),
    ]));
    let acme = accounts(&[("acme", 0)]);
    let of_acme = |at| Facts { who: &acme, ..get(1 << 23, at) };
    for _ in 0..2 {
        assert!(admits(&engine, &binding, &of_acme(0)));
    }
    for client in 1..=3 {
        assert!(admits(&engine, &binding, &Facts { who: &acme, ..get(1 << 23 | client, 0) }));
    }
    let offenders = || (0..NETWORKS).flat_map(|network| (0..EACH).map(move |host| network << 8 | host));
    let mut admitted = vec![0; (NETWORKS as usize) << 8];
    for at in 0..3 {
        for offender in offenders() {
            for nth in 0..3 {
                let is_admitted = admits(&engine, &binding, &get(offender, at));
                assert!((at, nth) > (0, 0) || is_admitted, "client {offender} is new");
                admitted[offender as usize] += u32::from(is_admitted);
            }
        }
        assert!(engine.stats().bytes <= 1 << 20);
    }
    let stats = engine.stats();
    let got_more = offenders().filter(|&offender| admitted[offender as usize] > 2).count();
    assert_eq!(got_more, 0, "{stats:?}");
    assert!(stats.charged_to_networks > 10_000 && stats.let_off == 0, "{stats:?}");
    assert!(!admits(&engine, &binding, &of_acme(5)));
    for network in 0..NETWORKS {
        assert!(admits(&engine, &binding, &get(network << 8 | 0xc8, 5)), "a neighbour in {network}");
    }
    for offender in offenders() {
        assert!(admits(&engine, &binding, &get(offender, 2 * HOUR)), "all is back");
    }
}

/// Promise 2: the same where offenders are held while their records are small, and then grow to several times that: none
/// is forgotten with nothing to stand for it, and none gets a request more than its limit.
#[test]
fn offenders_that_grow_are_not_let_off() {
    const OFFENDERS: u32 = 2000;
    const LIMIT: u32 = 200;
    let engine = Engine::new(1 << 20);
    let binding = engine.bind(limits(vec![per_client("a", sliding(LIMIT.into(), HOUR))]));
    let mut admitted = vec![0; OFFENDERS as usize];
    let mut ask = |offender: u32, at| {
        admitted[offender as usize] += u32::from(admits(&engine, &binding, &get(offender, at)));
    };
    // More than half at once, which is one entry; then one in each of a hundred parts of the window.
    for offender in 0..OFFENDERS {
        (0..=LIMIT / 2).for_each(|_| ask(offender, 0));
    }
    for part in 1..=u64::from(LIMIT / 2) {
        (0..OFFENDERS).for_each(|offender| ask(offender, part * (HOUR / 128)));
    }
    let stats = engine.stats();
    assert!(stats.bytes <= 1 << 20);
    assert!(stats.charged_to_networks > 0 && stats.let_off == 0, "{stats:?}");
    assert!(admitted.iter().all(|&admitted| admitted <= LIMIT), "{:?}", admitted.iter().max());
}
