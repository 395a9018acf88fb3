//! Crawling: breadth, and pages that nobody led to.
//!
//! People come to a page from another page of the site, and their browsers fetch what it is made of. Both signals
//! are used only where the site's own traffic shows them.

use super::{Detector, Seen, Suspicion, evidence, is_over};
use crate::clause::Behaviour;

#[derive(Debug)]
pub(super) struct Crawl;

impl Detector for Crawl {
    fn behaviour(&self) -> Behaviour {
        Behaviour::Crawl
    }

    fn judge(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        unreferred(seen)
            .or_else(|| jumping(seen))
            .or_else(|| without_assets(seen))
            .or_else(|| unled_assets(seen))
            .or_else(|| impossible(seen))
            .or_else(|| breadth(seen))
    }
}

/// Many pages, hardly one of them with a Referer. Pages that the browser had already are a sign of people.
fn unreferred(seen: &Seen<'_>) -> Option<Suspicion> {
    let lately = &seen.lately;
    let met = seen.site.shows_referers()
        && lately.pages >= 6
        && is_over(lately.unreferred, 90, lately.pages)
        && !is_over(lately.not_modified, 50, lately.pages);
    Suspicion::when(
        met,
        "unreferred",
        0.9,
        [evidence("pages", lately.pages, 6_u32), evidence("unreferred", lately.unreferred, 6_u32)],
    )
}

/// Several pages, none of which it was led to from another.
fn jumping(seen: &Seen<'_>) -> Option<Suspicion> {
    let lately = &seen.lately;
    let met = seen.site.shows_referers()
        && lately.jumps >= 3
        && lately.reached == 0
        && is_over(lately.unreferred, 75, lately.pages)
        && !is_over(lately.not_modified, 50, lately.pages);
    Suspicion::when(
        met,
        "jumping",
        0.8,
        [evidence("jumps", lately.jumps, 3_u32), evidence("reached", lately.reached, 0_u32)],
    )
}

/// Pages whose assets it never fetches, where everybody else does.
fn without_assets(seen: &Seen<'_>) -> Option<Suspicion> {
    let lately = &seen.lately;
    let led = if seen.site.shows_asset_referers() { lately.led_assets } else { lately.assets };
    let met = seen.site.shows_assets() && lately.owing >= 5 && lately.owing > led;
    Suspicion::when(
        met,
        "without-assets",
        0.9,
        [evidence("pages", lately.owing, 5_u32), evidence("assets", led, lately.owing)],
    )
}

/// Assets that no page led to, where browsers say which page did.
fn unled_assets(seen: &Seen<'_>) -> Option<Suspicion> {
    let lately = &seen.lately;
    let met = seen.site.shows_asset_referers()
        && lately.assets >= 5
        && !is_over(lately.led_assets, 20, lately.assets);
    Suspicion::when(
        met,
        "unled-assets",
        0.8,
        [evidence("assets", lately.assets, 5_u32), evidence("led_assets", lately.led_assets, 1_u32)],
    )
}

/// Referers that name pages which it never fetched: a forged chain.
fn impossible(seen: &Seen<'_>) -> Option<Suspicion> {
    let lately = &seen.lately;
    let met = seen.site.shows_referers()
        && lately.impossible >= 3
        && is_over(lately.impossible, 30, lately.pages)
        && lately.assets == 0;
    Suspicion::when(met, "impossible-referers", 0.8, [evidence("impossible", lately.impossible, 3_u32)])
}

/// Many distinct pages, most of them without a way there.
fn breadth(seen: &Seen<'_>) -> Option<Suspicion> {
    let lately = &seen.lately;
    let met =
        seen.site.shows_referers() && lately.distinct >= 10 && is_over(lately.unreferred, 50, lately.pages);
    Suspicion::when(
        met,
        "breadth",
        0.8,
        [evidence("distinct", lately.distinct, 10_u32), evidence("unreferred", lately.unreferred, 5_u32)],
    )
}
