//! A small, fixed run of the demo, for tests of what counts and shows it.

use std::time::Duration;

use http::{Method, StatusCode};

use super::cast::{Phase, Visitor};
use super::decision::{Decided, Fate};
use super::limits::{LimitLabel, LimitLabels};
use super::tally::Tally;
use super::visitors::Visit;
use crate::policy::path::PathRules;
use crate::policy::template::Template;
use crate::policy::{LimitId, Match};

/// 100 requests in ten seconds, of them three articles.
pub(super) fn limits() -> LimitLabels {
    let articles = Template::parse("/articles/**", &PathRules::default());
    let label = |name: &str, units, clause: &str, paths| LimitLabel {
        name: name.to_owned(),
        rate: format!("{units}/10s"),
        clause: clause.to_owned(),
        units,
        window: Duration::from_secs(10),
        matches: Match { paths, ..Match::default() },
    };
    LimitLabels(vec![
        label("per-client", 100, "load", vec![]),
        label("articles", 3, "crawl", articles.into_iter().collect()),
    ])
}

pub(super) const ARTICLES: LimitId = LimitId(1);

const REFUSAL: &str = r#"{"detail": "No more today.", "clause": {"title": "Crawling"}}"#;

pub(super) fn decided(at_ms: u64, visitor: Visitor, target: &str, fate: Fate) -> Decided {
    Decided {
        at: Duration::from_millis(at_ms),
        visitor,
        method: Method::GET,
        target: target.to_owned(),
        status: if fate == Fate::Admitted { StatusCode::OK } else { StatusCode::TOO_MANY_REQUESTS },
        fate,
    }
}

pub(super) fn visit(
    visitor: Visitor,
    phase: Phase,
    target: &str,
    took_ms: u64,
    wait_s: Option<u64>,
) -> Visit {
    let status = if wait_s.is_some() { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::OK };
    Visit {
        visitor,
        phase,
        target: target.to_owned(),
        took: Duration::from_millis(took_ms),
        status: Some(status),
        retry_after: wait_s.map(Duration::from_secs),
        refusal: wait_s.map(|_| REFUSAL.into()),
    }
}

/// The reader has read one article; the crawler got three, and was refused the fourth twice.
pub(super) fn tally() -> Tally {
    let mut tally = Tally::new(limits());
    tally.decided(&decided(0, Visitor::Reader, "/", Fate::Admitted));
    tally.decided(&decided(400, Visitor::Reader, "/articles/a", Fate::Admitted));
    tally.visited(&visit(Visitor::Reader, Phase::Calm, "/articles/a", 6, None));
    for (at, target) in [(1000, "/articles/a"), (1050, "/articles/b"), (1100, "/articles/c")] {
        tally.decided(&decided(at, Visitor::Crawler, target, Fate::Admitted));
        tally.visited(&visit(Visitor::Crawler, Phase::Calm, target, 5, None));
    }
    for (at, wait) in [(1150, 10), (1200, 9)] {
        tally.decided(&decided(at, Visitor::Crawler, "/articles/d", Fate::Refused(ARTICLES)));
        tally.visited(&visit(Visitor::Crawler, Phase::Calm, "/articles/d", 1, Some(wait)));
    }
    tally
}
