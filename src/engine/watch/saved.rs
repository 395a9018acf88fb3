//! Open findings across a restart: by names and by the wall clock, as plain data for serde.

use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::Watch;
use super::case::{Case, FindingFilter, Sanction};
use super::crowds::is_crowd;
use crate::clause::{Behaviour, RuleId};
use crate::facts::{Client, Principal, PrincipalKind};
use crate::finding::{CLIENTS_MAX, Evidence, Finding, FindingId, RequestId, SAMPLES_MAX};
use crate::remedy::{Answer, Mode};
use crate::time::{Moment, WallTime};

/// One open finding. Times are milliseconds since the Unix epoch.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::engine) struct SavedFinding {
    id: u64,
    /// Its place in [`PrincipalKind::ALL`].
    kind: u8,
    principal: u128,
    /// A detector's, or a rule's.
    detector: String,
    is_rule: bool,
    clause: String,
    mode: u8,
    confidence: f32,
    rule: String,
    evidence: Vec<(String, u32, u32)>,
    requests: u32,
    times: u32,
    since: u64,
    opened: u64,
    last: u64,
    /// When it is over, if it is not recognised again.
    over: u64,
    sanction: Option<SavedSanction>,
    clients: Vec<u128>,
    samples: Vec<Vec<u8>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedSanction {
    since: u64,
    until: u64,
    is_forbidden: bool,
}

/// When something was that was before this process: no moment can say that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earlier {
    pub since: WallTime,
    pub opened: WallTime,
    pub last: WallTime,
}

impl Watch {
    pub(in crate::engine) fn parts(&self) -> usize {
        self.shards.len()
    }

    /// What is open in one part.
    pub(in crate::engine) fn save(&self, part: usize, origin: WallTime, now: Moment) -> Vec<SavedFinding> {
        let Some(shard) = self.shards.get(part) else { return Vec::new() };
        let shard = shard.lock();
        let open = FindingFilter { is_open: Some(true), ..FindingFilter::default() };
        shard.cases.select(&open).map(|case| SavedFinding::of(case, origin, now)).collect()
    }

    /// Puts a finding back, before anything is watched, unless it is over by now or of a kind that nobody knows.
    pub(in crate::engine) fn restore(
        &self,
        saved: SavedFinding,
        words: &mut Words,
        origin: WallTime,
        now: Moment,
    ) {
        let Some(case) = saved.case(words, origin, now) else { return };
        self.shared.go_on_after(case.finding.id);
        self.shared.note(case.sanction);
        if let Some(sanction) = case.sanction.filter(|_| is_crowd(case.finding.principal)) {
            self.shared.note_crowd(sanction.until);
        }
        let mut shard = self.shard(case.finding.principal).lock();
        if shard.cases.find(case.finding.principal, case.finding.behaviour).is_none() {
            drop(shard.cases.open(case, now));
        }
        self.shared.note_due(shard.cases.due());
    }
}

impl SavedFinding {
    fn of(case: &Case, origin: WallTime, now: Moment) -> Self {
        let finding = &case.finding;
        let wall = |at: Moment| wall_ms(at, origin);
        let earlier = case.earlier.as_ref();
        SavedFinding {
            id: finding.id.0,
            kind: finding.principal.kind() as u8,
            principal: finding.principal.id(),
            detector: case.detector.to_string(),
            is_rule: matches!(finding.behaviour, Behaviour::Rule(_)),
            clause: case.clause.to_string(),
            mode: case.mode as u8,
            confidence: finding.confidence,
            rule: finding.rule.to_owned(),
            evidence: finding.evidence.iter().map(|e| (e.counter.to_owned(), e.value, e.threshold)).collect(),
            requests: finding.requests,
            times: finding.times,
            since: earlier.map_or_else(|| wall(finding.since), |earlier| earlier.since.unix_ms),
            opened: earlier.map_or_else(|| wall(finding.opened), |earlier| earlier.opened.unix_ms),
            last: case.last_before(origin).unix_ms,
            over: wall(case.over_at(now)),
            sanction: case.sanction.map(|sanction| SavedSanction {
                since: wall(sanction.since),
                until: wall(sanction.until),
                is_forbidden: sanction.answer == Answer::Forbidden,
            }),
            clients: finding.clients.iter().map(|client| client.as_bits()).collect(),
            samples: finding.samples.iter().map(|id| id.as_bytes().to_vec()).collect(),
        }
    }

