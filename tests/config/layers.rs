//! Plans, agreements and the accounts file: whose numbers hold for whom.

use std::time::Duration;

use weir::config::Loaded;
use weir::facts::Principal;
use weir::policy::{Bound, Layer, LimitId, TermsId};

use super::{MINIMAL, load_text};

const LAYERS: &str = "\
    [[limits]]\nname = \"paced\"\nkey = [\"client\"]\nrate = \"60/min\"\nalgorithm = \"gcra\"\nburst = 5\n\
    [[limits]]\nname = \"flight\"\nkey = [\"client\"]\nconcurrency = 2\n\
    [plans.pro.limits.paced]\nrate = \"600/min\"\n\
    [plans.pro.limits.flight]\nconcurrency = 4\n\
    [plans.free.limits.per-client]\nrate = \"10/10s\"\n\
    [agreements.acme]\nreference = \"MSA 4.2\"\n\
    [agreements.acme.limits.paced]\nburst = 50\n\
    [agreements.learned]\nplan = \"free\"\n\
    [agreements.globex]\nplan = \"free\"\n\
    [identity]\naccount = [\"bearer\"]\naccounts_file = \"accounts.toml\"\nlearn_account_from = \"x-account\"\n";

/// `MINIMAL` has the limit per-client, of 100 in 10 s; the accounts file has acme on the plan pro, and globex on none.
fn layered() -> Loaded {
    load_text(&format!("{MINIMAL}{LAYERS}"))
}

fn gcra(units: u64, burst: u32) -> Bound {
    let (units, burst) = (units.try_into().unwrap(), burst.try_into().unwrap());
    Bound::Gcra { units, window: Duration::from_secs(60), burst }
}

fn concurrency(requests: u32) -> Bound {
    Bound::Concurrency { requests: requests.try_into().unwrap() }
}

/// Promise: an agreement goes before a plan and a plan before the limit, number by number; where a number comes
/// from, and which it took the place of, is kept.
#[test]
fn agreements_go_before_plans_and_plans_before_limits() {
    let policy = layered().policy;
    let acme = policy.terms(policy.accounts.with_id("acme").unwrap().terms).unwrap();
    assert_eq!(acme.plan.as_deref(), Some("pro"), "the plan of the accounts file");
    assert_eq!(acme.agreement.as_deref(), Some("acme"));
    assert_eq!(acme.reference.as_deref(), Some("MSA 4.2"));
    let [paced, flight] = acme.overrides.as_slice() else { panic!("{acme:?}") };
    // The rate is the plan's, the burst the agreement's.
    assert_eq!((paced.limit, paced.bound, paced.layer), (LimitId(1), gcra(600, 50), Layer::Agreement));
    assert_eq!(paced.overridden, Some(gcra(600, 5)));
    assert_eq!((flight.limit, flight.bound, flight.layer), (LimitId(2), concurrency(4), Layer::Plan));
    assert_eq!(flight.overridden, None);
}

/// Promise: an agreement's plan goes before the plan of the accounts file; an account without either has neither.
#[test]
fn every_account_has_its_own_terms() {
    let policy = layered().policy;
    assert_eq!(policy.terms[0], Default::default());
    let plan = |terms| policy.terms(terms).unwrap().plan.as_deref();
    let globex = policy.accounts.with_id("globex").unwrap();
    assert_eq!(plan(globex.terms), Some("free"));
    let nobody = policy.accounts.named(&"nobody".into());
    assert_eq!((nobody.terms, nobody.principal), (TermsId::NONE, Principal::account("nobody")));
}

/// Promise: an account that only the app names has the agreement that bears its name, and no warning says that it
/// does not exist.
#[test]
fn agreements_hold_for_accounts_that_are_learned() {
    let Loaded { policy, warnings, .. } = layered();
    assert!(policy.accounts.with_id("learned").is_none());
    let learned = policy.accounts.named(&"learned".into());
    let terms = policy.terms(learned.terms).unwrap();
    assert_eq!((terms.plan.as_deref(), terms.agreement.as_deref()), (Some("free"), Some("learned")));
    assert!(warnings.is_empty(), "{warnings}");
}

/// Promise: an account is found by the SHA-256 of its credential, and by nothing else.
#[test]
fn accounts_are_found_by_the_hash_of_a_credential() {
    let accounts = layered().policy.accounts;
    // printf %s change-me-acme | sha256sum
    let mut hash = [0; 32];
    let digits = "b545298ec6feb189a76cbb3a632ae2b0a92a6342418b01f09c93a1f7d12c9550";
    for (byte, at) in hash.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    }
    let acme = accounts.with_credential(&hash).unwrap();
    assert_eq!((&*acme.id, acme.principal), ("acme", Principal::account("acme")));
    hash[31] ^= 1;
    assert!(accounts.with_credential(&hash).is_none());
}
