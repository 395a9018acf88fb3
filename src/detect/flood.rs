//! Floods: far more in a short time than anybody reads, and far more than its own past.

use std::time::Duration;

use super::registry::settle;
use super::{Detector, Knob, Seen, Spec, Suspicion, evidence, surest};
use crate::clause::Behaviour;
use crate::window::Horizon;

const KNOBS: [Knob; 6] = [
    Knob::new("torrent", 50, 5, 1_000_000, "pages and calls in 10 s"),
    Knob::new("in_a_row", 50, 5, 60_000, "times the same fetched in a row, within a torrent: a hammer"),
    Knob::new("times_usual", 5, 2, 1_000, "as many as usual, from which a torrent is certain"),
    Knob::new("burst", 12, 3, 1_000_000, "pages in 10 s, and hardly an asset"),
    Knob::new("lasting", 60, 5, 1_000_000, "pages and calls in 1 min, and hardly an asset"),
    Knob::new("clients", 20, 3, 1_000_000, "clients within an hour that use one account or session"),
];

pub(super) const SPEC: Spec = Spec {
    behaviour: Behaviour::Flood,
    knobs: &KNOBS,
    is_demand: true,
    build: |thresholds| Box::new(Flood::new(thresholds)),
};

/// What is usual is known after so long.
const PAST_MIN: Duration = Duration::from_secs(600);

#[derive(Debug)]
struct Flood {
    torrent: u32,
    in_a_row: u32,
    times_usual: u32,
    burst: u32,
    lasting: u32,
    clients: u32,
}

impl Flood {
    fn new(thresholds: &[u32]) -> Self {
        let [torrent, in_a_row, times_usual, burst, lasting, clients] = settle(&KNOBS, thresholds);
        Flood { torrent, in_a_row, times_usual, burst, lasting, clients }
    }

    /// Much at once. An office or an integration may do that every day: certain is what hammers at one thing, or is
    /// far above its own past.
    fn torrent(&self, seen: &Seen<'_>, short: u32) -> Option<Suspicion> {
        let same = u32::from(seen.conduct.trail.as_ref()?.same);
        let is_unusual =
            || usual(seen, short).is_some_and(|usual| short >= self.times_usual.saturating_mul(usual));
        let confidence = match () {
            () if same >= self.in_a_row => 0.95,
            () if is_unusual() => 0.85,
            () => 0.7,
        };
        let evidence =
            [evidence("asked_10s", short, self.torrent), evidence("in_a_row", same, self.in_a_row)];
        Suspicion::when(short >= self.torrent, "torrent", confidence, evidence)
    }

    /// One identity from many places at once. A large customer has many: certain only in a torrent.
    fn scattered(&self, seen: &Seen<'_>, short: u32) -> Option<Suspicion> {
        let clients = seen.conduct.clients(seen.now);
        let confidence = if short >= self.torrent { 0.85 } else { 0.6 };
        let evidence =
            [evidence("clients_1h", clients, self.clients), evidence("asked_10s", short, self.torrent)];
        Suspicion::when(clients >= self.clients, "scattered", confidence, evidence)
    }

    /// Less than a torrent, by somebody who looks at nothing.
    fn unread(&self, seen: &Seen<'_>, short: u32) -> Option<Suspicion> {
        let long = seen.conduct.asked_in(Horizon::Minute, seen.now);
        let (counter, count, threshold, confidence) = if long >= self.lasting {
            ("asked_1m", long, self.lasting, 0.75)
        } else {
            ("asked_10s", short, self.burst, 0.65)
        };
        // One view of an application in the browser is many calls.
        let met = count >= threshold && seen.lately.pages > seen.lately.calls && !seen.renders();
        Suspicion::when(met, "unread", confidence, [evidence(counter, count, threshold)])
    }
}

/// What it asks for in 10 s on average of the last hour, before these; at least 1. `None` where too little is known.
fn usual(seen: &Seen<'_>, short: u32) -> Option<u32> {
    let known = seen.now.since(seen.conduct.first).min(Duration::from_secs(3600));
    let before = seen.conduct.asked_in(Horizon::Hour, seen.now).saturating_sub(short);
    let tens = u32::try_from(known.as_secs() / 10).unwrap_or(u32::MAX).max(1);
    (known >= PAST_MIN).then(|| before.div_ceil(tens).max(1))
}

impl Detector for Flood {
    fn behaviour(&self) -> Behaviour {
        Behaviour::Flood
    }

    fn judge(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        // Whoever did not ask so often at all did not within a minute. A trail may know of one page more.
        let often = self.torrent.min(self.burst).min(self.lasting);
        if seen.conduct.requests.saturating_add(1) < often && seen.conduct.clients(seen.now) < self.clients {
            return None;
        }
        let short = seen.conduct.asked_in(Horizon::TenSeconds, seen.now);
        let torrent = if short >= self.torrent { self.torrent(seen, short) } else { None };
        surest([torrent, self.scattered(seen, short), self.unread(seen, short)])
    }
}

#[cfg(test)]
mod tests {
    use crate::clause::Behaviour;
    use crate::detect::scene::{Scene, Step, get};

    /// Promise: twelve pages at once are a flood of somebody who fetches no assets, eleven are none.
    #[test]
    fn pages_at_once() {
        let mut scene = Scene::new();
        for n in 0..12 {
            assert_eq!(scene.rule("tool", Behaviour::Flood), None);
            scene.plays("tool", get(&format!("/{n}")));
            scene.plays("office", get(&format!("/{n}")));
            scene.plays("office", get("/style.css"));
        }
        assert_eq!(scene.rule("tool", Behaviour::Flood), Some("unread"));
        assert_eq!(scene.rule("office", Behaviour::Flood), None);
    }

    /// Promise: certain is what hammers at one thing, or what was quiet before; who is as busy as ever is not accused
    /// for certain.
    #[test]
    fn certain_torrents() {
        let mut scene = Scene::new();
        let sure = |scene: &Scene, who: &str| {
            scene.judge(who, Behaviour::Flood, &[]).is_some_and(|suspicion| suspicion.confidence > 0.8)
        };
        for second in 0..900 {
            for n in 0..6 {
                scene.plays("busy", get(&format!("/api/{}", second * 6 + n)));
            }
            if second % 60 == 0 {
                scene.plays("quiet", get(&format!("/{second}")));
            }
            scene.wait(1);
        }
        for n in 0..50 {
            scene.plays("quiet", get(&format!("/q{n}")));
            scene.plays("hammer", get("/export"));
            scene.plays("import", Step { method: "POST", ..get("/api/items") });
        }
        let who = ["busy", "quiet", "hammer", "import"];
        assert_eq!(who.map(|who| sure(&scene, who)), [false, true, true, false]);
        assert_eq!(scene.rule("busy", Behaviour::Flood), Some("torrent"));
    }

    /// Promise: an account that twenty clients use within an hour is told, and no more than told while it is calm.
    #[test]
    fn one_account_from_many_places() {
        let mut scene = Scene::new();
        for client in 1..=20 {
            assert_eq!(scene.rule("account", Behaviour::Flood), None);
            scene.plays("account", Step { client, ..get("/api/items") });
            scene.wait(60);
        }
        let suspicion = scene.judge("account", Behaviour::Flood, &[]);
        assert!(suspicion.is_some_and(|found| found.rule == "scattered" && found.confidence < 0.8));
    }
}
