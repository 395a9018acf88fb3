//! A crawler: every article in order, no assets, no pauses, deaf to robots.txt and to `Retry-After`.

use std::time::Duration;

use http::StatusCode;

use super::Stage;
use crate::cli::demo::cast::Visitor;
use crate::cli::demo::site::Library;

const AGENT: &str = "copybot/0.3";
const ACCEPT: &str = "*/*";
const PACE: Duration = Duration::from_millis(50);

/// Crawls until it has every article or weir's part is over.
pub(super) async fn crawl(stage: Stage) {
    let library = Library::new();
    let mut browser = stage.browser(Visitor::Crawler, AGENT, ACCEPT);
    stage.visit(Visitor::Crawler, &mut browser, "/sitemap.xml").await;
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
