//! Watching conduct: a bounded table of what principals did lately, and the detectors that look at it.
//!
//! Apart from the limits' records: who never goes near a limit has none of those, and is watched all the same.

use ahash::RandomState;
use parking_lot::Mutex;
use quick_cache::UnitWeighter;
use quick_cache::unsync::Cache;
use smallvec::SmallVec;

use crate::detect::{self, Answer, Conduct, Detector, Seen, Sight, Site};
use crate::facts::Principal;
use crate::finding::Finding;
use crate::time::Moment;

const SHARDS: usize = 16;
/// Bytes of a principal that was seen more than once, roughly: its counters and its trail.
const CONDUCT_BYTES: u64 = 900;

/// Everything that is known of everybody's conduct.
pub struct Watch {
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
    site: Mutex<Site>,
    detectors: Vec<Box<dyn Detector>>,
}

type Shard = Cache<Principal, Conduct, UnitWeighter, RandomState>;

/// New findings of one request.
pub type Findings = SmallVec<[Finding; 1]>;

impl Watch {
    pub fn new(memory_bytes: u64) -> Self {
        let hasher = RandomState::new();
        let per_shard = usize::try_from(memory_bytes / CONDUCT_BYTES).unwrap_or(usize::MAX) / SHARDS;
        let shard = |_| {
            let capacity = per_shard.max(64);
            Mutex::new(Cache::with(
                capacity,
                capacity as u64,
                UnitWeighter,
                hasher.clone(),
                Default::default(),
            ))
        };
        Watch {
            shards: (0..SHARDS).map(shard).collect(),
            hasher: hasher.clone(),
            site: Mutex::default(),
            detectors: detect::all(),
        }
    }

    /// Notes a request and its answer for everyone behind it, and returns what that shows anew.
    pub fn note(
        &self,
        principals: &[Principal],
        sight: &Sight,
        host: Option<u64>,
        answer: Answer,
        now: Moment,
    ) -> Findings {
        let mut site = self.site.lock();
        let event = site.learn(sight, host, answer, now);
        let mut findings = Findings::new();
        for principal in principals {
            let mut shard = self.shards[self.shard_of(*principal)].lock();
            if let Some(mut conduct) = shard.get_mut(principal) {
                let had_reached = conduct.has_reached;
                conduct.note(&event);
                if conduct.has_reached && !had_reached {
                    site.meet_reader();
                }
                self.judge(*principal, &mut conduct, &site, now, &mut findings);
            } else {
                let mut conduct = Conduct::new(now);
                conduct.note(&event);
                shard.insert(*principal, conduct);
            }
        }
        findings
    }

    fn judge(
        &self,
        principal: Principal,
        conduct: &mut Conduct,
        site: &Site,
        now: Moment,
        found: &mut Findings,
    ) {
        let seen = Seen { conduct, lately: conduct.lately(now), site, now };
        let mut open = 0;
        for (number, detector) in self.detectors.iter().enumerate() {
            let Some(suspicion) = detector.judge(&seen) else { continue };
            open |= 1 << number;
            if conduct.open & 1 << number == 0 {
                found.push(Finding {
                    at: now,
                    principal,
                    behaviour: detector.behaviour(),
                    confidence: suspicion.confidence,
                    rule: suspicion.rule,
                    evidence: suspicion.evidence,
                    requests: conduct.requests,
                    since: conduct.first,
                });
            }
        }
        // Once open, a finding stays open until the conduct itself is forgotten.
        conduct.open |= open;
    }

    fn shard_of(&self, principal: Principal) -> usize {
        usize::try_from(self.hasher.hash_one(principal) >> 32).unwrap_or(0) % SHARDS
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("detectors", &self.detectors.len()).finish_non_exhaustive()
    }
}
