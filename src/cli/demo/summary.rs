//! What is left when the visitors have gone: numbers for `--json`, and the same as text.

use std::time::Duration;

use serde::Serialize;

use super::cast::{Schedule, Visitor};
use super::ink::{Ink, Line};
use super::latency::LatencySummary;
use super::tally::{Record, Tally};
use crate::findings::report::{EvidenceReport, FindingReport};

/// How many articles there are to take.
pub(super) const ARTICLES: usize = 200;

/// The whole summary. Counts are of requests through weir, unless they say otherwise.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Summary {
    pub seconds: u64,
    pub visitors: Vec<VisitorSummary>,
    pub reader_latency: ReaderLatency,
    pub articles_in_total: usize,
    pub articles_taken_by_crawler: u64,
    /// Requests of the flood straight to the app, in the last part of the demo.
    pub flood_requests_past_weir: u64,
    /// The first refusal that the crawler read.
    pub refusal: Option<Refusal>,
    pub findings: Vec<Found>,
    /// A few lines of `/metrics`, as they were.
    pub metrics: Vec<String>,
}

/// What a detector found of a visitor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Found {
    pub visitor: Visitor,
    pub detector: String,
    pub clause: String,
    /// In percent.
    pub confidence: f64,
    /// `pages 7 of 6`, for people.
    pub evidence: Vec<String>,
    /// `shadow`: nobody is refused for it.
    pub mode: String,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct VisitorSummary {
    pub visitor: Visitor,
    pub address: String,
    pub requests: u64,
    pub admitted: u64,
    pub refused: u64,
    /// Answered by weir for another reason than a limit.
    pub failed: u64,
    pub refused_by: Vec<RefusedBy>,
    /// The shortest and longest `Retry-After`, in seconds.
    pub told_to_wait_seconds: Option<(u64, u64)>,
    /// Of its requests right after a refusal: how many were admitted, and how many refused.
    pub then_admitted: u64,
    pub then_refused: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct RefusedBy {
    pub limit: String,
    pub rate: String,
    pub clause: String,
    pub requests: u64,
}

/// What a refusal says to a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Refusal {
    pub detail: String,
    pub clause: String,
}

/// How long the reader waited for an article.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ReaderLatency {
    pub calm: Option<LatencySummary>,
    pub flood: Option<LatencySummary>,
    pub flood_without_weir: Option<LatencySummary>,
}

impl Summary {
    pub(super) fn of(
        tally: &Tally,
        schedule: Schedule,
        findings: &[FindingReport],
        metrics: Vec<String>,
    ) -> Self {
        Summary {
            seconds: schedule.total.as_secs(),
            visitors: Visitor::ALL.map(|visitor| visitor_summary(tally, visitor)).into(),
            reader_latency: ReaderLatency {
                calm: tally.calm.summary(),
                flood: tally.flooded.summary(),
                flood_without_weir: tally.without_weir.summary(),
            },
            articles_in_total: ARTICLES,
            articles_taken_by_crawler: tally.record(Visitor::Crawler).articles,
            flood_requests_past_weir: tally.past_weir,
            refusal: tally.refusal.as_deref().and_then(refusal),
            findings: findings.iter().filter_map(found).collect(),
            metrics,
        }
    }

    /// The summary for people.
    pub(super) fn lines(&self) -> Vec<Line> {
        let mut lines = vec![heading("Who got what")];
        lines.push(
            Line::new().put(Ink::Dim, "   visitor      requests  admitted  refused  refused by (clause)"),
        );
        for visitor in &self.visitors {
            lines.extend(visitor_lines(visitor));
        }
        lines.push(Line::new());
        lines.extend(self.waiting_lines());
        lines.push(Line::new());
        lines.extend(self.finding_lines());
        lines.push(Line::new());
        lines.extend(self.latency_lines());
        if !self.metrics.is_empty() {
            lines.push(Line::new());
            lines.push(heading("The same for Prometheus (a request can be over two limits at once)"));
            lines.extend(self.metrics.iter().map(|line| Line::new().put(Ink::Dim, format!(" {line}"))));
        }
        lines
    }

