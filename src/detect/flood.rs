//! Floods: far more pages in a short time than anybody reads.

use super::registry::settle;
use super::{Detector, Knob, Seen, Spec, Suspicion, evidence};
use crate::clause::Behaviour;
use crate::window::Horizon;

const KNOBS: [Knob; 3] = [
    Knob::new("torrent_pages", 50, 5, 1_000_000, "pages in 10 s that are certainly a flood"),
    Knob::new("burst_pages", 12, 3, 1_000_000, "pages in 10 s that are likely one"),
    Knob::new("lasting_pages", 60, 5, 1_000_000, "pages in 1 min that are"),
];

pub(super) const SPEC: Spec = Spec {
    behaviour: Behaviour::Flood,
    knobs: &KNOBS,
    is_demand: true,
    build: |thresholds| Box::new(Flood::new(thresholds)),
};

#[derive(Debug)]
struct Flood {
    /// Pages, all three.
    torrent: u32,
    burst: u32,
    lasting: u32,
}

impl Flood {
    fn new(thresholds: &[u32]) -> Self {
        let [torrent, burst, lasting] = settle(&KNOBS, thresholds);
        Flood { torrent, burst, lasting }
    }
}

impl Detector for Flood {
    fn behaviour(&self) -> Behaviour {
        Behaviour::Flood
    }

    fn judge(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let short = seen.conduct.pages_in(Horizon::TenSeconds, seen.now);
        let long = seen.conduct.pages_in(Horizon::Minute, seen.now);
        let (counter, pages, threshold, confidence) = if short >= self.torrent {
            ("pages_10s", short, self.torrent, 0.95)
        } else if long >= self.lasting {
            ("pages_1m", long, self.lasting, 0.8)
        } else {
            ("pages_10s", short, self.burst, 0.7)
        };
        Suspicion::when(pages >= threshold, "rate", confidence, [evidence(counter, pages, threshold)])
    }
}

#[cfg(test)]
mod tests {
    use crate::clause::Behaviour;
    use crate::detect::scene::{Scene, get};

    /// Promise: twelve pages at once are a flood, eleven are none, and assets are no pages.
    #[test]
    fn pages_at_once() {
        let mut scene = Scene::new();
        (0..11).for_each(|n| scene.plays("a", get(&format!("/{n}"))));
        (0..100).for_each(|n| scene.plays("a", get(&format!("/{n}.png"))));
        assert_eq!(scene.rule("a", Behaviour::Flood), None);
        scene.plays("a", get("/11"));
        assert_eq!(scene.rule("a", Behaviour::Flood), Some("rate"));
    }
}
