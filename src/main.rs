//! The `weir` binary: everything is in the library, see `weir::cli`.

use std::process::ExitCode;

/// A request makes five short-lived allocations, one of them for hyper's read buffer; docs/performance.md has what this saves.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    weir::cli::main()
}
