//! A program of a customer: copies all articles over the API again and again. It is told to slow down, and does.

use std::time::Duration;

use http::StatusCode;

use super::Stage;
use crate::cli::demo::cast::Visitor;

const AGENT: &str = "acme-sync/2.1";
const ACCEPT: &str = "application/json";
const PAGES: usize = 10;
const BETWEEN_PAGES: Duration = Duration::from_millis(150);

/// Polls until weir's part is over.
pub(super) async fn poll(stage: Stage) {
    let mut browser = stage.browser(Visitor::Integration, AGENT, ACCEPT);
    for page in (1..=PAGES).cycle() {
        let target = format!("/api/v1/articles?page={page}&per_page=20");
        loop {
            if stage.weir_has_left() {
                return;
            }
            let visit = stage.visit(Visitor::Integration, &mut browser, &target).await;
            match visit.retry_after {
                Some(wait) if visit.status == Some(StatusCode::TOO_MANY_REQUESTS) => {
                    tokio::time::sleep(wait).await;
                }
                _ => break,
            }
        }
        tokio::time::sleep(BETWEEN_PAGES).await;
    }
}
