//! Requests in flight: each place is given back exactly once.

use std::time::Duration;

use http::StatusCode;
use proptest::prelude::*;
use weir::engine::{Engine, Ticket};
use weir::facts::{Origin, Outcome};
use weir::policy::RouteId;
use weir::remedy::Verdict;
use weir::time::Moment;

use crate::policy::{concurrency, everyone, get, limits, per_client, sliding};
use crate::{admits, seeded};

fn outcome() -> Outcome {
    Outcome {
        at: Moment::ORIGIN,
        origin: Origin::App,
        status: StatusCode::OK,
        request_bytes: 0,
        response_bytes: 0,
        upstream_time: Duration::ZERO,
    }
}

proptest! {
    #![proptest_config(seeded(256))]

    /// Promise: as many requests are in flight as there are tickets, however they end: observed, dropped, or
    /// dropped on another thread. A limit in shadow counts beside and never refuses.
    #[test]
    fn tickets_hold_their_places(steps in prop::collection::vec((0..3_u32, 0..4_u8, 0..20_usize), 1..120)) {
        let engine = Engine::new(0);
        let mut shadow = per_client("shadow", concurrency(1));
        shadow.mode = weir::remedy::Mode::Shadow;
        let binding = engine.bind(limits(vec![
            per_client("each", concurrency(2)),
            everyone("all", concurrency(4)),
            shadow,
        ]));
        let mut held: Vec<(u32, Ticket)> = Vec::new();
        for (client, end, which) in steps {
            if end == 0 && !held.is_empty() {
                let (_, ticket) = held.swap_remove(which % held.len());
                engine.observe(&binding, ticket, &outcome());
            } else if end == 1 && !held.is_empty() {
                drop(held.swap_remove(which % held.len()));
            } else if end == 2 && !held.is_empty() {
                let (_, ticket) = held.swap_remove(which % held.len());
                std::thread::spawn(move || drop(ticket)).join().unwrap();
            } else {
                let own = held.iter().filter(|(of, _)| *of == client).count();
                let (decision, ticket) = engine.admit(&binding, &get(client, 0));
                let admitted = decision.verdict == Verdict::Forward;
                prop_assert_eq!(admitted, own < 2 && held.len() < 4);
                if admitted {
                    held.push((client, ticket));
                }
            }
        }
    }
}

/// Promise: a request refused elsewhere takes no place, and the refusal by concurrency promises no time.
#[test]
fn a_refusal_takes_no_place() {
    let engine = Engine::new(0);
    let binding =
        engine.bind(limits(vec![per_client("rate", sliding(1, 100)), per_client("places", concurrency(1))]));
    let (_, ticket) = engine.admit(&binding, &get(1, 0));
    let Verdict::Refuse(both) = engine.admit(&binding, &get(1, 50)).0.verdict else { panic!("admitted") };
    assert_eq!(both.retry_after, Some(Duration::from_nanos(50)));
    let Verdict::Refuse(places) = engine.admit(&binding, &get(1, 100)).0.verdict else { panic!("admitted") };
    assert_eq!(places.retry_after, None);
    drop(ticket);
    assert!(admits(&engine, &binding, &get(1, 100)));
}

/// Promise: a flood of new clients makes weir forget no request in flight, and none is released twice.
#[test]
fn places_outlast_a_flood() {
    let engine = Engine::new(0);
    let binding =
        engine.bind(limits(vec![per_client("places", concurrency(1)), per_client("rate", sliding(10, 100))]));
    let (_, ticket) = engine.admit(&binding, &get(1, 0));
    for client in 2..30_000 {
        assert!(admits(&engine, &binding, &get(client, 0)));
    }
    assert!(engine.stats().evictions > 0);
    assert!(!admits(&engine, &binding, &get(1, 0)));
    drop(ticket);
    assert!(admits(&engine, &binding, &get(1, 0)));
}

/// Promise: places are given back where they were taken, whatever a reload made of the limit meanwhile.
#[test]
fn places_survive_a_changed_algorithm() {
    let engine = Engine::new(0);
    let places = engine.bind(limits(vec![per_client("a", concurrency(2))]));
    let rate = engine.bind(limits(vec![per_client("a", sliding(1, 100))]));
    let (_, first) = engine.admit(&places, &get(1, 0));
    assert!(admits(&engine, &rate, &get(1, 0)));
    assert!(!admits(&engine, &rate, &get(1, 0)));
    let (second, _ticket) = engine.admit(&places, &get(1, 0));
    assert_eq!(second.verdict, Verdict::Forward);
    assert!(!admits(&engine, &places, &get(1, 0)));
    drop(first);
    assert!(admits(&engine, &places, &get(1, 0)));
}

/// Promise: tickets travel with the request, to whatever thread ends it; a route unknown to the policy has no
/// limits and no panic.
#[test]
fn tickets_travel() {
    fn assert_send<T: Send + 'static>(_: &T) {}
    let engine = Engine::new(0);
    let binding = engine.bind(limits(vec![everyone("a", concurrency(1))]));
    let unknown = weir::facts::Facts { route: RouteId(9), ..get(1, 0) };
    let (decision, ticket) = engine.admit(&binding, &unknown);
    assert_send(&ticket);
    assert_eq!(decision.verdict, Verdict::Forward);
}
