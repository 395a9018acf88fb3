//! Crawling: breadth, and pages that nobody led to.
//!
//! People come to a page from another page of the site, and their browsers fetch what it is made of. Both signals
//! are used only where the site's own traffic shows them. Crawlers are asked to leave some pages alone, and some pages
//! are never shown to anybody else.

use super::registry::settle;
use super::{Detector, Knob, Seen, Spec, Suspicion, evidence, is_over, surer};
use crate::clause::Behaviour;

const KNOBS: [Knob; 13] = [
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
    Knob::new("owing_pages", 5, 3, 10_000, "pages that owe their assets, hardly any of which were fetched"),
    Knob::new("bare_requests", 5, 3, 10_000, "pages and assets, hardly one of them with a Referer"),
    Knob::new("forged_referers", 2, 1, 10_000, "Referers of the site that no browser writes"),
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

/// How sure a rule is of somebody who may be a person whose browser or proxy takes Referers off, or a probe that polls
/// a page or two: not enough to act on untuned.
const DOUBTFUL: f32 = 0.6;

#[derive(Debug)]
struct Crawl {
    trap_pages: u32,
    disallowed_pages: u32,
    robot_pages: u32,
    unreferred_pages: u32,
    unreferred_percent: u32,
    jumps: u32,
    owing_pages: u32,
    bare_requests: u32,
    forged_referers: u32,
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
            owing_pages,
            bare_requests,
            forged_referers,
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
            owing_pages,
            bare_requests,
            forged_referers,
            impossible_referers,
            impossible_percent,
            distinct_pages,
            distinct_unreferred_percent,
        }
    }

    /// Whether it did too little of anything for any of the rules: so it is with nearly everybody.
    fn is_unremarkable(&self, seen: &Seen<'_>) -> bool {
        let lately = &seen.lately;
        let is_below = |count: u16, threshold: u32| u32::from(count) < threshold;
        is_below(lately.traps, self.trap_pages)
            && is_below(lately.disallowed, self.disallowed_pages)
            && (lately.robots == 0 || is_below(lately.pages, self.robot_pages))
            && is_below(lately.pages, self.unreferred_pages)
            && is_below(lately.jumps, self.jumps)
            && is_below(lately.owing, self.owing_pages)
            && (lately.bare_assets == 0
                || is_below(lately.pages.saturating_add(lately.assets), self.bare_requests))
            && is_below(lately.forged, self.forged_referers)
            && is_below(lately.impossible, self.impossible_referers)
            && is_below(lately.distinct, self.distinct_pages)
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
        let met =
            u32::from(lately.disallowed) >= self.disallowed_pages && (lately.robots > 0 || is_lost(seen));
        Suspicion::when(
            met,
            "robots-disregarded",
            // Among many people behind one address somebody always opens what robots are asked to leave alone.
            if seen.may_be_people() { DOUBTFUL } else { 0.95 },
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
            && is_over(lately.unreferred, self.unreferred_percent, led_or_not(seen))
            && !is_over(lately.not_modified, 50, lately.pages);
        Suspicion::when(
            met,
            "unreferred",
            if is_doubtful(seen) { DOUBTFUL } else { 0.9 },
            [
                evidence("pages", lately.pages, self.unreferred_pages),
                evidence("unreferred", lately.unreferred, self.unreferred_pages),
            ],
        )
    }

    /// Several pages, none of which it was led to from another.
    fn jumping(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let lately = &seen.lately;
        let met = u32::from(lately.jumps) >= self.jumps
            && is_lost(seen)
            && !is_over(lately.not_modified, 50, lately.pages);
        Suspicion::when(
            met,
            "jumping",
            if is_doubtful(seen) { DOUBTFUL } else { 0.8 },
            [evidence("jumps", lately.jumps, self.jumps), evidence("reached", lately.reached, 0_u32)],
        )
    }

    /// Pages hardly any of whose assets it fetches, where everybody else does. A browser fetches them once, and has
    /// them for all pages.
    fn without_assets(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let lately = &seen.lately;
        let led = if seen.site.shows_asset_referers() { lately.led_assets } else { lately.assets };
        let met = seen.site.shows_assets()
            && u32::from(lately.owing) >= self.owing_pages
            && !is_over(led, 20, lately.owing);
        Suspicion::when(
            met,
            "without-assets",
            if is_doubtful(seen) { DOUBTFUL } else { 0.9 },
            [evidence("owing", lately.owing, self.owing_pages), evidence("assets", led, lately.owing / 5)],
        )
    }

    /// Hardly a Referer at all, with assets among what it fetches, where browsers say which page led to an asset. Of a
    /// page with everything on it, a browser that sends no Referers fetches as much; a mail program only pictures.
    fn bare(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let lately = &seen.lately;
        let all = lately.pages.saturating_add(lately.assets);
        let bare = lately.unreferred.saturating_add(lately.bare_assets);
        let met = seen.site.shows_asset_referers()
            && lately.bare_assets > 0
            && u32::from(all) >= self.bare_requests
            && is_over(bare, 80, all);
        let is_sparse = lately.pages > 0 && lately.bare_assets <= lately.pages.saturating_mul(3);
        Suspicion::when(
            met,
            "bare",
            if is_sparse { 0.8 } else { DOUBTFUL },
            [evidence("requests", all, self.bare_requests), evidence("without_referer", bare, all)],
        )
    }

    /// Referers of the site that no browser writes.
    fn forged(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let forged = u32::from(seen.lately.forged);
        let met = seen.site.shows_referers() && forged >= self.forged_referers;
        Suspicion::when(met, "forged-referers", 0.85, [evidence("forged", forged, self.forged_referers)])
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
            if is_doubtful(seen) { DOUBTFUL } else { 0.8 },
            [
                evidence("distinct", lately.distinct, self.distinct_pages),
                evidence("unreferred", lately.unreferred, self.distinct_pages / 2),
            ],
        )
    }
}

