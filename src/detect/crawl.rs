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
    let week = &seen.week;
    let met = seen.site.shows_referers()
        && week.pages >= 6
        && is_over(week.unreferred, 90, week.pages)
        && !is_over(week.not_modified, 50, week.pages);
    Suspicion::when(
        met,
        "unreferred",
        0.9,
        [evidence("pages", week.pages, 6_u32), evidence("unreferred", week.unreferred, 6_u32)],
    )
}

/// Several pages, none of which it was led to from another.
fn jumping(seen: &Seen<'_>) -> Option<Suspicion> {
    let week = &seen.week;
    let met = seen.site.shows_referers()
        && week.jumps >= 3
        && week.reached == 0
        && is_over(week.unreferred, 75, week.pages)
        && !is_over(week.not_modified, 50, week.pages);
    Suspicion::when(
        met,
        "jumping",
        0.8,
        [evidence("jumps", week.jumps, 3_u32), evidence("reached", week.reached, 0_u32)],
    )
}

/// Pages whose assets it never fetches, where everybody else does.
fn without_assets(seen: &Seen<'_>) -> Option<Suspicion> {
    let week = &seen.week;
    let led = if seen.site.shows_asset_referers() { week.led_assets } else { week.assets };
    let met = seen.site.shows_assets() && week.owing >= 5 && week.owing > led;
    Suspicion::when(
        met,
        "without-assets",
        0.9,
        [evidence("pages", week.owing, 5_u32), evidence("assets", led, week.owing)],
    )
}

/// Assets that no page led to, where browsers say which page did.
fn unled_assets(seen: &Seen<'_>) -> Option<Suspicion> {
    let week = &seen.week;
    let met =
        seen.site.shows_asset_referers() && week.assets >= 5 && !is_over(week.led_assets, 20, week.assets);
    Suspicion::when(
        met,
        "unled-assets",
        0.8,
        [evidence("assets", week.assets, 5_u32), evidence("led_assets", week.led_assets, 1_u32)],
    )
}

/// Referers that name pages which it never fetched: a forged chain.
fn impossible(seen: &Seen<'_>) -> Option<Suspicion> {
    let week = &seen.week;
    let met = seen.site.shows_referers()
        && week.impossible >= 3
        && is_over(week.impossible, 30, week.pages)
        && week.assets == 0;
    Suspicion::when(met, "impossible-referers", 0.8, [evidence("impossible", week.impossible, 3_u32)])
}

/// Many distinct pages, most of them without a way there.
fn breadth(seen: &Seen<'_>) -> Option<Suspicion> {
    let week = &seen.week;
    let met = seen.site.shows_referers() && week.distinct >= 10 && is_over(week.unreferred, 50, week.pages);
    Suspicion::when(
        met,
        "breadth",
        0.8,
        [evidence("distinct", week.distinct, 10_u32), evidence("unreferred", week.unreferred, 5_u32)],
    )
}
