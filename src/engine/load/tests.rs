//! Shares, fair shares and findings, through the engine's own types.

use std::net::IpAddr;
use std::sync::LazyLock;

use http::{HeaderMap, Method, StatusCode};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::facts::Who;
use crate::policy::load::{Load, Unreasonable};
use crate::policy::{RouteId, TermsId};

/// The same cases in every run.
pub(crate) fn seeded(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(0x6c6f_6164),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

const APP: UpstreamId = UpstreamId(0);

fn who(accounts: &[&str]) -> Who {
    let account = |id: &&str| Account {
        principal: crate::facts::Principal::account(id),
        id: Arc::from(*id),
        terms: TermsId::NONE,
    };
    Who { accounts: accounts.iter().map(account).collect(), ..Who::default() }
}

fn facts(who: &Who, at: Moment) -> Facts<'_> {
    static HEADERS: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);
    let address = IpAddr::from([192, 0, 2, 7]);
    Facts {
        at,
        address,
        client: Client::fold(address, 32, 64),
        route: RouteId(0),
        method: &Method::GET,
        path: "/",
        host: "app.test",
        headers: &HEADERS,
        who,
        request_bytes: None,
        waited: Duration::ZERO,
    }
}

fn at(seconds: u64) -> Moment {
    Moment::from_nanos(seconds * 1_000_000_000)
}

fn app_answer(at: Moment, upstream_time: Duration) -> Outcome {
    Outcome {
        at,
        origin: Origin::App,
        status: StatusCode::OK,
        request_bytes: 100,
        response_bytes: 900,
        upstream_time,
    }
}

/// One request from `from` on, that the app took all the time for.
fn request(load: &UpstreamLoad, accounts: &[&str], from: Moment, took: Duration) {
    let who = who(accounts);
    let seats = load.begin(&facts(&who, from));
    seats.settle(&app_answer(from.after(took), took));
}

fn rule(share_permille: u32) -> Load {
    let unreasonable =
        Unreasonable { share_permille, over: LoadWindow::Minute, when_utilisation_permille: 700 };
    Load { top: 2, unreasonable: Some(unreasonable) }
}

fn busy(in_flight: u32) -> Busy {
    Busy { in_flight, capacity: 10 }
}

fn of(report: &UpstreamReport, resource: Resource) -> Vec<(Option<&str>, u64, u64)> {
    let minute = report.accounts.iter().filter(|load| load.window == LoadWindow::Minute);
    let each = minute.filter(|load| load.resource == resource);
    each.map(|load| (load.account.as_deref(), load.used, load.total)).collect()
}

/// Promise: what an account took is told by resource, the busiest first, as many as the configuration says, and those
/// without an account as one. Of a request with two accounts both are told, and the whole counts it once.
#[test]
fn tells_the_busiest() {
    let load = UpstreamLoad::default();
    let second = Duration::from_secs(1);
    for from in 0..3 {
        request(&load, &["acme"], at(from), second);
    }
    request(&load, &["acme", "bolt"], at(3), 4 * second);
    request(&load, &["bolt"], at(7), second);
    request(&load, &["cog"], at(8), second);
    request(&load, &[], at(9), 2 * second);
    let report = load.report(&rule(500), at(11));
    assert_eq!(
        of(&report, Resource::Requests),
        [(Some("acme"), 4, 7), (Some("bolt"), 2, 7), (None, 1, 7)],
        "cog is not among the two busiest"
    );
    assert_eq!(of(&report, Resource::Bytes)[0], (Some("acme"), 4_000, 7_000));
    let s = nanos(second);
    let time = [(Some("acme"), 7 * s, 11 * s), (Some("bolt"), 5 * s, 11 * s), (None, 2 * s, 11 * s)];
    assert_eq!(of(&report, Resource::UpstreamTime), time);
    assert_eq!(of(&report, Resource::Concurrency), time, "each was in flight as long as the app took");
}

