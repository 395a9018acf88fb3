//! Records what this build was made from, for `weir --version` and the build-info metric.
//!
//! A source tree without git, or a machine without it, builds all the same: the commit is then `unknown`.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=WEIR_COMMIT");
    println!("cargo::rustc-env=WEIR_COMMIT={}", commit());
    println!("cargo::rustc-env=WEIR_RUSTC={}", rustc_version());
    for (name, cargo_name) in [("WEIR_TARGET", "TARGET"), ("WEIR_PROFILE", "PROFILE")] {
        println!("cargo::rustc-env={name}={}", env::var(cargo_name).unwrap_or_else(|_| "unknown".into()));
    }
}

/// `WEIR_COMMIT` if a packager set it, else git's word.
///
/// Only release builds follow every commit: in development that would rebuild the crate after each one.
fn commit() -> String {
    if let Ok(given) = env::var("WEIR_COMMIT") {
        return given;
    }
    if env::var("PROFILE").as_deref() == Ok("release")
        && let Some(log) = output_of("git", &["rev-parse", "--git-path", "logs/HEAD"])
    {
        println!("cargo::rerun-if-changed={log}");
    }
    output_of("git", &["rev-parse", "--short=10", "HEAD"]).unwrap_or_else(|| "unknown".into())
}

fn rustc_version() -> String {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    output_of(&rustc, &["--version"]).unwrap_or_else(|| "unknown rustc".into())
}

/// The first line a command prints, or nothing when it cannot be run, fails or prints nothing.
fn output_of(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok().filter(|o| o.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(str::to_owned).filter(|line| !line.is_empty())
}
