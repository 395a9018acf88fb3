//! Refusals are remembered within bounds of number and time.

use std::time::Duration;

use http::Method;
use weir::engine::recent::{KEPT_FOR, RecentRefusals, Refused, RequestId};
use weir::time::{Moment, WallTime};

use crate::policy::get;

fn refused(id: &str, client: u32, at: Moment) -> Refused {
    Refused {
        at,
        request_id: id.as_bytes().into(),
        client: get(client, 0).client,
        accounts: Default::default(),
        method: Method::GET,
        route: None,
        in_shadow: false,
        limit: Some("a".into()),
        finding: None,
        retry_after: None,
        over: Default::default(),
    }
}

fn remember(recent: &RecentRefusals, refused: Refused) {
    recent.remember(refused.client, refused.in_shadow, || refused);
}

/// Promise: a flood of one client's refusals displaces few others, and the ring never holds more than it may.
#[test]
fn a_flood_of_one_client_displaces_few_others() {
    let recent = RecentRefusals::default();
    let now = Moment::ORIGIN;
    for client in 0..256 {
        remember(&recent, refused(&format!("of-{client}"), client, now));
    }
    for n in 0..10_000 {
        remember(&recent, refused(&format!("flood-{n}"), 1000, now));
    }
    let kept = (0..256).filter(|client| recent.find(&format!("of-{client}"), now).is_some()).count();
    assert!(kept > 200, "{kept} of 256, of which about four share the flood's part");
    assert!(recent.find("flood-9999", now).is_some() && recent.find("flood-0", now).is_none());
    assert!(recent.latest(usize::MAX, now).len() <= 64 * 64);
}

/// Promise: what a limit in shadow would have refused is remembered beside real refusals and displaces none of them, and
/// however many there are of one client, its part notes four in a second: the first, and one after each quarter.
#[test]
fn shadow_displaces_no_refusal_and_is_sampled() {
    let recent = RecentRefusals::default();
    let at = |ms| Moment::ORIGIN.after(Duration::from_millis(ms));
    remember(&recent, refused("real", 1, at(0)));
    let client = get(1, 0).client;
    let wanted = (0..1000).filter(|&ms| recent.wants_shadow(client, at(ms))).collect::<Vec<_>>();
    assert_eq!(wanted, [0, 250, 500, 750]);
    for n in 0..1000 {
        remember(&recent, Refused { in_shadow: true, ..refused(&format!("shadow-{n}"), 1, at(1000)) });
    }
    assert!(recent.find("real", at(1000)).is_some());
    let report = |id| {
        let found = recent.find(id, at(1000)).expect("it is there");
        found.report(at(3000), WallTime { unix_ms: 1_709_251_200_000 })
    };
    let (shadow, real) = (report("shadow-999"), report("real"));
    assert_eq!((shadow.verdict.as_str(), real.verdict.as_str()), ("shadow", "refuse"));
    // Two seconds and three before the last of February 2024 was over.
    assert_eq!(
        (shadow.at.as_str(), real.at.as_str()),
        ("2024-02-29T23:59:58.000Z", "2024-02-29T23:59:57.000Z")
    );
    assert_eq!(recent.latest(usize::MAX, at(1000)).len(), 17);
}

/// Promise 9: what is remembered of a client is gone after an hour: not found, not listed, and erased.
#[test]
fn an_hour_is_the_longest() {
    let recent = RecentRefusals::default();
    let at = |seconds| Moment::ORIGIN.after(Duration::from_secs(seconds));
    remember(&recent, refused("old", 1, at(0)));
    remember(&recent, refused("new", 1, at(10)));
    remember(&recent, refused("newest", 2, at(20)));
    let ids = |now| -> Vec<RequestId> { recent.latest(9, now).into_iter().map(|r| r.request_id).collect() };
    let named = |names: &[&str]| -> Vec<RequestId> { names.iter().map(|id| id.as_bytes().into()).collect() };
    assert_eq!(ids(at(30)), named(&["newest", "new", "old"]));
    let later = at(KEPT_FOR.as_secs());
    assert_eq!(ids(later), named(&["newest", "new"]));
    assert!(recent.find("old", later).is_none() && recent.find("new", later).is_some());
    recent.forget_old(later);
    assert!(recent.find("old", at(30)).is_none(), "it was erased, not hidden");
    assert_eq!(recent.latest(1, later).len(), 1);
}
