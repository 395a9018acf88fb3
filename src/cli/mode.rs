//! `weir mode`: shows and sets the mode of a running weir.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::admin_client::AdminClient;
use super::{DEFAULT_CONFIG, EXIT_BAD_USAGE, EXIT_FAILED};
use crate::admin::{ModeReport, ModeRequest};
use crate::config::units::{duration, time_text};

#[derive(Debug, Args)]
pub struct Options {
    /// enforce, shadow (decide and count, refuse nothing), off, or policy: what the configuration says. Without it, the
    /// mode in force is shown
    #[arg(value_parser = ["enforce", "shadow", "off", "policy"])]
    mode: Option<String>,
    /// How long, such as 30m; then the configuration's own mode is back
    #[arg(long = "for", value_name = "TIME", requires = "mode")]
    length: Option<String>,
    /// Why: for the log, and for whoever asks what the mode is
    #[arg(long, value_name = "TEXT", requires = "mode")]
    reason: Option<String>,
    /// The admin listener of the running weir; default: that of the configuration
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// The configuration, for the address of the admin listener
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub const AFTER_HELP: &str = "\
Examples:
  weir mode                                        which mode is in force, since when and why
  weir mode shadow --for 30m --reason 'bad limit'  stop refusing, at once, for half an hour
  weir mode policy                                 back to what the configuration says

A restart also brings back what the configuration says; a reload does not. Who is under never_refuse is never
refused, whatever the mode: see docs/operating.md.

Exit codes: 0 done, 1 the admin listener could not be asked or refused, 2 the command line is wrong.";

/// Exits with 0 once the mode is as asked, 1 if that failed, 2 for a time that is none.
pub fn run(options: &Options) -> ExitCode {
    let for_seconds = match options.length.as_deref().map(|text| (text, duration(text))) {
        Some((text, None)) => {
            eprintln!("weir: {text:?} is no time; such as 30m, 2h or 45s");
            return ExitCode::from(EXIT_BAD_USAGE);
        }
        Some((_, Some(length))) => Some(length.as_millis().div_ceil(1000)),
        None => None,
    };
    let asked = AdminClient::find(options.admin.as_deref(), &options.config).and_then(|client| {
        let Some(mode) = &options.mode else { return client.get("/api/v1/mode") };
        let request = ModeRequest {
            mode: mode.clone(),
            for_seconds: for_seconds.and_then(|seconds| u64::try_from(seconds).ok()),
            reason: options.reason.clone(),
        };
        client.post("/api/v1/mode", &json!(request))
    });
    match asked {
        Ok(report) if options.json => println!("{:#}", json!(report)),
        Ok(report) => print!("{}", text(&report)),
        Err(error) => {
            eprintln!("weir: {error:#}");
            return ExitCode::from(EXIT_FAILED);
        }
    }
    ExitCode::SUCCESS
}

fn text(report: &ModeReport) -> String {
    let ModeReport { mode, policy, overridden, expires_in, reason, since, by } = report;
    if !overridden {
        return format!("{mode}, as the configuration has it\n");
    }
    let whole = |seconds: &f64| std::time::Duration::try_from_secs_f64(seconds.ceil()).unwrap_or_default();
    let until = match expires_in {
        Some(left) => format!("for {} more", time_text(whole(left))),
        None => "until `weir mode policy` or a restart".to_owned(),
    };
    let set = since.as_ref().zip(*by).map(|(since, by)| {
        let reason = reason.as_ref().map(|reason| format!(": {}", reason.escape_debug())).unwrap_or_default();
        format!("set {since} from {by}{reason}\n")
    });
    format!("{mode}, {until}; the configuration has {policy}\n{}", set.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: whoever comes next reads what is in force, for how long, since when, from where and why.
    #[test]
    fn the_mode_reads_well() {
        let own = ModeReport {
            mode: "enforce".to_owned(),
            policy: "enforce".to_owned(),
            overridden: false,
            expires_in: None,
            reason: None,
            since: None,
            by: None,
        };
        assert_eq!(text(&own), "enforce, as the configuration has it\n");
        let thrown = ModeReport {
            mode: "shadow".to_owned(),
            overridden: true,
            expires_in: Some(1799.2),
            reason: Some("a bad\nlimit".to_owned()),
            since: Some("2026-11-24T09:00:00.000Z".to_owned()),
            by: Some([127, 0, 0, 1].into()),
            ..own
        };
        let expected = "shadow, for 30min more; the configuration has enforce\n\
                        set 2026-11-24T09:00:00.000Z from 127.0.0.1: a bad\\nlimit\n";
        assert_eq!(text(&thrown), expected);
    }
}