    fn waiting_lines(&self) -> Vec<Line> {
        let mut lines = vec![heading("What a refusal says, and who listens")];
        if let Some(Refusal { detail, clause }) = &self.refusal {
            lines.push(Line::new().plain(format!("   “{detail}”")));
            lines.push(
                Line::new()
                    .plain(format!("   and the clause of the acceptable use policy behind it: “{clause}”")),
            );
        }
        for visitor in &self.visitors {
            if let Some((least, most)) = visitor.told_to_wait_seconds {
                let waits = if least == most { format!("{most} s") } else { format!("{least} to {most} s") };
                let VisitorSummary { then_admitted, then_refused, .. } = visitor;
                let told = format!("   {:<12} Retry-After: {waits:<10}  ", visitor.visitor.name());
                let line = Line::new().plain(told);
                lines.push(if visitor.visitor == Visitor::Integration {
                    line.put(Ink::Good, waited(*then_admitted, *then_refused))
                } else {
                    line.put(Ink::Dim, format!("did not wait: refused again {then_refused} times"))
                });
            }
        }
        let (taken, all) = (self.articles_taken_by_crawler, self.articles_in_total);
        lines.push(Line::new().plain(format!("   The crawler got {taken} of {all} articles.")));
        lines
    }

    fn finding_lines(&self) -> Vec<Line> {
        let mut lines = vec![heading("What detectors found (in shadow; enforced, they refuse from 80% on)")];
        for Found { visitor, detector, clause, confidence, evidence, .. } in &self.findings {
            let numbers = evidence.first().map_or("", String::as_str);
            let sure = format!("{confidence:.0}%");
            lines.push(
                Line::new()
                    .plain(format!("   {:<12} ", visitor.name()))
                    .put(Ink::Accent, format!("{detector:<10}"))
                    .plain(format!("{sure:>4} sure  {numbers} ({clause})")),
            );
        }
        if self.findings.is_empty() {
            lines.push(Line::new().put(Ink::Dim, "   nothing in so short a time"));
        }
        lines
    }

    fn latency_lines(&self) -> Vec<Line> {
        let ReaderLatency { calm, flood, flood_without_weir } = self.reader_latency;
        let row = |name: &str, latency: Option<LatencySummary>, ink: Ink| {
            let line = Line::new().plain(format!("   {name:<30}"));
            match latency {
                Some(LatencySummary { count, median_ms, slowest_ms }) => line
                    .put(ink, format!("{median_ms:>8.1} ms"))
                    .plain(format!("  {slowest_ms:>8.1} ms  {count:>8}")),
                None => line.put(Ink::Dim, "       –            –          –"),
            }
        };
        vec![
            heading("How long the reader waited for an article"),
            Line::new().put(
                Ink::Dim,
                format!("   {:<30}{:>11}  {:>11}  {:>8}", "", "median", "slowest", "articles"),
            ),
            row("without a flood", calm, Ink::Good),
            row("in the flood, behind weir", flood, Ink::Good),
            row("in the same flood without weir", flood_without_weir, Ink::Bad),
        ]
    }
}

fn heading(text: &str) -> Line {
    Line::new().put(Ink::Bold, format!(" {text}"))
}

/// Reads a problem document (RFC 9457) as weir writes it.
fn refusal(body: &[u8]) -> Option<Refusal> {
    let problem: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = |pointer| problem.pointer(pointer).and_then(serde_json::Value::as_str).map(str::to_owned);
    Some(Refusal { detail: text("/detail")?, clause: text("/clause/title")? })
}

/// How it went for one who waits as it is told.
fn waited(admitted: u64, refused: u64) -> String {
    match admitted + refused {
        0 => "was still waiting at the end".to_owned(),
        1 if refused == 0 => "waited once, and was admitted".to_owned(),
        times => format!("waited {times} times, admitted {admitted} times"),
    }
}

/// `None` of a guest.
fn found(report: &FindingReport) -> Option<Found> {
    let address = report.principal.id.parse().ok()?;
    let number = |one: &EvidenceReport| {
        format!("{} {} of {}", one.counter.replace('_', " "), one.value, one.threshold)
    };
    let found = Found {
        visitor: Visitor::at(address),
        detector: report.detector.clone(),
        clause: report.clause.clone(),
        confidence: (report.confidence * 100.0).round(),
        evidence: report.evidence.iter().map(number).collect(),
        mode: report.mode.clone(),
    };
    (found.visitor != Visitor::Guest).then_some(found)
}

fn visitor_summary(tally: &Tally, visitor: Visitor) -> VisitorSummary {
    let record = tally.record(visitor);
    let seconds = |(least, most): (Duration, Duration)| (least.as_secs(), most.as_secs());
    VisitorSummary {
        visitor,
        address: visitor.address().to_string(),
        requests: record.requests(),
        admitted: record.admitted,
        refused: record.refused(),
        failed: record.failed,
        refused_by: refused_by(tally, record),
        told_to_wait_seconds: record.told_to_wait.map(seconds),
        then_admitted: record.then_admitted,
        then_refused: record.then_refused,
    }
}

