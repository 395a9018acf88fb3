//! The cells behind limits against plain reference models: what they admit, when, and what a restart leaves.

#[path = "limit_props/debts.rs"]
mod debts;
#[path = "limit_props/extremes.rs"]
mod extremes;
#[path = "limit_props/model.rs"]
mod model;
#[path = "limit_props/quota.rs"]
mod quota;
#[path = "limit_props/saved.rs"]
mod saved;
#[path = "limit_props/sliding.rs"]
mod sliding;
#[path = "limit_props/status.rs"]
mod status;
#[path = "limit_props/steady.rs"]
mod steady;
#[path = "engine_props/model.rs"]
mod window_model;

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use weir::limit::{Cell, DebtRule, GcraRule, Rule, SlidingRule};
use weir::time::Moment;

/// In nanoseconds: a hundred to each of the 128 parts.
const WINDOW: u64 = 12_800;

/// The same cases in every run.
fn seeded(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(0x77_65_69_72),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn units(units: u64) -> NonZeroU64 {
    NonZeroU64::new(units).expect("a limit above zero")
}

fn sliding(n: u64, window: u64) -> Rule {
    Rule::Sliding(SlidingRule::new(units(n), Duration::from_nanos(window)))
}

fn gcra(n: u64, window: u64, burst: u32) -> Rule {
    let burst = NonZeroU32::new(burst).expect("a burst above zero");
    Rule::Gcra(GcraRule::new(units(n), Duration::from_nanos(window), burst))
}

fn window_debt(n: u64, window: u64) -> Rule {
    Rule::WindowDebt(DebtRule::window(units(n), Duration::from_nanos(window)))
}

fn paced_debt(n: u64, window: u64, burst: u64) -> Rule {
    Rule::PacedDebt(DebtRule::paced(units(n), Duration::from_nanos(window), units(burst)))
}

fn take(cell: &mut Cell, rule: &Rule, cost: u64, at: u64) -> bool {
    let within = cell.check(rule, cost, Moment::from_nanos(at)).is_within();
    if within {
        cell.charge(rule, cost);
    }
    within
}

/// Nanoseconds to the next arrival: bursts, a trickle, and the neighbourhood of whole windows and their parts.
fn gap() -> impl Strategy<Value = u64> {
    prop_oneof![
        5 => Just(0_u64),
        3 => 1..200_u64,
        1 => WINDOW / 128 - 1..=WINDOW / 128 + 1,
        1 => WINDOW / 2..=WINDOW / 2 + 1,
        1 => WINDOW - 1..=WINDOW + 1,
        1 => Just(3 * WINDOW),
    ]
}
