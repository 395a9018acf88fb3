//! What was refused lately and why, for whoever is asked about it: bounded rings, overwritten from their oldest end.
//! Beside them, in rings of their own, some of what a limit in shadow would have refused.
//!
//! It keeps a client's address (folded, as limits see it) and the ids of accounts for at most [`KEPT_FOR`], whatever
//! the traffic. Names are shared with the policy, so that remembering a refusal allocates nothing unless more than one
//! limit was over.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ahash::RandomState;
use http::Method;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::explain::Numbers;
use super::explain::report::{ConvictionReport, NumbersReport, UsageReport, cost_of, seconds};
use crate::clause::Behaviour;
use crate::facts::Client;
use crate::policy::{LimitId, Policy, TermsId};
use crate::remedy::{Conviction, Decision, LimitDetail, Mode, Refusal};
use crate::time::{Moment, WallTime};

/// Clients are spread over so many parts, and a flood of one client's refusals displaces those of its part only.
const PARTS: usize = 64;
/// Refusals that each part remembers: 4096 in all, at most 4 MiB.
const PART_CAPACITY: usize = 64;
/// The same of requests that were let pass: 1024 in all, at most 1 MiB.
const SHADOW_CAPACITY: usize = 16;
/// Each part notes one of these in such a time at most, so that a limit in shadow costs nothing however far it is
/// exceeded: 256 a second in all.
const SHADOW_INTERVAL: Duration = Duration::from_millis(250);
/// For how long at most.
pub const KEPT_FOR: Duration = Duration::from_secs(60 * 60);

/// The refusals of the last while. Any number of threads remember and look them up at once.
#[derive(Debug)]
pub struct RecentRefusals {
    hasher: RandomState,
    refused: Ring,
    shadow: Ring,
    /// In nanoseconds, when a part may note the next in shadow.
    shadow_from: [AtomicU64; PARTS],
}

/// Parts, each from its oldest to its latest.
#[derive(Debug)]
struct Ring {
    parts: [Mutex<VecDeque<Refused>>; PARTS],
    capacity: usize,
}

/// The id of a request. Copied, as long as weir made it: to share the field's value would take an allocation.
pub type RequestId = SmallVec<[u8; 32]>;

/// One request that a limit or a finding refused, or that a limit would have refused.
#[derive(Clone, Debug)]
pub struct Refused {
    pub at: Moment,
    pub request_id: RequestId,
    pub client: Client,
    pub accounts: SmallVec<[Arc<str>; 1]>,
    pub method: Method,
    pub route: Option<Arc<str>>,
    /// Whether it was let pass, as all that it was over was in shadow.
    pub in_shadow: bool,
    /// The limit that is named to the client, or would have been; `None` where none was asked, because of a finding.
    pub limit: Option<Arc<str>>,
    pub finding: Option<Box<Convicted>>,
    pub retry_after: Option<Duration>,
    /// Every limit that it was over, enforced or not.
    pub over: SmallVec<[Over; 1]>,
}

/// The finding because of which a request was refused.
#[derive(Clone, Debug)]
pub struct Convicted {
    pub conviction: Conviction,
    /// What the finding came from: a detector's name or a rule's.
    pub detector: Arc<str>,
    pub clause: Arc<str>,
}

/// A limit that a refused request was over.
#[derive(Clone, Debug)]
pub struct Over {
    pub limit: Arc<OfLimit>,
    pub detail: LimitDetail,
    /// Where they are not the limit's own.
    pub numbers: Option<Box<Numbers>>,
}

/// What refusals by one limit share.
#[derive(Debug)]
pub struct OfLimit {
    pub name: Arc<str>,
    pub clause: Arc<str>,
    pub cost: &'static str,
    pub numbers: Numbers,
}

/// The names that refusals share with each other, by the ids of one policy.
#[derive(Clone, Debug)]
pub struct Names {
    routes: Vec<Arc<str>>,
    limits: Vec<Arc<OfLimit>>,
    clauses: Vec<Arc<str>>,
    detectors: Vec<(Behaviour, Arc<str>)>,
}

/// A refusal as it is sent and printed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefusalReport {
    pub request_id: String,
    /// RFC 3339, in UTC.
    pub at: String,
    pub client: String,
    pub accounts: Vec<String>,
    pub method: String,
    pub route: Option<String>,
    /// `refuse`, or `shadow` where it was let pass and only would have been refused; others may come.
    pub verdict: String,
    /// The limit that was named to the client, or would have been; `None` where a finding refused it.
    pub limit: Option<String>,
    /// The finding that refused it.
    #[serde(default)]
    pub finding: Option<ConvictionReport>,
    /// Seconds; `None` where no time could be told.
    pub retry_after: Option<f64>,
    pub over: Vec<OverReport>,
}

