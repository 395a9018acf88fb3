//! Runaway retries: the same again and again, though it was turned away.

use super::{Detector, Seen, Suspicion, evidence};
use crate::clause::Behaviour;

#[derive(Debug)]
pub(super) struct Retry;

impl Detector for Retry {
    fn behaviour(&self) -> Behaviour {
        Behaviour::Retry
    }

    fn judge(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let repeats = seen.lately.repeats;
        Suspicion::when(repeats >= 20, "no-backoff", 0.8, [evidence("repeats", repeats, 20_u32)])
    }
}