/// Promise: what weir wrote itself is nobody's load on the upstream, unless the upstream was waited for; a ticket
/// that is dropped gives its place back.
#[test]
fn counts_only_what_reached_the_upstream() {
    let load = UpstreamLoad::default();
    let acme = who(&["acme"]);
    let shed = Outcome { origin: Origin::Weir, ..app_answer(at(1), Duration::ZERO) };
    load.begin(&facts(&acme, at(1))).settle(&shed);
    let timed_out = Outcome { origin: Origin::Weir, ..app_answer(at(3), Duration::from_secs(2)) };
    load.begin(&facts(&acme, at(1))).settle(&timed_out);
    drop(load.begin(&facts(&acme, at(3))));
    let report = load.report(&rule(500), at(9));
    assert_eq!(of(&report, Resource::Requests), [(Some("acme"), 1, 1)]);
    assert_eq!(of(&report, Resource::Bytes), [(Some("acme"), 100, 100)]);
    assert_eq!(of(&report, Resource::Concurrency), [(Some("acme"), 2_000_000_000, 2_000_000_000)]);
}

/// Promise: the fair share is max-min: of an upstream that is 100 % busy where 70 % is of no concern, 70 of 100
/// requests are shared out. cog and those without an account get their 10 each; acme and bolt 25 each of the rest,
/// of which bolt has but 20, so that acme has 30.
#[test]
fn shares_out_fairly() {
    let load = UpstreamLoad::default();
    for (accounts, requests) in [(&["acme"][..], 60), (&["bolt"], 20), (&["cog"], 10), (&[], 10)] {
        (0..requests).for_each(|_| request(&load, accounts, at(0), Duration::ZERO));
    }
    load.sweep(APP, &rule(500), Some(busy(10)), at(1));
    let report = load.report(&rule(500), at(1));
    assert_eq!(report.utilisation[0], Some(Utilisation { in_flight: 10, capacity: 10 }));
    let fair: Vec<_> = report
        .accounts
        .iter()
        .filter(|one| one.window == LoadWindow::Minute && one.resource == Resource::Requests)
        .map(|one| (one.account.as_deref(), one.fair))
        .collect();
    assert_eq!(fair, [(Some("acme"), 30), (Some("bolt"), 20), (None, 10)]);
}

/// Runs a minute and more of seconds in which acme sends three of four requests, and gives what was found.
fn found(load: &UpstreamLoad, rule: &Load, seconds: std::ops::Range<u64>, in_flight: u32) -> Vec<LoadEvent> {
    let mut events = Vec::new();
    for second in seconds {
        for accounts in [["acme"], ["acme"], ["acme"], ["bolt"]] {
            request(load, &accounts, at(second), Duration::ZERO);
        }
        events.extend(load.sweep(APP, rule, Some(busy(in_flight)), at(second)));
    }
    events
}

/// Promise: an account above the share, of an upstream that is busy enough, for a whole window, is one finding with
/// its numbers; it ends once, when it has not held for a minute.
#[test]
fn an_unreasonable_share_is_found_once() {
    let (load, rule) = (UpstreamLoad::default(), rule(500));
    let events = found(&load, &rule, 0..300, 8);
    // After 51 s, with 204 requests and 204,000 bytes, 0.7 / 0.8 of which are shared out, 178 and 178,500: bolt gets
    // its quarter, acme the rest, 127 and 127,500.
    let expected = [(Resource::Requests, 622), (Resource::Bytes, 625)].map(|(resource, fair_permille)| {
        LoadEvent::Began(LoadFinding {
            upstream: APP,
            account: "acme".into(),
            resource,
            window: LoadWindow::Minute,
            share_permille: 750,
            fair_permille,
            utilisation_permille: 800,
            since: at(50),
        })
    });
    assert_eq!(events, expected);
    let events: Vec<_> =
        (300..500).flat_map(|second| load.sweep(APP, &rule, Some(busy(0)), at(second))).collect();
    assert_eq!(events.len(), 2, "each ended, once: {events:?}");
    assert!(events.iter().all(|event| matches!(event, LoadEvent::Ended { .. })));
}

/// Promise: nothing is found while the upstream is not busy, while its capacity is not known, below the share, or
/// where nothing is unreasonable.
#[test]
fn a_reasonable_share_is_not_found() {
    for (rule, in_flight) in [(rule(500), 6), (rule(800), 10), (Load::default(), 10)] {
        assert_eq!(found(&UpstreamLoad::default(), &rule, 0..300, in_flight), []);
    }
    let load = UpstreamLoad::default();
    for second in 0..300 {
        request(&load, &["acme"], at(second), Duration::ZERO);
        assert_eq!(load.sweep(APP, &rule(500), None, at(second)), []);
    }
}
