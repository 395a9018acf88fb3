//! Floods: far more pages in a short time than anybody reads.

use super::{Detector, Seen, Suspicion, evidence};
use crate::clause::Behaviour;
use crate::window::Horizon;

#[derive(Debug)]
pub(super) struct Flood;

/// Pages within a horizon that no reader asks for.
const TOO_MANY: [(Horizon, u32, f32); 3] =
    [(Horizon::TenSeconds, 50, 0.95), (Horizon::TenSeconds, 12, 0.7), (Horizon::Minute, 60, 0.8)];

impl Detector for Flood {
    fn behaviour(&self) -> Behaviour {
        Behaviour::Flood
    }

    fn judge(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let (horizon, threshold, confidence) = TOO_MANY
            .into_iter()
            .find(|(horizon, threshold, _)| seen.conduct.pages_in(*horizon, seen.now) >= *threshold)?;
        let counter = if horizon == Horizon::TenSeconds { "pages_10s" } else { "pages_1m" };
        Suspicion::when(
            true,
            "rate",
            confidence,
            [evidence(counter, seen.conduct.pages_in(horizon, seen.now), threshold)],
        )
    }
}
