//! One shard of the table: its records, who is kept, and who is forgotten when there is no more room.
//!
//! What nobody has to remember is forgotten by S3-FIFO (Yang, Zhang, Qiu, Yue and Rashmi: FIFO queues are all you
//! need for cache eviction, SOSP 2023): new records pass through a short queue first, so that a flood of keys that
//! never return displaces only such keys.

use std::collections::HashMap;

use ahash::RandomState;

use super::crowd::Crowd;
use super::entries::{Entries, Entry};
use super::ghosts::Ghosts;
use super::index::Index;
use super::queues::{Links, QueueName, Queues};
use crate::engine::record::Record;
use crate::facts::{Principal, PrincipalKind};
use crate::time::Moment;

/// One part in so many, of what may be forgotten, is for records that have not come again.
const PROBATION_SHARE: u64 = 10;
/// Entries that one eviction may pass over. The next ones go on from there.
const PASSES_MAX: usize = 64;
/// Returns after which a record leaves probation for good; S3-FIFO's threshold.
const VISITS_OF_KNOWN: u8 = 2;
const VISITS_MAX: u8 = 3;

/// Bytes that a shard may take, and how much of that may be held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    total: u64,
    /// Clients, sessions and the like are held while all that is held takes no more than this, ...
    held: u64,
    /// ... and networks, which stand for those that are not, up to this.
    with_networks: u64,
    /// Where accounts and the growth of what is held take more than this, the oldest is let go.
    kept: u64,
    ghosts: usize,
}

impl Bounds {
    pub(super) const fn new(total: u64) -> Self {
        Bounds {
            total,
            held: total / 8 * 5,
            with_networks: total / 4 * 3,
            kept: total / 8 * 7,
            // A few thousand.
            ghosts: ((total / ENTRY_BYTES as u64) & 0xffff) as usize,
        }
    }
}

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) evictions: u64,
    /// Evictions of records that should have been held, and that nothing stands for.
    pub(super) let_off: u64,
}

/// Whether a record stays as long as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Kept {
    AsLongAsItShould,
    /// It should be held, and there is no room for that.
    NoRoom,
}

/// Whether requests have to ask whether a network stands for their client: that has changed, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crowding {
    Same,
    Begins,
    Ends,
}

#[derive(Debug)]
pub(super) struct Shard {
    hasher: RandomState,
    bounds: Bounds,
    index: Index,
    entries: Entries,
    queues: Queues,
    ghosts: Ghosts,
    /// Whom the networks among the records stand for.
    crowds: HashMap<Principal, Crowd, RandomState>,
    /// Whether something could not be held lately.
    crowded: bool,
    /// What the last [`Crowding`] said.
    asks_for_networks: bool,
    /// Nothing is held until earlier than this.
    held_until_min: Moment,
    round: Round,
    pub(super) counts: Counts,
}

/// A walk through all that is held, a step at a time.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    steps_left: usize,
    /// The earliest end so far.
    earliest: Moment,
}

impl Shard {
    pub(super) fn new(bounds: Bounds, hasher: RandomState) -> Self {
        Shard {
            crowds: HashMap::with_hasher(hasher.clone()),
            hasher,
            bounds,
            index: Index::default(),
            entries: Entries::default(),
            queues: Queues::default(),
            ghosts: Ghosts::default(),
            crowded: false,
            asks_for_networks: false,
            held_until_min: Moment::from_nanos(u64::MAX),
            round: Round::default(),
            counts: Counts::default(),
        }
    }

    pub(super) fn find(&self, principal: Principal, hash: u64) -> Option<usize> {
        self.index.find(hash, |at| self.entries.get(at).principal == principal)
    }

    /// The record of a principal; a new one if there is none. Nothing moves before the next [`trim`](Self::trim).
    pub(super) fn visit(&mut self, principal: Principal, hash: u64) -> usize {
        if let Some(at) = self.find(principal, hash) {
            let entry = self.entries.get_mut(at);
            entry.visits = (entry.visits + 1).min(VISITS_MAX);
            self.counts.hits += 1;
            return at;
        }
        self.counts.misses += 1;
        let name = match principal.kind() {
            PrincipalKind::Account => QueueName::Accounts,
            _ if self.ghosts.take(hash) => QueueName::Known,
            _ => QueueName::Probation,
        };
        let at = self.entries.push(Entry {
            principal,
            record: Record::default(),
            links: Links::NONE,
            counted: ENTRY_BYTES,
            queue: name,
            visits: 0,
        });
        self.index.insert(hash, at);
        self.queues.enter(&mut self.entries, at, name);
        at
    }

    pub(super) fn record(&mut self, at: usize) -> &mut Record {
        &mut self.entries.get_mut(at).record
    }

