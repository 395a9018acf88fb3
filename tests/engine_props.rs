//! The engine against plain reference models and the promises of its limits.

#[path = "engine_props/bounds.rs"]
mod bounds;
#[path = "engine_props/costs.rs"]
mod costs;
#[path = "engine_props/delay.rs"]
mod delay;
#[path = "engine_props/details.rs"]
mod details;
#[path = "engine_props/explained.rs"]
mod explained;
#[path = "engine_props/history.rs"]
mod history;
#[path = "engine_props/matching.rs"]
mod matching;
#[path = "engine_props/model.rs"]
mod model;
#[path = "engine_props/policy.rs"]
mod policy;
#[path = "engine_props/recent.rs"]
mod recent;
#[path = "engine_props/reload.rs"]
mod reload;
#[path = "engine_props/switch.rs"]
mod switch;
#[path = "engine_props/threads.rs"]
mod threads;
#[path = "engine_props/tickets.rs"]
mod tickets;
#[path = "engine_props/together.rs"]
mod together;
#[path = "engine_props/who.rs"]
mod who;

use proptest::prelude::ProptestConfig;
use proptest::test_runner::RngSeed;
use weir::engine::{Binding, Engine};
use weir::facts::Facts;
use weir::remedy::Verdict;

/// The same cases in every run.
fn seeded(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(0x77_65_69_72),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Asks about a request that ends at once.
fn admits(engine: &Engine, binding: &Binding, facts: &Facts<'_>) -> bool {
    engine.admit(binding, facts).0.verdict == Verdict::Forward
}
