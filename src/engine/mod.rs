//! The pure engine: four doors, no I/O, no async, no clock, no metric, no log.
//!
//! [`Engine::connect`] for a new connection, [`Engine::admit`] before the upstream, [`Engine::observe`] after the
//! response, [`Engine::event`] for what never becomes a request. Each is given the time with its facts.

mod binding;
mod decide;
pub mod explain;
mod held;
mod keyed;
mod load;
mod names;
mod queue;
pub mod recent;
mod record;
mod rules;
mod snapshot;
mod subject;
mod switch;
mod table;
mod ticket;
mod watch;

pub use binding::Binding;
pub use load::{AccountLoad, Busy, LoadEvent, LoadFinding, Resource, UpstreamReport, Utilisation};
pub use queue::QueuePlace;
pub use snapshot::{Extent, OtherKey, Restore, SnapshotHead, SnapshotPart};
pub use switch::ModeOverride;
pub use ticket::Ticket;
pub use watch::{
    Arrival, Case, Earlier, FINDING_KEPT_FOR, Fields, FindingEvent, FindingEvents, FindingFilter, Sanction,
    Text, WatchStats,
};

use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::detect::Reader;
use crate::facts::{ConnFacts, Facts, Outcome, ProtocolEvent, Who};
use crate::policy::{LimitId, Policy, UpstreamId};
use crate::remedy::{Conviction, Decision, Delay, Mode, Verdict};
use crate::time::{Moment, WallTime};
use decide::Terms;
use keyed::KeyedHash;
use load::LoadBook;
use names::CellNames;
use switch::Switch;
use table::Table;
use watch::{Watch, Watched};

/// All bounded state behind the decisions. Cheap to clone; clones share the state.
#[derive(Clone, Debug)]
pub struct Engine {
    table: Arc<Table>,
    names: Arc<Mutex<CellNames>>,
    keyed: KeyedHash,
    /// The wall time of [`Moment::ORIGIN`], for the months of quotas.
    origin: WallTime,
    switch: Arc<Switch>,
    load: Arc<LoadBook>,
    watch: Arc<Watch>,
    reader: Arc<Reader>,
}

/// Conduct that is remembered where nobody says how much.
const WATCH_BYTES: u64 = 8 << 20;

/// Whether a new connection is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnVerdict {
    Accept,
    Close,
}

/// How full the state is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateStats {
    /// Principals that are known. `everyone` always is.
    pub records: u64,
    /// The allocator's share included.
    pub bytes: u64,
    pub bytes_max: u64,
    /// Of those: what no flood of new principals can displace.
    pub bytes_held: u64,
    /// Look-ups of principals that were known, since the start.
    pub hits: u64,
    /// Look-ups of principals that were not.
    pub misses: u64,
    /// Records forgotten for want of room.
    pub evictions: u64,
    /// Of those: records of somebody over a limit, which nothing stands for.
    pub let_off: u64,
    /// Principals over a limit that are charged to their network, because such ones had no more room.
    pub charged_to_networks: u64,
}

impl Engine {
    /// An engine whose records take at most `memory_bytes` together; at least one MiB. It hashes what must not be
    /// kept by a key of its own.
    pub fn new(memory_bytes: u64) -> Self {
        let random = |n: u64| ahash::RandomState::new().hash_one(n).to_ne_bytes();
        let mut key = [0; 16];
        key[..8].copy_from_slice(&random(0));
        key[8..].copy_from_slice(&random(1));
        Engine::with_key(memory_bytes, key)
    }

    /// The same, with a key that outlives the process: then what one process counted by hash, the next one finds.
    pub fn with_key(memory_bytes: u64, key: [u8; 16]) -> Self {
        let keyed = KeyedHash::new(key);
        Engine {
            table: Arc::new(Table::new(memory_bytes)),
            names: Arc::default(),
            keyed,
            origin: WallTime { unix_ms: 0 },
            switch: Arc::default(),
            load: Arc::default(),
            watch: Arc::new(Watch::new(WATCH_BYTES, keyed.key_of("watch"))),
            reader: Arc::new(Reader::new(keyed.key_of("reader"))),
        }
    }

    /// The same engine, which remembers conduct in at most `memory_bytes` beside its records; at least one MiB. Before
    /// it has seen a request.
    pub fn watching(self, memory_bytes: u64) -> Self {
        let watch = Arc::new(Watch::new(memory_bytes, self.keyed.key_of("watch")));
        Engine { watch, ..self }
    }

