//! The pure engine: four doors, no I/O, no async, no clock, no metric, no log.
//!
//! [`Engine::connect`] for a new connection, [`Engine::admit`] before the upstream, [`Engine::observe`] after the
//! response, [`Engine::event`] for what never becomes a request. Each is given the time with its facts.

mod binding;
mod decide;
mod names;
mod record;
mod table;
mod ticket;

pub use binding::Binding;
pub use ticket::Ticket;

use std::sync::Arc;

use parking_lot::Mutex;

use crate::facts::{ConnFacts, Facts, Outcome, ProtocolEvent};
use crate::policy::Policy;
use crate::remedy::Decision;
use names::CellNames;
use table::Table;

/// All bounded state behind the decisions. Cheap to clone; clones share the state.
#[derive(Clone, Debug)]
pub struct Engine {
    table: Arc<Table>,
    names: Arc<Mutex<CellNames>>,
}

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
    /// Estimated, the allocator's share included.
    pub bytes: u64,
    pub bytes_max: u64,
    /// Records forgotten for want of room since the start.
    pub evictions: u64,
}

impl Engine {
    /// An engine whose records take at most `memory_bytes` together; at least one MiB.
    pub fn new(memory_bytes: u64) -> Self {
        Engine { table: Arc::new(Table::new(memory_bytes)), names: Arc::default() }
    }

    /// Joins a policy to the state. Limits find the cells that limits of the same name and algorithm left, and
    /// requests under an earlier binding count in the same cells.
    pub fn bind(&self, policy: Arc<Policy>) -> Binding {
        Binding::new(policy, &mut self.names.lock())
    }

    /// Decides whether a connection is taken. All are: nothing limits connections yet.
    pub fn connect(&self, _binding: &Binding, _conn: &ConnFacts) -> ConnVerdict {
        ConnVerdict::Accept
    }

    /// Decides one request by all limits that apply to it, in one step: on any number of threads, decisions
    /// equal some serial order, and a refused request is charged to no limit.
    ///
    /// The ticket holds the request's place in limits of concurrency. Keep it until the response has ended, and
    /// hand it to [`observe`](Self::observe).
    pub fn admit(&self, binding: &Binding, facts: &Facts<'_>) -> (Decision, Ticket) {
        let (decision, places) = decide::decide(&self.table, binding, facts);
        (decision, Ticket::new(&self.table, facts.client, places))
    }

    /// Ends a request: releases what its ticket holds. The outcome is for costs that are known only afterwards
    /// and for detectors; there are none yet.
    pub fn observe(&self, ticket: Ticket, _outcome: &Outcome) {
        drop(ticket);
    }

    /// Notes what happened on a connection without becoming a request. It is for the detectors of protocol
    /// abuse; there are none yet.
    pub fn event(&self, _binding: &Binding, _conn: &ConnFacts, _event: ProtocolEvent) {}

    pub fn stats(&self) -> StateStats {
        self.table.stats()
    }
}
