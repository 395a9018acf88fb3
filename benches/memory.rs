//! The memory of the state with the binary's allocator. `cargo bench --bench memory`

#[path = "../tests/engine_props/policy.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod policy;
#[path = "memory/scenarios.rs"]
mod scenarios;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    scenarios::main();
}
