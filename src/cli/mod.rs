//! The command line: one file per sub-command, and the exit codes they share.

mod admin_client;
mod amounts;
pub mod ask_reload;
pub mod check;
pub mod demo;
pub mod diagnostics;
pub mod explain;
pub mod findings;
pub mod mode;
pub mod reload;
pub mod replay;
pub mod run;
pub mod signals;
mod state;
mod succession;
pub mod summary;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::build_info;

/// Exit code 1: weir was asked for something sensible and could not do it.
pub const EXIT_FAILED: u8 = 1;
/// Exit code 2: the command line or the configuration is wrong. clap exits with it too.
pub const EXIT_BAD_USAGE: u8 = 2;

const DEFAULT_CONFIG: &str = "config/weir.toml";

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => run::run(&args.file),
        Command::Check(args) => check::run(&args.file, args.json),
        Command::Explain(options) => explain::run(&options),
        Command::Findings(options) => findings::run(&options),
        Command::Mode(options) => mode::run(&options),
        Command::Reload(options) => ask_reload::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Replay(options) => replay::run(&options),
    }
}

/// A reverse proxy that limits load and upholds an acceptable use policy.
///
/// weir stands in front of a web application. It forwards what it admits, refuses what goes over a limit
/// with a 429 that says why and when to come back, and counts everything for Prometheus.
#[derive(Debug, Parser)]
#[command(name = "weir", version = build_info::VERSION, long_version = build_info::LONG, after_help = AFTER_HELP)]
#[command(arg_required_else_help = true, subcommand_required = true, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  weir demo                        see it work: a sample site, weir, four visitors, half a minute
  weir check config/minimal.toml   validate a configuration without running it
  weir run config/minimal.toml     stand in front of your application

Exit codes:
  0  done, or stopped as asked
  1  something failed while running
  2  the command line or the configuration is wrong

Documentation is in the source tree: README.md for the first steps, config/weir.toml for every
configuration key with a comment, ARCHITECTURE.md for how a request goes through.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy until SIGTERM or Ctrl-C
    #[command(after_help = RUN_HELP)]
    Run(RunArgs),
    /// Validate a configuration and say which parts have no effect yet
    #[command(after_help = CHECK_HELP)]
    Check(CheckArgs),
    /// Say which limits a request meets, whose numbers they have and why; or why one was refused
    #[command(after_help = explain::AFTER_HELP)]
    Explain(explain::Options),
    /// Show what a running weir found: who does what, how sure it is, and what follows
    #[command(after_help = findings::AFTER_HELP)]
    Findings(findings::Options),
    /// Show or set the mode of a running weir: enforce, shadow or off
    #[command(after_help = mode::AFTER_HELP)]
    Mode(mode::Options),
    /// Have a running weir read its configuration again, and say what came of it
    #[command(after_help = ask_reload::AFTER_HELP)]
    Reload(ask_reload::Options),
    /// Watch weir at work on a sample site, with scripted visitors, on loopback only
    #[command(after_help = demo::AFTER_HELP)]
    Demo(demo::Options),
    /// Run access logs through a configuration: who would have been limited or found, and why
    #[command(after_help = replay::AFTER_HELP)]
    Replay(replay::Options),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// The configuration file
    #[arg(default_value = DEFAULT_CONFIG)]
    file: PathBuf,
}

const RUN_HELP: &str = "\
Signals:
  SIGHUP            read the configuration again; a bad file is reported and changes nothing
  SIGUSR1           reopen the access log
  SIGUSR2           start the program on disk in this one's place, hand the sockets over, then stop
  SIGTERM, Ctrl-C   finish what was begun, then exit 0

Exit codes: 0 stopped as asked, 1 failed while running, 2 the configuration is wrong.";

#[derive(Debug, Args)]
struct CheckArgs {
    /// The configuration file
    #[arg(default_value = DEFAULT_CONFIG)]
    file: PathBuf,
    /// Print the result as JSON, for editors and CI
    #[arg(long)]
    json: bool,
}

const CHECK_HELP: &str = "\
Exit codes: 0 the configuration is valid (perhaps with notes), 2 it is not.

Every error is reported at once, each with its file, line, column, what was expected and the
nearest valid name.";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    /// Promise: the definition itself is sound, so that no command line can make clap panic.
    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    /// Promise: `run` and `check` without a file mean config/weir.toml.
    #[test]
    fn the_file_has_a_default() {
        let Command::Run(run) = Cli::try_parse_from(["weir", "run"]).unwrap().command else { panic!("run") };
        assert_eq!(run.file, PathBuf::from("config/weir.toml"));
        let Command::Check(check) = Cli::try_parse_from(["weir", "check", "--json"]).unwrap().command else {
            panic!("check")
        };
        assert_eq!((check.file, check.json), (PathBuf::from("config/weir.toml"), true));
    }

    /// Promise: a mistyped sub-command is bad usage, exit code 2, and the nearest one is suggested.
    #[test]
    fn a_mistyped_command_gets_a_suggestion() {
        let error = Cli::try_parse_from(["weir", "chekc"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidSubcommand);
        assert_eq!(error.exit_code(), i32::from(EXIT_BAD_USAGE));
        assert!(error.to_string().contains("'check'"), "{error}");
    }
}
