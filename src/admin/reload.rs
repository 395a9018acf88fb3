//! `/api/v1/reload`: the configuration is read again, and whoever asked is told what came of it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Admin;
use super::answer::{self, Answer};
use super::asked::Asked;

/// What came of reading the configuration again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// Whether it is in force; otherwise the one before it still is.
    pub reloaded: bool,
    /// Parts that are not what they were at start, and take effect after a restart.
    pub needs_restart: Vec<String>,
    /// Errors and warnings, as of `weir check --json`.
    pub diagnostics: Vec<Value>,
    /// The same for people.
    pub text: String,
}

/// Reads the configuration again. Handed over by whoever knows its file.
pub struct Reload(Box<dyn Fn(IpAddr) -> ReloadReport + Send + Sync>);

impl Reload {
    /// `read` is told who asks.
    pub fn by(read: impl Fn(IpAddr) -> ReloadReport + Send + Sync + 'static) -> Self {
        Reload(Box::new(read))
    }
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reload")
    }
}

pub(super) fn refuse_read(_: &Arc<Admin>, _: &Asked) -> Answer {
    answer::method_not_allowed("POST")
}

/// 200 with the report; 422 with the report in a problem document where the configuration is refused.
pub(super) fn run(admin: &Arc<Admin>, asked: &Asked) -> Answer {
    let Some(Reload(read)) = &admin.reload else {
        let detail = "This weir was started without a configuration file.";
        return answer::problem(StatusCode::CONFLICT, detail, &[]);
    };
    let report = read(asked.from);
    if report.reloaded {
        return answer::json(&report);
    }
    let detail = "The configuration is refused; the one before it stays in force.";
    let ReloadReport { reloaded, needs_restart, diagnostics, text } = report;
    let members = [
        ("reloaded", json!(reloaded)),
        ("needs_restart", json!(needs_restart)),
        ("diagnostics", json!(diagnostics)),
        ("text", json!(text)),
    ];
    answer::problem(StatusCode::UNPROCESSABLE_ENTITY, detail, &members)
}