    /// The same engine, with moments that count from `origin`. Before it is bound to a policy.
    pub fn starting_at(self, origin: WallTime) -> Self {
        Engine { origin, ..self }
    }

    /// Joins a policy to the state. Limits find the cells that limits of the same name and algorithm left, and
    /// requests under an earlier binding count in the same cells.
    pub fn bind(&self, policy: Arc<Policy>) -> Binding {
        {
            let load = self.load.bind(&policy);
            Binding::new(policy, &mut self.names.lock(), load, self.origin)
        }
    }

    /// Decides whether a connection is taken. It is not while its client is refused for what it did below requests:
    /// nobody was there to be told why. For all else it is, as requests are refused with their reason; and wherever
    /// requests may name an account, which is not refused for what others do at its address.
    pub fn connect(&self, binding: &Binding, conn: &ConnFacts) -> ConnVerdict {
        let is_refused = self.watch.closes_to(binding, conn)
            && self.mode(binding, conn.at) == Mode::Enforce
            && !binding.names_accounts()
            && !binding.never_refuses(conn.address, &Who::default());
        if is_refused { ConnVerdict::Close } else { ConnVerdict::Accept }
    }

    /// Decides one request by all limits that apply to it, in one step: on any number of threads, decisions
    /// equal some serial order, and a refused request is charged to no limit.
    ///
    /// The ticket holds the request's place in limits of concurrency. Keep it until the response has ended, and
    /// hand it to [`observe`](Self::observe).
    pub fn admit(&self, binding: &Binding, facts: &Facts<'_>) -> (Decision, Ticket) {
        self.decide(binding, facts, false)
    }

    /// The same, and the decision has the numbers of every check even if the request is forwarded.
    pub fn admit_in_detail(&self, binding: &Binding, facts: &Facts<'_>) -> (Decision, Ticket) {
        self.decide(binding, facts, true)
    }

    fn decide(&self, binding: &Binding, facts: &Facts<'_>, details: bool) -> (Decision, Ticket) {
        let mode = self.mode(binding, facts.at);
        if mode == Mode::Enforce
            && let Some(conviction) = self.conviction(binding, facts)
        {
            let decision = Decision { verdict: Verdict::Convict(conviction), ..Decision::default() };
            return (decision, Ticket::default().telling(Some(conviction.until.since(facts.at))));
        }
        let terms = Terms { binding, keyed: &self.keyed, mode, details };
        let (decision, places) = decide::decide(&self.table, terms, facts);
        let ticket = Ticket::new(&self.table, places);
        match decision.verdict {
            Verdict::Forward => (decision, ticket.loading(binding.begin_load(facts))),
            Verdict::Refuse(refusal) => (decision, ticket.telling(refusal.retry_after)),
            Verdict::Delay(Delay { wait, .. }) => (decision, ticket.telling(Some(wait))),
            Verdict::Convict(_) => (decision, ticket),
        }
    }

