//! Runaway retries: the same again and again, though it was turned away.

use super::registry::settle;
use super::{Detector, Knob, Seen, Spec, Suspicion, evidence};
use crate::clause::Behaviour;
use crate::window::Horizon;

const KNOBS: [Knob; 1] =
    [Knob::new("repeats", 20, 3, 10_000, "repetitions of what was turned away or failed just before")];

pub(super) const SPEC: Spec = Spec {
    behaviour: Behaviour::Retry,
    knobs: &KNOBS,
    is_demand: true,
    build: |thresholds| Box::new(Retry::new(thresholds)),
};

#[derive(Debug)]
struct Retry {
    repeats: u32,
}

impl Retry {
    fn new(thresholds: &[u32]) -> Self {
        let [repeats] = settle(&KNOBS, thresholds);
        Retry { repeats }
    }
}

impl Detector for Retry {
    fn behaviour(&self) -> Behaviour {
        Behaviour::Retry
    }

    fn judge(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let repeats = u32::from(seen.lately.repeats);
        // Of a month's reloading, one now and one then, nothing goes down.
        let met = repeats >= self.repeats && seen.conduct.asked_in(Horizon::Hour, seen.now) >= self.repeats;
        // Whom browsers stand behind, may be an office at the reload button.
        let confidence = if seen.may_be_people() { 0.7 } else { 0.8 };
        Suspicion::when(met, "no-backoff", confidence, [evidence("repeats", repeats, self.repeats)])
    }
}

#[cfg(test)]
mod tests {
    use crate::clause::Behaviour;
    use crate::detect::scene::{Scene, get};

    /// Promise: the same page again after each failure is a retry loop; polling a page that is well is none.
    #[test]
    fn again_and_again() {
        let mut scene = Scene::new();
        // The first is no repetition.
        for _ in 0..21 {
            assert_eq!(scene.rule("loop", Behaviour::Retry), None);
            scene.plays("loop", get("/job").answered(503));
            scene.plays("poller", get("/feed"));
            scene.wait(1);
        }
        assert_eq!(scene.rule("loop", Behaviour::Retry), Some("no-backoff"));
        assert_eq!(scene.rule("poller", Behaviour::Retry), None);
    }

    /// Promise: who reloads what is down now and then, for weeks, is in no loop.
    #[test]
    fn now_and_then() {
        let mut scene = Scene::new();
        for _ in 0..100 {
            scene.visits("patient", &["/job", "/job"], 503);
            assert_eq!(scene.rule("patient", Behaviour::Retry), None);
            scene.wait(3600);
        }
    }
}
