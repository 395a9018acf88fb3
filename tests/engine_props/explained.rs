//! An explanation says what would be decided, whose numbers that rests on, and changes nothing.

use proptest::prelude::*;
use weir::engine::Engine;
use weir::engine::explain::{Weakened, WhyNot};
use weir::facts::{Facts, Principal};
use weir::policy::{Exempt, Layer, Match, Override, WhoPart};
use weir::remedy::Mode;

use crate::policy::{
    accounts, concurrency, everyone, get, keyed, limits, per_client, policy, sliding, terms,
};
use crate::{admits, seeded};

const LONG: u64 = 1 << 40;

proptest! {
    #![proptest_config(seeded(128))]

    /// Promise 6: an explanation says beforehand exactly what is decided then, check by check, and asking, however
    /// often, charges nobody, remembers nobody and changes no decision.
    #[test]
    fn it_says_beforehand_what_is_decided(
        units in 1..6_u64, arrivals in prop::collection::vec((0..4_u32, 0..2_usize, 0..30_u64), 1..80),
    ) {
        let (asked, other) = (Engine::new(0), Engine::new(0));
        let mut shadow = per_client("shadow", sliding(2, 50));
        shadow.mode = Mode::Shadow;
        let policy = limits(vec![
            keyed("account", &[WhoPart::Account], sliding(units, 100)),
            per_client("client", sliding(3, 60)),
            everyone("all", sliding(9, 80)),
            shadow,
        ]);
        let (binding, unasked) = (asked.bind(policy.clone()), other.bind(policy));
        let whose = [accounts(&[("acme", 0)]), accounts(&[("bolt", 0), ("acme", 0)])];
        let mut now = 0;
        for (client, who, gap) in arrivals {
            now += gap;
            let facts = Facts { who: &whose[who], ..get(client, now) };
            let records = asked.stats().records;
            let said = asked.explain(&binding, &facts).decision;
            prop_assert_eq!(&asked.explain(&binding, &facts).decision, &said);
            prop_assert_eq!(asked.stats().records, records);
            let (decided, _ticket) = asked.admit(&binding, &facts);
            prop_assert_eq!(said.verdict, decided.verdict);
            prop_assert_eq!(said.checks, decided.checks.clone());
            prop_assert_eq!(other.admit(&unasked, &facts).0.checks, decided.checks);
        }
    }
}

/// Promises 2 and 6: where more clients are over a limit than can be held, an explanation shows the network that answers
/// for them, and says what is decided then.
#[test]
fn a_network_that_answers_is_shown() {
    let engine = Engine::new(1 << 20);
    let binding = engine.bind(limits(vec![per_client("a", sliding(3, LONG))]));
    let mut clients = 0..;
    while engine.stats().charged_to_networks < 100 {
        let client = clients.next().unwrap_or_default();
        (0..4).for_each(|at| drop(engine.admit(&binding, &get(client, at))));
    }
    let mut shown = 0;
    for client in 0..clients.start {
        let facts = get(client, 10);
        let said = engine.explain(&binding, &facts);
        let (decided, _ticket) = engine.admit(&binding, &facts);
        assert_eq!(said.decision.checks, decided.checks, "of client {client}");
        assert_eq!(said.decision.verdict, decided.verdict);
        shown += usize::from(said.applies.iter().any(|applies| applies.whose.starts_with("network 10.")));
    }
    assert!(shown > 0);
}

