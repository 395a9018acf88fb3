//! Whom a limit charges: accounts by their own terms, inventors of credentials as themselves too, combinations
//! apart from one another.

use std::collections::HashMap;
use std::net::IpAddr;

use http::{HeaderMap, HeaderName};
use proptest::prelude::*;
use weir::engine::{Binding, Engine};
use weir::facts::{Client, Facts, Who};
use weir::policy::{Missing, WhoPart};

use crate::model::SlidingModel;
use crate::policy::{
    accounts, everyone, fields, get, in_session, keyed, limits, per_client, policy, sliding, stranger, terms,
};
use crate::{admits, seeded};

const LONG: u64 = 1 << 40;

/// How many of `most` requests like this one pass, one after another at the same time.
fn passes(engine: &Engine, binding: &Binding, facts: &Facts<'_>, most: usize) -> usize {
    (0..most).take_while(|_| admits(engine, binding, facts)).count()
}

/// Promise: two known accounts are both charged, each by its own terms: the plan's 5, the agreement's 3, and the
/// limit's own 2 for whoever has neither. What the stricter one refuses costs the other nothing.
#[test]
fn each_account_is_charged_on_its_own_terms() {
    let engine = Engine::new(0);
    let mut policy = policy(vec![keyed("a", &[WhoPart::Account], sliding(2, LONG))]);
    policy.terms.push(terms(Some("pro"), &[Some(sliding(5, LONG))]));
    policy.terms.push(terms(None, &[Some(sliding(3, LONG))]));
    let binding = engine.bind(policy.into());
    let who = [accounts(&[("acme", 1), ("bolt", 2)]), accounts(&[("acme", 1)]), accounts(&[("bolt", 2)])];
    let [both, acme, bolt] = who.each_ref().map(|who| Facts { who, ..get(1, 0) });
    assert_eq!(passes(&engine, &binding, &both, 9), 3);
    assert_eq!(passes(&engine, &binding, &bolt, 9), 0);
    assert_eq!(passes(&engine, &binding, &acme, 9), 2);
    let carol = accounts(&[("carol", 0)]);
    assert_eq!(passes(&engine, &binding, &Facts { who: &carol, ..get(1, 0) }, 9), 2);
}

/// Promise: a limit that counts by something else allows what the request's account has: of several accounts,
/// the stricter number, whether they are named in this order or the other.
#[test]
fn other_keys_take_the_stricter_account() {
    let mut policy = policy(vec![per_client("a", sliding(4, LONG))]);
    policy.terms.push(terms(Some("pro"), &[Some(sliding(9, LONG))]));
    policy.terms.push(terms(Some("trial"), &[Some(sliding(2, LONG))]));
    for (of, allowed) in [
        (&[][..], 4),
        (&[("acme", 1)][..], 9),
        (&[("acme", 1), ("bolt", 2)][..], 2),
        (&[("bolt", 2), ("acme", 1)][..], 2),
        (&[("acme", 1), ("carol", 0)][..], 4),
    ] {
        let engine = Engine::new(0);
        let binding = engine.bind(policy.clone().into());
        let who = accounts(of);
        assert_eq!(passes(&engine, &binding, &Facts { who: &who, ..get(1, 0) }, 20), allowed, "{of:?}");
    }
}

