//! The bounded state: one record per principal, in shards, and one for everyone.
//!
//! **Who is remembered.** Three quarters of the memory can be held, which means that no flood of keys displaces it:
//!
//! - clients, sessions and the like that have used more than half of a limit, or were refused, until all of that
//!   is back; they may take five eighths of the memory;
//! - accounts, whatever they have used, until nothing of it counts any more;
//! - networks that stand for clients for which those five eighths had no room.
//!
//! All others are forgotten when room is needed, those first that were met once (see `shard`); requests in flight
//! are never forgotten, and the driver bounds them by its connections.
//!
//! **When offenders alone fill their share**, each further one is charged to its network as well: what it has used
//! is moved there, every further request of it has to pass both, and its own record may be forgotten. Those that a
//! network stands for share one budget of the limit's size. Its other clients are not charged to it (see `crowd`), so
//! that a first request is neither refused nor unlimited for want of room. Should networks fill their share too, the
//! next ones are forgotten like any record; that is counted as `let_off`.
//!
//! **Locks**: the shards in ascending order, then everyone's record. Every decision holds all the locks of its
//! principals for its whole duration, so decisions equal some serial order. A shard is small, at most a few thousand
//! records: nothing that is done under its lock takes long.

mod crowd;
mod entries;
mod ghosts;
mod index;
mod queues;
mod shard;

use std::sync::atomic::{AtomicU64, Ordering};

use ahash::RandomState;
use parking_lot::{Mutex, MutexGuard};
use smallvec::{SmallVec, smallvec};

use super::StateStats;
use super::record::Record;
use crate::facts::Principal;
use crate::time::Moment;
use crowd::Crowd;
use shard::{Bounds, Crowding, Shard};

pub(super) use crowd::CrowdBits;
pub(super) use shard::Kept;

/// So small that its arrays grow in less than a millisecond, and so large that it holds enough records for a fair
/// choice of what to forget.
const SHARD_BYTES: u64 = 840 << 10;
const BYTES_MIN: u64 = 1 << 20;

/// Every record.
#[derive(Debug)]
pub(super) struct Table {
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
    /// Never forgotten: its size is bounded by the configuration.
    everyone: Mutex<Record>,
    /// Shards in which somebody could not be held, or a network stands for somebody.
    crowded: AtomicU64,
    charged_to_networks: AtomicU64,
    bytes_max: u64,
}

/// The records that one decision works on, locked, in the order in which they were asked for.
#[derive(Debug)]
pub(super) struct Lent<'a> {
    table: &'a Table,
    principals: &'a [Principal],
    /// In ascending order.
    shards: SmallVec<[Locked<'a>; 4]>,
    places: SmallVec<[Place; 4]>,
    everyone: Option<MutexGuard<'a, Record>>,
    now: Moment,
}

#[derive(Debug)]
struct Locked<'a> {
    number: usize,
    shard: MutexGuard<'a, Shard>,
}

/// Where a record is: in which of the locked shards, and where there.
#[derive(Clone, Copy, Debug)]
enum Place {
    Everyone,
    At {
        locked: usize,
        at: usize,
    },
    /// There is none yet, and there need not be one.
    Nowhere {
        locked: usize,
        hash: u64,
    },
}

/// Whose records are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// Each once.
    pub(super) principals: &'a [Principal],
    /// The last of them is not made if there is none.
    pub(super) last_if_known: bool,
}

impl Table {
    /// A table of at most `memory_bytes`, the allocator's share included; at least one MiB.
    pub(super) fn new(memory_bytes: u64) -> Self {
        let bytes_max = memory_bytes.max(BYTES_MIN);
        let count = bytes_max.div_ceil(SHARD_BYTES);
        let bounds = Bounds::new(bytes_max / count - size_of::<Mutex<Shard>>() as u64);
        let hasher = RandomState::new();
        let shards = (0..count).map(|_| Mutex::new(Shard::new(bounds, hasher.clone()))).collect();
        Table {
            hasher,
            shards,
            everyone: Mutex::default(),
            crowded: AtomicU64::new(0),
            charged_to_networks: AtomicU64::new(0),
            bytes_max,
        }
    }

    /// Whether decisions have to ask whether a network stands for the client.
    pub(super) fn asks_for_networks(&self) -> bool {
        self.crowded.load(Ordering::Relaxed) > 0
    }

