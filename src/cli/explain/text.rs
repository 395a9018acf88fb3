//! Explanations for people.

use std::fmt::Write as _;

use super::amounts::{amount, bound, time};
use crate::engine::explain::report::{
    AskedAccount, ConvictionReport, EnforcementReport, LimitReport, NumbersReport, Report, UsageReport,
};
use crate::engine::recent::{OverReport, RefusalReport};

/// Whether the numbers are those of a running weir.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Used {
    Now,
    Unknown,
}

/// Column of what belongs to a limit, below its name.
const INDENT: &str = "      ";

/// Which limits a request meets, and why; with `all` also those that it does not.
pub(super) fn explanation(report: &Report, used: Used, all: bool) -> String {
    let mut out = String::new();
    let request = &report.request;
    let _ = writeln!(out, "{} {}{} from {}", request.method, request.host, request.path, request.client);
    let weight = if report.route.weight == 1 {
        String::new()
    } else {
        format!(", counts as {} requests", report.route.weight)
    };
    let _ = writeln!(out, "  route        {}, to {}{weight}", report.route.name, report.route.upstream);
    let _ = writeln!(out, "  account      {}", whose(report));
    let _ = writeln!(out, "  enforcement  {}", enforcement(&report.enforcement));
    if used == Used::Now {
        let _ = writeln!(out, "  now          {}", verdict(report));
    }
    let _ = writeln!(out, "\nlimits that apply");
    if report.limits.is_empty() {
        let _ = writeln!(out, "  none");
    }
    for limit in &report.limits {
        limit_lines(&mut out, limit, used);
    }
    if all && !report.others.is_empty() {
        let _ = writeln!(out, "\nlimits that do not");
        for other in &report.others {
            let _ = writeln!(out, "  {}: {}", other.name, other.why);
        }
    }
    out
}

/// Why a request was refused.
pub(super) fn refusal(report: &RefusalReport) -> String {
    let mut out = String::new();
    let RefusalReport { request_id, at, client, accounts, method, route, verdict, .. } = report;
    let RefusalReport { retry_after, over, .. } = report;
    let shadow = verdict == "shadow";
    let what = if shadow { "let pass, as in shadow," } else { "refused" };
    let _ = writeln!(out, "request {request_id}, {what} {at}");
    let _ = writeln!(out, "  client       {client}");
    let accounts = if accounts.is_empty() { "none that is known".to_owned() } else { accounts.join(", ") };
    let _ = writeln!(out, "  account      {accounts}");
    let _ = writeln!(out, "  request      {method}, route {}", route.as_deref().unwrap_or("none"));
    let wait = match retry_after {
        Some(wait) => format!("a retry would have been admitted after {}", time(*wait)),
        None => "no time could be told for a retry".to_owned(),
    };
    let because = if shadow { "would be refused by" } else { "because of  " };
    let reason = reason(report.limit.as_deref(), report.finding.as_ref());
    let _ = writeln!(out, "  {because} {reason}; {wait}");
    if over.is_empty() {
        return out;
    }
    let _ = writeln!(out, "\nlimits that it was over");
    for OverReport { name, clause, mode, counts, cost, numbers, usage, .. } in over {
        let _ = writeln!(out, "  {name} (clause {clause}): {}, by {counts}", bound(&numbers.bound, cost));
        source(&mut out, numbers, cost);
        let _ = writeln!(out, "{INDENT}used {} then", used_of(usage, cost));
        if mode != "enforce" {
            let _ = writeln!(out, "{INDENT}in {mode}: it refused nobody");
        }
    }
    out
}

fn whose(report: &Report) -> String {
    match (&report.accounts[..], report.unknown_credential) {
        ([], false) => "none".to_owned(),
        ([], true) => "none; with a credential that nobody has".to_owned(),
        (accounts, _) => accounts.iter().map(account).collect::<Vec<_>>().join("; and "),
    }
}