    /// `None` if it is over, or makes no sense here.
    fn case(self, words: &mut Words, origin: WallTime, now: Moment) -> Option<Case> {
        let at = |unix_ms: u64| {
            Moment::ORIGIN.after(Duration::from_millis(unix_ms.saturating_sub(origin.unix_ms)))
        };
        let over = at(self.over);
        let kind = *PrincipalKind::ALL.get(usize::from(self.kind))?;
        let behaviour = if self.is_rule {
            Behaviour::Rule(RuleId::named(&self.detector))
        } else {
            Behaviour::from_name(&self.detector)?
        };
        if over <= now {
            return None;
        }
        let evidence = self.evidence.iter().take(EVIDENCE_MAX).map(|(counter, value, threshold)| Evidence {
            counter: words.get(counter),
            value: *value,
            threshold: *threshold,
        });
        let evidence = evidence.collect();
        let finding = Finding {
            id: FindingId(self.id),
            principal: Principal::new(kind, self.principal),
            behaviour,
            confidence: self.confidence.clamp(0.0, 1.0),
            rule: words.get(&self.rule),
            evidence,
            requests: self.requests,
            since: at(self.since),
            opened: at(self.opened),
            last: at(self.last),
            closed: None,
            times: self.times,
            clients: self.clients.into_iter().take(CLIENTS_MAX).map(Client::from_bits).collect(),
            samples: self
                .samples
                .iter()
                .take(SAMPLES_MAX)
                .map(|id| RequestId::new(id))
                .collect::<SmallVec<_>>(),
        };
        let sanction = self.sanction.map(|saved| Sanction {
            since: at(saved.since),
            until: at(saved.until),
            answer: if saved.is_forbidden { Answer::Forbidden } else { Answer::TooManyRequests },
        });
        // What is left of its quiet time, until it is recognised again.
        let from = finding.last.max(sanction.map_or(Moment::ORIGIN, |sanction| sanction.until));
        let wall = |unix_ms| WallTime { unix_ms };
        Some(Case {
            quiet: over.since(from),
            finding,
            detector: self.detector.into(),
            clause: self.clause.into(),
            mode: *Mode::ALL.get(usize::from(self.mode))?,
            sanction,
            lasting: 0,
            earlier: Some(Box::new(Earlier {
                since: wall(self.since),
                opened: wall(self.opened),
                last: wall(self.last),
            })),
        })
    }
}

impl Case {
    /// When it was last recognised, by the wall clock, also where that was before this process.
    pub fn last_before(&self, origin: WallTime) -> WallTime {
        match &self.earlier {
            Some(earlier) if self.finding.last == Moment::ORIGIN => earlier.last,
            _ => WallTime { unix_ms: wall_ms(self.finding.last, origin) },
        }
    }
}

fn wall_ms(at: Moment, origin: WallTime) -> u64 {
    origin.unix_ms.saturating_add(at.as_nanos() / 1_000_000)
}

/// The names of counters and of detectors' rules: few, and they live as long as the process. Those of a snapshot, which is
/// read once at start, are made to, each once.
#[derive(Debug, Default)]
pub(in crate::engine) struct Words(HashSet<&'static str>);

/// More, or longer ones, are not those of any weir.
const WORDS_MAX: usize = 1024;
const WORD_BYTES_MAX: usize = 64;
const EVIDENCE_MAX: usize = 256;

impl Words {
    fn get(&mut self, text: &str) -> &'static str {
        if let Some(known) = self.0.get(text) {
            return known;
        }
        if self.0.len() >= WORDS_MAX || text.len() > WORD_BYTES_MAX {
            return "";
        }
        let word: &'static str = Box::leak(text.into());
        self.0.insert(word);
        word
    }
}
