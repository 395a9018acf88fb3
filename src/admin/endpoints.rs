//! What the admin listener answers, listed once: the router and the index page both read this list.

use http::Method;

use super::answer::{self, Answer};
use super::{Admin, config, health, index, metrics};

/// One path and who answers it.
#[derive(Clone, Copy)]
pub(super) struct Endpoint {
    pub(super) path: &'static str,
    /// For the index page: a sentence without its full stop.
    pub(super) about: &'static str,
    answer: fn(&Admin) -> Answer,
}

pub(super) const ENDPOINTS: [Endpoint; 5] = [
    Endpoint { path: "/", about: "This page", answer: index::page },
    Endpoint { path: "/metrics", about: "Counters for Prometheus", answer: metrics::scrape },
    Endpoint { path: "/healthz", about: "200 while the process can answer at all", answer: health::alive },
    Endpoint {
        path: "/readyz",
        about: "200 while traffic should be sent here, 503 and the reasons otherwise",
        answer: health::ready,
    },
    Endpoint {
        path: "/config",
        about: "The policy in force as JSON, secrets left out",
        answer: config::in_force,
    },
];

pub(super) fn route(admin: &Admin, method: &Method, path: &str) -> Answer {
    let Some(endpoint) = ENDPOINTS.iter().find(|endpoint| endpoint.path == path) else {
        return answer::not_found(path);
    };
    if method != Method::GET && method != Method::HEAD {
        return answer::method_not_allowed();
    }
    (endpoint.answer)(admin)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http::header::{ALLOW, CONTENT_TYPE};
    use http_body_util::BodyExt;
    use serde_json::Value;

    use super::super::Readiness;
    use super::*;
    use crate::engine::Engine;
    use crate::metrics::Metrics;

    fn admin(reasons: &[&str]) -> Admin {
        let readiness = Readiness::unless(reasons.iter().map(ToString::to_string).collect());
        Admin {
            metrics: Metrics::new(),
            engine: Engine::new(1 << 20),
            policy: Box::new(|| panic!("these tests do not ask for the policy")),
            readiness: Box::new(move || readiness.clone()),
        }
    }

    fn header(answer: &Answer, name: http::HeaderName) -> &str {
        answer.headers()[name].to_str().unwrap()
    }

    fn body(answer: Answer) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let bytes = runtime.block_on(answer.into_body().collect()).unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    /// Promise: a load balancer is told to send traffic only when weir is ready, and people are told why not.
    #[test]
    fn readiness_says_why_not() {
        let answer = route(&admin(&[]), &Method::GET, "/readyz");
        assert_eq!(answer.status(), StatusCode::OK);

        let answer = route(&admin(&["weir is draining."]), &Method::GET, "/readyz");
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(header(&answer, CONTENT_TYPE), "application/problem+json");
        let problem: Value = serde_json::from_str(&body(answer)).unwrap();
        assert_eq!(problem["status"], 503);
        assert_eq!(problem["reasons"][0], "weir is draining.");
    }

    /// Promise: the process is alive also while it is not ready, so that nobody restarts it for draining.
    #[test]
    fn alive_though_not_ready() {
        let answer = route(&admin(&["weir is draining."]), &Method::GET, "/healthz");
        assert_eq!(answer.status(), StatusCode::OK);
    }

    /// Promise: a scrape shows readiness and the engine's state as they are at that moment.
    #[test]
    fn a_scrape_asks_for_what_nobody_counts() {
        let scraped = |reasons| body(route(&admin(reasons), &Method::GET, "/metrics"));
        assert!(scraped(&[]).contains("\nweir_ready 1\n"));
        assert!(scraped(&["No upstream is healthy."]).contains("\nweir_ready 0\n"));
        let bytes_max = Engine::new(1 << 20).stats().bytes_max;
        assert!(scraped(&[]).contains(&format!("\nweir_state_bytes_max {bytes_max}\n")));
    }

    /// Promise: people find everything from the index page.
    #[test]
    fn the_index_links_everything() {
        let page = body(route(&admin(&[]), &Method::GET, "/"));
        for endpoint in ENDPOINTS {
            assert!(page.contains(&format!("href=\"{}\"", endpoint.path)), "{} is not linked", endpoint.path);
        }
    }

    /// Promise: nothing is changed from here, and what does not exist is said to.
    #[test]
    fn other_methods_and_paths_are_refused() {
        let answer = route(&admin(&[]), &Method::POST, "/metrics");
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(header(&answer, ALLOW), "GET, HEAD");
        let answer = route(&admin(&[]), &Method::GET, "/metrics/");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(header(&answer, CONTENT_TYPE), "application/problem+json");
    }
}
