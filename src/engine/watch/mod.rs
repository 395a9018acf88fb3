//! Watching conduct: what principals did lately, the detectors that look at it, and the findings that come of that.
//!
//! Apart from the limits' records: who never goes near a limit has none of those, and is watched all the same.
//!
//! | file | what it knows |
//! |---|---|
//! | [`arrival`] | who is charged with a request, and what is kept of it until its answer is known |
//! | [`panel`] | the detectors of a policy, and whom they spare |
//! | [`shard`] | the conduct of some principals, and how a finding opens and grows |
//! | [`cases`] | the findings about them, bounded |
//! | [`case`] | one finding, and what is done about it |
//! | [`crowds`] | networks and software, whose clients do too little each |
//! | [`saved`] | open findings across a restart |
//! | [`echo`] | the same request, refused again and again |
//! | [`unreasonable`] | findings of unreasonable load, which `engine::load` measures |
//!
//! **Memory.** Conduct is forgotten when room is needed, that of principals met once first. Findings are kept apart: no
//! number of newcomers displaces one, nor the sanction that it carries. When findings alone fill their share, one that
//! refuses nobody is not opened, and one that refuses takes the place of one that does not; an account's sanction goes last.
//!
//! **Locks.** One at a time, and none is waited for while another is held. Learning about the site is left out where
//! another thread is at it.
//!
//! **What is refused.** A request that weir answered itself is demand and nothing else: it counts for the detectors that
//! are about demand, and is no evidence of what the app has or bears. Once a principal is refused, its conduct starts
//! over: what it did before cannot prolong the sanction, nor bring on the next one.

mod arrival;
mod case;
mod cases;
mod crowds;
mod echo;
mod panel;
mod saved;
mod shard;
mod shared;
mod unreasonable;

pub use arrival::{Arrival, Fields, Text};
pub use case::{Case, FindingEvent, FindingEvents, FindingFilter, Sanction};
pub use cases::CLOSED_KEPT_FOR as FINDING_KEPT_FOR;

pub(super) use arrival::{Watched, charged, fault};
pub(super) use panel::Panel;
pub use saved::Earlier;
pub(super) use saved::{SavedFinding, Words};

use std::cmp::Reverse;
use std::time::Duration;

use ahash::RandomState;
use parking_lot::Mutex;

use super::Binding;
use crate::clause::Behaviour;
use crate::detect::{Event, Fault, Site};
use crate::facts::{ConnFacts, Facts, Origin, Outcome, Principal, PrincipalKind, Who};
use crate::remedy::{Conviction, Mode};
use crate::time::Moment;
use crowds::Crowds;
use echo::Echoes;
use shard::{Noted, Shard};
use shared::Shared;

/// So small that nothing that is done to one takes long.
const SHARD_BYTES: u64 = 512 << 10;
const SHARDS_MAX: u64 = 4096;
/// What is known of the site takes a quarter of a mebibyte, and what is known of crowds as much at most.
const BYTES_MIN: u64 = 1 << 20;

/// Everything that is known of everybody's conduct.
pub(super) struct Watch {
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
    site: Mutex<Site>,
    crowds: Mutex<Crowds>,
    shared: Shared,
    echoes: Echoes,
    bytes_max: u64,
}

/// How full the watch is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchStats {
    /// Principals whose conduct is known.
    pub principals: u64,
    /// What their conduct takes.
    pub bytes: u64,
    pub bytes_max: u64,
    pub findings_open: u64,
    /// Findings that were closed because others needed the room, and how often one was not opened for want of it.
    pub findings_displaced: u64,
}

impl Watch {
    /// A watch of at most `memory_bytes`, the allocator's share included; at least one MiB. The key is for hashes.
    pub(super) fn new(memory_bytes: u64, key: u64) -> Self {
        let bytes_max = memory_bytes.max(BYTES_MIN);
        let for_shards = bytes_max - BYTES_MIN / 2;
        let count = for_shards.div_ceil(SHARD_BYTES).min(SHARDS_MAX);
        let hasher = RandomState::with_seeds(key, key.rotate_left(16), !key, 0x7761_7463);
        let shard = |_| Mutex::new(Shard::new(for_shards / count, hasher.clone()));
        Watch {
            shards: (0..count).map(shard).collect(),
            hasher: hasher.clone(),
            site: Mutex::default(),
            crowds: Mutex::default(),
            shared: Shared::default(),
            echoes: Echoes::default(),
            bytes_max,
        }
    }

    /// Notes a request and its answer for everyone who is charged with it, and tells what that shows anew. `told`:
    /// for how long a refusal asked to stay away.
    pub(super) fn note(
        &self,
        binding: &Binding,
        watched: &Watched,
        outcome: &Outcome,
        told: Option<Duration>,
    ) -> FindingEvents {
        let answer = watched.answer(binding, outcome, told);
        let (sight, host, at) = (&watched.sight, watched.host, outcome.at);
        let is_astray = watched.is_astray(outcome);
        // What is nowhere says nothing of the site.
        let site = if is_astray { None } else { self.site.try_lock() };
        let learned = site.map(|mut site| {
            let event = site.learn(sight, host, answer, at);
            (event, site.signs(at))
        });
        let (event, signs) = match learned {
            Some((event, signs)) => (event, Some(signs)),
            None => (Event::unlearned(sight, host, answer, at), None),
        };
        let from = self.hasher.hash_one(watched.from);
        let event = Event { from, is_astray, times: watched.times, ..event };
        let is_refused = outcome.origin == Origin::Weir && !is_astray;
        let noted = Noted { panel: binding.panel(), watched, event, signs, is_refused, shared: &self.shared };
        let mut events = FindingEvents::new();
        for principal in &watched.charged {
            let mut shard = self.shard(*principal).lock();
            let news = shard.note(*principal, &noted, &mut events);
            if !events.is_empty() {
                self.shared.note_due(shard.cases.due());
            }
            drop(shard);
            if !news.met.is_nothing() {
                self.site.lock().meet(news.met);
            }
            if principal.kind() == PrincipalKind::Client {
                self.note_crowds(binding, news, &noted, &mut events);
            }
        }
        events
    }

