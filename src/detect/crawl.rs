//! Crawling: breadth, and pages that nobody led to.
//!
//! People come to a page from another page of the site, and their browsers fetch what it is made of. Both signals
//! are used only where the site's own traffic shows them.

use super::registry::settle;
use super::{Detector, Knob, Seen, Spec, Suspicion, evidence, is_over};
use crate::clause::Behaviour;

const KNOBS: [Knob; 12] = [
    Knob::new("trap_pages", 1, 1, 1_000, "pages that nobody is ever led to"),
    Knob::new(
        "disallowed_pages",
        3,
        1,
        10_000,
        "pages that robots.txt asks crawlers to leave alone, by a crawler",
    ),
    Knob::new("robot_pages", 5, 1, 10_000, "pages of somebody who asked for robots.txt"),
    Knob::new("unreferred_pages", 6, 3, 10_000, "pages before a lack of Referers counts"),
    Knob::new("unreferred_percent", 90, 50, 99, "more of the pages than this have no Referer"),
    Knob::new("jumps", 3, 2, 10_000, "distinct pages without a Referer, none of them reached from another"),
    Knob::new(
        "pages_without_assets",
        5,
        3,
        10_000,
        "pages that owe their assets, and are more than the assets",
    ),
    Knob::new("unled_assets", 5, 3, 10_000, "assets, hardly any of which a page led to"),
    Knob::new("impossible_referers", 3, 2, 10_000, "pages whose Referer names a page that was never fetched"),
    Knob::new("impossible_percent", 30, 5, 99, "more of the pages than this have such a Referer"),
    Knob::new("distinct_pages", 10, 5, 10_000, "distinct pages, most of them without a way there"),
    Knob::new("distinct_unreferred_percent", 50, 20, 99, "more of those pages than this have no Referer"),
];

pub(super) const SPEC: Spec = Spec {
    behaviour: Behaviour::Crawl,
    knobs: &KNOBS,
    is_demand: false,
    build: |thresholds| Box::new(Crawl::new(thresholds)),
};

#[derive(Debug)]
struct Crawl {
    trap_pages: u32,
    disallowed_pages: u32,
    robot_pages: u32,
    unreferred_pages: u32,
    unreferred_percent: u32,
    jumps: u32,
    pages_without_assets: u32,
    unled_assets: u32,
    impossible_referers: u32,
    impossible_percent: u32,
    distinct_pages: u32,
    distinct_unreferred_percent: u32,
}

impl Crawl {
    fn new(thresholds: &[u32]) -> Self {
        let [
            trap_pages,
            disallowed_pages,
            robot_pages,
            unreferred_pages,
            unreferred_percent,
            jumps,
            pages_without_assets,
            unled_assets,
            impossible_referers,
            impossible_percent,
            distinct_pages,
            distinct_unreferred_percent,
        ] = settle(&KNOBS, thresholds);
        Crawl {
            trap_pages,
            disallowed_pages,
            robot_pages,
            unreferred_pages,
            unreferred_percent,
            jumps,
            pages_without_assets,
            unled_assets,
            impossible_referers,
            impossible_percent,
            distinct_pages,
            distinct_unreferred_percent,
        }
    }

    /// Pages that nobody is ever led to.
    fn trapped(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let traps = u32::from(seen.lately.traps);
        Suspicion::when(traps >= self.trap_pages, "trap", 0.95, [evidence("traps", traps, self.trap_pages)])
    }

    /// Pages that crawlers are asked to leave alone, by one: it read that request, or nothing led it anywhere. People
    /// may open them.
    fn disregard(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let lately = &seen.lately;
        let is_lost =
            seen.site.shows_referers() && lately.reached == 0 && is_over(lately.unreferred, 75, lately.pages);
        let met = u32::from(lately.disallowed) >= self.disallowed_pages && (lately.robots > 0 || is_lost);
        Suspicion::when(
            met,
            "robots-disregarded",
            0.95,
            [
                evidence("disallowed", lately.disallowed, self.disallowed_pages),
                evidence("robots", lately.robots, 0_u32),
            ],
        )
    }

    /// Nobody but a robot asks what robots may fetch. That it does speaks for it, hence less than enough to act on.
    fn declared(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let lately = &seen.lately;
        let met = lately.robots > 0 && u32::from(lately.pages) >= self.robot_pages;
        Suspicion::when(
            met,
            "declared-robot",
            0.7,
            [evidence("robots", lately.robots, 1_u32), evidence("pages", lately.pages, self.robot_pages)],
        )
    }

