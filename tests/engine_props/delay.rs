//! Limits that would rather have a request wait than refuse it.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use weir::engine::{Engine, QueuePlace};
use weir::facts::{Facts, Principal};
use weir::policy::{Limit, LimitId, Over, Policy};
use weir::remedy::{Delay, Mode, Refusal, Verdict};
use weir::time::Moment;

use crate::model::worst_window;
use crate::policy::{concurrency, everyone, gcra, get, limits, per_client, policy, sliding};
use crate::{admits, seeded};

fn delaying(limit: Limit, wait_max_ns: u64, queue_max: u32) -> Limit {
    let wait_max = Duration::from_nanos(wait_max_ns);
    Limit { over: Over::Delay { wait_max, queue_max }, ..limit }
}

/// Promise: a request waits exactly as long as it must, if that is no longer than `wait_max` in all, counting what it
/// has waited already; else it is refused at once. Nothing is charged before it is admitted.
#[test]
fn waits_only_within_the_maximum() {
    let engine = Engine::new(0);
    let binding = engine.bind(limits(vec![delaying(per_client("a", sliding(2, 100)), 60, 1)]));
    assert!(admits(&engine, &binding, &get(1, 0)) && admits(&engine, &binding, &get(1, 0)));
    let ask = |at, waited| {
        let facts = Facts { waited: Duration::from_nanos(waited), ..get(1, at) };
        engine.admit(&binding, &facts).0.verdict
    };
    let wait = |ns| Verdict::Delay(Delay { limit: LimitId(0), wait: Duration::from_nanos(ns) });
    let refused =
        |ns| Verdict::Refuse(Refusal { limit: LimitId(0), retry_after: Some(Duration::from_nanos(ns)) });
    assert_eq!(ask(39, 0), refused(61));
    assert_eq!(ask(40, 0), wait(60));
    assert_eq!(ask(50, 10), wait(50));
    assert_eq!(ask(50, 11), refused(50));
    assert_eq!([ask(100, 60), ask(100, 60)], [Verdict::Forward; 2]);
    assert_eq!(ask(100, 0), refused(100));
}

/// Promise: a request waits only if every limit that is over would have it wait, and for the longest of the waits; a
/// place among requests in flight has no time at which it comes free.
#[test]
fn one_that_refuses_is_enough() {
    let engine = Engine::new(0);
    let short = || delaying(per_client("short", sliding(1, 50)), 1000, 9);
    let long = || delaying(everyone("long", sliding(1, 80)), 1000, 9);
    let asked = |limit: Vec<Limit>| {
        let binding = engine.bind(limits(limit));
        let (_, _ticket) = engine.admit(&binding, &get(1, 0));
        engine.admit(&binding, &get(1, 10)).0.verdict
    };
    let wait = Duration::from_nanos(70);
    assert_eq!(asked(vec![short(), long()]), Verdict::Delay(Delay { limit: LimitId(1), wait }));
    let strict = per_client("strict", sliding(1, 20));
    let refusal = Refusal { limit: LimitId(0), retry_after: Some(Duration::from_nanos(70)) };
    let engine = Engine::new(0);
    let binding = engine.bind(limits(vec![long(), strict]));
    assert!(admits(&engine, &binding, &get(1, 0)));
    assert_eq!(engine.admit(&binding, &get(1, 10)).0.verdict, Verdict::Refuse(refusal));
    let places = delaying(per_client("places", concurrency(1)), 1000, 9);
    let binding = engine.bind(limits(vec![places]));
    let (_, _ticket) = engine.admit(&binding, &get(1, 0));
    let refusal = Refusal { limit: LimitId(0), retry_after: None };
    assert_eq!(engine.admit(&binding, &get(1, 0)).0.verdict, Verdict::Refuse(refusal));
}

/// Promise: the line that a request joins is that of a budget of its own: of enforced limits that delay, not of those that
/// refuse or are in shadow, and of none for whom nothing is refused.
#[test]
fn a_request_waits_for_its_own_budgets() {
    let engine = Engine::new(0);
    let mut shadow = delaying(per_client("shadow", sliding(1, 50)), 1000, 9);
    shadow.mode = Mode::Shadow;
    let limit = vec![
        per_client("strict", sliding(1, 50)),
        delaying(per_client("each", sliding(1, 50)), 1000, 9),
        shadow,
        delaying(everyone("all", sliding(1, 50)), 1000, 9),
    ];
    let mut policy = policy(limit);
    let facts = get(1, 0);
    let budgets = |policy: &Policy| {
        let binding = engine.bind(Arc::new(policy.clone()));
        engine.budgets_that_delay(&binding, &facts).into_vec()
    };
    let own = [(LimitId(1), facts.client.into()), (LimitId(3), Principal::EVERYONE)];
    assert_eq!(budgets(&policy), own);
    policy.enforcement.never_refuse = vec!["10.0.0.0/8".parse().expect("a range")];
    assert_eq!(budgets(&policy), []);
}

