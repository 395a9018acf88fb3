//! Requests that wait for a limit instead of being refused: how many may.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::policy::{LimitId, Over, Policy};

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
