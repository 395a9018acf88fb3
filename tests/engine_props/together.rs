//! Several limits on one request are one decision.

use std::time::Duration;

use http::Method;
use proptest::prelude::*;
use weir::engine::Engine;
use weir::policy::{Limit, RouteId};
use weir::remedy::{Mode, Refusal, Verdict};

use crate::model::SlidingModel;
use crate::policy::{everyone, get, limits, per_client, policy, route, sliding, template};
use crate::{admits, seeded};

/// Promise: N per W, then a refusal that names the limit and the exact wait.
#[test]
fn refuses_above_n_and_says_until_when() {
    let engine = Engine::new(0);
    let binding = engine.bind(limits(vec![per_client("per-client", sliding(3, 100))]));
    for at in [10, 20, 30] {
        assert!(admits(&engine, &binding, &get(1, at)));
    }
    let (decision, _ticket) = engine.admit(&binding, &get(1, 40));
    let Verdict::Refuse(Refusal { limit, retry_after }) = decision.verdict else { panic!("admitted") };
    assert_eq!(binding.policy().limit(limit).name, "per-client");
    assert_eq!(retry_after, Some(Duration::from_nanos(70)));
    assert!(!admits(&engine, &binding, &get(1, 109)));
    assert!(admits(&engine, &binding, &get(1, 110)));
    assert!(admits(&engine, &binding, &get(2, 40)));
}

/// Promise: of several limits that trip, the refusal names the one with the longest wait, so that a retry after
/// it succeeds.
#[test]
fn the_longest_wait_is_named() {
    let engine = Engine::new(0);
    let binding = engine.bind(limits(vec![
        per_client("short", sliding(1, 10)),
        everyone("long", sliding(1, 1000)),
        per_client("middle", sliding(1, 100)),
    ]));
    assert!(admits(&engine, &binding, &get(1, 0)));
    let (decision, _ticket) = engine.admit(&binding, &get(1, 5));
    let Verdict::Refuse(refusal) = decision.verdict else { panic!("admitted") };
    assert_eq!(binding.policy().limit(refusal.limit).name, "long");
    assert_eq!(refusal.retry_after, Some(Duration::from_nanos(995)));
}

/// Promise: clients of `never_refuse` are counted, never refused: their limits are in shadow for them, and
/// enforced for all others.
#[test]
fn never_refuse_is_counted_only() {
    let engine = Engine::new(0);
    let mut policy = policy(vec![everyone("all", sliding(2, 100))]);
    policy.enforcement.never_refuse = vec!["10.0.0.1/32".parse().unwrap()];
    let binding = engine.bind(policy.into());
    for _ in 0..5 {
        assert!(admits(&engine, &binding, &get(1, 0)));
    }
    let (decision, _ticket) = engine.admit(&binding, &get(1, 0));
    assert_eq!(decision.checks[0].mode, Mode::Shadow);
    assert!(!decision.checks[0].within);
    assert!(!admits(&engine, &binding, &get(2, 0)));
}

/// Promise: the switch for everything weakens every limit, and never strengthens one.
#[test]
fn enforcement_weakens_limits() {
    let engine = Engine::new(0);
    let mut shadowed = policy(vec![per_client("a", sliding(1, 100))]);
    shadowed.enforcement.mode = Mode::Shadow;
    let mut off = shadowed.clone();
    off.enforcement.mode = Mode::Off;
    let (shadowed, off) = (engine.bind(shadowed.into()), engine.bind(off.into()));
    for _ in 0..3 {
        assert!(admits(&engine, &shadowed, &get(1, 0)));
        assert!(engine.admit(&off, &get(1, 0)).0.checks.is_empty());
    }
    assert!(!engine.admit(&shadowed, &get(1, 0)).0.checks[0].within);
}

