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