/// A limit that a refused request was over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverReport {
    pub name: String,
    pub clause: String,
    pub mode: String,
    /// The kind of principal whose budget it was.
    pub counts: String,
    pub cost: String,
    #[serde(flatten)]
    pub numbers: NumbersReport,
    pub retry_after: Option<f64>,
    /// At that moment.
    pub usage: UsageReport,
}

impl Default for RecentRefusals {
    fn default() -> Self {
        RecentRefusals {
            hasher: RandomState::new(),
            refused: Ring::new(PART_CAPACITY),
            shadow: Ring::new(SHADOW_CAPACITY),
            shadow_from: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl RecentRefusals {
    /// Takes the place of the oldest of its part and kind.
    pub fn remember(&self, client: Client, in_shadow: bool, refused: impl FnOnce() -> Refused) {
        let ring = if in_shadow { &self.shadow } else { &self.refused };
        ring.remember(self.part_of(client), refused);
    }

    /// Whether what a limit in shadow would have refused of this client is to be remembered: if so, nothing more of its
    /// part is for a while.
    pub fn wants_shadow(&self, client: Client, now: Moment) -> bool {
        let from = &self.shadow_from[self.part_of(client)];
        let (free_from, next) = (from.load(Ordering::Relaxed), now.after(SHADOW_INTERVAL).as_nanos());
        free_from <= now.as_nanos()
            && from.compare_exchange(free_from, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The refusal of this request, if it is still remembered.
    pub fn find(&self, request_id: &str, now: Moment) -> Option<Refused> {
        let is_it = |refused: &&Refused| refused.request_id.as_slice() == request_id.as_bytes();
        let find = |part: &Mutex<VecDeque<Refused>>| part.lock().iter().rfind(is_it).cloned();
        self.parts().find_map(find).filter(|refused| is_fresh(refused, now))
    }

    /// The latest refusals, in shadow or not, at most `most`, the latest first.
    pub fn latest(&self, most: usize, now: Moment) -> Vec<Refused> {
        let mut latest = Vec::new();
        for part in self.parts() {
            let part = part.lock();
            latest.extend(part.iter().rev().take(most).filter(|refused| is_fresh(refused, now)).cloned());
        }
        latest.sort_by_key(|refused| Reverse(refused.at));
        latest.truncate(most);
        latest
    }

    /// Erases what is older than [`KEPT_FOR`]. Call it now and then.
    pub fn forget_old(&self, now: Moment) {
        for part in self.parts() {
            part.lock().retain(|refused| is_fresh(refused, now));
        }
    }

    fn parts(&self) -> impl Iterator<Item = &Mutex<VecDeque<Refused>>> {
        self.refused.parts.iter().chain(&self.shadow.parts)
    }

    fn part_of(&self, client: Client) -> usize {
        usize::try_from(self.hasher.hash_one(client) % PARTS as u64).unwrap_or(0)
    }
}

impl Ring {
    fn new(capacity: usize) -> Self {
        Ring { parts: std::array::from_fn(|_| Mutex::default()), capacity }
    }

    /// It is made where it is kept: it is too large to be moved about.
    fn remember(&self, part: usize, refused: impl FnOnce() -> Refused) {
        let mut part = self.parts[part].lock();
        let oldest = if part.len() >= self.capacity { part.pop_front() } else { None };
        part.push_back(refused());
        drop(part);
        // Freed when nobody waits for it any more.
        drop(oldest);
    }
}

fn is_fresh(refused: &Refused, now: Moment) -> bool {
    now.since(refused.at) < KEPT_FOR
}

impl Names {
    pub fn of(policy: &Policy) -> Self {
        let clauses: Vec<Arc<str>> = policy.clauses.iter().map(|clause| clause.id.as_str().into()).collect();
        let clause = |at: u16| clauses.get(usize::from(at)).cloned().unwrap_or_default();
        let limits = (0..).map(LimitId).zip(&policy.limits).map(|(id, limit)| {
            let numbers = Numbers::of(policy, id, TermsId::default());
            let cost = cost_of(limit.bound, limit.cost);
            Arc::new(OfLimit {
                name: limit.name.as_str().into(),
                clause: clause(limit.clause.0),
                cost,
                numbers,
            })
        });
        let conduct = &policy.conduct;
        let detectors = conduct.detectors.iter().map(|one| (one.behaviour, one.behaviour.name().into()));
        let rules = conduct.rules.iter().map(|rule| (rule.behaviour(), Arc::clone(&rule.name)));
        Names {
            routes: policy.routes.iter().map(|r| r.name.as_str().into()).collect(),
            limits: limits.collect(),
            detectors: detectors.chain(rules).collect(),
            clauses,
        }
    }

    pub fn convicted(&self, conviction: Conviction) -> Convicted {
        let clause = self.clauses.get(usize::from(conviction.clause.0)).cloned().unwrap_or_default();
        let found = self.detectors.iter().find(|(behaviour, _)| *behaviour == conviction.behaviour);
        let detector = found.map(|(_, name)| Arc::clone(name)).unwrap_or_default();
        Convicted { conviction, detector, clause }
    }

    pub fn route(&self, route: crate::policy::RouteId) -> Option<Arc<str>> {
        self.routes.get(usize::from(route.0)).cloned()
    }

    pub fn limit(&self, refusal: Refusal) -> Arc<str> {
        self.limits.get(usize::from(refusal.limit.0)).map(|limit| Arc::clone(&limit.name)).unwrap_or_default()
    }

    /// The limit that would have refused a request if it were enforced: of those that are over, the one with the longest
    /// wait, the first of them in file order.
    pub fn would_refuse(decision: &Decision) -> Option<Refusal> {
        let over = decision.details.iter().filter(|detail| !detail.within && detail.mode == Mode::Shadow);
        // Of equals, `max_by_key` takes the last.
        let longest = over.rev().max_by_key(|detail| detail.retry_after)?;
        Some(Refusal { limit: longest.limit, retry_after: longest.retry_after })
    }

    /// Every limit that a decision found exceeded.
    pub fn over(&self, policy: &Policy, decision: &Decision) -> SmallVec<[Over; 1]> {
        let over = decision.details.iter().filter(|detail| !detail.within).filter_map(|detail| {
            let limit = self.limits.get(usize::from(detail.limit.0))?;
            let numbers = || Box::new(Numbers::of(policy, detail.limit, detail.terms));
            let own = policy.terms(detail.terms).is_none_or(|terms| terms.numbers_of(detail.limit).is_none());
            Some(Over { limit: Arc::clone(limit), detail: *detail, numbers: (!own).then(numbers) })
        });
        over.collect()
    }
}

impl Refused {
    /// `now` and `wall` are the same time, by both clocks.
    pub fn report(&self, now: Moment, wall: WallTime) -> RefusalReport {
        let age_ms = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let at = WallTime { unix_ms: wall.unix_ms.saturating_sub(age_ms) };
        RefusalReport {
            request_id: String::from_utf8_lossy(&self.request_id).into_owned(),
            at: at.to_string(),
            client: self.client.address().to_string(),
            accounts: self.accounts.iter().map(ToString::to_string).collect(),
            method: self.method.to_string(),
            route: self.route.as_ref().map(ToString::to_string),
            verdict: if self.in_shadow { "shadow" } else { "refuse" }.to_owned(),
            limit: self.limit.as_ref().map(ToString::to_string),
            finding: self
                .finding
                .as_ref()
                .map(|it| ConvictionReport::new(&it.conviction, &it.detector, &it.clause, self.at)),
            retry_after: seconds(self.retry_after),
            over: self.over.iter().map(Over::report).collect(),
        }
    }
}

impl Over {
    fn report(&self) -> OverReport {
        OverReport {
            name: self.limit.name.to_string(),
            clause: self.limit.clause.to_string(),
            mode: self.detail.mode.name().to_owned(),
            counts: self.detail.principal.kind().name().to_owned(),
            cost: self.limit.cost.to_owned(),
            numbers: self.numbers.as_deref().unwrap_or(&self.limit.numbers).into(),
            retry_after: seconds(self.detail.retry_after),
            usage: self.detail.usage.into(),
        }
    }
}

// What is said of the memory holds: each with a request id of up to 128 bytes beside it.
const _: () = assert!(PARTS * PART_CAPACITY * (size_of::<Refused>() + 128) <= 4 << 20);
const _: () = assert!(PARTS * SHADOW_CAPACITY * (size_of::<Refused>() + 128) <= 1 << 20);