    /// Counts what a record takes after it was worked on, and holds it if it should be, or lets it go.
    pub(super) fn keep(&mut self, at: usize, now: Moment) -> Kept {
        let entry = self.entries.get(at);
        let bytes = ENTRY_BYTES.saturating_add(entry.record.heap_bytes());
        let (held_until, queue, kind) = (entry.record.held_until(), entry.queue, entry.principal.kind());
        let has_grown = bytes > entry.counted;
        if bytes != entry.counted {
            self.queues.count(&mut self.entries, at, bytes);
        }
        if kind == PrincipalKind::Account {
            self.move_to(at, QueueName::Accounts);
            return Kept::AsLongAsItShould;
        }
        match (queue, held_until > now) {
            // It was held when it was smaller. Another has to answer for it, as for one that comes now.
            (QueueName::Held, true)
                if has_grown && kind != PrincipalKind::Network && self.kept() > self.bounds.held =>
            {
                self.crowded = true;
                self.let_go(at);
                return Kept::NoRoom;
            }
            (QueueName::Held, true) => {}
            (QueueName::Held, false) => self.let_go(at),
            (_, true) if !self.may_hold(kind, bytes, now) => {
                self.crowded = true;
                return Kept::NoRoom;
            }
            (_, true) => {
                self.held_until_min = self.held_until_min.min(held_until);
                self.move_to(at, QueueName::Held);
            }
            (_, false) => {}
        }
        Kept::AsLongAsItShould
    }

    /// Forgets records until the others fit. They may move, and positions are no longer what they were.
    pub(super) fn trim(&mut self, now: Moment) -> Crowding {
        if now >= self.held_until_min {
            self.step(now);
        }
        while self.kept() > self.bounds.kept && self.forget_kept(now) {}
        while self.bytes() > self.bounds.total && (self.forget_free(now) || self.forget_kept(now)) {}
        self.crowded &= self.kept() > self.bounds.held / 16 * 15;
        let before = self.asks_for_networks;
        self.asks_for_networks = self.crowded || !self.crowds.is_empty();
        match (before, self.asks_for_networks) {
            (false, true) => Crowding::Begins,
            (true, false) => Crowding::Ends,
            (true, true) | (false, false) => Crowding::Same,
        }
    }

    /// Whether the network at a position stands for this principal.
    pub(super) fn stands_for(&mut self, at: usize, somebody: Principal, now: Moment) -> bool {
        if self.crowds.is_empty() {
            return false;
        }
        let entry = self.entries.get(at);
        if entry.record.held_until() <= now {
            self.crowds.remove(&entry.principal);
            return false;
        }
        self.crowds.get(&entry.principal).is_some_and(|crowd| crowd.has(somebody))
    }

    pub(super) fn stand_for(&mut self, at: usize, somebody: Principal) {
        self.crowds.entry(self.entries.get(at).principal).or_default().add(somebody);
    }