/// Promise: in shadow, a limit that would have a request wait does not.
#[test]
fn a_shadow_never_waits() {
    let engine = Engine::new(0);
    let mut limit = delaying(per_client("a", sliding(1, 100)), 1000, 9);
    limit.mode = Mode::Shadow;
    let binding = engine.bind(limits(vec![limit]));
    assert!(admits(&engine, &binding, &get(1, 0)));
    let (decision, _ticket) = engine.admit(&binding, &get(1, 10));
    assert_eq!((decision.verdict, decision.checks[0].within), (Verdict::Forward, false));
}

proptest! {
    #![proptest_config(seeded(256))]

    /// Promise: with a driver that waits as it is told, no window holds more than N, nobody waits longer than
    /// `wait_max`, and there is no refusal that is not past it.
    #[test]
    fn waiting_smooths_and_never_exceeds(
        units in 1..5_u64, is_gcra: bool, wait_max in 1..300_u64,
        gaps in prop::collection::vec(0..40_u64, 1..60),
    ) {
        const WINDOW: u64 = 100;
        let engine = Engine::new(0);
        let bound = if is_gcra { gcra(units, WINDOW, 1) } else { sliding(units, WINDOW) };
        let binding = engine.bind(limits(vec![delaying(per_client("a", bound), wait_max, 1000)]));
        let mut came = 0;
        // Who is next to be asked about: when, and since when it waits. Ties go to who came first.
        let mut due: Vec<(u64, u64)> = gaps.into_iter().map(|gap| { came += gap; (came, came) }).collect();
        let mut admitted = Vec::new();
        while let Some((at, &(now, since))) = due.iter().enumerate().min_by_key(|(_, due)| **due) {
            due.remove(at);
            let waited = now - since;
            let facts = Facts { at: Moment::from_nanos(now), waited: Duration::from_nanos(waited), ..get(1, 0) };
            match engine.admit(&binding, &facts).0.verdict {
                Verdict::Forward => {
                    prop_assert!(waited <= wait_max);
                    admitted.push((now, 1));
                }
                Verdict::Delay(Delay { wait, .. }) => {
                    let wait = u64::try_from(wait.as_nanos()).expect("a short wait");
                    prop_assert!(wait > 0, "it would be asked about for ever");
                    due.push((now + wait, since));
                }
                Verdict::Convict(conviction) => panic!("{conviction:?}"),
                Verdict::Refuse(refusal) => {
                    let wait = refusal.retry_after.expect("a rate has one").as_nanos();
                    prop_assert!(u128::from(waited) + wait > u128::from(wait_max));
                }
            }
        }
        let most = if is_gcra { units + 1 } else { units };
        prop_assert!(worst_window(&admitted, WINDOW) <= most);
    }

    /// Promise: a queue holds as many places as it was given, however they are taken and left; other limits have
    /// their own, and one that refuses has none.
    #[test]
    fn a_queue_is_bounded(
        queue_max in 0..4_u32, steps in prop::collection::vec((any::<bool>(), 0..9_usize), 1..60),
    ) {
        let engine = Engine::new(0);
        let binding = engine.bind(limits(vec![
            delaying(per_client("a", sliding(1, 100)), 60, queue_max),
            delaying(per_client("b", sliding(1, 100)), 60, 1),
            per_client("c", sliding(1, 100)),
        ]));
        let _other = engine.queue(&binding, LimitId(1)).expect("a place of its own");
        prop_assert!(engine.queue(&binding, LimitId(1)).is_none());
        prop_assert!(engine.queue(&binding, LimitId(2)).is_none());
        let mut waiting: Vec<QueuePlace> = Vec::new();
        for (enters, which) in steps {
            if enters {
                let place = engine.queue(&binding, LimitId(0));
                prop_assert_eq!(place.is_some(), waiting.len() < queue_max as usize);
                waiting.extend(place);
            } else if !waiting.is_empty() {
                drop(waiting.swap_remove(which % waiting.len()));
            }
        }
    }
}

/// Promise: the bound of a queue holds on any number of threads: never more inside than it was given, and all of its
/// places are back when everyone has left.
#[test]
fn a_queue_is_bounded_on_threads() {
    const PLACES: u32 = 3;
    let engine = Engine::new(0);
    let binding = engine.bind(limits(vec![delaying(per_client("a", sliding(1, 100)), 60, PLACES)]));
    let (start, inside) = (Barrier::new(8), std::sync::atomic::AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                use std::sync::atomic::Ordering::SeqCst;
                start.wait();
                for _ in 0..2_000 {
                    let Some(_place) = engine.queue(&binding, LimitId(0)) else { continue };
                    assert!(inside.fetch_add(1, SeqCst) < PLACES, "one too many inside");
                    inside.fetch_sub(1, SeqCst);
                }
            });
        }
    });
    let places: Vec<_> = std::iter::from_fn(|| engine.queue(&binding, LimitId(0))).collect();
    assert_eq!(places.len(), PLACES as usize);
}
