//! The bounded state: one record per principal in sharded, scan-resistant caches, and one for everyone.
//!
//! A flood of keys that never return displaces only such keys: the eviction (quick_cache's S3-FIFO) prefers
//! records that were met once. Records with requests in flight are pinned, so that no count is lost; there are
//! at most as many of them as there are requests in flight, which the driver bounds by its connections.
//!
//! Locks: the shards in ascending order, then everyone's record. Every decision holds all the locks of its
//! principals for its whole duration, so decisions equal some serial order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ahash::RandomState;
use parking_lot::{Mutex, MutexGuard};
use quick_cache::unsync::Cache;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};
use smallvec::SmallVec;

use super::StateStats;
use super::record::Record;
use crate::facts::Principal;

const SHARDS_MAX: u64 = 64;
/// Small shards would each hold too few records for a fair choice of what to forget.
const SHARD_BYTES_MIN: u64 = 1 << 20;
/// One part of so many is kept back: for the record of everyone, and for the gaps that the allocator leaves
/// between blocks of different sizes.
const RESERVE: u64 = 8;

/// Keys that were forgotten lately are remembered by their hash, in entries of the same arrays, so many per
/// resident one. Who returns soon is then kept over who never does.
const GHOSTS: f64 = 0.25;
/// Share of the records that were met again. Seven eighths, because it is a short binary fraction: the cache
/// recomputes it when it is trimmed, and must find the same.
const HOT: f64 = 0.875;

/// Every record.
#[derive(Debug)]
pub(super) struct Table {
    hasher: RandomState,
    /// A power of two of them.
    shards: Box<[Mutex<Shard>]>,
    /// Never forgotten: its size is bounded by the configuration.
    everyone: Mutex<Record>,
    evictions: Arc<AtomicU64>,
    bytes_max: u64,
}

type Shard = Cache<Principal, Record, HeapBytes, RandomState, PinInFlight>;

/// The records that one decision works on, locked, in the order in which they were asked for.
#[derive(Debug)]
pub(super) struct Lent<'a> {
    /// Taken out of the table for as long as their shards are locked.
    records: SmallVec<[Record; 4]>,
    everyone: Option<(usize, MutexGuard<'a, Record>)>,
}

impl Lent<'_> {
    pub(super) fn record(&mut self, at: usize) -> &mut Record {
        match &mut self.everyone {
            Some((everyone, record)) if *everyone == at => record,
            _ => &mut self.records[at],
        }
    }
}

impl Table {
    /// A table of at most `memory_bytes`, the allocator's share included; at least one MiB.
    pub(super) fn new(memory_bytes: u64) -> Self {
        let bytes_max = memory_bytes.max(SHARD_BYTES_MIN);
        let shards = (bytes_max / SHARD_BYTES_MIN).clamp(1, SHARDS_MAX);
        let shards = 1 << shards.ilog2();
        let hasher = RandomState::new();
        let evictions = Arc::<AtomicU64>::default();
        let bytes = (bytes_max - bytes_max / RESERVE) / shards;
        let shard = |_| Mutex::new(new_shard(bytes, hasher.clone(), Arc::clone(&evictions)));
        let shards = (0..shards).map(shard).collect();
        Table { hasher, shards, everyone: Mutex::default(), evictions, bytes_max }
    }