    /// Whether anything may be refused to a client at this address with these accounts: the switch is on enforce, and
    /// nobody of them is among those that are never refused.
    pub fn may_refuse<'a>(
        &self,
        binding: &Binding,
        address: IpAddr,
        accounts: impl IntoIterator<Item = &'a Arc<str>>,
        now: Moment,
    ) -> bool {
        let enforcement = &binding.policy().enforcement;
        self.mode(binding, now) == Mode::Enforce
            && !enforcement.never_refuse.iter().any(|range| range.contains(&address))
            && !accounts.into_iter().any(|id| enforcement.never_refuse_accounts.contains(id))
    }

    fn conviction(&self, binding: &Binding, facts: &Facts<'_>) -> Option<Conviction> {
        let conviction = self.watch.conviction(binding, facts)?;
        (!binding.never_refuses(facts.address, facts.who)).then_some(conviction)
    }

    fn mode(&self, binding: &Binding, now: Moment) -> Mode {
        self.switch.mode(now).unwrap_or(binding.policy().enforcement.mode)
    }

    /// A place among the requests that wait for a limit; `None` when all are taken. Leave it by dropping it.
    pub fn queue(&self, binding: &Binding, limit: LimitId) -> Option<QueuePlace> {
        binding.queues.enter(limit, binding.policy().limit(limit).over)
    }

    /// Reads requests for the detectors. Everything that the engine sees is to be read by this one.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// For how many of the same a request that is refused is to be watched, itself included. The same one, refused more
    /// often than 16 times within a second, is watched once for 16; 0: not this one.
    pub fn echo(&self, facts: &Facts<'_>, query: Option<&str>) -> u16 {
        self.watch.echo(facts, query)
    }

    /// Lets detectors see a request, admitted or not, once its answer is known. A ticket may be without a decision:
    /// [`Ticket::default`] for a request that was never to be decided.
    pub fn watch(&self, binding: &Binding, ticket: Ticket, arrival: &Arrival<'_>) -> Ticket {
        let mode = self.mode(binding, arrival.at);
        if mode == Mode::Off || !binding.reads_requests() {
            return ticket;
        }
        ticket.watched(Watched::new(binding, arrival, mode))
    }

    /// Ends a request: releases what its ticket holds, settles what it has cost, and tells what detectors find when
    /// they see the answer.
    pub fn observe(&self, binding: &Binding, ticket: Ticket, outcome: &Outcome) -> FindingEvents {
        let Some((watched, told)) = ticket.settle(outcome) else { return FindingEvents::new() };
        self.watch.note(binding, &watched, outcome, told)
    }

    /// Closes findings that were not recognised for a while. To be called every few seconds.
    pub fn sweep_findings(&self, now: Moment) -> FindingEvents {
        self.watch.sweep(now)
    }

    /// Findings that are open or were closed lately, at most `most`, the latest first.
    pub fn findings(&self, filter: &FindingFilter, most: usize) -> Vec<Case> {
        self.watch.findings(filter, most)
    }

    pub fn watch_stats(&self) -> WatchStats {
        self.watch.stats()
    }

    /// Overrides `[enforcement] mode`, from now on; `None` gives it back to the policy.
    pub fn override_mode(&self, mode: Option<ModeOverride>) {
        self.switch.set(mode);
    }

    /// The override in force.
    pub fn mode_override(&self, now: Moment) -> Option<ModeOverride> {
        self.switch.get(now)
    }

    /// Notes what happened on a connection without becoming a request, and tells what that shows. A head that cannot be
    /// read is also an odd request that was answered 400, whoever answered it.
    #[must_use = "what was found is to be told"]
    pub fn event(&self, binding: &Binding, conn: &ConnFacts, event: ProtocolEvent) -> FindingEvents {
        let mode = self.mode(binding, conn.at);
        if mode == Mode::Off || !binding.is_watching() {
            return FindingEvents::new();
        }
        let watched = Watched::new(binding, &Arrival::unreadable(conn, &self.reader), mode);
        let mut found = match watch::fault(event) {
            Some(fault) => self.watch.note_fault(binding, &watched, fault, conn.at),
            None => FindingEvents::new(),
        };
        if event == ProtocolEvent::MalformedHead {
            let outcome = Outcome::unreadable(conn.at);
            found.extend(self.watch.note(binding, &watched, &outcome, None));
        }
        found
    }

    /// Looks for accounts that take an unreasonable share of an upstream, and tells what began and ended since the
    /// last time. `busy` is how busy each upstream of the policy is, in its order; `None` where its capacity is not
    /// known. To be called about once a second.
    pub fn sweep(
        &self,
        binding: &Binding,
        busy: impl IntoIterator<Item = Option<Busy>>,
        now: Moment,
    ) -> Vec<LoadEvent> {
        let each = binding.load().zip(busy);
        each.flat_map(|((id, load), busy)| load.sweep(id, &binding.policy().load, busy, now)).collect()
    }

    /// Findings of what a [`sweep`](Self::sweep) told of load.
    pub fn note_load(&self, binding: &Binding, event: &LoadEvent, now: Moment) -> FindingEvents {
        self.watch.note_load(binding, event, self.mode(binding, now), now)
    }

    /// How busy each upstream of the policy was, and its busiest accounts.
    pub fn load(&self, binding: &Binding, now: Moment) -> Vec<(UpstreamId, UpstreamReport)> {
        binding.load().map(|(id, load)| (id, load.report(&binding.policy().load, now))).collect()
    }

    pub fn stats(&self) -> StateStats {
        self.table.stats()
    }
}