/// Whether it may be somebody behind whom there is a browser, or who polls a page or two.
fn is_doubtful(seen: &Seen<'_>) -> bool {
    seen.lately.distinct < 3 || seen.may_be_people()
}

/// Whether nothing ever led it from one page to another, where that is what people follow.
fn is_lost(seen: &Seen<'_>) -> bool {
    let lately = &seen.lately;
    seen.site.shows_referers() && lately.reached == 0 && is_over(lately.unreferred, 75, led_or_not(seen))
}

/// Pages that something led to or nothing: that a page names itself says neither.
fn led_or_not(seen: &Seen<'_>) -> u16 {
    seen.lately.pages.saturating_sub(seen.lately.selfs)
}

impl Detector for Crawl {
    fn behaviour(&self) -> Behaviour {
        Behaviour::Crawl
    }

    fn judge(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        if self.is_unremarkable(seen) {
            return None;
        }
        let rules = [
            Crawl::trapped,
            Crawl::disregard,
            Crawl::unreferred,
            Crawl::jumping,
            Crawl::without_assets,
            Crawl::forged,
            Crawl::impossible,
            Crawl::breadth,
            Crawl::bare,
            Crawl::declared,
        ];
        let mut best = None;
        for rule in rules {
            if let Some(next) = rule(self, seen) {
                best = Some(surer(best, next));
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use crate::clause::Behaviour;
    use crate::detect::scene::{Scene, Step, get};

    const PAGES: [&str; 6] = ["/a", "/b", "/c", "/d", "/e", "/f"];

    /// Promise: without Referers and assets pages are crawled, where people have both; where nobody has, nobody is.
    #[test]
    fn pages_out_of_nowhere() {
        let mut scene = Scene::new();
        scene.visits("first", &PAGES, 200);
        assert_eq!(scene.rule("first", Behaviour::Crawl), None);
        scene.people_read();
        scene.visits("crawler", &PAGES, 200);
        assert_eq!(scene.rule("crawler", Behaviour::Crawl), Some("unreferred"));
        assert_eq!(scene.rule("person 0", Behaviour::Crawl), None);
    }

    /// Promise: an office of many whose proxy maims Referers, and who have assets from before, is told and no more:
    /// neither by what robots are asked to leave alone, nor by asking again for what is down.
    #[test]
    fn offices_are_doubtful() {
        let mut scene = Scene::new();
        scene.people_read();
        for n in 0..100 {
            scene.plays("office", Step { is_disallowed: true, ..get(&format!("/search?q=word{n}")) });
            if n % 2 == 0 {
                scene.plays("office", get("/style.css").from("/search"));
            }
        }
        scene.plays("office", get("/robots.txt"));
        scene.visits("office", &["/down"; 40], 503);
        for behaviour in [Behaviour::Crawl, Behaviour::Retry] {
            let suspicion = scene.judge("office", behaviour, &[]);
            assert!(suspicion.is_some_and(|suspicion| suspicion.confidence < 0.8), "{behaviour}");
        }
    }

    /// Promise: calls of an API need neither Referers nor assets, wherever people have both.
    #[test]
    fn integrations_are_no_crawlers() {
        let mut scene = Scene::new();
        scene.people_read();
        for n in 0..100 {
            scene.plays("integration", get(&format!("/api/v1/customers/{}", n * 31)));
        }
        assert_eq!(scene.rule("integration", Behaviour::Crawl), None);
    }

    /// Promise: whoever fetches assets as browsers do, or polls a page or two, is never accused firmly enough to be
    /// acted on untuned, Referers or not.
    #[test]
    fn doubt_is_told() {
        let mut scene = Scene::new();
        scene.people_read();
        for page in PAGES {
            scene.plays("no referers", get(page));
            (0..4).for_each(|n| scene.plays("no referers", get(&format!("{page}/{n}.png"))));
            scene.plays("monitor", get("/login"));
        }
        for who in ["no referers", "monitor"] {
            let suspicion = scene.judge(who, Behaviour::Crawl, &[]);
            assert!(suspicion.is_some_and(|suspicion| suspicion.confidence < 0.8), "{who}");
        }
    }

    /// Promise: one trap is enough; what robots.txt disallows is for people to open, and for crawlers not.
    #[test]
    fn traps_and_robots() {
        let mut scene = Scene::new();
        let trap = |target| Step { is_trap: true, ..get(target) };
        let disallowed = |target| Step { is_disallowed: true, ..get(target) };
        scene.people_read();
        scene.plays("trapped", trap("/archive/1"));
        scene.plays("robot", get("/robots.txt"));
        scene.plays("person 0", get("/search?q=1").from("https://example.org/about"));
        for target in ["/search?q=2", "/search?q=3", "/search?q=4"] {
            scene.plays("robot", disallowed(target));
            scene.plays("person 0", disallowed(target).from("https://example.org/search?q=1"));
        }
        let rules = ["trapped", "robot", "person 0"].map(|who| scene.rule(who, Behaviour::Crawl));
        assert_eq!(rules, [Some("trap"), Some("robots-disregarded"), None]);
    }

    /// Promise: Referers that nobody followed, or that no browser writes, are found where people's can be trusted.
    #[test]
    fn chains_that_cannot_be() {
        let mut scene = Scene::new();
        scene.people_read();
        for page in ["/x", "/y", "/z"] {
            scene.plays("chain", get(page).from("https://example.org/never"));
            scene.plays("root", get(page).from("https://example.org"));
        }
        assert_eq!(scene.rule("chain", Behaviour::Crawl), Some("impossible-referers"));
        assert_eq!(scene.rule("root", Behaviour::Crawl), Some("forged-referers"));
    }

    /// Promise: a few clients with Referers, among many without, do not show that people here have them.
    #[test]
    fn odd_ones_show_nothing() {
        let mut scene = Scene::new();
        for n in 0..400 {
            scene.visits(&format!("app {n}"), &["/a", "/b"], 200);
        }
        scene.people_read();
        scene.visits("app 0", &PAGES, 200);
        assert_eq!(scene.rule("app 0", Behaviour::Crawl), None);
    }
}
