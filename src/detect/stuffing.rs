//! Credential stuffing: logins that fail.

use super::registry::settle;
use super::swarm::BY_SOFTWARE;
use super::{Detector, Knob, Seen, SeenCrowd, Spec, Suspicion, evidence, is_over};
use crate::clause::Behaviour;

const KNOBS: [Knob; 3] = [
    Knob::new("failed_logins", 5, 3, 10_000, "logins that failed; twice as many are certain"),
    Knob::new("failed_percent", 60, 10, 99, "more of the logins than this failed"),
    Knob::new(
        "failed_clients",
        20,
        5,
        60_000,
        "clients of one network or software within an hour whose logins fail, ten for each that succeeds",
    ),
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
    clients: u32,
}

impl Stuffing {
    fn new(thresholds: &[u32]) -> Self {
        let [failed_logins, failed_percent, failed_clients] = settle(&KNOBS, thresholds);
        Stuffing { failed_logins, failed_percent, clients: failed_clients }
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

    /// A list tried from many places, once or twice from each. People who mistype sign in the next time.
    fn judge_crowd(&self, crowd: &SeenCrowd<'_>) -> Option<Suspicion> {
        let lately = &crowd.lately;
        let failed = u32::from(lately.failed_login);
        let met = failed >= self.clients && !is_over(lately.logged_in, 10, lately.failed_login);
        let confidence = if crowd.is_software { BY_SOFTWARE } else { 0.85 };
        let evidence = [
            evidence("clients_failed_1h", failed, self.clients),
            evidence("clients_logged_in_1h", lately.logged_in, failed / 10),
        ];
        Suspicion::when(met, "from-many-clients", confidence, evidence)
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

    /// Promise: a login or two from each of twenty clients that fail are stuffing by all of them; people of an office
    /// who mistype and then sign in are not.
    #[test]
    fn a_list_from_many_places() {
        let login = |failed| {
            let mut step = Step { method: "POST", ..get("/login") };
            step.answer.login = Some(failed);
            step
        };
        let mut scene = Scene::new();
        for n in 0..20 {
            assert_eq!(scene.crowd_rule("list", Behaviour::Stuffing), None);
            scene.plays_in("list", &format!("bot {n}"), login(true));
            scene.plays_in("list", &format!("bot {n}"), login(true));
            scene.plays_in("office", &format!("person {n}"), login(true));
            scene.plays_in("office", &format!("person {n}"), login(n % 5 == 0));
        }
        assert_eq!(scene.rule("bot 0", Behaviour::Stuffing), None);
        assert_eq!(scene.crowd_rule("list", Behaviour::Stuffing), Some("from-many-clients"));
        assert_eq!(scene.crowd_rule("office", Behaviour::Stuffing), None);
    }
}
