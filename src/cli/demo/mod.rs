//! `weir demo`: the newcomer's command. A sample help centre, weir in front of it, and visitors.
//!
//! Everything is in this process and on loopback. `site` is the app, `visitors` are the clients, `tally` counts
//! what weir decides about them, and `screen` and `summary` show it.

mod cast;
mod decision;
mod feed;
mod ink;
mod latency;
mod limits;
#[cfg(test)]
mod sample;
mod screen;
mod show;
mod site;

mod summary;
mod tally;
mod terminal;
mod visitors;
mod weir;

use std::io;
use std::process::ExitCode;

use clap::Args;

use super::EXIT_FAILED;

#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Stay up after the visitors have gone, for curl and a browser, until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    pub serve: bool,
    /// How long the visitors stay
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
    /// Print only the summary, as JSON
    #[arg(long)]
    pub json: bool,
}

pub(super) const AFTER_HELP: &str = "\
Examples:
  weir demo                       watch four visitors for half a minute, then read the summary
  weir demo --serve               the same, then stay up: open the printed address in a browser
  weir demo --json --seconds 5    a short run, the summary as JSON on standard output

Everything is inside this one process and on 127.0.0.0/8: nothing is installed, written or sent
elsewhere, and the ports are whichever are free. NO_COLOR turns colour off.

Exit codes: 0 the demo was shown, or stopped by Ctrl-C; 1 it could not be.";

/// Shows the demo.
pub fn run(options: &Options) -> ExitCode {
    match show::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read along has read enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir demo: {error:#}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