proptest! {
    #![proptest_config(seeded(256))]

    /// Promise: inventing credentials wins nothing: each is charged as itself and to its client, so one client gets
    /// at most N in a window with all of them, and a credential that many clients try at most N as well. Without any
    /// credential the limit does not apply.
    #[test]
    fn invented_credentials_share_their_clients_budget(
        units in 1..6_u64,
        arrivals in prop::collection::vec((0..3_u32, prop::option::weighted(0.9, 0..5_u8), 0..30_u64), 1..150),
    ) {
        const WINDOW: u64 = 100;
        let engine = Engine::new(0);
        let binding = engine.bind(limits(vec![keyed("a", &[WhoPart::Account], sliding(units, WINDOW))]));
        let mut clients = vec![SlidingModel::new(units, WINDOW); 3];
        let mut credentials = vec![SlidingModel::new(units, WINDOW); 5];
        let mut now = 0;
        for (client, credential, gap) in arrivals {
            now += gap;
            let who = credential.map_or_else(Who::default, |credential| stranger(credential.into()));
            let admitted = admits(&engine, &binding, &Facts { who: &who, ..get(client, now) });
            let Some(credential) = credential else {
                prop_assert!(admitted);
                continue;
            };
            let (client, credential) =
                (&mut clients[client as usize], &mut credentials[usize::from(credential)]);
            let fits = client.fits(1, now) & credential.fits(1, now);
            prop_assert_eq!(admitted, fits, "at {}", now);
            if fits {
                client.charge(1);
                credential.charge(1);
            }
        }
    }

    /// Promise: a combination is a principal of its own: clients and tenants have a budget for each pair, and
    /// that is neither the client's nor the tenant's own nor anyone else's pair's.
    #[test]
    fn combinations_have_their_own_budgets(
        arrivals in prop::collection::vec((0..3_u32, 0..3_usize, prop::option::of(0..2_u128), 0..9_u64), 1..150),
    ) {
        const WINDOW: u64 = 60;
        let (client, session) = (WhoPart::Client, WhoPart::Session);
        let tenant = WhoPart::Header(HeaderName::from_static("x-tenant"));
        let keys = [
            vec![client.clone(), tenant.clone()],
            vec![client.clone(), session.clone()],
            vec![client, tenant, session],
        ];
        let engine = Engine::new(0);
        let limit = |(at, key): (usize, &Vec<WhoPart>)| keyed(&at.to_string(), key, sliding(2, WINDOW));
        let binding = engine.bind(limits(keys.iter().enumerate().map(limit).collect()));
        let tenants = ["", "a", "b"].map(|name| fields(&[("x-tenant", name)]));
        let mut models = HashMap::new();
        let mut now = 0;
        for (client, tenant, session, gap) in arrivals {
            now += gap;
            let who = session.map_or_else(Who::default, |session| in_session(Who::default(), session));
            let facts = Facts { who: &who, headers: &tenants[tenant], ..get(client, now) };
            // For each limit, what it counts by; without a session those that need one do not apply.
            let counted = [
                Some((0, client, Some(tenant), None)),
                session.map(|session| (1, client, None, Some(session))),
                session.map(|session| (2, client, Some(tenant), Some(session))),
            ];
            let counted: Vec<_> = counted.into_iter().flatten().collect();
            let mut fits = |key| {
                let model = models.entry(key).or_insert_with(|| SlidingModel::new(2, WINDOW));
                SlidingModel::fits(model, 1, now)
            };
            let within: Vec<bool> = counted.iter().map(|key| fits(*key)).collect();
            let checks = engine.admit(&binding, &facts).0.checks;
            prop_assert_eq!(checks.iter().map(|check| check.within).collect::<Vec<_>>(), within.clone());
            if within.iter().all(|within| *within) {
                for key in &counted {
                    models.entry(*key).and_modify(|model| model.charge(1));
                }
            }
        }
    }
}

/// Promise: of a combination with accounts, every account is charged: a second one never opens a fresh budget.
#[test]
fn a_combination_charges_every_account() {
    let engine = Engine::new(0);
    let mut policy = policy(vec![keyed("a", &[WhoPart::Account, WhoPart::Session], sliding(2, LONG))]);
    policy.terms.push(terms(Some("pro"), &[Some(sliding(4, LONG))]));
    let binding = engine.bind(policy.into());
    let both = in_session(accounts(&[("acme", 1), ("bolt", 0)]), 7);
    let acme = in_session(accounts(&[("acme", 1)]), 7);
    let elsewhere = in_session(accounts(&[("acme", 1)]), 8);
    let pass = |who: &Who| passes(&engine, &binding, &Facts { who, ..get(1, 0) }, 9);
    assert_eq!(pass(&both), 2, "bolt's");
    assert_eq!(pass(&acme), 2, "what is left of acme's four");
    assert_eq!(pass(&elsewhere), 4, "another session");
}

