//! Harvesting: depth in one kind of page, ids one after the other.

use super::registry::settle;
use super::{Detector, Knob, Seen, Spec, Suspicion, evidence, is_over, surest};
use crate::clause::Behaviour;

const KNOBS: [Knob; 5] = [
    Knob::new("id_run", 8, 4, 10_000, "ids in a row that go up, or down, in small steps"),
    Knob::new("neighbouring_ids", 15, 5, 10_000, "ids of such rows, over four tenths of all"),
    Knob::new(
        "depth",
        30,
        10,
        10_000,
        "distinct pages of at most three kinds, with ids, hardly one reached from another",
    ),
    Knob::new("missed_ids", 10, 3, 10_000, "ids that are not there, or not for it, over a fifth of all"),
    Knob::new("megabytes", 1_000, 10, 4_000_000, "bytes taken in an hour, half of what everybody takes"),
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
    missed_ids: u32,
    megabytes: u32,
}

impl Harvest {
    fn new(thresholds: &[u32]) -> Self {
        let [id_run, neighbouring_ids, depth, missed_ids, megabytes] = settle(&KNOBS, thresholds);
        Harvest { id_run, neighbouring_ids, depth, missed_ids, megabytes }
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

    /// Ids that are guessed, in any order: who follows links, or asks for what is its own, hardly ever misses.
    fn guessing(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let lately = &seen.lately;
        let met = u32::from(lately.missed_ids) >= self.missed_ids
            && is_over(lately.missed_ids, 20, lately.with_id)
            && u32::from(lately.distinct) >= self.missed_ids;
        Suspicion::when(
            met,
            "id-guessing",
            0.85,
            [
                evidence("missed_ids", lately.missed_ids, self.missed_ids),
                evidence("with_id", lately.with_id, self.missed_ids),
            ],
        )
    }

    /// Most of what everybody takes. Large files have their lovers, hence less than enough to act on.
    fn bulk(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let own = seen.conduct.health(seen.now)?.megabytes();
        let all = seen.site.health().megabytes();
        let met = own >= self.megabytes && own.saturating_mul(2) > all;
        let evidence =
            [evidence("megabytes", own, self.megabytes), evidence("everybodys_megabytes", all, own)];
        Suspicion::when(met, "bulk", 0.65, evidence)
    }
}

impl Detector for Harvest {
    fn behaviour(&self) -> Behaviour {
        Behaviour::Harvest
    }

    fn judge(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let lately = &seen.lately;
        let is_below = |count: u16, threshold: u32| u32::from(count) < threshold;
        let is_walking = seen.conduct.trail.as_ref().is_some_and(|trail| !is_below(trail.run, self.id_run));
        if !is_walking
            && is_below(lately.neighbours, self.neighbouring_ids)
            && is_below(lately.distinct, self.depth)
            && is_below(lately.missed_ids, self.missed_ids)
            && !seen.conduct.has_health()
        {
            return None;
        }
        surest([self.walk(seen), self.guessing(seen), self.deep(seen), self.bulk(seen)])
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

    /// Promise: ids that are mostly not there are guessed, in whatever order; a few dead links are not.
    #[test]
    fn ids_that_are_not_there() {
        let mut scene = Scene::new();
        for n in 1..=10_u64 {
            assert_eq!(scene.rule("guesser", Behaviour::Harvest), None);
            let id = n * 7919 % 1000;
            scene.plays("guesser", get(&format!("/items/{id}")).answered(404));
            (0..5).for_each(|k| scene.plays("reader", get(&format!("/items/{}", id + 1000 * k))));
            scene.plays("reader", get(&format!("/items/{}", id + 9000)).answered(404));
        }
        assert_eq!(scene.rule("guesser", Behaviour::Harvest), Some("id-guessing"));
        assert_ne!(scene.rule("reader", Behaviour::Harvest), Some("id-guessing"));
    }

    /// Promise: who takes most of what everybody takes is found once that is much.
    #[test]
    fn most_of_all_bytes() {
        let mut scene = Scene::new();
        let file = |megabytes: u64| {
            let mut step = get("/backup");
            step.answer.bytes = megabytes << 20;
            step
        };
        scene.plays("others", file(400));
        scene.plays("glutton", file(999));
        assert_eq!(scene.rule("glutton", Behaviour::Harvest), None);
        scene.plays("glutton", file(1));
        assert_eq!(scene.rule("glutton", Behaviour::Harvest), Some("bulk"));
        scene.plays("others", file(700));
        assert_eq!(scene.rule("glutton", Behaviour::Harvest), None);
    }
}
