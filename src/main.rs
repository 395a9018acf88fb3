//! The `weir` binary: everything is in the library, see `weir::cli`.

use std::process::ExitCode;

/// A request makes some thirty short-lived allocations, most of them hyper's; ARCHITECTURE.md has the figures.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    weir::cli::main()
}