    /// Lends the records of these principals, each named once. A new one is kept if it holds anything afterwards.
    pub(super) fn with<R>(&self, principals: &[Principal], work: impl FnOnce(&mut Lent<'_>) -> R) -> R {
        let mut numbers: SmallVec<[usize; 4]> =
            principals.iter().filter(|p| **p != Principal::EVERYONE).map(|p| self.shard_of(*p)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut shards: SmallVec<[(usize, MutexGuard<'_, Shard>); 4]> =
            numbers.into_iter().map(|number| (number, self.shards[number].lock())).collect();
        let mut lent = Lent { records: SmallVec::new(), everyone: None };
        let mut weights: SmallVec<[Option<u64>; 4]> = SmallVec::new();
        for (at, principal) in principals.iter().enumerate() {
            let known = if *principal == Principal::EVERYONE {
                lent.everyone = Some((at, self.everyone.lock()));
                None
            } else {
                self.locked(&mut shards, *principal)
                    .and_then(|shard| Some(std::mem::take(&mut *shard.get_mut(principal)?)))
            };
            weights.push(known.as_ref().map(Record::heap_bytes));
            lent.records.push(known.unwrap_or_default());
        }
        let answer = work(&mut lent);
        for ((principal, record), weight) in principals.iter().zip(lent.records).zip(weights) {
            let Some(shard) = self.locked(&mut shards, *principal) else { continue };
            let grew = weight.is_none_or(|weight| record.heap_bytes() > weight);
            if weight.is_some() {
                if let Some(mut place) = shard.peek_mut(principal) {
                    *place = record;
                }
                if grew {
                    trim(shard);
                }
            } else if !record.is_empty() {
                shard.insert(*principal, record);
            }
        }
        answer
    }

    /// Lends one record again, if it is still known, without counting that as a visit.
    pub(super) fn revisit(&self, principal: Principal, f: impl FnOnce(&mut Record)) {
        if principal == Principal::EVERYONE {
            f(&mut self.everyone.lock());
        } else if let Some(mut record) = self.shards[self.shard_of(principal)].lock().peek_mut(&principal) {
            f(&mut record);
        }
    }

    pub(super) fn stats(&self) -> StateStats {
        let mut stats = StateStats {
            records: 1,
            bytes: self.everyone.lock().heap_bytes(),
            bytes_max: self.bytes_max,
            evictions: self.evictions.load(Ordering::Relaxed),
        };
        for shard in &self.shards {
            let shard = shard.lock();
            stats.records += shard.len() as u64;
            stats.bytes += shard.weight() + arrays_bytes(&shard);
        }
        stats
    }

    fn shard_of(&self, principal: Principal) -> usize {
        // The middle bits: the cache inside the shard uses the others.
        let hash = self.hasher.hash_one(principal) >> 32;
        usize::try_from(hash).unwrap_or(0) & (self.shards.len() - 1)
    }

    fn locked<'s>(
        &self,
        shards: &'s mut SmallVec<[(usize, MutexGuard<'_, Shard>); 4]>,
        principal: Principal,
    ) -> Option<&'s mut Shard> {
        if principal == Principal::EVERYONE {
            return None;
        }
        let number = self.shard_of(principal);
        shards.iter_mut().find(|(at, _)| *at == number).map(|(_, shard)| &mut **shard)
    }
}

/// Bytes that one record takes of the shard's arrays: an entry (key, record, and 16 for links and states) and its
/// share of the index (at most 12), times the room for ghosts.
const ENTRY_BYTES: u64 = (size_of::<Principal>() + size_of::<Record>() + 16 + 12) as u64 * 5 / 4;

/// A shard whose arrays and records together stay within `bytes`. The arrays grow with use and never shrink, so
/// their share is set apart: enough for the most records that the rest can hold.
fn new_shard(bytes: u64, hasher: RandomState, evictions: Arc<AtomicU64>) -> Shard {
    let records = bytes / (Record::HEAP_BYTES_MIN as u64 + ENTRY_BYTES);
    let heap_bytes = (bytes - records * ENTRY_BYTES) & !7;
    let records = usize::try_from(records).unwrap_or(usize::MAX);
    let mut options = OptionsBuilder::new();
    options.estimated_items_capacity(records).weight_capacity(heap_bytes);
    options.hot_allocation(HOT).ghost_allocation(GHOSTS);
    match options.build() {
        Ok(options) => Cache::with_options(options, HeapBytes, hasher, PinInFlight { evictions }),
        // Cannot be: it only complains of a missing capacity. The defaults would do.
        Err(_) => Cache::with(records, heap_bytes, HeapBytes, hasher, PinInFlight { evictions }),
    }
}

/// Bytes that the arrays of a shard take. They double when they are full, but what was never used of them takes
/// no memory; it is never more than the share that was set apart.
fn arrays_bytes(shard: &Shard) -> u64 {
    let records_max = shard.capacity() / Record::HEAP_BYTES_MIN as u64;
    (shard.memory_used().total() as u64).min(records_max * ENTRY_BYTES)
}

/// Forgets records until the others fit again, after one of them has grown.
fn trim(shard: &mut Shard) {
    if shard.weight() > shard.capacity() {
        shard.set_capacity(shard.capacity());
    }
}

/// Weighs a record by what it holds outside the shard's arrays.
#[derive(Clone, Debug)]
struct HeapBytes;

impl Weighter<Principal, Record> for HeapBytes {
    fn weight(&self, _principal: &Principal, record: &Record) -> u64 {
        record.heap_bytes()
    }
}

/// Keeps records with requests in flight, and counts those that are forgotten.
#[derive(Clone, Debug)]
struct PinInFlight {
    evictions: Arc<AtomicU64>,
}

impl Lifecycle<Principal, Record> for PinInFlight {
    type RequestState = ();

    fn is_pinned(&self, _principal: &Principal, record: &Record) -> bool {
        record.is_in_flight()
    }

    fn on_evict(&self, _state: &mut (), _principal: Principal, _record: Record) {
        self.evictions.fetch_add(1, Ordering::Relaxed);
    }
}
