//! `weir replay`: what a configuration would have done with the requests of a log.

mod logs;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::{EXIT_BAD_USAGE, EXIT_FAILED, diagnostics};
use crate::config;
use crate::engine::{Case, FindingEvent};
use crate::facts::PrincipalKind;
use crate::logs::access::rfc3339;
use crate::policy::{LimitId, Policy};
use crate::replay::formats::fields::Fields;
use crate::replay::formats::{Format, LineReader};
use crate::replay::report::client_of;
use crate::replay::source::Progress;
use crate::replay::{Entry, Replay, Report};
use crate::time::WallTime;
use logs::Logs;

/// Bytes for what is remembered of clients, besides `[state] memory` for limits.
const MEMORY: u64 = 512 << 20;

#[derive(Debug, Args)]
pub struct Options {
    /// The access logs, merged by time; `-` is standard input
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// The configuration whose limits and clauses are used
    #[arg(long, value_name = "FILE", default_value = super::DEFAULT_CONFIG)]
    config: PathBuf,
    /// What the lines look like, where it cannot be told from them
    #[arg(long, value_name = "FORMAT")]
    format: Option<LogFormat>,
    /// What the names in a JSON log hold, such as `status=http.code,client=ip`
    #[arg(long, value_name = "FIELD=NAME,…")]
    fields: Option<Fields>,
    /// Print one JSON object for each finding, and one at the end
    #[arg(long)]
    json: bool,
}

/// As [`Format`], for the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// The Common or Combined Log Format, with or without a virtual host in front
    Combined,
    /// One JSON object a line
    Json,
    /// HAProxy's HTTP log
    Haproxy,
    /// The access log of an AWS load balancer, application or classic
    Aws,
}

impl From<LogFormat> for Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Combined => Format::Combined,
            LogFormat::Json => Format::Json,
            LogFormat::Haproxy => Format::Haproxy,
            LogFormat::Aws => Format::Aws,
        }
    }
}

pub const AFTER_HELP: &str = "\
Logs are read in the Common or Combined Log Format (a virtual host in front is fine), as JSON with one
object a line (nginx, Caddy, Traefik, weir; others with --fields), or as HAProxy and AWS load balancers
write them; compressed by gzip or zstd or not. Time is the logs' own. Nothing is sent anywhere.

Examples:
  weir replay --config config/weir.toml access.log
  weir replay --config config/weir.toml --fields status=http.code,client=ip app.json
  zcat access.log.*.gz | weir replay --config config/weir.toml --json -

Exit codes: 0 done, 1 a log could not be read, 2 the configuration is wrong.";

