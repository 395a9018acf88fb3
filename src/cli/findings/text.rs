//! Findings for people.

use std::fmt::Write as _;

use crate::admin::FindingsReport;
use crate::findings::report::{EvidenceReport, FindingReport};

/// A few lines on one finding.
pub(super) fn finding(report: &FindingReport) -> String {
    let mut out = String::new();
    let FindingReport { id, detector, clause, rule, confidence, principal, opened, times, .. } = report;
    let (kind, whose) = (&principal.kind, principal.id.escape_debug());
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{id}  {detector}  {kind} {whose}");
    let sure = confidence * 100.0;
    let _ = writeln!(out, "    {rule}, {sure:.0}% sure (clause {clause}): {}", numbers(&report.evidence));
    let often = if *times == 1 { "once".to_owned() } else { format!("{times} times") };
    let closed = report.closed.as_ref().map(|closed| format!(", closed {closed}")).unwrap_or_default();
    let _ = writeln!(out, "    opened {opened}, seen {often}, last {}{closed}", report.last);
    let _ = writeln!(out, "    {}", consequence(report));
    if report.addresses.iter().any(|address| *address != principal.id) {
        let _ = writeln!(out, "    from {}", report.addresses.join(", "));
    }
    if !report.samples.is_empty() {
        let _ = writeln!(out, "    such as request {}", report.samples.join(", ").escape_debug());
    }
    out
}

/// What follows from it.
fn consequence(report: &FindingReport) -> String {
    match (report.status, &report.until) {
        (Some(status), Some(until)) => format!("{}: refused with {status} until {until}", report.mode),
        _ => format!("{}: refuses nobody", report.mode),
    }
}

fn numbers(evidence: &[EvidenceReport]) -> String {
    let number = |one: &EvidenceReport| {
        format!("{} {} of {}", one.counter.replace('_', " "), one.value, one.threshold)
    };
    evidence.iter().map(number).collect::<Vec<_>>().join(", ")
}

/// How many there are.
pub(super) fn total(report: &FindingsReport, all: bool) -> String {
    let (shown, kind) = (report.findings.len(), if all { "" } else { "open " });
    match (shown, report.more) {
        (0, 0) => format!("no {kind}findings\n"),
        (1, 0) => format!("1 {kind}finding\n"),
        (shown, 0) => format!("{shown} {kind}findings\n"),
        (shown, more) => format!("the latest {shown} of {} {kind}findings\n", shown + more),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::report::PrincipalReport;

    fn report() -> FindingReport {
        FindingReport {
            id: 12,
            open: true,
            opened: "2026-11-24T09:00:00.000Z".to_owned(),
            last: "2026-11-24T09:01:00.000Z".to_owned(),
            closed: None,
            principal: PrincipalReport { kind: "account".to_owned(), id: "acme".to_owned() },
            addresses: vec!["192.0.2.7".to_owned()],
            behaviour: "crawl".to_owned(),
            detector: "crawl".to_owned(),
            rule: "unreferred".to_owned(),
            clause: "crawl".to_owned(),
            confidence: 0.9,
            mode: "enforce".to_owned(),
            action: "refuse".to_owned(),
            status: Some(429),
            until: Some("2026-11-24T09:10:00.000Z".to_owned()),
            evidence: vec![EvidenceReport { counter: "failed_distinct".to_owned(), value: 7, threshold: 6 }],
            times: 2,
            requests: 9,
            since: "2026-11-24T08:00:00.000Z".to_owned(),
            samples: vec!["01ABC".to_owned(), "x\u{1b}[31m".to_owned()],
        }
    }

    /// Promise: a person reads who, what, how sure, by which numbers, what follows and until when; and nothing that a
    /// client sent reaches the terminal as it came.
    #[test]
    fn a_finding_reads_well() {
        let expected = "\
12  crawl  account acme
    unreferred, 90% sure (clause crawl): failed distinct 7 of 6
    opened 2026-11-24T09:00:00.000Z, seen 2 times, last 2026-11-24T09:01:00.000Z
    enforce: refused with 429 until 2026-11-24T09:10:00.000Z
    from 192.0.2.7
    such as request 01ABC, x\\u{1b}[31m
";
        assert_eq!(finding(&report()), expected);
        let shadow = FindingReport { mode: "shadow".to_owned(), status: None, until: None, ..report() };
        assert!(finding(&shadow).contains("shadow: refuses nobody"));
    }

    /// Promise: nobody takes a part for the whole.
    #[test]
    fn a_part_is_said_to_be_one() {
        let of = |shown: usize, more| FindingsReport { findings: vec![report(); shown], more, last_event: 0 };
        assert_eq!(total(&of(0, 0), false), "no open findings\n");
        assert_eq!(total(&of(1, 0), true), "1 finding\n");
        assert_eq!(total(&of(2, 3), false), "the latest 2 of 5 open findings\n");
    }
}
