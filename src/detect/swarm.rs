//! Swarms: many clients of one network, or by one software, each of which asks for a page or two and for nothing that
//! belongs to them.

use super::registry::settle;
use super::{Detector, Knob, Seen, SeenCrowd, Spec, Suspicion, evidence, is_over};
use crate::clause::Behaviour;

const KNOBS: [Knob; 3] = [
    Knob::new("newcomers", 50, 10, 60_000, "clients within an hour whose first request was for a page"),
    Knob::new(
        "settled_percent",
        5,
        1,
        50,
        "no more of them than this fetched an asset, or were led to another page",
    ),
    Knob::new("pages", 8, 2, 32, "different pages that they came for, weighed by how evenly"),
];

pub(super) const SPEC: Spec = Spec {
    behaviour: Behaviour::Swarm,
    knobs: &KNOBS,
    is_demand: false,
    build: |thresholds| Box::new(Swarm::new(thresholds)),
};

/// Everybody with the same software looks the same: too little to act on untuned.
pub(super) const BY_SOFTWARE: f32 = 0.7;

#[derive(Debug)]
struct Swarm {
    newcomers: u32,
    settled_percent: u32,
    pages: u32,
}

impl Swarm {
    fn new(thresholds: &[u32]) -> Self {
        let [newcomers, settled_percent, pages] = settle(&KNOBS, thresholds);
        Swarm { newcomers, settled_percent, pages }
    }
}

impl Detector for Swarm {
    fn behaviour(&self) -> Behaviour {
        Behaviour::Swarm
    }

    fn judge(&self, _: &Seen<'_>) -> Option<Suspicion> {
        None
    }

    fn judge_crowd(&self, crowd: &SeenCrowd<'_>) -> Option<Suspicion> {
        let lately = &crowd.lately;
        if u32::from(lately.newcomers) < self.newcomers {
            return None;
        }
        // Where nobody's browser shows itself, everybody looks like this.
        let shows = crowd.site.shows_referers() || crowd.site.shows_assets();
        let pages = lately.pages.kinds();
        let met =
            shows && pages >= self.pages && !is_over(lately.settled, self.settled_percent, lately.newcomers);
        Suspicion::when(
            met,
            "unsettled",
            if crowd.is_software { BY_SOFTWARE } else { 0.8 },
            [
                evidence("newcomers_1h", lately.newcomers, self.newcomers),
                evidence(
                    "settled_1h",
                    lately.settled,
                    u32::from(lately.newcomers) * self.settled_percent / 100,
                ),
                evidence("kinds_of_pages", pages, self.pages),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::clause::Behaviour;
    use crate::detect::scene::{Scene, get};

    /// Promise: fifty clients of a network that each ask for one page of many and for none of its assets are a swarm;
    /// the same number who fetch assets are not, nor are those who all come for the same page, nor forty-nine.
    #[test]
    fn one_page_each() {
        let mut scene = Scene::new();
        scene.people_read();
        for client in 0..60 {
            let page = format!("/item/{client}");
            if client < 49 {
                scene.plays_in("few", &format!("few {client}"), get(&page));
            }
            scene.plays_in("swarm", &format!("swarm {client}"), get(&page));
            scene.plays_in("landing", &format!("landing {client}"), get("/offer"));
            scene.plays_in("people", &format!("visitor {client}"), get(&page));
            scene.plays_in("people", &format!("visitor {client}"), get("/style.css"));
        }
        let rules = |scene: &Scene| {
            ["swarm", "few", "landing", "people"].map(|crowd| scene.crowd_rule(crowd, Behaviour::Swarm))
        };
        assert_eq!(rules(&scene), [None; 4], "they may still fetch assets");
        scene.wait(60);
        for crowd in ["swarm", "few", "landing", "people"] {
            scene.plays_in(crowd, &format!("{crowd} last"), get("/last"));
        }
        assert_eq!(rules(&scene), [Some("unsettled"), None, None, None]);
    }
}
