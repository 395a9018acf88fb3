//! `weir run`. Not built yet.

use std::path::Path;
use std::process::ExitCode;

use super::EXIT_FAILED;

pub fn run(_file: &Path) -> ExitCode {
    eprintln!("weir: run is not built yet");
    ExitCode::from(EXIT_FAILED)
}
