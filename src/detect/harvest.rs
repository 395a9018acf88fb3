//! Harvesting: depth in one kind of page, ids one after the other.

use super::{Detector, Seen, Suspicion, evidence, is_over};
use crate::clause::Behaviour;

#[derive(Debug)]
pub(super) struct Harvest;

impl Detector for Harvest {
    fn behaviour(&self) -> Behaviour {
        Behaviour::Harvest
    }

    fn judge(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        walk(seen).or_else(|| depth(seen))
    }
}

/// Ids in a row.
fn walk(seen: &Seen<'_>) -> Option<Suspicion> {
    let trail = seen.conduct.trail.as_ref()?;
    let met = trail.run >= 8
        || (seen.lately.neighbours >= 15 && is_over(seen.lately.neighbours, 40, seen.lately.with_id));
    Suspicion::when(
        met,
        "id-walk",
        0.9,
        [evidence("run", trail.run, 8_u32), evidence("neighbours", seen.lately.neighbours, 15_u32)],
    )
}

/// Many distinct pages of very few kinds, all with ids, and few reached from one another.
fn depth(seen: &Seen<'_>) -> Option<Suspicion> {
    let (lately, trail) = (&seen.lately, seen.conduct.trail.as_ref()?);
    let met = lately.distinct >= 30
        && trail.templates.len() <= 3
        && is_over(lately.with_id, 80, lately.pages)
        && !is_over(lately.reached, 30, lately.pages);
    Suspicion::when(
        met,
        "depth",
        0.7,
        [evidence("distinct", lately.distinct, 30_u32), evidence("with_id", lately.with_id, 24_u32)],
    )
}
