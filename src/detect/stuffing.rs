//! Credential stuffing: logins that fail.

use super::registry::settle;
use super::{Detector, Knob, Seen, Spec, Suspicion, evidence, is_over};
use crate::clause::Behaviour;

const KNOBS: [Knob; 2] = [
    Knob::new("failed_logins", 5, 3, 10_000, "logins that failed; twice as many are certain"),
    Knob::new("failed_percent", 60, 10, 99, "more of the logins than this failed"),
];

pub(super) const SPEC: Spec = Spec {
    behaviour: Behaviour::Stuffing,
    knobs: &KNOBS,
    is_demand: true,
    build: |thresholds| Box::new(Stuffing::new(thresholds)),
};

#[derive(Debug)]
struct Stuffing {
    failed_logins: u32,
    failed_percent: u32,
}

impl Stuffing {
    fn new(thresholds: &[u32]) -> Self {
        let [failed_logins, failed_percent] = settle(&KNOBS, thresholds);
        Stuffing { failed_logins, failed_percent }
    }
}

impl Detector for Stuffing {
    fn behaviour(&self) -> Behaviour {
        Behaviour::Stuffing
    }

    fn judge(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let lately = &seen.lately;
        let failed = u32::from(lately.logins_failed);
        // What weir refused was tried as well: a limit on logins is not to hide what those that passed it show.
        let tried = failed + u32::from(lately.logins_refused);
        let met =
            tried >= self.failed_logins && is_over(lately.logins_failed, self.failed_percent, lately.logins);
        let confidence = if tried >= self.failed_logins * 2 { 0.95 } else { 0.8 };
        let evidence = [
            evidence("logins_failed", failed, self.failed_logins),
            evidence("logins_refused", lately.logins_refused, self.failed_logins),
            evidence("logins", lately.logins, self.failed_logins),
        ];
        Suspicion::when(met, "failed-logins", confidence, evidence)
    }
}

#[cfg(test)]
mod tests {
    use crate::clause::Behaviour;
    use crate::detect::scene::{Scene, Step, get};

    /// Promise: five logins that fail are stuffing; two typing errors before each success are not.
    #[test]
    fn logins_that_fail() {
        let login = |failed| {
            let mut step = Step { method: "POST", ..get("/login") };
            step.answer.login = Some(failed);
            step
        };
        let mut scene = Scene::new();
        for n in 0..5 {
            assert_eq!(scene.rule("stuffer", Behaviour::Stuffing), None);
            scene.plays("stuffer", login(true));
            scene.plays("clumsy", login(n % 2 == 0));
        }
        assert_eq!(scene.rule("stuffer", Behaviour::Stuffing), Some("failed-logins"));
        assert_eq!(scene.rule("clumsy", Behaviour::Stuffing), None);
    }
}
