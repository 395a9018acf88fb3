//! Requests that wait for a limit instead of being refused: how many may, and for what.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use smallvec::SmallVec;

use super::binding::BoundLimit;
use super::{Binding, Engine};
use crate::facts::{Facts, Principal};
use crate::policy::{LimitId, Over, Policy};
use crate::remedy::Mode;

/// How many requests wait, by limit.
#[derive(Clone, Debug)]
pub(super) struct Queues(Arc<[AtomicU32]>);

/// A place in a limit's queue; dropping it leaves the queue.
#[derive(Debug)]
#[must_use]
pub struct QueuePlace {
    queues: Queues,
    at: usize,
}

impl Engine {
    /// The budgets that could have this request wait: those of enforced limits that delay. No record is looked up. None of
    /// whoever is refused for a finding, and waits for nothing.
    pub fn budgets_that_delay(
        &self,
        binding: &Binding,
        facts: &Facts<'_>,
    ) -> SmallVec<[(LimitId, Principal); 2]> {
        let policy = binding.policy();
        let mode = self.switch.mode(facts.at).unwrap_or(policy.enforcement.mode);
        if mode != Mode::Enforce || binding.never_refuses(facts.address, facts.who) {
            return SmallVec::new();
        }
        if self.conviction(binding, facts).is_some() {
            return SmallVec::new();
        }
        let delays = |limit: &&BoundLimit| {
            matches!(policy.limit(limit.id).over, Over::Delay { .. })
                && binding.mode(limit, facts) == Mode::Enforce
        };
        let limits = binding.applicable(facts).filter(delays);
        let charged = |limit: &BoundLimit| {
            let (id, charges) = (limit.id, limit.subject.charges(facts, &self.keyed));
            charges.into_iter().map(move |charged| (id, charged.principal))
        };
        limits.flat_map(charged).collect()
    }
}

impl Queues {
    pub(super) fn of(policy: &Policy) -> Self {
        Queues(policy.limits.iter().map(|_| AtomicU32::new(0)).collect())
    }

    /// A place, unless all that `over` allows are taken.
    pub(super) fn enter(&self, limit: LimitId, over: Over) -> Option<QueuePlace> {
        let Over::Delay { queue_max, .. } = over else { return None };
        let at = usize::from(limit.0);
        let waiting = self.0.get(at)?;
        let enter = |n: u32| (n < queue_max).then_some(n + 1);
        waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, enter).ok()?;
        Some(QueuePlace { queues: self.clone(), at })
    }
}

impl Drop for QueuePlace {
    fn drop(&mut self) {
        if let Some(waiting) = self.queues.0.get(self.at) {
            waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }
}