    /// For how many of the same a request that is refused is to be noted; 0: not at all.
    pub(super) fn echo(&self, facts: &Facts<'_>, query: Option<&str>) -> u16 {
        let Facts { client, who, method, host, path, .. } = *facts;
        let whose = charged(client, who);
        self.echoes.count(self.hasher.hash_one((client, whose, method, host, path, query)), facts.at)
    }

    /// Notes what did not become a request, and tells what that shows anew. The site learns nothing from it.
    pub(super) fn note_fault(
        &self,
        binding: &Binding,
        watched: &Watched,
        fault: Fault,
        at: Moment,
    ) -> FindingEvents {
        let answer = watched.answer(binding, &Outcome::unreadable(at), None);
        let event = Event::unlearned(&watched.sight, watched.host, answer, at);
        let panel = binding.panel();
        let noted = Noted { panel, watched, event, signs: None, is_refused: false, shared: &self.shared };
        let mut events = FindingEvents::new();
        for principal in &watched.charged {
            let mut shard = self.shard(*principal).lock();
            shard.note_fault(*principal, fault, &noted, &mut events);
            if !events.is_empty() {
                self.shared.note_due(shard.cases.due());
            }
        }
        events
    }

    /// Why a request is refused for what somebody behind it did; of several reasons the one that holds longest.
    pub(super) fn conviction(&self, binding: &Binding, facts: &Facts<'_>) -> Option<Conviction> {
        if !self.shared.is_anyone_refused(facts.at) {
            return None;
        }
        let mut charged = charged(facts.client, facts.who);
        charged.extend(self.crowds_of(binding, facts));
        let convictions =
            charged.iter().filter_map(|principal| self.conviction_of(*principal, binding, facts));
        convictions.max_by_key(|conviction| conviction.until)
    }

    /// Whether a client is refused for what it did on its connections without its becoming a request.
    pub(super) fn closes_to(&self, binding: &Binding, conn: &ConnFacts) -> bool {
        if !self.shared.is_anyone_refused(conn.at) {
            return false;
        }
        let Some(judge) = binding.panel().judge(Behaviour::Protocol) else { return false };
        let principal = Principal::from(conn.client);
        judge.terms.mode == Mode::Enforce
            && !judge.spares(conn.address, &Who::default())
            && self.shard(principal).lock().cases.of(principal).any(|case| {
                case.finding.behaviour == judge.behaviour
                    && case.sanction.is_some_and(|sanction| conn.at < sanction.until)
            })
    }

    fn conviction_of(
        &self,
        principal: Principal,
        binding: &Binding,
        facts: &Facts<'_>,
    ) -> Option<Conviction> {
        let shard = self.shard(principal).lock();
        let convictions = shard.cases.of(principal).filter_map(|case| {
            let sanction = case.sanction.filter(|sanction| facts.at < sanction.until)?;
            // As the policy has it now: what it only watches refuses nobody, whatever it was before.
            let judge = binding.panel().judge(case.finding.behaviour)?;
            let holds = judge.terms.mode == Mode::Enforce && !judge.spares(facts.address, facts.who);
            holds.then_some(Conviction {
                finding: case.finding.id,
                behaviour: judge.behaviour,
                clause: judge.terms.clause,
                principal,
                answer: judge.terms.answer,
                until: sanction.until,
            })
        });
        convictions.max_by_key(|conviction| conviction.until)
    }

    /// Closes what was not recognised for a while.
    pub(super) fn sweep(&self, now: Moment) -> FindingEvents {
        let mut events = FindingEvents::new();
        if self.shared.take_due(now) {
            let mut due = Moment::from_nanos(u64::MAX);
            for shard in &self.shards {
                let mut shard = shard.lock();
                shard.cases.close_over(now, &mut events);
                due = due.min(shard.cases.due());
            }
            self.shared.note_due(due);
        }
        events
    }

    /// The findings that are wanted, open and lately closed, at most `most`, the latest first.
    pub(super) fn findings(&self, filter: &FindingFilter, most: usize) -> Vec<Case> {
        let mut found: Vec<Case> = Vec::new();
        for shard in &self.shards {
            found.extend(shard.lock().cases.select(filter).cloned());
        }
        found.sort_by_key(|case| Reverse(case.finding.id));
        found.truncate(most);
        found
    }

    pub(super) fn stats(&self) -> WatchStats {
        let mut stats = WatchStats { bytes_max: self.bytes_max, ..WatchStats::default() };
        for shard in &self.shards {
            let shard = shard.lock();
            stats.principals += shard.principals();
            stats.bytes += shard.conduct_bytes();
            stats.findings_open += shard.cases.open_count() as u64;
            stats.findings_displaced += shard.cases.displaced;
        }
        stats
    }

    /// Bits of the hash choose that the shard's own table uses neither as place nor as tag (Lemire 2019).
    fn shard(&self, principal: Principal) -> &Mutex<Shard> {
        let bits = (self.hasher.hash_one(principal) >> 32 & 0xffff) as usize;
        &self.shards[(bits * self.shards.len()) >> 16]
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}