/// What refuses somebody: a limit, or what was found.
fn reason(limit: Option<&str>, finding: Option<&ConvictionReport>) -> String {
    match (limit, finding) {
        (_, Some(ConvictionReport { id, detector, clause, principal, .. })) => {
            format!("finding {id} of {detector} (clause {clause}), about its {principal}")
        }
        (limit, None) => limit.unwrap_or_default().to_owned(),
    }
}

fn account(account: &AskedAccount) -> String {
    let AskedAccount { id, known, plan, reference, suspended } = account;
    if !known {
        return format!("{id}, which neither the accounts file nor an agreement names");
    }
    let plan = plan.as_ref().map_or("no plan".to_owned(), |plan| format!("plan {plan}"));
    let reference = reference.as_ref().map(|reference| format!(", agreement \"{reference}\""));
    let suspended = suspended.as_ref().map(|clause| format!(", SUSPENDED (clause {clause})"));
    format!("{id}, {plan}{}{}", reference.unwrap_or_default(), suspended.unwrap_or_default())
}

fn enforcement(report: &EnforcementReport) -> String {
    let EnforcementReport { mode, policy, overridden, expires_in } = report;
    match (overridden, expires_in) {
        (false, _) => mode.clone(),
        (true, Some(left)) => format!("{mode}, set at run time, for {} more; else {policy}", time(*left)),
        (true, None) => format!("{mode}, set at run time; else {policy}"),
    }
}

fn verdict(report: &Report) -> String {
    let limit = reason(report.limit.as_deref(), report.finding.as_ref());
    let wait = report.wait.map(time);
    match (report.verdict.as_str(), wait) {
        _ if report.suspended.is_some() => "would be refused because the account is suspended".to_owned(),
        _ if report.barred.is_some() => "would be refused because the route is for other plans".to_owned(),
        ("forward", _) if report.needs_certificate => {
            "would be forwarded, where its client shows a certificate: the route needs one".to_owned()
        }
        ("forward", _) => "would be forwarded".to_owned(),
        ("delay", wait) => format!("would wait {} for {limit}", wait.unwrap_or_default()),
        (_, Some(wait)) => format!("would be refused because of {limit}, for {wait} more"),
        (_, None) => format!("would be refused because of {limit}"),
    }
}

fn limit_lines(out: &mut String, limit: &LimitReport, used: Used) {
    let LimitReport { name, clause, mode, weakened_by, counts, cost, numbers, within, usage, .. } = limit;
    let what = if cost == "requests" || cost == "requests in flight" {
        String::new()
    } else {
        format!(" of {cost}")
    };
    let _ = writeln!(out, "  {name} (clause {clause}): {}{what}, by {counts}", bound(&numbers.bound, cost));
    source(out, numbers, cost);
    if used == Used::Now {
        let over = if *within { "" } else { ": OVER" };
        let _ = writeln!(out, "{INDENT}used {} now{over}", used_of(usage, cost));
    }
    if mode != "enforce" {
        let _ = writeln!(out, "{INDENT}{}, refuses nobody: {}", mode.to_uppercase(), weakened_by.join("; "));
    }
}

/// Where the numbers come from, and what they override.
fn source(out: &mut String, numbers: &NumbersReport, cost: &str) {
    let from = numbers.from.as_deref().unwrap_or_default();
    let reference =
        numbers.reference.as_ref().map(|reference| format!(", \"{reference}\"")).unwrap_or_default();
    let _ = match numbers.layer.as_str() {
        "agreement" => writeln!(out, "{INDENT}from the agreement of {from}{reference}"),
        "plan" => writeln!(out, "{INDENT}from the plan {from}"),
        "policy" => writeln!(out, "{INDENT}from [[limits]]"),
        other => writeln!(out, "{INDENT}from the {other}"),
    };
    for other in &numbers.overrides {
        let layer = if other.layer == "policy" { "[[limits]]" } else { &other.layer };
        let _ = writeln!(out, "{INDENT}instead of {}, from {layer}", bound(&other.bound, cost));
    }
}

fn used_of(usage: &UsageReport, cost: &str) -> String {
    format!("{} of {}", amount(usage.used, cost), amount(usage.limit, cost))
}