    /// Many pages, hardly one of them with a Referer. Pages that the browser had already are a sign of people.
    fn unreferred(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let lately = &seen.lately;
        let met = seen.site.shows_referers()
            && u32::from(lately.pages) >= self.unreferred_pages
            && is_over(lately.unreferred, self.unreferred_percent, lately.pages)
            && !is_over(lately.not_modified, 50, lately.pages);
        Suspicion::when(
            met,
            "unreferred",
            0.9,
            [
                evidence("pages", lately.pages, self.unreferred_pages),
                evidence("unreferred", lately.unreferred, self.unreferred_pages),
            ],
        )
    }

    /// Several pages, none of which it was led to from another.
    fn jumping(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let lately = &seen.lately;
        let met = seen.site.shows_referers()
            && u32::from(lately.jumps) >= self.jumps
            && lately.reached == 0
            && is_over(lately.unreferred, 75, lately.pages)
            && !is_over(lately.not_modified, 50, lately.pages);
        Suspicion::when(
            met,
            "jumping",
            0.8,
            [evidence("jumps", lately.jumps, self.jumps), evidence("reached", lately.reached, 0_u32)],
        )
    }

    /// Pages whose assets it never fetches, where everybody else does.
    fn without_assets(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let lately = &seen.lately;
        let led = if seen.site.shows_asset_referers() { lately.led_assets } else { lately.assets };
        let met = seen.site.shows_assets()
            && u32::from(lately.owing) >= self.pages_without_assets
            && lately.owing > led;
        Suspicion::when(
            met,
            "without-assets",
            0.9,
            [
                evidence("pages", lately.owing, self.pages_without_assets),
                evidence("assets", led, lately.owing),
            ],
        )
    }

    /// Assets that no page led to, where browsers say which page did.
    fn unled_assets(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let lately = &seen.lately;
        let met = seen.site.shows_asset_referers()
            && u32::from(lately.assets) >= self.unled_assets
            && !is_over(lately.led_assets, 20, lately.assets);
        Suspicion::when(
            met,
            "unled-assets",
            0.8,
            [
                evidence("assets", lately.assets, self.unled_assets),
                evidence("led_assets", lately.led_assets, 1_u32),
            ],
        )
    }

    /// Referers that name pages which it never fetched: a forged chain.
    fn impossible(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let lately = &seen.lately;
        let met = seen.site.shows_referers()
            && u32::from(lately.impossible) >= self.impossible_referers
            && is_over(lately.impossible, self.impossible_percent, lately.pages)
            && lately.assets == 0;
        Suspicion::when(
            met,
            "impossible-referers",
            0.8,
            [evidence("impossible", lately.impossible, self.impossible_referers)],
        )
    }

    /// Many distinct pages, most of them without a way there.
    fn breadth(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let lately = &seen.lately;
        let met = seen.site.shows_referers()
            && u32::from(lately.distinct) >= self.distinct_pages
            && is_over(lately.unreferred, self.distinct_unreferred_percent, lately.pages);
        Suspicion::when(
            met,
            "breadth",
            0.8,
            [
                evidence("distinct", lately.distinct, self.distinct_pages),
                evidence("unreferred", lately.unreferred, self.distinct_pages / 2),
            ],
        )
    }
}

impl Detector for Crawl {
    fn behaviour(&self) -> Behaviour {
        Behaviour::Crawl
    }

    fn judge(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        self.trapped(seen)
            .or_else(|| self.disregard(seen))
            .or_else(|| self.unreferred(seen))
            .or_else(|| self.jumping(seen))
            .or_else(|| self.without_assets(seen))
            .or_else(|| self.unled_assets(seen))
            .or_else(|| self.impossible(seen))
            .or_else(|| self.breadth(seen))
            .or_else(|| self.declared(seen))
    }
}

#[cfg(test)]
mod tests {
    use crate::clause::Behaviour;
    use crate::detect::scene::Scene;

    /// Promise: without Referers and assets pages are crawled, where people have both; where nobody has, nobody is.
    #[test]
    fn pages_out_of_nowhere() {
        let pages = ["/a", "/b", "/c", "/d", "/e", "/f"];
        let mut scene = Scene::new();
        scene.visits("first", &pages, 200);
        assert_eq!(scene.rule("first", Behaviour::Crawl), None);
        scene.people_read();
        scene.visits("crawler", &pages, 200);
        assert!(scene.rule("crawler", Behaviour::Crawl).is_some());
        assert_eq!(scene.rule("person 0", Behaviour::Crawl), None);
    }
}
