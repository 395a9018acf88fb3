//! Load as a measure: which share of each upstream every account takes, against a fair share.
//!
//! [`UpstreamLoad`] counts: each admitted request has [`Seats`] there until it ends. [`watch`] compares, every
//! second or when somebody asks, never while a request waits. An account is in memory as long as a window holds
//! something of it, and 4,096 at most for each upstream; `shard` says what that leaves out.

mod fair;
mod report;
mod shard;
mod usage;
mod watch;
mod windows;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::facts::{Account, Client, Facts, Origin, Outcome};
use crate::policy::load::LoadWindow;
use crate::policy::{Policy, UpstreamId};
use crate::time::{Moment, nanos};
pub use report::{AccountLoad, UpstreamReport, Utilisation};
use shard::{Place, Shard};
use usage::Taken;
use watch::Watch;

const SHARDS: usize = 8;
/// Accounts that are known apart, about 1 KiB each.
const ACCOUNTS_PER_SHARD: usize = 512;

/// What an upstream gives, of which an account takes a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Time spent waiting for the upstream, never for the client.
    UpstreamTime,
    Requests,
    /// Both ways.
    Bytes,
    /// Requests in flight, those that wait for a place included: what the account would have of the upstream.
    Concurrency,
}

impl Resource {
    pub const ALL: [Resource; 4] =
        [Resource::UpstreamTime, Resource::Requests, Resource::Bytes, Resource::Concurrency];

    pub const fn name(self) -> &'static str {
        match self {
            Resource::UpstreamTime => "upstream_time",
            Resource::Requests => "requests",
            Resource::Bytes => "bytes",
            Resource::Concurrency => "concurrency",
        }
    }
}

/// How busy an upstream is at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    /// Requests that have a place there.
    pub in_flight: u32,
    /// Places, as configured or as estimated at that moment.
    pub capacity: u32,
}

/// An account takes an unreasonable share of an upstream: a finding of the clause on load. Shares in thousandths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadFinding {
    pub upstream: UpstreamId,
    /// As the operator names it.
    pub account: Arc<str>,
    pub resource: Resource,
    pub window: LoadWindow,
    pub share_permille: u32,
    /// What it would keep of the whole, were the upstream's load cut to the utilisation that is of no concern,
    /// max-min fairly among those who use it.
    pub fair_permille: u32,
    pub utilisation_permille: u32,
    pub since: Moment,
}

/// What a sweep found to have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadEvent {
    Began(LoadFinding),
    /// With the numbers of the last time that it held.
    Ended {
        finding: LoadFinding,
        lasted: Duration,
    },
}

/// The load of every upstream by name, so that a reload goes on counting.
#[derive(Debug, Default)]
pub(super) struct LoadBook {
    upstreams: Mutex<HashMap<String, Arc<UpstreamLoad>>>,
}

impl LoadBook {
    /// The upstreams of `policy`, in its order; those of other names are forgotten.
    pub(super) fn bind(&self, policy: &Policy) -> Vec<Arc<UpstreamLoad>> {
        let upstreams = &mut *self.upstreams.lock();
        let mut old = std::mem::take(upstreams);
        let names = policy.upstreams.iter().map(|upstream| &upstream.name);
        let each = names.map(|name| {
            let kept = old.remove(name).unwrap_or_default();
            Arc::clone(upstreams.entry(name.clone()).or_insert(kept))
        });
        each.collect()
    }
}

/// Whether requests are counted: not if nobody can be told apart and nothing is unreasonable.
pub(super) fn is_measured(policy: &Policy) -> bool {
    let identity = &policy.identity;
    policy.load.unreasonable.is_some() || !identity.sources.is_empty() || identity.learn_from.is_some()
}

/// Who uses one upstream, and how busy it is.
#[derive(Debug)]
pub(super) struct UpstreamLoad {
    /// Each in its own allocation, so that threads that count different accounts do not share a cache line.
    shards: [Arc<Shard>; SHARDS],
    watch: Mutex<Watch>,
}

impl Default for UpstreamLoad {
    fn default() -> Self {
        UpstreamLoad {
            shards: std::array::from_fn(|_| Arc::new(Shard::new(ACCOUNTS_PER_SHARD))),
            watch: Mutex::default(),
        }
    }
}

impl UpstreamLoad {
    /// Begins a request.
    pub(super) fn begin(&self, facts: &Facts<'_>) -> Seats {
        let mut seats = SmallVec::new();
        for account in &facts.who.accounts {
            seats.push(self.seat(Some(account), shard_of_account(account), seats.is_empty(), facts.at));
        }
        if seats.is_empty() {
            seats.push(self.seat(None, shard_of_client(facts.client), true, facts.at));
        }
        Seats(seats)
    }

    fn seat(&self, account: Option<&Account>, shard: usize, in_total: bool, now: Moment) -> Seat {
        let shard = Arc::clone(&self.shards[shard]);
        let place = shard.begin(account, in_total, now);
        Seat { shard, place, in_total }
    }
}

/// Where a request counts as one user's load, until it ends. Empty where nothing is measured.
#[derive(Debug, Default)]
pub(super) struct Seats(SmallVec<[Seat; 1]>);

#[derive(Debug)]
struct Seat {
    shard: Arc<Shard>,
    place: Place,
    /// A request with two accounts is charged to both, and is one request all the same.
    in_total: bool,
}

impl Seats {
    /// Ends the request.
    pub(super) fn settle(mut self, outcome: &Outcome) {
        self.end(taken(outcome), outcome.at);
    }

    fn end(&mut self, taken: Taken, now: Moment) {
        for Seat { shard, place, in_total } in self.0.drain(..) {
            shard.end(place, in_total, taken, now);
        }
    }
}

impl Drop for Seats {
    fn drop(&mut self) {
        // Nobody says when it ended or what it took: it took nothing, and was in flight up to the last count.
        self.end(Taken::default(), Moment::ORIGIN);
    }
}

/// What weir wrote itself is not the upstream's load; a wait for it is, even one in vain.
fn taken(outcome: &Outcome) -> Taken {
    let reached = outcome.origin == Origin::App || !outcome.upstream_time.is_zero();
    let bytes = match outcome.origin {
        Origin::App => outcome.request_bytes.saturating_add(outcome.response_bytes),
        Origin::Weir if reached => outcome.request_bytes,
        Origin::Weir => 0,
    };
    Taken { upstream_ns: nanos(outcome.upstream_time), requests: u64::from(reached), bytes }
}

/// An account's principal is the head of a hash already.
fn shard_of_account(account: &Account) -> usize {
    (account.principal.id() % SHARDS as u128) as usize
}

/// Folds the address, then spreads it (Fibonacci hashing: Knuth, The Art of Computer Programming 3, §6.4).
#[expect(clippy::cast_possible_truncation, reason = "the two halves, then three bits")]
fn shard_of_client(client: Client) -> usize {
    let bits = client.as_bits();
    let folded = (bits >> 64) as u64 ^ bits as u64;
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SHARDS.ilog2())) as usize
}

#[cfg(test)]
pub(crate) mod tests;
