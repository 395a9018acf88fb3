//! Probing: known attacks, and misses where people do not miss.

use super::registry::settle;
use super::{Detector, Knob, Seen, Spec, Suspicion, evidence, is_over, surest};
use crate::clause::Behaviour;

const KNOBS: [Knob; 4] = [
    Knob::new("attacks", 2, 1, 10_000, "requests that are known attacks; twice as many are certain"),
    Knob::new(
        "misses",
        3,
        2,
        10_000,
        "pages and calls answered 4xx; three times as many, distinct, are certain",
    ),
    Knob::new("misses_percent", 30, 5, 99, "more of all pages and calls than this"),
    Knob::new("odd_methods", 2, 1, 10_000, "requests by methods that nobody uses"),
];

pub(super) const SPEC: Spec = Spec {
    behaviour: Behaviour::Probe,
    knobs: &KNOBS,
    is_demand: false,
    build: |thresholds| Box::new(Probe::new(thresholds)),
};

#[derive(Debug)]
struct Probe {
    attacks: u32,
    misses: u32,
    misses_percent: u32,
    odd_methods: u32,
}

impl Probe {
    fn new(thresholds: &[u32]) -> Self {
        let [attacks, misses, misses_percent, odd_methods] = settle(&KNOBS, thresholds);
        Probe { attacks, misses, misses_percent, odd_methods }
    }

    fn attacks(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let attacks = u32::from(seen.lately.attacks);
        let confidence = if attacks >= self.attacks * 2 { 0.95 } else { 0.8 };
        let met = attacks >= self.attacks;
        Suspicion::when(met, "attacks", confidence, [evidence("attacks", attacks, self.attacks)])
    }

    /// Distinct pages that are not there, or not for it. Whoever fetches a page's assets is looking at something.
    fn misses(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let lately = &seen.lately;
        let met = u32::from(lately.failed) >= self.misses
            && is_over(lately.failed, self.misses_percent, lately.asked())
            && lately.assets < lately.asked().max(lately.failed)
            && (lately.failed_distinct >= 2 || lately.failed >= 8);
        // What a program asks by number may be there or not: too little to act on here, and `harvest` looks at it too.
        let is_by_number = lately.calls > lately.pages && is_over(lately.missed_ids, 50, lately.failed);
        let is_certain = u32::from(lately.failed_distinct) >= self.misses * 3 && !is_by_number;
        let confidence = if is_certain { 0.9 } else { 0.75 };
        Suspicion::when(
            met,
            "misses",
            confidence,
            [
                evidence("failed", lately.failed, self.misses),
                evidence("failed_distinct", lately.failed_distinct, 2_u32),
            ],
        )
    }

    /// Methods that nobody uses.
    fn odd(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let odd = u32::from(seen.lately.odd);
        Suspicion::when(odd >= self.odd_methods, "odd-methods", 0.8, [evidence("odd", odd, self.odd_methods)])
    }
}

impl Detector for Probe {
    fn behaviour(&self) -> Behaviour {
        Behaviour::Probe
    }

    fn judge(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let lately = &seen.lately;
        let is_below = |count: u16, threshold: u32| u32::from(count) < threshold;
        if is_below(lately.attacks, self.attacks)
            && is_below(lately.failed, self.misses)
            && is_below(lately.odd, self.odd_methods)
        {
            return None;
        }
        surest([self.attacks(seen), self.misses(seen), self.odd(seen)])
    }
}

#[cfg(test)]
mod tests {
    use crate::clause::Behaviour;
    use crate::detect::scene::{Scene, Step, get};

    /// Promise: known attacks, pages that are not there, and odd methods are each enough; a reader's one miss is not.
    #[test]
    fn ways_to_probe() {
        let mut scene = Scene::new();
        scene.visits("attacker", &["/.env", "/.git/config"], 404);
        scene.visits("guesser", &["/a", "/b", "/c"], 404);
        (0..2).for_each(|_| scene.plays("odd", Step { method: "TRACE", ..get("/") }));
        scene.visits("reader", &["/x", "/y"], 200);
        scene.plays("reader", get("/z").answered(404));
        let rules = ["attacker", "guesser", "odd", "reader"].map(|who| scene.rule(who, Behaviour::Probe));
        assert_eq!(rules, [Some("attacks"), Some("misses"), Some("odd-methods"), None]);
    }

    /// Promise: a program that asks for numbers that are not there is told, and nothing is done to it for probing.
    #[test]
    fn missed_numbers_are_not_certain() {
        let mut scene = Scene::new();
        for n in 0..40 {
            scene.plays("lookup", get(&format!("/api/v1/customers/{}", n * 37)).answered(404));
            scene.plays("scanner", get(&format!("/api/v1/{n}x")).answered(404));
        }
        let confidence = |who| scene.judge(who, Behaviour::Probe, &[]).map(|found| found.confidence);
        assert_eq!(["lookup", "scanner"].map(confidence), [Some(0.75), Some(0.9)]);
        assert_eq!(scene.rule("lookup", Behaviour::Harvest), Some("id-guessing"));
    }
}
