//! Which requests a limit is about, and who is never limited.

use std::sync::{Arc, LazyLock};

use http::{HeaderMap, HeaderName, Method};
use proptest::prelude::*;
use weir::engine::{Binding, Engine};
use weir::facts::{Facts, Who};
use weir::policy::{Exempt, Limit, Match, Policy};
use weir::remedy::{Mode, Verdict};

use crate::policy::{
    accounts, everyone, fields, get, keyed, limits, per_client, policy, sliding, template, terms,
};
use crate::{admits, seeded};

const LONG: u64 = 1 << 40;
const X_BOT: HeaderName = HeaderName::from_static("x-bot");
const X_APP: HeaderName = HeaderName::from_static("x-app");

/// Where it only matters whether a limit is asked: to make an engine for each case would take longer than all else.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(0));

fn names(of: &[&str]) -> Vec<Arc<str>> {
    of.iter().map(|name| Arc::from(*name)).collect()
}

/// A limit for everyone on what fits.
fn on(matches: Match) -> Limit {
    Limit { matches, ..everyone("a", sliding(1000, LONG)) }
}

/// One limit on what fits, where `acme` (terms 1) is on the plan `pro` and `bolt` (terms 2) has an agreement only.
fn with_plans(matches: Match) -> Policy {
    let mut policy = policy(vec![on(matches)]);
    policy.terms.push(terms(Some("pro"), &[]));
    policy.terms.push(terms(None, &[]));
    policy
}

fn applies(binding: &Binding, facts: &Facts<'_>) -> bool {
    !ENGINE.admit(binding, facts).0.checks.is_empty()
}

/// Promise: a limit is about the requests that fit all of its match: the headers that are all there, any of the plans,
/// any of the accounts, any of the ranges.
#[test]
fn all_parts_must_fit() {
    let nobody = Who::default();
    let (acme, bolt) = (accounts(&[("acme", 1)]), accounts(&[("bolt", 2)]));
    let both = accounts(&[("bolt", 2), ("acme", 1)]);
    let (bot, app) = (fields(&[("x-bot", "")]), fields(&[("x-bot", "1"), ("x-app", "2")]));
    let none = HeaderMap::new();
    let of = |matches: Match, who: &Who, headers: &HeaderMap| {
        let binding = ENGINE.bind(with_plans(matches).into());
        applies(&binding, &Facts { who, headers, ..get(1, 0) })
    };
    let headers = || Match { headers: vec![X_BOT, X_APP], ..Match::default() };
    assert_eq!([&none, &bot, &app].map(|h| of(headers(), &nobody, h)), [false, false, true]);
    let plans = || Match { plans: names(&["free", "pro"]), ..Match::default() };
    assert_eq!([&nobody, &acme, &bolt, &both].map(|who| of(plans(), who, &none)), [false, true, false, true]);
    let known = || Match { accounts: names(&["bolt", "carol"]), ..Match::default() };
    assert_eq!([&nobody, &acme, &bolt, &both].map(|who| of(known(), who, &none)), [false, false, true, true]);
    let together = || Match { headers: vec![X_BOT], ..plans() };
    assert!(of(together(), &acme, &bot) && !of(together(), &acme, &none) && !of(together(), &bolt, &bot));
    // 10.0.0.1 and 10.0.0.2 of the test clients.
    let ranges = Match { clients: vec!["10.0.0.2/31".parse().expect("a range")], ..Match::default() };
    let binding = ENGINE.bind(limits(vec![on(ranges)]));
    assert_eq!([1, 2, 3, 4].map(|c| applies(&binding, &get(c, 0))), [false, true, true, false]);
}

fn any_match() -> impl Strategy<Value = Match> {
    let part = |from: &'static [&'static str]| prop::sample::subsequence(from, 0..=from.len());
    let methods = prop::sample::subsequence(vec![Method::GET, Method::POST], 0..=2);
    let headers = prop::sample::subsequence(vec![X_BOT, X_APP], 0..=2);
    let clients = prop::sample::subsequence(vec!["10.0.0.0/31", "10.0.0.2/32"], 0..=2);
    (
        part(&["/", "/x/**"]),
        methods,
        part(&["app.test", "*.test"]),
        headers,
        part(&["pro"]),
        part(&["bolt"]),
        clients,
    )
        .prop_map(|(paths, methods, hosts, headers, plans, accounts, clients)| Match {
            paths: paths.into_iter().map(template).collect(),
            methods,
            hosts: hosts.into_iter().map(str::to_owned).collect(),
            headers,
            plans: names(&plans),
            accounts: names(&accounts),
            clients: clients.iter().map(|range| range.parse().expect("a range")).collect(),
            not: None,
        })
}

