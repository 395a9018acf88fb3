//! `weir check`. Not built yet.

use std::path::Path;
use std::process::ExitCode;

use super::EXIT_FAILED;

pub fn run(_file: &Path, _json: bool) -> ExitCode {
    eprintln!("weir: check is not built yet");
    ExitCode::from(EXIT_FAILED)
}
