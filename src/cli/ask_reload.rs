//! `weir reload`: has a running weir read its configuration again, and says what came of it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::admin_client::AdminClient;
use super::{DEFAULT_CONFIG, EXIT_BAD_USAGE, EXIT_FAILED, check};
use crate::admin::ReloadReport;
use crate::config;

#[derive(Debug, Args)]
pub struct Options {
    /// The admin listener of the running weir; default: that of the configuration
    #[arg(long, value_name = "ADDRESS", conflicts_with = "pid")]
    admin: Option<String>,
    /// Send SIGHUP to this process instead, where there is no admin listener; what comes of it is in its log
    #[arg(long, value_name = "PID")]
    pid: Option<i32>,
    /// The configuration, for the address of the admin listener. What is read is the file that weir was started with
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub const AFTER_HELP: &str = "\
Examples:
  weir reload                            have it read again, and see what is wrong if it is refused
  weir reload --admin 127.0.0.1:9900     the same, wherever the file is
  weir reload --pid $MAINPID             without an admin listener: by SIGHUP

A reload takes the whole configuration or none of it, and drops no connection and no counter.

Exit codes: 0 in force (with --pid: told), 1 weir could not be asked, 2 the configuration is refused and the one before
it stays in force.";

/// Exits with 0 once the new configuration is in force, 1 where nobody could be asked, 2 where it is refused.
pub fn run(options: &Options) -> ExitCode {
    if let Some(pid) = options.pid {
        return match hang_up(pid) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error),
        };
    }
    // A file that names no listener any more, because it is wrong, would be refused by whoever listens.
    if options.admin.is_none() && config::load(&options.config).is_err() {
        return check::run(&options.config, options.json);
    }
    let asked = AdminClient::find(options.admin.as_deref(), &options.config)
        .and_then(|client| client.post::<ReloadReport>("/api/v1/reload", &json!({})));
    match asked {
        Ok(report) => tell(&report, options.json),
        Err(error) => failed(&error),
    }
}

fn hang_up(pid: i32) -> anyhow::Result<()> {
    let pid = Pid::from_raw(pid).filter(|_| pid > 0).with_context(|| format!("{pid} is no process"))?;
    kill_process(pid, Signal::HUP).with_context(|| format!("cannot send SIGHUP to {}", pid.as_raw_nonzero()))
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("weir: {error:#}");
    ExitCode::from(EXIT_FAILED)
}

fn tell(report: &ReloadReport, as_json: bool) -> ExitCode {
    if as_json {
        println!("{:#}", json!(report));
    } else {
        eprint!("{}", report.text);
        for part in &report.needs_restart {
            eprintln!("weir: {part} is not what it was at start; the change takes effect after a restart");
        }
        let outcome =
            if report.reloaded { "reloaded" } else { "refused; the configuration before it stays in force" };
        println!("{outcome}");
    }
    if report.reloaded { ExitCode::SUCCESS } else { ExitCode::from(EXIT_BAD_USAGE) }
}
