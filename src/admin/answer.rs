//! Responses of the admin listener.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Response, StatusCode};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use serde::Serialize;
use serde_json::{Value, json};

pub(super) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// An extension of answers that go on until somebody ends them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endless;

pub(super) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
pub(super) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

pub(super) fn ok(content_type: HeaderValue, body: impl Into<Bytes>) -> Answer {
    with_status(StatusCode::OK, content_type, body)
}

pub(super) fn json(value: &impl Serialize) -> Answer {
    match serde_json::to_string_pretty(value) {
        Ok(text) => ok(JSON, text + "\n"),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string(), &[]),
    }
}

/// An error as RFC 9457 describes them, with `extra` members beside the standard ones.
pub(super) fn problem(status: StatusCode, detail: &str, extra: &[(&str, Value)]) -> Answer {
    let mut body = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "detail": detail,
    });
    for (member, value) in extra {
        body[*member] = value.clone();
    }
    with_status(status, PROBLEM, format!("{body}\n"))
}

pub(super) fn not_found(path: &str) -> Answer {
    problem(StatusCode::NOT_FOUND, &format!("There is nothing at {path}; / lists what there is."), &[])
}

pub(super) fn method_not_allowed(allowed: &'static str) -> Answer {
    let detail = format!("There is only {allowed} at this path.");
    let mut answer = problem(StatusCode::METHOD_NOT_ALLOWED, &detail, &[]);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

fn with_status(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Answer {
    with_body(status, content_type, Full::new(body.into()).boxed_unsync())
}

/// An answer that goes on until its body ends.
pub(super) fn endless(
    content_type: HeaderValue,
    body: impl Body<Data = Bytes, Error = Infallible> + Send + 'static,
) -> Answer {
    let mut answer = with_body(StatusCode::OK, content_type, body.boxed_unsync());
    answer.extensions_mut().insert(Endless);
    answer
}

fn with_body(
    status: StatusCode,
    content_type: HeaderValue,
    body: UnsyncBoxBody<Bytes, Infallible>,
) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