    /// Everything there is, for a snapshot.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Principal, &Record, Option<Crowd>)> {
        let crowd = |principal| self.crowds.get(&principal).copied();
        self.entries.iter().map(move |entry| (entry.principal, &entry.record, crowd(entry.principal)))
    }

    /// Lets a network stand for those for whom it did in an earlier process.
    pub(super) fn put_crowd(&mut self, principal: Principal, crowd: Crowd) {
        self.crowds.insert(principal, crowd);
    }

    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes that are held, for whatever reason.
    pub(super) fn kept(&self) -> u64 {
        self.queues.get(QueueName::Held).bytes + self.queues.get(QueueName::Accounts).bytes
    }

    /// Bytes of everything, never less than is allocated.
    pub(super) fn bytes(&self) -> u64 {
        let arrays = self.index.bytes() + self.ghosts.bytes() + Entries::SLACK_BYTES;
        self.queues.bytes() + (arrays + self.crowds.capacity() * 8 / 7 * Crowd::ENTRY_BYTES) as u64
    }

    /// Bytes of everything that is allocated now.
    pub(super) fn bytes_allocated(&self) -> u64 {
        let entries = self.entries.bytes() as u64;
        let counted = (self.entries.len() * Entries::ENTRY_BYTES as usize + Entries::SLACK_BYTES) as u64;
        self.bytes() + entries - counted
    }

    fn may_hold(&mut self, kind: PrincipalKind, bytes: u32, now: Moment) -> bool {
        let max = match kind {
            PrincipalKind::Network => self.bounds.with_networks,
            _ => self.bounds.held,
        };
        if self.kept() + u64::from(bytes) > max && now >= self.held_until_min {
            (0..4).for_each(|_| self.step(now));
        }
        self.kept() + u64::from(bytes) <= max
    }

    /// Lets one go whose time is over, if the next in turn is one. When all had their turn it is known when to
    /// begin again.
    fn step(&mut self, now: Moment) {
        let Some(at) = self.queues.oldest(QueueName::Held) else {
            self.held_until_min = Moment::from_nanos(u64::MAX);
            return;
        };
        if self.round.steps_left == 0 {
            let steps_left = self.queues.get(QueueName::Held).len;
            self.round = Round { steps_left, earliest: Moment::from_nanos(u64::MAX) };
        }
        self.round.steps_left -= 1;
        let held_until = self.entries.get(at).record.held_until();
        if held_until > now {
            self.round.earliest = self.round.earliest.min(held_until);
            self.move_to_end(at);
        } else {
            self.let_go(at);
        }
        if self.round.steps_left == 0 {
            self.held_until_min = self.round.earliest;
        }
    }

    fn let_go(&mut self, at: usize) {
        self.crowds.remove(&self.entries.get(at).principal);
        self.move_to(at, QueueName::Known);
    }

    /// Forgets one record that nobody has to remember.
    fn forget_free(&mut self, now: Moment) -> bool {
        for pass in 0.. {
            let Some(at) = self.first_to_forget() else { return false };
            let entry = self.entries.get_mut(at);
            if entry.record.is_in_flight() {
                if pass > PASSES_MAX {
                    return false;
                }
                self.move_to_end(at);
            } else if pass < PASSES_MAX
                && entry.queue == QueueName::Probation
                && entry.visits >= VISITS_OF_KNOWN
            {
                entry.visits = 0;
                self.move_to(at, QueueName::Known);
            } else if pass < PASSES_MAX && entry.queue == QueueName::Known && entry.visits > 0 {
                entry.visits -= 1;
                self.move_to_end(at);
            } else {
                self.forget(at, now);
                return true;
            }
        }
        false
    }

    /// The oldest on probation, if they have more than their share; else the oldest that is known.
    fn first_to_forget(&self) -> Option<usize> {
        let (probation, known) = (self.queues.get(QueueName::Probation), self.queues.get(QueueName::Known));
        let share = (probation.bytes + known.bytes) / PROBATION_SHARE;
        let (first, second) = if probation.bytes > share {
            (QueueName::Probation, QueueName::Known)
        } else {
            (QueueName::Known, QueueName::Probation)
        };
        self.queues.oldest(first).or_else(|| self.queues.oldest(second))
    }

    /// Forgets one record that should be remembered, because such records alone have no room: an idle account,
    /// an offender, or else an account.
    fn forget_kept(&mut self, now: Moment) -> bool {
        for (queue, passes) in
            [(QueueName::Accounts, 2), (QueueName::Held, PASSES_MAX), (QueueName::Accounts, PASSES_MAX)]
        {
            let idle_only = passes == 2;
            for _ in 0..passes {
                let Some(at) = self.queues.oldest(queue) else { break };
                let record = &self.entries.get(at).record;
                if record.is_in_flight() || (idle_only && !record.is_idle(now)) {
                    self.move_to_end(at);
                } else {
                    self.forget(at, now);
                    return true;
                }
            }
        }
        false
    }

    fn forget(&mut self, at: usize, now: Moment) {
        let last = self.entries.len() - 1;
        self.queues.leave(&mut self.entries, at);
        let moved = (at != last).then(|| self.hasher.hash_one(self.entries.get(last).principal));
        let Some(gone) = self.entries.swap_remove(at) else { return };
        let hash = self.hasher.hash_one(gone.principal);
        self.index.remove(hash, at);
        if let Some(hash) = moved {
            self.index.relocate(hash, last, at);
            self.queues.relocate(&mut self.entries, at);
        }
        let was_crowd = self.crowds.remove(&gone.principal).is_some();
        self.counts.evictions += 1;
        let is_held = gone.queue == QueueName::Held || was_crowd;
        self.counts.let_off += u64::from(is_held && gone.record.held_until() > now);
        if gone.queue == QueueName::Probation {
            self.ghosts.add(hash, self.bounds.ghosts);
        }
    }

    fn move_to(&mut self, at: usize, name: QueueName) {
        if self.entries.get(at).queue != name {
            self.queues.leave(&mut self.entries, at);
            self.queues.enter(&mut self.entries, at, name);
        }
    }

    fn move_to_end(&mut self, at: usize) {
        let name = self.entries.get(at).queue;
        self.queues.leave(&mut self.entries, at);
        self.queues.enter(&mut self.entries, at, name);
    }
}

/// What every entry takes of the arrays; the index is counted as a whole.
const ENTRY_BYTES: u32 = Entries::ENTRY_BYTES;