/// Promise: each limit tells the layer its numbers come from, the agreement's reference, and what they override: the
/// agreement's 9 over the plan's 5 over the limit's 2; the plan's 4 over the limit's 1; the limit's own.
#[test]
fn layers_are_told() {
    let engine = Engine::new(0);
    let mut policy = policy(vec![
        keyed("agreed", &[WhoPart::Account], sliding(2, LONG)),
        per_client("planned", sliding(1, LONG)),
        everyone("own", concurrency(7)),
    ]);
    let mut both = terms(Some("pro"), &[None, Some(sliding(4, LONG))]);
    both.agreement = Some("acme".into());
    both.reference = Some("MSA 4.2".into());
    let agreed = Override {
        limit: weir::policy::LimitId(0),
        bound: sliding(9, LONG),
        layer: Layer::Agreement,
        overridden: Some(sliding(5, LONG)),
    };
    both.overrides.insert(0, agreed);
    policy.terms.push(both);
    let binding = engine.bind(policy.into());
    let who = accounts(&[("acme", 1)]);
    let facts = Facts { who: &who, ..get(1, 0) };
    let told = engine.explain(&binding, &facts).applies;
    let [agreed, planned, own] = &told[..] else { panic!("{told:?}") };
    assert_eq!((agreed.numbers.layer, agreed.numbers.bound), (Layer::Agreement, sliding(9, LONG)));
    assert_eq!(
        (agreed.numbers.from.as_deref(), agreed.numbers.reference.as_deref()),
        (Some("acme"), Some("MSA 4.2"))
    );
    let below = [(Layer::Plan, sliding(5, LONG)), (Layer::Policy, sliding(2, LONG))];
    assert_eq!(agreed.numbers.overridden.as_slice(), below);
    assert_eq!((planned.numbers.layer, planned.numbers.from.as_deref()), (Layer::Plan, Some("pro")));
    assert_eq!(planned.numbers.reference, None, "the reference is of the agreement alone");
    assert_eq!(planned.numbers.overridden.as_slice(), [(Layer::Policy, sliding(1, LONG))]);
    assert_eq!((own.numbers.layer, own.numbers.overridden.len()), (Layer::Policy, 0));
    let whose: Vec<&str> = told.iter().map(|applies| applies.whose.as_str()).collect();
    assert_eq!(whose, ["account acme", "client 10.0.0.1", "everyone"]);
    assert_eq!(agreed.detail.principal, Principal::account("acme"));
    assert_eq!((0..20).filter(|_| admits(&engine, &binding, &facts)).count(), 4, "as the strictest says");
}

/// Promise: every reason why a limit is not enforced is told, and why another is not asked at all.
#[test]
fn reasons_are_told() {
    let engine = Engine::new(0);
    let mut exempt = everyone("exempt", sliding(1, LONG));
    exempt.exempt = Exempt { ranges: vec!["10.0.0.0/24".parse().expect("a range")], accounts: Vec::new() };
    exempt.mode = Mode::Shadow;
    let mut off = everyone("off", sliding(1, LONG));
    off.mode = Mode::Off;
    let mut elsewhere = everyone("elsewhere", sliding(1, LONG));
    elsewhere.matches = Match { clients: vec!["192.0.2.0/24".parse().expect("a range")], ..Match::default() };
    let session = keyed("session", &[WhoPart::Session], sliding(1, LONG));
    let mut policy = policy(vec![exempt, off, elsewhere, session]);
    policy.enforcement.mode = Mode::Shadow;
    policy.enforcement.never_refuse = vec!["10.0.0.1/32".parse().expect("a range")];
    let binding = engine.bind(policy.into());
    let told = engine.explain(&binding, &get(1, 0));
    assert_eq!(told.enforcement, Mode::Shadow);
    let kinds: Vec<_> = told.applies[0].weakened.iter().map(std::mem::discriminant).collect();
    let range = weir::engine::explain::Who::Range("10.0.0.0/24".parse().expect("a range"));
    let expected = [
        Weakened::Enforcement(Mode::Shadow),
        Weakened::NeverRefuse(range.clone()),
        Weakened::Exempt(range),
        Weakened::Own(Mode::Shadow),
    ];
    assert_eq!(kinds, expected.iter().map(std::mem::discriminant).collect::<Vec<_>>());
    let why: Vec<_> = told.others.iter().map(|other| other.why.clone()).collect();
    assert_eq!(why, [WhyNot::Off, WhyNot::Match("client"), WhyNot::Lacks("session".to_owned())]);
}