/// Promise: a credential that nobody has wins nothing in a combination either: the client's pair is charged too.
#[test]
fn invented_credentials_win_nothing_in_combinations() {
    let engine = Engine::new(0);
    let key = [WhoPart::Account, WhoPart::Header(HeaderName::from_static("x-tenant"))];
    let binding = engine.bind(limits(vec![keyed("a", &key, sliding(3, LONG))]));
    let headers = fields(&[("x-tenant", "a")]);
    let passed = (0..20).filter(|credential| {
        let who = stranger(*credential);
        admits(&engine, &binding, &Facts { who: &who, headers: &headers, ..get(1, 0) })
    });
    assert_eq!(passed.count(), 3);
}

/// Promise: a limit skips a request that lacks what it counts by, or has all such requests share one budget, which
/// is nobody else's.
#[test]
fn what_is_missing_is_skipped_or_shared() {
    let engine = Engine::new(0);
    for key in [vec![WhoPart::Session], vec![WhoPart::Client, WhoPart::Session]] {
        let mut limit = keyed("a", &key, sliding(2, LONG));
        let skipping = engine.bind(limits(vec![limit.clone()]));
        assert!(engine.admit(&skipping, &get(1, 0)).0.checks.is_empty());
        limit.name = format!("shared by {}", key.len());
        limit.key.missing = Missing::Shared;
        let all = everyone("all", sliding(9, LONG));
        let sharing = engine.bind(limits(vec![limit, all]));
        assert_eq!([1, 2, 3].map(|client| admits(&engine, &sharing, &get(client, 0))), [true, true, false]);
        let who = in_session(Who::default(), 5);
        assert_eq!(passes(&engine, &sharing, &Facts { who: &who, ..get(3, 0) }, 9), 2);
    }
}

/// Promise: a network is the neighbourhood of a client: IPv4 by /24, IPv6 by /48 (RFC 6177), and neither is ever the
/// client's own budget.
#[test]
fn neighbours_share_their_networks_budget() {
    let engine = Engine::new(0);
    let (network, client) =
        (keyed("network", &[WhoPart::Network], sliding(2, LONG)), per_client("client", sliding(9, LONG)));
    let binding = engine.bind(limits(vec![network, client]));
    let from = |address: &str| {
        let address: IpAddr = address.parse().expect("an address");
        admits(&engine, &binding, &Facts { address, client: Client::fold(address, 32, 64), ..get(0, 0) })
    };
    assert_eq!(["192.0.2.1", "192.0.2.255", "192.0.2.7"].map(from), [true, true, false]);
    assert!(from("192.0.3.1"));
    let of_48 = ["2001:db8:1::1", "2001:db8:1:ffff::1", "2001:db8:1:2::3", "2001:db8:2::1"];
    assert_eq!(of_48.map(from), [true, true, false, true]);
    // The network that is called as a client is: 192.0.2.0.
    assert!(!from("192.0.2.0"));
}

/// Promise: a header that comes twice is one value, and its lines are not glued together: nobody lands in another's
/// budget by splitting a value. An empty value is one too.
#[test]
fn a_header_is_counted_by_all_its_lines() {
    let engine = Engine::new(0);
    let header = WhoPart::Header(HeaderName::from_static("x-tenant"));
    let binding = engine.bind(limits(vec![keyed("a", &[header], sliding(1, LONG))]));
    let pass = |headers: &HeaderMap| admits(&engine, &binding, &Facts { headers, ..get(1, 0) });
    let values: [&[&str]; 6] = [&["ab"], &["a", "b"], &["b", "a"], &["a"], &[""], &["", ""]];
    for (at, value) in values.iter().enumerate() {
        let headers = fields(&value.iter().map(|value| ("x-tenant", *value)).collect::<Vec<_>>());
        assert!(pass(&headers), "{at}: {value:?}");
        assert!(!pass(&headers), "{at}: {value:?}");
    }
    assert!(pass(&HeaderMap::new()) && pass(&HeaderMap::new()));
}
