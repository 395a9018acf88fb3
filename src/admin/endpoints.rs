//! What the admin listener answers, listed once: the router and the index page both read this list.

use std::sync::Arc;

use http::Method;

use super::answer::{self, Answer};
use super::asked::Asked;
use super::{
    Admin, config, decisions, explain, findings, guard, health, incidents, index, metrics, mode, reload,
};

type Answers = fn(&Arc<Admin>, &Asked) -> Answer;

/// One path and who answers it.
#[derive(Clone, Copy)]
pub(super) struct Endpoint {
    pub(super) path: &'static str,
    /// For the index page: a sentence without its full stop.
    pub(super) about: &'static str,
    get: Answers,
    post: Option<Answers>,
}

const fn endpoint(path: &'static str, about: &'static str, get: Answers) -> Endpoint {
    Endpoint { path, about, get, post: None }
}

pub(super) const ENDPOINTS: [Endpoint; 12] = [
    endpoint("/", "This page", index::page),
    endpoint("/metrics", "Counters for Prometheus", metrics::scrape),
    endpoint("/healthz", "200 while the process can answer at all", health::alive),
    endpoint(
        "/readyz",
        "200 while traffic should be sent here, 503 and the reasons otherwise",
        health::ready,
    ),
    endpoint("/config", "The policy in force as JSON, secrets left out", config::in_force),
    endpoint(
        "/api/v1/explain",
        "Why a request would be decided as it would be: ?client=ADDRESS&amp;path=PATH, and method, host, account, header",
        explain::explain,
    ),
    endpoint(
        decisions::PATH,
        "What was refused lately: ?limit=NUMBER, or one by its request id, /api/v1/decisions/ID",
        decisions::latest,
    ),
    endpoint(
        findings::PATH,
        "What was found, and what is open: ?detector=NAME, clause, principal, open, limit; or one, /api/v1/findings/ID",
        findings::latest,
    ),
    endpoint(
        findings::STREAM_PATH,
        "Findings as they are opened, sanctioned and closed (server-sent events): ?detector=NAME, clause, principal",
        findings::follow,
    ),
    endpoint(incidents::PATH, "The same as a range of attackers asks every proxy for it", incidents::list),
    Endpoint {
        path: "/api/v1/mode",
        about: "The mode in force, and who set it; a POST sets it",
        get: mode::read,
        post: Some(mode::set),
    },
    Endpoint {
        path: "/api/v1/reload",
        about: "A POST has the configuration read again, and says what came of it",
        get: reload::refuse_read,
        post: Some(reload::run),
    },
];

/// One refusal, by the request id that ends the path; one finding, by its id.
const OF_ONE: [Endpoint; 2] = [
    endpoint(decisions::PATH, "One refusal", decisions::of_request),
    endpoint(findings::PATH, "One finding", findings::one),
];

pub(super) fn route(admin: &Arc<Admin>, asked: &Asked) -> Answer {
    let listed = ENDPOINTS.iter().find(|endpoint| endpoint.path == asked.path);
    let is_below = |endpoint: &&Endpoint| {
        asked.path.strip_prefix(endpoint.path).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
    };
    let Some(endpoint) = listed.or_else(|| OF_ONE.iter().find(is_below)) else {
        return answer::not_found(&asked.path);
    };
    if (endpoint.path.starts_with("/api/") || endpoint.path == incidents::PATH)
        && let Err(refusal) = guard::check(asked)
    {
        return *refusal;
    }
    match (&asked.method, endpoint.post) {
        (&Method::GET | &Method::HEAD, _) => (endpoint.get)(admin, asked),
        (&Method::POST, Some(post)) => post(admin, asked),
        (_, None) => answer::method_not_allowed("GET, HEAD"),
        (_, Some(_)) => answer::method_not_allowed("GET, HEAD, POST"),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http::header::{ALLOW, CONTENT_TYPE};
    use http_body_util::BodyExt;
    use serde_json::Value;

    use super::super::tests::{admin, get, post};
    use super::*;
    use crate::engine::Engine;

    fn reasons(reasons: &[&str]) -> Vec<String> {
        reasons.iter().map(ToString::to_string).collect()
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
        let answer = route(&Arc::new(admin(reasons(&[]))), &get("/readyz"));
        assert_eq!(answer.status(), StatusCode::OK);

        let answer = route(&Arc::new(admin(reasons(&["weir is draining."]))), &get("/readyz"));
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(header(&answer, CONTENT_TYPE), "application/problem+json");
        let problem: Value = serde_json::from_str(&body(answer)).unwrap();
        assert_eq!(problem["status"], 503);
        assert_eq!(problem["reasons"][0], "weir is draining.");
    }

    /// Promise: the process is alive also while it is not ready, so that nobody restarts it for draining.
    #[test]
    fn alive_though_not_ready() {
        let answer = route(&Arc::new(admin(reasons(&["weir is draining."]))), &get("/healthz"));
        assert_eq!(answer.status(), StatusCode::OK);
    }

    /// Promise: a scrape shows readiness and the engine's state as they are at that moment.
    #[test]
    fn a_scrape_asks_for_what_nobody_counts() {
        let scraped = |why| body(route(&Arc::new(admin(reasons(why))), &get("/metrics")));
        assert!(scraped(&[]).contains("\nweir_ready 1\n"));
        assert!(scraped(&["No upstream is healthy."]).contains("\nweir_ready 0\n"));
        let bytes_max = Engine::new(1 << 20).stats().bytes_max;
        assert!(scraped(&[]).contains(&format!("\nweir_state_bytes_max {bytes_max}\n")));
    }

    /// Promise: people find everything from the index page.
    #[test]
    fn the_index_links_everything() {
        let page = body(route(&Arc::new(admin(reasons(&[]))), &get("/")));
        for endpoint in ENDPOINTS {
            assert!(page.contains(&format!("href=\"{}\"", endpoint.path)), "{} is not linked", endpoint.path);
        }
    }

    /// Promise: what cannot be changed from here is not, and what does not exist is said to.
    #[test]
    fn other_methods_and_paths_are_refused() {
        let answer = route(&Arc::new(admin(Vec::new())), &post("/metrics", ""));
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(header(&answer, ALLOW), "GET, HEAD");
        let answer = route(&Arc::new(admin(reasons(&[]))), &get("/metrics/"));
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(header(&answer, CONTENT_TYPE), "application/problem+json");
    }
}
