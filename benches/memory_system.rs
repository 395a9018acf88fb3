//! The memory of the state with the system's allocator. `cargo bench --bench memory_system`

#[path = "../tests/engine_props/policy.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod policy;
#[path = "memory/scenarios.rs"]
mod scenarios;

fn main() {
    scenarios::main();
}
