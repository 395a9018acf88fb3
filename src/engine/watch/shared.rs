//! What all parts of a watch share, without a lock: numbers for findings, and until when anybody is refused at all.

use std::sync::atomic::{AtomicU64, Ordering};

use super::case::Sanction;
use crate::finding::FindingId;
use crate::time::Moment;

#[derive(Debug, Default)]
pub(super) struct Shared {
    last_id: AtomicU64,
    /// When the last of all sanctions ends.
    sanctioned_until: AtomicU64,
}

impl Shared {
    pub(super) fn next_id(&self) -> FindingId {
        FindingId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(super) fn note(&self, sanction: Option<Sanction>) {
        if let Some(sanction) = sanction {
            self.sanctioned_until.fetch_max(sanction.until.as_nanos(), Ordering::Release);
        }
    }

    /// If not, nobody has to be looked up.
    pub(super) fn is_anyone_refused(&self, now: Moment) -> bool {
        now.as_nanos() < self.sanctioned_until.load(Ordering::Acquire)
    }
}
