//! Interference: somebody whose requests are most of what fails or drags in the app.
//!
//! What the app answers with 5xx or far slower than it usually does, counted for everyone together and for each
//! principal. Most of the trouble with a small part of the traffic is a reason to look at whoever sends that part.

use super::registry::settle;
use super::{Detector, Knob, Seen, Spec, Suspicion, evidence};
use crate::clause::Behaviour;

const KNOBS: [Knob; 3] = [
    Knob::new("troubles", 20, 5, 1_000_000, "answers of the app within an hour that failed or dragged"),
    Knob::new("troubles_percent", 50, 10, 99, "more of everybody's such answers than this"),
    Knob::new("times_others", 5, 2, 1_000, "as often, of its own answers, as among everybody else's"),
];

pub(super) const SPEC: Spec = Spec {
    behaviour: Behaviour::Interfere,
    knobs: &KNOBS,
    is_demand: false,
    build: |thresholds| Box::new(Interfere::new(thresholds)),
};

#[derive(Debug)]
struct Interfere {
    troubles: u32,
    troubles_percent: u32,
    times_others: u32,
}

impl Interfere {
    fn new(thresholds: &[u32]) -> Self {
        let [troubles, troubles_percent, times_others] = settle(&KNOBS, thresholds);
        Interfere { troubles, troubles_percent, times_others }
    }
}

impl Detector for Interfere {
    fn behaviour(&self) -> Behaviour {
        Behaviour::Interfere
    }

    fn judge(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let own = seen.conduct.health(seen.now)?;
        let (all, own_troubles) = (seen.site.health(), own.troubles());
        let others = all.without(own);
        // More often than others by a factor, in whole numbers: own/answers > factor × others/answers.
        let is_outlier = u64::from(own_troubles) * u64::from(others.answers)
            >= u64::from(self.times_others) * u64::from(others.troubles()) * u64::from(own.answers);
        let met = own_troubles >= self.troubles
            && u64::from(own_troubles) * 100 > u64::from(self.troubles_percent) * u64::from(all.troubles())
            && others.answers >= own.answers
            && is_outlier;
        Suspicion::when(
            met,
            "most-of-the-trouble",
            0.8,
            [
                evidence("errors", own.errors, self.troubles),
                evidence("slow", own.slow, self.troubles),
                evidence("everybodys_troubles", all.troubles(), own_troubles),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::clause::Behaviour;
    use crate::detect::scene::{Scene, get};

    /// Promise: who sends a small part of the traffic and has most of the errors is named, the others are not; an app
    /// that fails for everybody is nobody's doing.
    #[test]
    fn most_of_the_errors_of_a_few_requests() {
        let mut scene = Scene::new();
        for n in 0..400 {
            scene.plays("others", get("/page").answered(if n % 50 == 0 { 500 } else { 200 }));
        }
        (0..30).for_each(|_| scene.plays("culprit", get("/export").answered(503)));
        assert_eq!(scene.rule("culprit", Behaviour::Interfere), Some("most-of-the-trouble"));
        assert_eq!(scene.rule("others", Behaviour::Interfere), None);

        let mut outage = Scene::new();
        for _ in 0..100 {
            outage.plays("a", get("/").answered(502));
            outage.plays("b", get("/").answered(502));
        }
        assert_eq!(
            (outage.rule("a", Behaviour::Interfere), outage.rule("b", Behaviour::Interfere)),
            (None, None)
        );
    }
}
