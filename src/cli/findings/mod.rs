//! `weir findings`: what a running weir found, and what it finds from now on.

mod follow;
mod text;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::admin_client::{AdminClient, encoded};
use super::{DEFAULT_CONFIG, EXIT_FAILED};
use crate::admin::FindingsReport;

#[derive(Debug, Args)]
pub struct Options {
    /// Only of this detector, such as crawl
    #[arg(long, value_name = "NAME")]
    detector: Option<String>,
    /// Only for this clause of the policy
    #[arg(long, value_name = "ID")]
    clause: Option<String>,
    /// Only about principals of this kind, with this id, or both: client, 192.0.2.7, account:acme
    #[arg(long, value_name = "KIND:ID")]
    principal: Option<String>,
    /// Also those that were closed lately
    #[arg(long)]
    all: bool,
    /// How many of the latest
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=1000))]
    limit: u32,
    /// Stay, and print each as it is opened, sanctioned or closed, until Ctrl-C
    #[arg(long)]
    follow: bool,
    /// The admin listener of the running weir; default: that of the configuration
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// The configuration, for the address of the admin listener
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// Print JSON: one object; with --follow, one a line
    #[arg(long)]
    json: bool,
}

pub const AFTER_HELP: &str = "\
Examples:
  weir findings                            who is found to do what now, and by which numbers
  weir findings --all --detector crawl     crawlers, those of the last while included
  weir findings --follow --json            every change from now on, one JSON object a line

A finding in shadow refuses nobody: see docs/operating.md for what to do with one.

Exit codes: 0 done, 1 the admin listener could not be asked or ended the stream, 2 the command line is wrong.";

/// Exits with 0 once they are printed; with `--follow` only when somebody ends it, or 1 when the stream ends.
pub fn run(options: &Options) -> ExitCode {
    let done = AdminClient::find(options.admin.as_deref(), &options.config).and_then(|client| {
        let report = client.get(&options.target("/api/v1/findings", true))?;
        print(options, &report)?;
        if options.follow { follow::follow(client, options, report.last_event) } else { Ok(()) }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever closed the pipe has read enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir: {error:#}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}

impl Options {
    /// A path of the admin listener with what is asked for; `listing`: also how many, and whether open.
    fn target(&self, path: &str, listing: bool) -> String {
        let mut parameters = Vec::new();
        for (name, value) in
            [("detector", &self.detector), ("clause", &self.clause), ("principal", &self.principal)]
        {
            parameters.extend(value.as_ref().map(|value| format!("{name}={}", encoded(value))));
        }
        if listing {
            parameters.push(format!("limit={}", self.limit));
            parameters.extend((!self.all).then(|| "open=true".to_owned()));
        }
        format!("{path}?{}", parameters.join("&"))
    }
}

fn print(options: &Options, report: &FindingsReport) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match (options.json, options.follow) {
        (true, false) => return writeln!(out, "{:#}", json!(report)),
        (true, true) => {
            // What is open when it begins, in the form of what follows.
            for finding in report.findings.iter().rev() {
                writeln!(out, "{}", json!({ "change": "open", "finding": finding }))?;
            }
        }
        (false, _) => {
            for finding in report.findings.iter().rev() {
                out.write_all(text::finding(finding).as_bytes())?;
            }
            out.write_all(text::total(report, options.all).as_bytes())?;
        }
    }
    out.flush()
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
