//! Everything that is counted while the demo runs: what weir decided, and how it felt to be a visitor.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::cast::{Phase, Visitor};
use super::decision::{Decided, Fate};
use super::feed::{Feed, News};
use super::latency::Latencies;
use super::limits::{LimitLabels, Windows};
use super::visitors::Visit;

/// What is known of one visitor.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub admitted: u64,
    pub failed: u64,
    pub last_status: Option<StatusCode>,
    /// Refusals by limit, in the policy's order.
    pub refused_by: Vec<u64>,
    pub windows: Windows,
    /// The shortest and longest `Retry-After` that it was given.
    pub told_to_wait: Option<(Duration, Duration)>,
    /// Of its requests right after a refusal: how many were admitted, and how many refused.
    pub then_admitted: u64,
    pub then_refused: u64,
    waiting: bool,
    /// Articles that it received whole, through weir.
    pub articles: u64,
}

impl Record {
    pub(super) fn refused(&self) -> u64 {
        self.refused_by.iter().sum()
    }

    pub(super) fn requests(&self) -> u64 {
        self.admitted + self.refused() + self.failed
    }
}

/// All counts.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub limits: LimitLabels,
    pub feed: Feed,
    records: [Record; Visitor::COUNT],
    /// How long the reader's articles took, by the part of the demo.
    pub calm: Latencies,
    pub flooded: Latencies,
    pub without_weir: Latencies,
    /// Requests of the flood that went past weir.
    pub past_weir: u64,
    /// The body of the first refusal that the crawler read.
    pub refusal: Option<Bytes>,
}

impl Tally {
    pub(super) fn new(limits: LimitLabels) -> Self {
        let empty = || Record { refused_by: vec![0; limits.len()], ..Record::default() };
        Tally {
            records: std::array::from_fn(|_| empty()),
            limits,
            feed: Feed::default(),
            calm: Latencies::default(),
            flooded: Latencies::default(),
            without_weir: Latencies::default(),
            past_weir: 0,
            refusal: None,
        }
    }

    pub(super) fn record(&self, visitor: Visitor) -> &Record {
        &self.records[visitor.index()]
    }

    /// Counts a decision; says whether it is worth a line of its own.
    pub(super) fn decided(&mut self, decided: &Decided) -> Option<News> {
        let record = &mut self.records[decided.visitor.index()];
        record.last_status = Some(decided.status);
        match decided.fate {
            Fate::Admitted => {
                record.admitted += 1;
                let path = decided.target.split('?').next().unwrap_or_default();
                record.windows.admit(&self.limits, decided.at, &decided.method, path);
            }
            Fate::Refused(limit) => match record.refused_by.get_mut(usize::from(limit.0)) {
                Some(count) => *count += 1,
                None => record.failed += 1,
            },
            Fate::Failed => record.failed += 1,
        }
        self.feed.offer(decided)
    }

    /// Counts how a request went for its visitor.
    pub(super) fn visited(&mut self, visit: &Visit) {
        let is_article = visit.target.starts_with("/articles/");
        let is_well = visit.status == Some(StatusCode::OK);
        if visit.visitor == Visitor::Reader && is_article && is_well {
            match visit.phase {
                Phase::Calm | Phase::After => self.calm.add(visit.took),
                Phase::Flood => self.flooded.add(visit.took),
                Phase::WithoutWeir => self.without_weir.add(visit.took),
            }
        }
        if visit.phase == Phase::WithoutWeir {
            self.past_weir += u64::from(visit.visitor == Visitor::Flood);
            return;
        }
        if visit.visitor == Visitor::Crawler && self.refusal.is_none() {
            self.refusal.clone_from(&visit.refusal);
        }
        let record = &mut self.records[visit.visitor.index()];
        record.articles += u64::from(is_article && is_well);
        let refused = visit.status == Some(StatusCode::TOO_MANY_REQUESTS);
        if record.waiting {
            record.then_admitted += u64::from(!refused);
            record.then_refused += u64::from(refused);
        }
        record.waiting = refused && visit.retry_after.is_some();
        if let Some(wait) = visit.retry_after {
            let (least, most) = record.told_to_wait.unwrap_or((wait, wait));
            record.told_to_wait = Some((least.min(wait), most.max(wait)));
        }
    }
}