proptest! {
    #![proptest_config(seeded(512))]

    /// Promise: `not` leaves out exactly what its match is about, and `not not` is about it again; with a match
    /// beside it, a limit is about what fits the one and not the other.
    #[test]
    fn not_is_the_rest(
        matches in any_match(), other in any_match(),
        client in 0..4_u32, post: bool, path in prop::sample::select(vec!["/", "/x/1", "/y"]),
        host in prop::sample::select(vec!["app.test", "b.test", "test"]),
        header in prop::sample::subsequence(vec![("x-bot", "1"), ("x-app", "1")], 0..=2),
        account in prop::sample::subsequence(vec![("acme", 1), ("bolt", 2)], 0..=2),
    ) {
        let (who, headers) = (accounts(&account), fields(&header));
        let method = if post { &Method::POST } else { &Method::GET };
        let facts = Facts { who: &who, headers: &headers, method, path, host, ..get(client, 0) };
        let about = |matches: Match| applies(&ENGINE.bind(with_plans(matches).into()), &facts);
        let not = |matches: Match| Match { not: Some(Box::new(matches)), ..Match::default() };
        let (fits, fits_other) = (about(matches.clone()), about(other.clone()));
        prop_assert_eq!(about(not(matches.clone())), !fits);
        prop_assert_eq!(about(not(not(matches.clone()))), fits);
        let both = Match { not: Some(Box::new(other)), ..matches };
        prop_assert_eq!(about(both), fits && !fits_other);
    }
}

/// Promise: who is exempt from a limit is counted by it and never refused by it, but by every other; all others are.
#[test]
fn the_exempt_are_counted_only() {
    let engine = Engine::new(0);
    let mut limit = everyone("all", sliding(2, LONG));
    limit.exempt =
        Exempt { ranges: vec!["10.0.0.1/32".parse().expect("a range")], accounts: names(&["acme"]) };
    let binding = engine.bind(limits(vec![limit, per_client("client", sliding(4, LONG))]));
    let acme = accounts(&[("acme", 0)]);
    let modes = |facts: &Facts<'_>| {
        let decision = engine.admit(&binding, facts).0;
        let checks: Vec<_> = decision.checks.iter().map(|check| (check.mode, check.within)).collect();
        (decision.verdict == Verdict::Forward, checks)
    };
    for within in [true, true, false, false] {
        let counted = vec![(Mode::Shadow, within), (Mode::Enforce, true)];
        assert_eq!(modes(&get(1, 0)), (true, counted));
    }
    assert_eq!(modes(&get(1, 0)).1[1], (Mode::Enforce, false), "the other limit holds for it");
    assert!(modes(&Facts { who: &acme, ..get(2, 0) }).0);
    assert_eq!(modes(&get(3, 0)), (false, vec![(Mode::Enforce, false), (Mode::Enforce, true)]));
}

/// Promise: an account that is never to be refused is counted by every limit and refused by none, whatever else is
/// known of the request.
#[test]
fn accounts_that_are_never_refused() {
    let engine = Engine::new(0);
    let mut policy = policy(vec![
        keyed("account", &[weir::policy::WhoPart::Account], sliding(1, LONG)),
        everyone("all", sliding(3, LONG)),
    ]);
    policy.enforcement.never_refuse_accounts = names(&["monitor"]);
    let binding = engine.bind(policy.into());
    let who = accounts(&[("acme", 0), ("monitor", 0)]);
    for _ in 0..5 {
        assert!(admits(&engine, &binding, &Facts { who: &who, ..get(1, 0) }));
    }
    assert!(!admits(&engine, &binding, &get(1, 0)), "its three were counted");
}
