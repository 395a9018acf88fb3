//! The engine against plain reference models and the promises of its limits.

#[path = "engine_props/policy.rs"]
mod policy;

use std::time::Duration;

use policy::{get, limits, per_client, sliding};
use weir::engine::{Binding, Engine};
use weir::facts::Facts;
use weir::remedy::{Refusal, Verdict};

fn admits(engine: &Engine, binding: &Binding, facts: &Facts<'_>) -> bool {
    engine.admit(binding, facts).0.verdict == Verdict::Forward
}

/// Promise: N per W, then a refusal that names the limit and the exact wait.
#[test]
fn refuses_above_n_and_says_until_when() {
    let engine = Engine::new(0);
    let binding = engine.bind(limits(vec![per_client("per-client", sliding(3, 100))]));
    for at in [10, 20, 30] {
        assert!(admits(&engine, &binding, &get(1, at)));
    }
    let (decision, _ticket) = engine.admit(&binding, &get(1, 40));
    let Verdict::Refuse(Refusal { limit, retry_after }) = decision.verdict else { panic!("admitted") };
    assert_eq!(binding.policy().limit(limit).name, "per-client");
    assert_eq!(retry_after, Some(Duration::from_nanos(70)));
    assert!(!admits(&engine, &binding, &get(1, 109)));
    assert!(admits(&engine, &binding, &get(1, 110)));
    assert!(admits(&engine, &binding, &get(2, 40)));
}
