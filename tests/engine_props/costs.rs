//! Costs that are known only afterwards, and quotas, through the engine's doors.

use std::num::NonZeroU64;
use std::time::Duration;

use http::StatusCode;
use weir::engine::Engine;
use weir::facts::{Origin, Outcome};
use weir::policy::{Bound, Cost, Period};
use weir::remedy::{Refusal, Verdict};
use weir::time::{Moment, WallTime};

use crate::policy::{gcra, get, limits, per_client, sliding};

const SECOND: u64 = 1_000_000_000;

fn outcome(at: u64, bytes: u64, upstream: u64) -> Outcome {
    Outcome {
        at: Moment::from_nanos(at),
        origin: Origin::App,
        status: StatusCode::OK,
        request_bytes: 0,
        response_bytes: bytes,
        upstream_time: Duration::from_nanos(upstream),
    }
}

/// Whole seconds; absurdly many if it was not refused.
fn retry_after(verdict: Verdict) -> Option<u64> {
    let Verdict::Refuse(Refusal { retry_after, .. }) = verdict else { return Some(u64::MAX) };
    retry_after.map(|wait| wait.as_secs())
}

/// Promise 1: a debt is charged when the response has ended, delays what comes after, and is never forgiven: 250
/// bytes at 100 in 10 s block for two windows and a half.
#[test]
fn a_response_larger_than_the_limit_is_paid_in_full() {
    let engine = Engine::new(0);
    let mut limit = per_client("bytes", gcra(100, 10 * SECOND, 100));
    limit.cost = Cost::ResponseBytes;
    let binding = engine.bind(limits(vec![limit]));
    let (decision, ticket) = engine.admit(&binding, &get(1, 0));
    assert_eq!(decision.verdict, Verdict::Forward);
    engine.observe(&binding, ticket, &outcome(SECOND, 250, 0));
    // 250 owed at 1 s, 10 a second come back; below 100 again just after 16 s.
    assert_eq!(retry_after(engine.admit(&binding, &get(1, 2 * SECOND)).0.verdict), Some(14));
    assert_eq!(engine.admit(&binding, &get(1, 17 * SECOND)).0.verdict, Verdict::Forward);
    assert_eq!(engine.admit(&binding, &get(2, 2 * SECOND)).0.verdict, Verdict::Forward);
}

/// Promise 1: upstream time counts while a request is in flight: with three seconds a minute allowed, a request
/// that has been out for four refuses the next, before it has ended.
#[test]
fn upstream_time_counts_in_flight() {
    let engine = Engine::new(0);
    let mut limit = per_client("time", sliding(3_000_000, 60 * SECOND));
    limit.cost = Cost::UpstreamTime;
    let binding = engine.bind(limits(vec![limit]));
    let (_, ticket) = engine.admit(&binding, &get(1, 0));
    let (decision, other) = engine.admit(&binding, &get(1, SECOND));
    assert_eq!(decision.verdict, Verdict::Forward);
    // Four seconds and three are out.
    assert_eq!(retry_after(engine.admit(&binding, &get(1, 4 * SECOND)).0.verdict), None);
    engine.observe(&binding, ticket, &outcome(4 * SECOND, 0, SECOND));
    engine.observe(&binding, other, &outcome(4 * SECOND, 0, SECOND));
    // They had waited for the client, mostly: two seconds were spent.
    assert_eq!(engine.admit(&binding, &get(1, 4 * SECOND)).0.verdict, Verdict::Forward);
}

/// Promise 3: a limit that counted bytes and now counts time begins anew: what was counted of one says nothing of the
/// other.
#[test]
fn bytes_do_not_become_time() {
    let engine = Engine::new(0);
    let mut limit = per_client("both", sliding(1000, 60 * SECOND));
    limit.cost = Cost::ResponseBytes;
    let bytes = engine.bind(limits(vec![limit.clone()]));
    engine.observe(&bytes, engine.admit(&bytes, &get(1, 0)).1, &outcome(0, 5000, 0));
    assert_ne!(engine.admit(&bytes, &get(1, 1)).0.verdict, Verdict::Forward);
    limit.cost = Cost::UpstreamTime;
    let time = engine.bind(limits(vec![limit]));
    assert_eq!(engine.admit(&time, &get(1, 1)).0.verdict, Verdict::Forward);
}

/// Promise: a quota by the calendar is full again with the next month, in UTC, and says so.
#[test]
fn a_monthly_quota_begins_with_the_month() {
    // 2026-01-31 23:59:50 UTC.
    let origin = WallTime { unix_ms: 1_769_903_990_000 };
    let engine = Engine::new(0).starting_at(origin);
    let bound = Bound::Quota { units: NonZeroU64::MIN, period: Period::Month };
    let binding = engine.bind(limits(vec![per_client("monthly", bound)]));
    assert_eq!(engine.admit(&binding, &get(1, 0)).0.verdict, Verdict::Forward);
    assert_eq!(retry_after(engine.admit(&binding, &get(1, 2 * SECOND)).0.verdict), Some(8));
    assert_eq!(engine.admit(&binding, &get(1, 10 * SECOND)).0.verdict, Verdict::Forward);
}
