//! `weir explain`: which limits a request meets, whose numbers they have and why; and why one was refused.

mod amounts;
mod text;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::json;

use super::admin_client::{AdminClient, encoded};
use super::{DEFAULT_CONFIG, EXIT_BAD_USAGE, EXIT_FAILED, diagnostics};
use crate::clock::Clock;
use crate::config;
use crate::engine::Engine;
use crate::engine::explain::report::Report;
use crate::engine::explain::{Question, Unanswerable};
use crate::engine::recent::RefusalReport;
use crate::identity::{Certificate, Memory, Resolver};
use crate::time::Moment;

#[derive(Debug, Args)]
pub struct Options {
    /// The request's method
    #[arg(value_parser = method, required_unless_present = "request", requires = "path")]
    method: Option<Method>,
    /// The request's path
    path: Option<String>,
    /// The address that it comes from
    #[arg(long, value_name = "ADDRESS", default_value = "192.0.2.1")]
    client: IpAddr,
    /// The account that it is from, by its id
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// What the handshake of its client looks like, by JA4
    #[arg(long, value_name = "JA4")]
    fingerprint: Option<String>,
    /// Its Host
    #[arg(long, value_name = "NAME", default_value = "")]
    host: String,
    /// A header field of it, such as a credential; may be repeated
    #[arg(long, value_name = "NAME: VALUE", value_parser = field)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// A file with the certificate that its client shows, in PEM
    #[arg(long, value_name = "FILE", conflicts_with = "admin")]
    certificate: Option<PathBuf>,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// Ask the running weir with this admin listener, which knows how much is used
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "")]
    admin: Option<String>,
    /// Why the running weir refused the request with this id
    #[arg(long, value_name = "ID", conflicts_with_all = ["method", "path", "account", "host", "header", "certificate", "fingerprint"])]
    request: Option<String>,
    /// Also the limits that are not asked, and why
    #[arg(long)]
    all: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub const AFTER_HELP: &str = "\
Examples:
  weir explain --account acme --client 192.0.2.7 GET /api/v1/exports/9
  weir explain --header 'Authorization: Bearer …' GET /search     whose credential it is
  weir explain --admin --client 192.0.2.7 GET /search     with what is used now, from the running weir
  weir explain --request 01KB3Z5V8QX7K2M4N6P8R0S2T4       why that one was refused

A request id is in each of weir's own answers: the field X-Request-Id, and `request_id` in the body.

Exit codes: 0 explained, 1 the admin listener could not be asked or knows nothing of it, 2 the command line or the
configuration is wrong.";

/// Exits with 0 if there is an answer, 1 if the running weir has none, 2 if the configuration is wrong.
pub fn run(options: &Options) -> ExitCode {
    let answered = match (&options.request, &options.admin) {
        (Some(id), _) => of_request(options, id),
        (None, Some(_)) => live(options),
        (None, None) => return offline(options),
    };
    answered.map_or_else(
        |error| {
            eprintln!("weir: {error:#}");
            ExitCode::from(EXIT_FAILED)
        },
        |()| ExitCode::SUCCESS,
    )
}

/// From the file alone: nothing is used of any limit.
fn offline(options: &Options) -> ExitCode {
    let loaded = match config::load(&options.config) {
        Ok(loaded) => loaded,
        Err(problems) => {
            eprint!("{}", diagnostics::render(&problems, false));
            return ExitCode::from(EXIT_BAD_USAGE);
        }
    };
    let certificate = match options.certificate.as_deref().map(certificate).transpose() {
        Ok(certificate) => certificate,
        Err(error) => {
            eprintln!("weir: {error:#}");
            return ExitCode::from(EXIT_BAD_USAGE);
        }
    };
    let engine = Engine::new(0);
    let binding = engine.bind(Arc::new(loaded.policy));
    let question = question(options);
    // Under a key of its own: an unknown credential is nobody that is met again.
    let resolver = Resolver::new(binding.policy(), Arc::new(Memory::new(&[0; 32])));
    let who = resolver.resolve(&question.headers, certificate.as_ref(), Clock::start().wall());
    let who = who.map_err(|_| Unanswerable::TooManyCredentials);
    match who.and_then(|resolved| question.ask(&engine, &binding, resolved.who, Moment::ORIGIN)) {
        Ok(report) => show(options, &report, text::Used::Unknown),
        Err(why) if options.json => println!("{:#}", json!({ "unanswerable": why.to_string() })),
        Err(why) => println!("{why}"),
    }
    ExitCode::SUCCESS
}

fn live(options: &Options) -> anyhow::Result<()> {
    let question = question(options);
    let mut target = format!(
        "/api/v1/explain?method={}&path={}&client={}",
        encoded(question.method.as_str()),
        encoded(&question.path),
        encoded(&question.client.to_string()),
    );
    let named = [
        ("account", question.account.as_deref()),
        ("fingerprint", question.fingerprint.as_deref()),
        ("host", Some(question.host.as_str())),
    ];
    for (name, value) in named {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            target.extend(["&", name, "=", &encoded(value)]);
        }
    }
    for (name, value) in &question.headers {
        let value = encoded(&String::from_utf8_lossy(value.as_bytes()));
        target.extend(["&header=", name.as_str(), ":", &value]);
    }
    let report: Report = client(options)?.get(&target)?;
    show(options, &report, text::Used::Now);
    Ok(())
}

fn of_request(options: &Options, id: &str) -> anyhow::Result<()> {
    let report: RefusalReport = client(options)?.get(&format!("/api/v1/decisions/{}", encoded(id)))?;
    if options.json {
        println!("{:#}", json!(report));
    } else {
        print!("{}", text::refusal(&report));
    }
    Ok(())
}

fn client(options: &Options) -> anyhow::Result<AdminClient> {
    let address = options.admin.as_deref().filter(|address| !address.is_empty());
    AdminClient::find(address, &options.config)
}

fn question(options: &Options) -> Question {
    Question {
        method: options.method.clone().unwrap_or_default(),
        host: options.host.clone(),
        path: options.path.clone().unwrap_or_default(),
        client: options.client,
        account: options.account.as_deref().map(Arc::from),
        fingerprint: options.fingerprint.as_deref().map(Arc::from),
        headers: options.header.iter().cloned().collect::<HeaderMap>(),
    }
}

/// The first of a file: that of the client itself.
fn certificate(file: &Path) -> anyhow::Result<Certificate> {
    let der = CertificateDer::from_pem_file(file);
    let der = der.with_context(|| format!("cannot read a certificate from {}", file.display()))?;
    Ok(Certificate::read(&der))
}

fn show(options: &Options, report: &Report, used: text::Used) {
    if options.json {
        println!("{:#}", json!(report));
    } else {
        print!("{}", text::explanation(report, used, options.all));
    }
}

fn method(text: &str) -> Result<Method, String> {
    if text.starts_with('/') {
        return Err("the method comes first, such as GET".to_owned());
    }
    Method::from_bytes(text.as_bytes()).map_err(|error| error.to_string())
}

fn field(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("it is written NAME: VALUE")?;
    let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|error| error.to_string())?;
    let value = HeaderValue::from_str(value.trim()).map_err(|error| error.to_string())?;
    Ok((name, value))
}