/// Replays the logs and says what came of it.
pub fn run(options: &Options) -> ExitCode {
    let loaded = match config::load(&options.config) {
        Ok(loaded) => loaded,
        Err(problems) => {
            eprint!("{}", diagnostics::render(&problems, io::stderr().is_terminal()));
            return ExitCode::from(EXIT_BAD_USAGE);
        }
    };
    match replay(options, loaded.policy) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir: {error:#}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn replay(options: &Options, policy: Policy) -> anyhow::Result<()> {
    let progress = Progress::default();
    let fields = options.fields.clone().unwrap_or_default();
    let reader = LineReader::new(options.format.map(Into::into), fields);
    let mut logs = Logs::open(&options.logs, &reader, &progress)?;
    let bar = bar(&options.logs);
    let mut replay = Replay::new(Arc::new(policy), MEMORY);
    let mut report = Report::default();
    let mut out = BufWriter::new(io::stdout().lock());
    logs.each(|entry| {
        let judgement = replay.judge(entry);
        let limited = report.note(entry, &judgement);
        if report.requests.is_multiple_of(1 << 14) {
            bar.set_position(progress.load(Ordering::Relaxed));
        }
        if let Some(limit) = limited {
            let requests = report.requests_of(entry.client);
            tell_limit(&mut out, options.json, replay.policy(), limit, entry, requests)?;
        }
        for event in &judgement.events {
            if let FindingEvent::Opened(case) = event {
                let client = client_of(case, entry);
                tell(&mut out, options.json, case, entry, (client, report.requests_of(client)))?;
            }
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    for log in logs.iter() {
        report.malformed += log.malformed;
        for line in &log.samples {
            eprintln!("weir: {}: not a request: {line}", log.name.display());
        }
        if let Some(fault) = log.fault() {
            eprintln!("weir: {} ends early: {fault}; what came before was read", log.name.display());
        }
    }
    summary(&mut out, options.json, replay.policy(), &report)?;
    Ok(out.flush()?)
}

/// A progress bar on a terminal, by bytes where the logs are files.
fn bar(logs: &[PathBuf]) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let sizes = logs.iter().map(|log| std::fs::metadata(log).map(|file| file.len()).ok());
    match sizes.sum::<Option<u64>>() {
        Some(bytes) => {
            let bar = ProgressBar::new(bytes);
            if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}") {
                bar.set_style(style);
            }
            bar
        }
        None => ProgressBar::new_spinner(),
    }
}

/// The first refusal of a client by a limit, on a line of its own. No detector says anything of it.
fn tell_limit(
    out: &mut impl Write,
    json: bool,
    policy: &Policy,
    limit: LimitId,
    entry: &Entry<'_>,
    requests: u32,
) -> io::Result<()> {
    let limit = policy.limit(limit);
    let clause = &policy.clause(limit.clause).id;
    if json {
        let line = json!({
            "client": entry.client,
            "verdict": "ok",
            "limit": limit.name,
            "clause": clause,
            "time": entry.unix_ms / 1000,
            "n": requests,
        });
        return writeln!(out, "{line}");
    }
    writeln!(
        out,
        "{}  {:<15}  {:<8}  {:<18}         after {requests} requests",
        time_text(entry.unix_ms),
        entry.client.to_string(),
        "limit",
        limit.name
    )
}

/// One finding, on a line of its own.
fn tell(
    out: &mut impl Write,
    json: bool,
    Case { finding, detector, clause, .. }: &Case,
    entry: &Entry<'_>,
    (client, requests): (IpAddr, u32),
) -> io::Result<()> {
    if json {
        let evidence: Map<String, Value> = finding
            .evidence
            .iter()
            .map(|e| (e.counter.to_owned(), json!({ "value": e.value, "threshold": e.threshold })))
            .collect();
        let line = json!({
            "client": client,
            "verdict": **detector,
            "detector": **detector,
            "rule": finding.rule,
            "clause": **clause,
            "principal": finding.principal.kind().name(),
            "account": entry.account.filter(|_| finding.principal.kind() == PrincipalKind::Account),
            "confidence": (finding.confidence * 100.0).round() / 100.0,
            "time": entry.unix_ms / 1000,
            "n": requests,
            "evidence": evidence,
        });
        return writeln!(out, "{line}");
    }
    let evidence: Vec<String> =
        finding.evidence.iter().map(|e| format!("{} {}", e.counter, e.value)).collect();
    writeln!(
        out,
        "{}  {:<15}  {:<8}  {:<18}  {:>3.0} %  after {requests} requests: {}",
        time_text(entry.unix_ms),
        client.to_string(),
        detector,
        finding.rule,
        finding.confidence * 100.0,
        evidence.join(", ")
    )
}

fn summary(out: &mut impl Write, json: bool, policy: &Policy, report: &Report) -> io::Result<()> {
    let refused = report.refused();
    let findings = report.findings();
    let ordinary = percent(refused.ordinary_refused, refused.ordinary_requests);
    if json {
        let by_detector: Map<String, Value> =
            findings.iter().map(|(detector, n)| ((*detector).to_owned(), json!(n))).collect();
        let line = json!({
            "summary": {
                "requests": report.requests,
                "malformed": report.malformed,
                "clients": report.clients(),
                "clients_found": report.found_clients(),
                "findings": by_detector,
                "limits": policy.limits.iter().map(|limit| &limit.name).collect::<Vec<_>>(),
                "refused_requests": refused.requests,
                "convicted_requests": refused.convicted,
                "ordinary_requests_refused_percent": ordinary,
                "ordinary_clients_refused": refused.ordinary_clients,
            },
            "verdict": "allow",
            "client": "summary",
            "time": report.last_unix_ms / 1000,
            "n": 0,
        });
        return writeln!(out, "{line}");
    }
    writeln!(out)?;
    writeln!(
        out,
        "requests        {} of {} clients, {} lines were none",
        report.requests,
        report.clients(),
        report.malformed
    )?;
    let list: Vec<String> = findings.iter().map(|(detector, n)| format!("{detector} {n}")).collect();
    writeln!(
        out,
        "found           {} clients: {}",
        report.found_clients(),
        if list.is_empty() { "nothing".to_owned() } else { list.join(", ") }
    )?;
    writeln!(out, "over a limit    {} requests", refused.requests)?;
    writeln!(out, "for findings    {} requests refused", refused.convicted)?;
    writeln!(
        out,
        "ordinary        {ordinary:.2} % of the requests of clients that no detector found would have been refused, of {} clients",
        refused.ordinary_clients
    )
}

/// With two decimals; nothing of nothing is none.
fn percent(part: u64, whole: u64) -> f64 {
    let hundredths = part.saturating_mul(10_000) / whole.max(1);
    f64::from(u32::try_from(hundredths).unwrap_or(u32::MAX)) / 100.0
}

/// `2016-02-20 05:00:45`, UTC.
fn time_text(unix_ms: u64) -> String {
    rfc3339(WallTime { unix_ms }).replace('T', " ").chars().take("2016-02-20 05:00:45".len()).collect()
}