    /// Lends records, new ones of principals that have none.
    pub(super) fn with<R>(
        &self,
        wanted: Wanted<'_>,
        now: Moment,
        work: impl FnOnce(&mut Lent<'_>) -> R,
    ) -> R {
        let mut lent = self.lend(wanted, now);
        let answer = work(&mut lent);
        lent.give_back();
        answer
    }

    /// Lends one record again, if it is still known, without counting that as a visit.
    pub(super) fn revisit(&self, principal: Principal, now: Moment, f: impl FnOnce(&mut Record)) {
        if principal == Principal::EVERYONE {
            return f(&mut self.everyone.lock());
        }
        let hash = self.hasher.hash_one(principal);
        let mut shard = self.shards[self.shard_of(hash)].lock();
        if let Some(at) = shard.find(principal, hash) {
            f(shard.record(at));
            shard.keep(at, now);
            self.trim(&mut shard, now);
        }
    }

    /// How many parts there are to [`look through`](Self::look_through).
    pub(super) const fn parts(&self) -> usize {
        self.shards.len() + 1
    }

    /// Shows the records of one part, which is locked meanwhile.
    pub(super) fn look_through(
        &self,
        part: usize,
        mut look: impl FnMut(Principal, &Record, Option<CrowdBits>),
    ) {
        match self.shards.get(part) {
            None => look(Principal::EVERYONE, &self.everyone.lock(), None),
            Some(shard) => shard.lock().iter().for_each(|(principal, record, crowd)| {
                look(principal, record, crowd.map(|Crowd(bits)| bits));
            }),
        }
    }

    /// Lends the record of somebody who was known to an earlier process.
    pub(super) fn put(
        &self,
        principal: Principal,
        crowd: Option<CrowdBits>,
        now: Moment,
        f: impl FnOnce(&mut Record),
    ) {
        if principal == Principal::EVERYONE {
            return f(&mut self.everyone.lock());
        }
        let hash = self.hasher.hash_one(principal);
        let mut shard = self.shards[self.shard_of(hash)].lock();
        let at = shard.visit(principal, hash);
        f(shard.record(at));
        if let Some(bits) = crowd {
            shard.put_crowd(principal, Crowd(bits));
        }
        shard.keep(at, now);
        self.trim(&mut shard, now);
    }

    /// A copy of a record as it is; an empty one if there is none. Nobody is visited, held or let go by it.
    pub(super) fn copy(&self, principal: Principal) -> Record {
        if principal == Principal::EVERYONE {
            return self.everyone.lock().clone();
        }
        let hash = self.hasher.hash_one(principal);
        let mut shard = self.shards[self.shard_of(hash)].lock();
        shard.find(principal, hash).map(|at| shard.record(at).clone()).unwrap_or_default()
    }

    /// Whether a network stands for somebody. Nobody is visited by it.
    pub(super) fn stands_for(&self, network: Principal, somebody: Principal, now: Moment) -> bool {
        let hash = self.hasher.hash_one(network);
        let mut shard = self.shards[self.shard_of(hash)].lock();
        shard.find(network, hash).is_some_and(|at| shard.stands_for(at, somebody, now))
    }

    pub(super) fn stats(&self) -> StateStats {
        let everyone = u64::from(self.everyone.lock().heap_bytes());
        let mut stats = StateStats {
            records: 1,
            bytes: everyone + (self.shards.len() * size_of::<Mutex<Shard>>()) as u64,
            bytes_max: self.bytes_max,
            charged_to_networks: self.charged_to_networks.load(Ordering::Relaxed),
            ..StateStats::default()
        };
        for shard in &self.shards {
            let shard = shard.lock();
            stats.records += shard.len() as u64;
            stats.bytes += shard.bytes_allocated();
            stats.bytes_held += shard.kept();
            stats.evictions += shard.counts.evictions;
            stats.let_off += shard.counts.let_off;
            stats.hits += shard.counts.hits;
            stats.misses += shard.counts.misses;
        }
        stats
    }

    fn lend<'a>(&'a self, wanted: Wanted<'a>, now: Moment) -> Lent<'a> {
        let Wanted { principals, last_if_known } = wanted;
        // Most decisions are about one alone, which takes less.
        if let [one] = principals
            && *one != Principal::EVERYONE
            && !last_if_known
        {
            return self.lend_one(principals, *one, now);
        }
        let hashes: SmallVec<[u64; 4]> = principals.iter().map(|p| self.hasher.hash_one(p)).collect();
        let inside = principals.iter().zip(&hashes).filter(|(p, _)| **p != Principal::EVERYONE);
        let mut numbers: SmallVec<[usize; 4]> = inside.map(|(_, hash)| self.shard_of(*hash)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let lock = |number| Locked { number, shard: self.shards[number].lock() };
        let mut shards: SmallVec<[Locked<'_>; 4]> = numbers.into_iter().map(lock).collect();
        let last = principals.len().saturating_sub(1);
        let place = |(nth, (principal, hash)): (usize, (&Principal, u64))| {
            if *principal == Principal::EVERYONE {
                return Place::Everyone;
            }
            let number = self.shard_of(hash);
            let locked = shards.iter().position(|locked| locked.number == number).unwrap_or(0);
            let shard = &mut shards[locked].shard;
            if last_if_known && nth == last {
                let known = shard.find(*principal, hash);
                known.map_or(Place::Nowhere { locked, hash }, |at| Place::At { locked, at })
            } else {
                Place::At { locked, at: shard.visit(*principal, hash) }
            }
        };
        let places: SmallVec<[Place; 4]> = principals.iter().zip(hashes).enumerate().map(place).collect();
        let everyone = principals.contains(&Principal::EVERYONE).then(|| self.everyone.lock());
        Lent { table: self, principals, shards, places, everyone, now }
    }

    fn lend_one<'a>(&'a self, principals: &'a [Principal], one: Principal, now: Moment) -> Lent<'a> {
        let hash = self.hasher.hash_one(one);
        let number = self.shard_of(hash);
        let mut shard = self.shards[number].lock();
        let place = Place::At { locked: 0, at: shard.visit(one, hash) };
        let shards = smallvec![Locked { number, shard }];
        Lent { table: self, principals, shards, places: smallvec![place], everyone: None, now }
    }

    fn trim(&self, shard: &mut Shard, now: Moment) {
        match shard.trim(now) {
            Crowding::Same => {}
            Crowding::Begins => drop(self.crowded.fetch_add(1, Ordering::Relaxed)),
            Crowding::Ends => drop(self.crowded.fetch_sub(1, Ordering::Relaxed)),
        }
    }

    /// The upper half of the hash chooses (Lemire 2019); the shard uses the lower.
    fn shard_of(&self, hash: u64) -> usize {
        ((hash >> 32) as usize * self.shards.len()) >> 32
    }
}

impl Lent<'_> {
    /// A record that was asked for; the last one only where it `is_known`.
    pub(super) fn record(&mut self, nth: usize) -> &mut Record {
        let (locked, at) = match (self.places[nth], &mut self.everyone) {
            (Place::At { locked, at }, _) => (locked, at),
            (Place::Everyone, Some(everyone)) => return everyone,
            (Place::Nowhere { locked, hash }, _) => {
                let at = self.shards[locked].shard.visit(self.principals[nth], hash);
                self.places[nth] = Place::At { locked, at };
                (locked, at)
            }
            // Cannot be: everyone's record is locked where it is asked for.
            (Place::Everyone, None) => (0, 0),
        };
        self.shards[locked].shard.record(at)
    }

    /// Sees to it that a record stays as long as it should.
    pub(super) fn keep(&mut self, nth: usize) -> Kept {
        match self.places[nth] {
            Place::At { locked, at } => self.shards[locked].shard.keep(at, self.now),
            Place::Everyone | Place::Nowhere { .. } => Kept::AsLongAsItShould,
        }
    }

    /// Whether one of the records is that of a network that stands for somebody.
    pub(super) fn stands_for(&mut self, nth: usize, somebody: Principal) -> bool {
        match self.places[nth] {
            Place::At { locked, at } => self.shards[locked].shard.stands_for(at, somebody, self.now),
            Place::Everyone | Place::Nowhere { .. } => false,
        }
    }

    /// Lets one of the records stand for somebody, as long as it is held.
    pub(super) fn stand_for(&mut self, nth: usize, somebody: Principal) {
        self.table.charged_to_networks.fetch_add(1, Ordering::Relaxed);
        self.record(nth);
        if let Place::At { locked, at } = self.places[nth] {
            self.shards[locked].shard.stand_for(at, somebody);
        }
    }

    fn give_back(mut self) {
        for nth in 0..self.places.len() {
            self.keep(nth);
        }
        for locked in &mut self.shards {
            self.table.trim(&mut locked.shard, self.now);
        }
    }
}
