//! Any request to the admin listener: it is answered, and never by an error of weir's own.

#![no_main]

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode};
use libfuzzer_sys::fuzz_target;
use weir::admin::{self, Admin, Followers, ModeSwitch, Readiness};
use weir::clock::Clock;
use weir::config;
use weir::engine::Engine;
use weir::facts::Who;
use weir::metrics::Metrics;

static ADMIN: LazyLock<Arc<Admin>> = LazyLock::new(|| {
    let text = include_str!("../../config/minimal.toml");
    let policy = config::from_str("weir.toml", text, Path::new(".")).expect("a sound configuration").policy;
    let engine = Engine::new(1 << 20);
    let binding = Arc::new(engine.bind(Arc::new(policy)));
    Arc::new(Admin {
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
        readiness: Box::new(|| Readiness::unless(Vec::new())),
    })
});

/// A request from lines: the method and the target, the fields, an empty line, the body.
fn request(text: &[u8]) -> Option<Request<Bytes>> {
    let mut lines = text.splitn(18, |byte| *byte == b'\n');
    let first = str::from_utf8(lines.next()?).ok()?;
    let (method, target) = first.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(target);
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        request = request.header(name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?);
    }
    let body = lines.collect::<Vec<_>>().join(&b'\n');
    request.body(Bytes::from(body)).ok()
}

fuzz_target!(|data: &[u8]| {
    let Some(request) = request(data) else { return };
    let answer = admin::answer_one(&ADMIN, request, IpAddr::from([127, 0, 0, 1]));
    assert_ne!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.headers().contains_key("content-type"));
});
