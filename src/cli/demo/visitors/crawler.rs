//! A crawler: reads robots.txt for the site map and goes where it is asked not to; then every article in order, no
//! assets, no pauses, deaf to `Retry-After`.

use std::time::Duration;

use http::StatusCode;

use super::Stage;
use crate::cli::demo::cast::Visitor;
use crate::cli::demo::site::Library;

const AGENT: &str = "copybot/0.3";
const ACCEPT: &str = "*/*";
const PACE: Duration = Duration::from_millis(50);

/// The last three are what robots.txt asks crawlers to leave alone.
const BEGINNING: [&str; 5] =
    ["/robots.txt", "/sitemap.xml", "/search?q=export", "/search?q=import", "/search?q=token"];

/// Crawls until it has every article or weir's part is over.
pub(super) async fn crawl(stage: Stage) {
    let library = Library::new();
    let mut browser = stage.browser(Visitor::Crawler, AGENT, ACCEPT);
    for page in BEGINNING {
        stage.visit(Visitor::Crawler, &mut browser, page).await;
    }
    for article in library.all() {
        let page = format!("/articles/{}", article.slug);
        loop {
            if stage.weir_has_left() {
                return;
            }
            let visit = stage.visit(Visitor::Crawler, &mut browser, &page).await;
            tokio::time::sleep(PACE).await;
            if visit.status == Some(StatusCode::OK) {
                break;
            }
        }
    }
}
