//! Someone reading: a page, what belongs to it, a pause, and the next page.

use std::collections::HashSet;
use std::time::Duration;

use fastrand::Rng;

use super::{Browser, Stage};
use crate::cli::demo::cast::{Phase, Visitor};
use crate::cli::demo::site::Library;

const AGENT: &str = "Mozilla/5.0 (demo reader)";
const ACCEPT: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

/// Every so many pages, a search instead of a link.
const SEARCH_EVERY: usize = 6;
const QUERIES: [&str; 4] = ["saved+reply", "webhook", "spending+cap", "second+factor"];

/// Reads until the very end, at first through weir and at last without it.
pub(super) async fn read(stage: Stage) {
    let library = Library::new();
    let mut rng = Rng::with_seed(11);
    // What a browser has in its cache.
    let mut cached = HashSet::new();
    for part in [Phase::Calm, Phase::WithoutWeir] {
        stage.until(part).await;
        let mut browser = stage.browser(Visitor::Reader, AGENT, ACCEPT);
        let mut article = rng.usize(..library.all().len());
        let mut pages = 0;
        visit_page(&stage, &mut browser, &mut cached, "/", None).await;
        if part == Phase::Calm {
            let sign_in = browser.post("/login", "name=demo&password=demo");
            stage.report(Visitor::Reader, "/login", sign_in).await;
        }
        while part == Phase::WithoutWeir || !stage.weir_has_left() {
            pages += 1;
            if pages % SEARCH_EVERY == 0 {
                let query = QUERIES[pages / SEARCH_EVERY % QUERIES.len()];
                stage.visit(Visitor::Reader, &mut browser, &format!("/search?q={query}")).await;
            } else if let Some(shown) = library.all().get(article) {
                let page = format!("/articles/{}", shown.slug);
                visit_page(&stage, &mut browser, &mut cached, &page, Some(shown.topic.slug)).await;
                let links: Vec<usize> = library.related(shown).map(|next| next.id - 1).collect();
                article = rng.choice(links).unwrap_or(0);
            }
            tokio::time::sleep(Duration::from_millis(rng.u64(300..900))).await;
        }
    }
}

/// A page and what it needs that is not in the cache yet.
async fn visit_page(
    stage: &Stage,
    browser: &mut Browser,
    cached: &mut HashSet<String>,
    page: &str,
    topic: Option<&str>,
) {
    stage.visit(Visitor::Reader, browser, page).await;
    let assets = ["/assets/site.css", "/assets/site.js", "/assets/logo.svg"].map(str::to_owned);
    let picture = topic.map(|slug| format!("/images/{slug}.svg"));
    for asset in assets.into_iter().chain(picture) {
        if cached.insert(asset.clone()) {
            stage.visit(Visitor::Reader, browser, &asset).await;
        }
    }
}
