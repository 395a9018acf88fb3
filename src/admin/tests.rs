//! What the tests of the admin listener begin with.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Method};

use super::asked::Asked;
use super::{Admin, Followers, ModeSwitch, Readiness};
use crate::clock::Clock;
use crate::config;
use crate::engine::Engine;
use crate::facts::Who;
use crate::metrics::Metrics;

/// A listener of the smallest configuration, unready for these reasons.
pub(super) fn admin(reasons: Vec<String>) -> Admin {
    let policy = config::load(Path::new("config/minimal.toml")).unwrap().policy;
    let engine = Engine::new(1 << 20);
    let binding = Arc::new(engine.bind(Arc::new(policy)));
    Admin {
        clock: Clock::start(),
        metrics: Metrics::new(),
        engine,
        binding: Box::new(move || Arc::clone(&binding)),
        identify: Box::new(|_| Some(Who::default())),
        refusals: Arc::default(),
        findings: Arc::default(),
        followers: Followers::default(),
        switch: ModeSwitch::default(),
        reload: None,
        readiness: Box::new(move || Readiness::unless(reasons.clone())),
    }
}

/// A GET of a path and its query, as an operator's program asks.
pub(super) fn get(target: &str) -> Asked {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Asked {
        method: Method::GET,
        path: path.to_owned(),
        query: query.to_owned(),
        headers: HeaderMap::from_iter([(HOST, HeaderValue::from_static("127.0.0.1:9900"))]),
        body: Bytes::new(),
        from: IpAddr::from([127, 0, 0, 1]),
    }
}

/// A POST of JSON.
pub(super) fn post(path: &str, body: &'static str) -> Asked {
    let mut asked = Asked { method: Method::POST, body: Bytes::from_static(body.as_bytes()), ..get(path) };
    asked.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    asked
}
