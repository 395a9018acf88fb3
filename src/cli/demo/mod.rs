//! `weir demo`: the newcomer's command. A sample help centre, weir in front of it, and visitors.

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
elsewhere, and the ports are whichever are free. NO_COLOR turns colour off.";

pub fn run(_options: &Options) -> ExitCode {
    eprintln!("weir: demo is not built yet");
    ExitCode::from(EXIT_FAILED)
}
