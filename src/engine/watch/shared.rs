//! What all parts of a watch share, without a lock: numbers for findings, and until when anybody is refused at all.

use std::sync::atomic::{AtomicU64, Ordering};

use super::case::Sanction;
use crate::finding::FindingId;
use crate::time::Moment;

#[derive(Debug)]
pub(super) struct Shared {
    last_id: AtomicU64,
    /// When the last of all sanctions ends.
    sanctioned_until: AtomicU64,
    /// When the last one of a crowd ends.
    crowds_until: AtomicU64,
    /// No finding is over before this.
    due: AtomicU64,
}

impl Default for Shared {
    fn default() -> Self {
        Shared {
            last_id: AtomicU64::new(0),
            sanctioned_until: AtomicU64::new(0),
            crowds_until: AtomicU64::new(0),
            due: AtomicU64::new(u64::MAX),
        }
    }
}

impl Shared {
    pub(super) fn next_id(&self) -> FindingId {
        FindingId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Later findings have larger numbers than this one, which an earlier process gave out.
    pub(super) fn go_on_after(&self, id: FindingId) {
        self.last_id.fetch_max(id.0, Ordering::Relaxed);
    }

    pub(super) fn note(&self, sanction: Option<Sanction>) {
        if let Some(sanction) = sanction {
            self.sanctioned_until.fetch_max(sanction.until.as_nanos(), Ordering::Release);
        }
    }

    /// A crowd is refused until then.
    pub(super) fn note_crowd(&self, until: Moment) {
        self.crowds_until.fetch_max(until.as_nanos(), Ordering::Release);
    }

    /// If not, no crowd has to be looked up.
    pub(super) fn is_any_crowd_refused(&self, now: Moment) -> bool {
        now.as_nanos() < self.crowds_until.load(Ordering::Acquire)
    }

    /// A finding may be over at this moment.
    pub(super) fn note_due(&self, at: Moment) {
        self.due.fetch_min(at.as_nanos(), Ordering::AcqRel);
    }

    /// Whether any finding may be over. If so, each that is still open is to be noted again.
    pub(super) fn take_due(&self, now: Moment) -> bool {
        let is_due = now.as_nanos() >= self.due.load(Ordering::Acquire);
        if is_due {
            self.due.store(u64::MAX, Ordering::Release);
        }
        is_due
    }

    /// If not, nobody has to be looked up.
    pub(super) fn is_anyone_refused(&self, now: Moment) -> bool {
        now.as_nanos() < self.sanctioned_until.load(Ordering::Acquire)
    }
}
