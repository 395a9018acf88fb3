//! Probing: known attacks, and misses where people do not miss.

use super::{Detector, Seen, Suspicion, evidence, is_over};
use crate::clause::Behaviour;

#[derive(Debug)]
pub(super) struct Probe;

impl Detector for Probe {
    fn behaviour(&self) -> Behaviour {
        Behaviour::Probe
    }

    fn judge(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        attacks(seen).or_else(|| misses(seen)).or_else(|| odd(seen))
    }
}

fn attacks(seen: &Seen<'_>) -> Option<Suspicion> {
    let attacks = seen.lately.attacks;
    let confidence = if attacks >= 4 { 0.95 } else { 0.8 };
    Suspicion::when(attacks >= 2, "attacks", confidence, [evidence("attacks", attacks, 2_u32)])
}

/// Distinct pages that are not there, or not for it. Whoever fetches a page's assets is looking at something.
fn misses(seen: &Seen<'_>) -> Option<Suspicion> {
    let lately = &seen.lately;
    let met = lately.failed >= 3
        && is_over(lately.failed, 30, lately.pages)
        && lately.assets < lately.pages.max(lately.failed)
        && (lately.failed_distinct >= 2 || lately.failed >= 8);
    Suspicion::when(
        met,
        "misses",
        0.75,
        [
            evidence("failed", lately.failed, 3_u32),
            evidence("failed_distinct", lately.failed_distinct, 2_u32),
        ],
    )
}

/// Methods that nobody uses.
fn odd(seen: &Seen<'_>) -> Option<Suspicion> {
    let odd = seen.lately.odd;
    Suspicion::when(odd >= 2, "odd-methods", 0.8, [evidence("odd", odd, 2_u32)])
}
