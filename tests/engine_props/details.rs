//! The numbers behind a decision, and limits in shadow side by side.

use proptest::prelude::*;
use weir::engine::Engine;
use weir::facts::{Facts, Principal};
use weir::policy::WhoPart;
use weir::remedy::{Mode, Verdict};

use crate::model::SlidingModel;
use crate::policy::{accounts, everyone, get, keyed, limits, per_client, sliding, stranger};
use crate::{admits, seeded};

/// Promise: asked in detail, there is one detail for each check, in the same order and saying the same, with the
/// principal whose budget it was; asked otherwise there are details only of what is not forwarded.
#[test]
fn one_detail_for_each_check() {
    let engine = Engine::new(0);
    let binding = engine.bind(limits(vec![
        keyed("account", &[WhoPart::Account], sliding(2, 100)),
        per_client("client", sliding(3, 100)),
        everyone("all", sliding(9, 100)),
    ]));
    let client = Principal::from(get(1, 0).client);
    let (both, unknown) = (accounts(&[("acme", 0), ("bolt", 0)]), stranger(7));
    for (who, charged) in [
        (&both, [Principal::account("acme"), Principal::account("bolt"), client, Principal::EVERYONE]),
        (&unknown, [unknown.unknown.expect("a credential"), client, client, Principal::EVERYONE]),
    ] {
        let facts = Facts { who, ..get(1, 0) };
        let (decision, _ticket) = engine.admit_in_detail(&binding, &facts);
        assert_eq!(decision.verdict, Verdict::Forward);
        let details: Vec<_> = decision.details.iter().map(|d| (d.limit, d.mode, d.within)).collect();
        let checks: Vec<_> = decision.checks.iter().map(|c| (c.limit, c.mode, c.within)).collect();
        assert_eq!(details, checks);
        assert_eq!(decision.details.iter().map(|d| d.principal).collect::<Vec<_>>(), charged);
    }
    assert!(engine.admit(&binding, &get(2, 0)).0.details.is_empty());
    let facts = Facts { who: &both, ..get(3, 0) };
    assert!(admits(&engine, &binding, &facts));
    let (refused, _ticket) = engine.admit(&binding, &facts);
    assert_eq!(refused.details.iter().map(|d| d.within).collect::<Vec<_>>(), [false, false, true, true]);
    let over = refused.details[0];
    assert_eq!(over.retry_after.map(|wait| wait.as_nanos()), Some(100));
    assert_eq!(refused.details[2].retry_after, None);
}

proptest! {
    #![proptest_config(seeded(256))]

    /// Promise 5: candidates in shadow on the same key, side by side, decide each as if it alone were enforced beside
    /// the enforced limit: what one would refuse, another still counts.
    #[test]
    fn shadows_decide_as_if_alone(
        enforced in 1..6_u64, candidates in prop::collection::vec((1..6_u64, 1..120_u64), 2..5),
        gaps in prop::collection::vec(0..30_u64, 1..120),
    ) {
        const WINDOW: u64 = 100;
        let shadow = |(at, (units, window)): (usize, &(u64, u64))| {
            let mut limit = per_client(&at.to_string(), sliding(*units, *window));
            limit.mode = Mode::Shadow;
            limit
        };
        let candidate_limits: Vec<_> = candidates.iter().enumerate().map(shadow).collect();
        let real = per_client("real", sliding(enforced, WINDOW));
        let (engine, mut side_by_side) = (Engine::new(0), vec![real.clone()]);
        side_by_side.extend(candidate_limits.clone());
        let binding = engine.bind(limits(side_by_side));
        // Each alone: an engine of its own, and a plain model of what it would be if enforced.
        let alone: Vec<_> = candidate_limits
            .into_iter()
            .map(|limit| { let engine = Engine::new(0); (engine.bind(limits(vec![real.clone(), limit])), engine) })
            .collect();
        let mut models: Vec<_> = candidates.iter().map(|(units, window)| SlidingModel::new(*units, *window)).collect();
        let mut now = 0;
        for gap in gaps {
            now += gap;
            let decision = engine.admit(&binding, &get(1, now)).0;
            for (at, ((binding, engine), model)) in alone.iter().zip(&mut models).enumerate() {
                let within = decision.checks[at + 1].within;
                prop_assert_eq!(engine.admit(binding, &get(1, now)).0.checks[1].within, within);
                prop_assert_eq!(model.fits(1, now), within);
                if within && decision.verdict == Verdict::Forward {
                    model.charge(1);
                }
            }
        }
    }
}
