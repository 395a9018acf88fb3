//! `weir check`: says whether a configuration is valid, what is in force because of it, and what is not.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::{EXIT_BAD_USAGE, diagnostics, summary};
use crate::config::{self, Diagnostics, Loaded};
use crate::policy::describe::describe;
use crate::proxy::tls;

/// Exits with 0 if weir could run with the configuration at `path`, else with 2.
///
/// For people, what is wrong or doubtful goes to stderr and what is in force to stdout. With `json`, one
/// object on stdout holds both.
pub fn run(path: &Path, json: bool) -> ExitCode {
    let result = config::load(path);
    if let Some(error) = result.as_ref().ok().and_then(|loaded| tls::check(&loaded.policy).err()) {
        return refuse(path, json, &error.to_string());
    }
    let code = if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_BAD_USAGE) };
    if json {
        print_out(&format!("{:#}\n", to_json(path, &result)));
        return code;
    }
    match &result {
        Ok(loaded) => {
            print_err(&loaded.warnings);
            print_out(&format!("{} is valid\n\n{}", path.display(), summary::text(&loaded.policy)));
        }
        Err(found) => print_err(found),
    }
    code
}

/// For what no line of the file is wrong by itself: certificates that do not fit their keys.
fn refuse(path: &Path, json: bool, message: &str) -> ExitCode {
    let file = path.display().to_string();
    if json {
        let diagnostics = json!([{ "file": &file, "severity": "error", "message": message }]);
        print_out(&format!("{:#}\n", json!({ "file": file, "valid": false, "diagnostics": diagnostics })));
    } else {
        let _ = writeln!(std::io::stderr(), "weir: {file}: {message}");
    }
    ExitCode::from(EXIT_BAD_USAGE)
}

fn to_json(path: &Path, result: &Result<Loaded, Diagnostics>) -> Value {
    match result {
        Ok(loaded) => json!({
            "file": path.display().to_string(),
            "valid": true,
            "diagnostics": diagnostics::to_json(&loaded.warnings),
            "policy": describe(&loaded.policy),
        }),
        Err(found) => json!({
            "file": path.display().to_string(),
            "valid": false,
            "diagnostics": diagnostics::to_json(found),
        }),
    }
}

fn print_out(text: &str) {
    // Whoever closed the pipe has read enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn print_err(found: &Diagnostics) {
    if found.is_empty() {
        return;
    }
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut text = diagnostics::render(found, color);
    let (errors, warnings) = (found.errors(), found.warnings());
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    if errors > 0 {
        let _ = write!(text, "weir: {errors} error{}", plural(errors));
        let and =
            if warnings > 0 { format!(", {warnings} warning{}", plural(warnings)) } else { String::new() };
        let _ = writeln!(text, "{and}");
    }
    let _ = std::io::stderr().write_all(text.as_bytes());
}