/// Promise: a limit counts what its match covers, and keeps a budget for each part of its key; `HEAD` is `GET`.
#[test]
fn matches_and_key_parts_have_their_own_budgets() {
    let engine = Engine::new(0);
    let mut by_route = per_client("by-route", sliding(1, 100));
    by_route.key.per_route = true;
    let mut posts = per_client("posts", sliding(1, 100));
    posts.matches.methods = vec![Method::POST];
    let mut exports = everyone("exports", sliding(1, 100));
    exports.matches.paths = vec![template("/exports/**")];
    exports.key.per_method = true;
    let mut policy = policy(vec![by_route, posts, exports]);
    policy.routes = vec![route("/exports/{id}", 1), route("/**", 1)];
    let binding = engine.bind(policy.into());
    let names = |facts| {
        let checks = engine.admit(&binding, &facts).0.checks;
        let named = checks.iter().map(|check| (&*binding.policy().limit(check.limit).name, check.within));
        named.collect::<Vec<_>>()
    };
    let export = |method| {
        let path = "/exports/7";
        weir::facts::Facts { method, path, ..get(1, 0) }
    };
    let other = weir::facts::Facts { route: RouteId(1), method: &Method::POST, path: "/posts", ..get(1, 0) };
    assert_eq!(names(export(&Method::GET)), [("by-route", true), ("exports", true)]);
    assert_eq!(names(export(&Method::HEAD)), [("by-route", false), ("exports", false)]);
    assert_eq!(names(export(&Method::PUT)), [("by-route", false), ("exports", true)]);
    assert_eq!(names(other), [("by-route", true), ("posts", true)]);
    assert_eq!(names(other), [("by-route", false), ("posts", false)]);
}

/// One limit of the model: its numbers, whose it is, its mode, and a window per principal.
#[derive(Clone, Debug)]
struct ModelLimit {
    limit: Limit,
    windows: Vec<SlidingModel>,
}

const CLIENTS: u32 = 3;

fn model_limit() -> impl Strategy<Value = ModelLimit> {
    let mode = prop_oneof![3 => Just(Mode::Enforce), 2 => Just(Mode::Shadow), 1 => Just(Mode::Off)];
    (1..8_u64, 1..60_u64, mode, any::<bool>()).prop_map(|(units, window, mode, shared)| {
        let bound = sliding(units, window);
        let mut limit = if shared { everyone("", bound) } else { per_client("", bound) };
        limit.mode = mode;
        ModelLimit { limit, windows: vec![SlidingModel::new(units, window); CLIENTS as usize] }
    })
}

impl ModelLimit {
    fn window(&mut self, client: u32) -> &mut SlidingModel {
        let own = !self.limit.key.who.is_empty();
        &mut self.windows[if own { client as usize } else { 0 }]
    }
}

proptest! {
    #![proptest_config(seeded(256))]

    /// Promises 1 and 5: a request that an enforced limit refuses is charged to none; a limit in shadow decides
    /// as if it alone were enforced beside those, and is not charged what it would refuse; `Off` is not asked.
    #[test]
    fn limits_decide_together(
        mut models in prop::collection::vec(model_limit(), 1..6),
        arrivals in prop::collection::vec((0..CLIENTS, 0..3_u16, 0..20_u64), 1..200),
    ) {
        let engine = Engine::new(0);
        for (number, model) in models.iter_mut().enumerate() {
            model.limit.name = number.to_string();
        }
        let mut policy = policy(models.iter().map(|model| model.limit.clone()).collect());
        policy.routes = vec![route("/a", 1), route("/b", 2), route("/c", 3)];
        let binding = engine.bind(policy.into());
        let mut now = 0;
        models.retain(|model| model.limit.mode != Mode::Off);
        for (client, route, gap) in arrivals {
            now += gap;
            let cost = u64::from(route) + 1;
            let facts = weir::facts::Facts { route: RouteId(route), ..get(client, now) };
            let decision = engine.admit(&binding, &facts).0;
            let fits: Vec<bool> = models.iter_mut().map(|model| model.window(client).fits(cost, now)).collect();
            let refused = models.iter().zip(&fits).any(|(model, fits)| model.limit.mode == Mode::Enforce && !fits);
            prop_assert_eq!(decision.verdict != Verdict::Forward, refused);
            prop_assert_eq!(decision.checks.iter().map(|check| check.within).collect::<Vec<_>>(), fits.clone());
            for (model, fits) in models.iter_mut().zip(fits) {
                if fits && !refused {
                    model.window(client).charge(cost);
                }
            }
        }
    }
}
