//! The pure engine: four doors, no I/O, no async, no clock, no metric, no log.

use std::sync::Arc;

use crate::facts::{ConnFacts, Facts, Outcome, ProtocolEvent};
use crate::policy::Policy;
use crate::remedy::{Decision, Verdict};

/// All bounded state behind the decisions. Cheap to clone; clones share the state.
#[derive(Clone, Debug)]
pub struct Engine {}

/// A policy, joined to the engine's state: which cell belongs to which limit. Made once per reload.
#[derive(Clone, Debug)]
pub struct Binding {
    policy: Arc<Policy>,
}

impl Binding {
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }
}

/// What an admitted request holds until it ends. Dropping it releases the same, once.
#[derive(Debug)]
#[must_use]
pub struct Ticket {}

/// Whether a new connection is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnVerdict {
    Accept,
    Close,
}

/// How full the state is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateStats {
    pub records: u64,
    pub bytes: u64,
    pub bytes_max: u64,
    pub evictions: u64,
}

impl Engine {
    pub fn new(_memory_bytes: u64) -> Self {
        Engine {}
    }

    pub fn bind(&self, policy: Arc<Policy>) -> Binding {
        Binding { policy }
    }

    pub fn connect(&self, _binding: &Binding, _conn: &ConnFacts) -> ConnVerdict {
        ConnVerdict::Accept
    }

    pub fn admit(&self, _binding: &Binding, _facts: &Facts<'_>) -> (Decision, Ticket) {
        (Decision { verdict: Verdict::Forward, checks: Default::default() }, Ticket {})
    }

    pub fn observe(&self, _ticket: Ticket, _outcome: &Outcome) {}

    pub fn event(&self, _binding: &Binding, _conn: &ConnFacts, _event: ProtocolEvent) {}

    pub fn stats(&self) -> StateStats {
        StateStats::default()
    }
}
