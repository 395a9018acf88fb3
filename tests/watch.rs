//! Conduct as the engine's doors see it: findings, what is done about them, and what must not become one.

#[path = "watch/astray.rs"]
mod astray;
#[path = "watch/crowds.rs"]
mod crowds;
#[path = "watch/demand.rs"]
mod demand;
#[path = "watch/findings.rs"]
mod findings;
#[path = "watch/memory.rs"]
mod memory;
#[path = "engine_props/policy.rs"]
#[expect(dead_code, reason = "the tests of limits use more of it")]
mod policy;
#[path = "watch/protocol.rs"]
mod protocol;
#[path = "watch/replayed.rs"]
mod replayed;
#[path = "watch/restart.rs"]
mod restart;
#[path = "watch/rules.rs"]
mod rules;
#[path = "watch/sanctions.rs"]
mod sanctions;
#[path = "watch/stage.rs"]
mod stage;
#[path = "watch/threads.rs"]
mod threads;
