//! Harvesting: depth in one kind of page, ids one after the other.

use super::registry::settle;
use super::{Detector, Knob, Seen, Spec, Suspicion, evidence, is_over, surest};
use crate::clause::Behaviour;

const KNOBS: [Knob; 3] = [
    Knob::new("id_run", 8, 4, 10_000, "ids in a row that go up, or down, in small steps"),
    Knob::new("neighbouring_ids", 15, 5, 10_000, "ids of such rows, over four tenths of all"),
    Knob::new(
        "depth",
        30,
        10,
        10_000,
        "distinct pages of at most three kinds, with ids, hardly one reached from another",
    ),
];

pub(super) const SPEC: Spec = Spec {
    behaviour: Behaviour::Harvest,
    knobs: &KNOBS,
    is_demand: false,
    build: |thresholds| Box::new(Harvest::new(thresholds)),
};

#[derive(Debug)]
struct Harvest {
    id_run: u32,
    neighbouring_ids: u32,
    depth: u32,
}

impl Harvest {
    fn new(thresholds: &[u32]) -> Self {
        let [id_run, neighbouring_ids, depth] = settle(&KNOBS, thresholds);
        Harvest { id_run, neighbouring_ids, depth }
    }

    /// Ids in a row.
    fn walk(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let (lately, trail) = (&seen.lately, seen.conduct.trail.as_ref()?);
        let met = u32::from(trail.run) >= self.id_run
            || (u32::from(lately.neighbours) >= self.neighbouring_ids
                && is_over(lately.neighbours, 40, lately.with_id));
        Suspicion::when(
            met,
            "id-walk",
            0.9,
            [
                evidence("run", trail.run, self.id_run),
                evidence("neighbours", lately.neighbours, self.neighbouring_ids),
            ],
        )
    }

    /// Many distinct pages of very few kinds, all with ids, and few reached from one another.
    fn deep(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let (lately, trail) = (&seen.lately, seen.conduct.trail.as_ref()?);
        let met = u32::from(lately.distinct) >= self.depth
            && trail.templates.len() <= 3
            && is_over(lately.with_id, 80, lately.asked())
            && !is_over(lately.reached, 30, lately.asked());
        Suspicion::when(
            met,
            "depth",
            0.7,
            [
                evidence("distinct", lately.distinct, self.depth),
                evidence("with_id", lately.with_id, self.depth * 8 / 10),
            ],
        )
    }
}

impl Detector for Harvest {
    fn behaviour(&self) -> Behaviour {
        Behaviour::Harvest
    }

    fn judge(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        surest([self.walk(seen), self.deep(seen)].into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use crate::clause::Behaviour;
    use crate::detect::scene::{Scene, get};

    /// Promise: ids one after the other are a walk from the configured run on; ids far apart are none.
    #[test]
    fn ids_in_a_row() {
        let mut scene = Scene::new();
        // The first id has none before it: nine ids are a run of eight.
        for id in 100..109 {
            assert_eq!(scene.rule("walker", Behaviour::Harvest), None);
            scene.plays("walker", get(&format!("/items/{id}")));
            scene.plays("reader", get(&format!("/items/{}", id * 77)));
        }
        assert_eq!(scene.rule("walker", Behaviour::Harvest), Some("id-walk"));
        assert_eq!(scene.rule("reader", Behaviour::Harvest), None);
        assert!(scene.judge("walker", Behaviour::Harvest, &[9]).is_none());
    }
}
