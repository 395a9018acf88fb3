//! What this binary was built from.

/// The crate's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit, abbreviated, or `unknown` when it was not built from a git checkout. A debug build may be
/// a few commits ahead of what it says.
pub const COMMIT: &str = env!("WEIR_COMMIT");
/// `release` or `debug`.
pub const PROFILE: &str = env!("WEIR_PROFILE");
/// The target triple.
pub const TARGET: &str = env!("WEIR_TARGET");
/// The compiler's own version line.
pub const RUSTC: &str = env!("WEIR_RUSTC");

/// All of it, for `weir --version`; the name of the program is put before it.
pub const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit:   ",
    env!("WEIR_COMMIT"),
    "\nprofile:  ",
    env!("WEIR_PROFILE"),
    "\ntarget:   ",
    env!("WEIR_TARGET"),
    "\ncompiler: ",
    env!("WEIR_RUSTC"),
);