fn refused_by(tally: &Tally, record: &Record) -> Vec<RefusedBy> {
    let by_limit = tally.limits.iter().zip(&record.refused_by).filter(|(_, requests)| **requests > 0);
    let refused = by_limit.map(|(label, requests)| RefusedBy {
        limit: label.name.clone(),
        rate: label.rate.clone(),
        clause: label.clause.clone(),
        requests: *requests,
    });
    refused.collect()
}

/// One line for the counts, and one more for every further limit that refused.
fn visitor_lines(summary: &VisitorSummary) -> Vec<Line> {
    let mut reasons = summary
        .refused_by
        .iter()
        .map(|by| format!("{:>6} × {} {} ({})", by.requests, by.limit, by.rate, by.clause))
        .collect::<Vec<String>>();
    if summary.failed > 0 {
        reasons.push(format!("{:>6} × an error of weir's", summary.failed));
    }
    let mut reasons = reasons.into_iter();
    let refused_ink = if summary.refused > 0 { Ink::Bad } else { Ink::Plain };
    let first = Line::new()
        .plain(format!("   {:<11} {:>9}", summary.visitor.name(), summary.requests))
        .put(Ink::Good, format!("{:>10}", summary.admitted))
        .put(refused_ink, format!("{:>9}", summary.refused))
        .plain(format!("  {}", reasons.next().unwrap_or_default()));
    std::iter::once(first).chain(reasons.map(|more| Line::new().plain(format!("{:45}{more}", "")))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::cast::Phase;
    use crate::cli::demo::sample;

    fn summary(tally: &Tally) -> Summary {
        Summary::of(tally, Schedule { total: Duration::from_secs(30) }, &[], Vec::new())
    }

    /// Promise: every request is either admitted, refused by one limit, or failed, and each is counted once.
    #[test]
    fn the_counts_add_up() {
        let summary = summary(&sample::tally());
        for visitor in &summary.visitors {
            assert_eq!(visitor.requests, visitor.admitted + visitor.refused + visitor.failed);
            assert_eq!(visitor.refused, visitor.refused_by.iter().map(|by| by.requests).sum::<u64>());
        }
        let crawler = &summary.visitors[Visitor::Crawler.index()];
        assert_eq!((crawler.admitted, crawler.refused), (3, 2));
        let by = |limit: &str, rate: &str, clause: &str, requests| RefusedBy {
            limit: limit.to_owned(),
            rate: rate.to_owned(),
            clause: clause.to_owned(),
            requests,
        };
        assert_eq!(crawler.refused_by, [by("articles", "3/10s", "crawl", 2)]);
        assert_eq!(crawler.told_to_wait_seconds, Some((9, 10)));
        assert_eq!((crawler.then_admitted, crawler.then_refused), (0, 1));
        assert_eq!(summary.articles_taken_by_crawler, 3);
        let refusal = Refusal { detail: "No more today.".to_owned(), clause: "Crawling".to_owned() };
        assert_eq!(summary.refusal, Some(refusal));
    }

    /// Promise: what goes past weir is never counted as weir's, and its latency is told apart.
    #[test]
    fn what_passes_weir_by_is_apart() {
        let mut tally = sample::tally();
        let before = summary(&tally);
        tally.visited(&sample::visit(Visitor::Flood, Phase::WithoutWeir, "/search?q=1", 300, None));
        tally.visited(&sample::visit(Visitor::Reader, Phase::WithoutWeir, "/articles/a", 250, None));
        let after = summary(&tally);
        assert_eq!(after.flood_requests_past_weir, 1);
        assert_eq!(after.reader_latency.calm, before.reader_latency.calm);
        assert_eq!(after.reader_latency.flood_without_weir.map(|l| l.median_ms), Some(250.0));
        let requests = |summary: &Summary| summary.visitors.iter().map(|v| v.requests).collect::<Vec<_>>();
        assert_eq!(requests(&after), requests(&before));
    }

    /// Promise: the text fits 80 columns, whatever was refused.
    #[test]
    fn the_text_fits_80_columns() {
        for line in summary(&sample::tally()).lines() {
            let whole = line.render(200, false);
            assert!(whole.chars().count() <= 80, "{whole}");
        }
    }
}
