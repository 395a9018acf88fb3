//! Logs: diagnostics by tracing, and the access log with its own writer.
//!
//! Diagnostics go to standard error, for people on a terminal and as JSON otherwise. `docs/logs.md` describes
//! both logs field by field.

pub mod access;

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::TryInitError;

use crate::policy::{Log, LogFormat};

/// Why diagnostics could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `log.level` is not an env-filter directive.
    #[error("log.level = \"{level}\" is not a level such as `info`, or a list such as `info,weir=debug`")]
    Level { level: String, source: ParseError },
    /// Only the first call counts: two subscribers cannot share a process.
    #[error("diagnostics were set up already")]
    Twice(#[from] TryInitError),
}

/// Sends diagnostics to standard error as `log` says. Once a process; a reload does not change it.
pub fn init(log: &Log) -> Result<(), LogError> {
    use tracing_subscriber::util::SubscriberInitExt;

    let filter = EnvFilter::try_new(&log.level)
        .map_err(|source| LogError::Level { level: log.level.clone(), source })?;
    let terminal = io::stderr().is_terminal();
    let format = log.format.unwrap_or(if terminal { LogFormat::Human } else { LogFormat::Json });
    let lines = tracing_subscriber::fmt().with_writer(io::stderr).with_env_filter(filter);
    let coloured = terminal && !colour_is_unwanted();
    let set = match format {
        LogFormat::Human => lines.with_ansi(coloured).with_target(false).finish().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init(),
    };
    Ok(set?)
}

/// Whether the user asked every program for no colour (no-color.org).
fn colour_is_unwanted() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: a level that is none is refused by name, before anything is set up.
    #[test]
    fn a_wrong_level_is_refused() {
        let log = Log { format: None, level: "weir=loud".to_owned(), access: None };
        let error = init(&log).unwrap_err();
        assert!(matches!(error, LogError::Level { .. }));
        assert!(error.to_string().contains("weir=loud"), "{error}");
    }
}
