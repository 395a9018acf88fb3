//! weir's own responses: problem details for programs (RFC 9457), a plain page for people, a status for gRPC.
//!
//! Every one says that weir answered and not the app: in its body, and in `Proxy-Status` (RFC 9209).

pub mod audience;
pub mod cors;
mod grpc;
mod page;

use std::borrow::Cow;
use std::time::Duration;

use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde::Serialize;

use super::headers::X_REQUEST_ID;
use super::message::fields::{decimal_len, push_number};
use super::message::own_message::OwnMessage;
use super::refusal::texts::{LimitTexts, OVER_LIMIT, whole_seconds_up};
use super::refusal::{Over, Refused};
use super::response_body::ResponseBody;
use crate::clause::Clause;
use audience::{Audience, Form};
use cors::CorsFields;

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// What the fields of a refusal take, roughly.
const FIELDS_BYTES: usize = 512;

/// What weir has to say itself.
#[derive(Debug)]
pub struct Notice {
    pub status: StatusCode,
    /// One sentence for whoever sent the request; a refusal has its own.
    detail: Cow<'static, str>,
    /// The error of `Proxy-Status` (RFC 9209 §2.3), such as `connection_refused`.
    error: &'static str,
    retry_after: Option<Duration>,
    /// Where to ask instead.
    location: Option<Box<HeaderValue>>,
    /// The limits that are over.
    over: Option<Over>,
    /// The clause that the request is refused under, where it is not a limit's.
    clause: Option<Box<Clause>>,
    /// Nothing more can be read from this connection.
    close: bool,
}

impl Notice {
    pub fn new(status: StatusCode, error: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Notice {
            status,
            detail: detail.into(),
            error,
            retry_after: None,
            location: None,
            over: None,
            clause: None,
            close: false,
        }
    }

    /// The refusal of a request that is over a limit.
    pub fn refusal(over: Over) -> Self {
        let detail = "The request is over a limit.";
        Notice { over: Some(over), ..Notice::new(StatusCode::TOO_MANY_REQUESTS, OVER_LIMIT, detail) }
    }

    /// Refused under this clause of the policy.
    pub fn under(self, clause: &Clause) -> Self {
        Notice { clause: Some(Box::new(clause.clone())), ..self }
    }

    /// Asks to come to `location` instead, with the same method and body (RFC 9110 §15.4.9).
    pub fn redirect(location: HeaderValue) -> Self {
        let detail = "This site is served over TLS.";
        Notice {
            location: Some(Box::new(location)),
            ..Notice::new(StatusCode::PERMANENT_REDIRECT, "", detail)
        }
    }

    pub fn closing(self) -> Self {
        Notice { close: true, ..self }
    }

    pub fn retry_after(self, wait: Option<Duration>) -> Self {
        Notice { retry_after: wait, ..self }
    }

    /// The response for a client, as it reads best. `texts` are those of the policy in force.
    pub fn respond(
        &self,
        audience: &Audience,
        cors: Option<&CorsFields>,
        texts: &[LimitTexts],
        request_id: &HeaderValue,
    ) -> Response<ResponseBody> {
        let said = Worded::new(self, texts);
        let (status, content_type, body) = match audience.form {
            // No problem: an authority reads it as it is (RFC 8555 §8.3).
            _ if self.status == StatusCode::OK => (self.status, OCTETS, self.detail.as_bytes().to_vec()),
            Form::Html => (self.status, HTML, page::page(&said, request_id.to_str().unwrap_or("unknown"))),
            Form::Json => (self.status, PROBLEM_JSON, said.problem(request_id.as_bytes())),
            Form::Grpc(content_type) => (StatusCode::OK, HeaderValue::from_static(content_type), Vec::new()),
        };
        let mut fields = OwnMessage::new(body);
        fields.put(&header::CONTENT_TYPE, &content_type);
        fields.put(&header::CACHE_CONTROL, &HeaderValue::from_static("no-store"));
        fields.put(&PROXY_STATUS, &self.proxy_status());
        fields.put(&X_REQUEST_ID, request_id);
        if let Some(location) = &self.location {
            fields.put(&header::LOCATION, location);
        }
        if let Some(wait) = said.retry_after() {
            fields.put_number(&header::RETRY_AFTER, whole_seconds_up(wait));
        }
        if let Some(told) = self.over.as_ref().and_then(|over| over.fields(texts)) {
            told.put(&mut fields);
        }
        if matches!(audience.form, Form::Grpc(_)) {
            grpc::put(&mut fields, (self.status, self.error), said.detail(), said.retry_after());
        }
        if let Some(cors) = cors {
            cors.put(audience.origin.as_ref(), &mut fields);
        }
        let mut response = Response::new(ResponseBody::own(fields));
        *response.status_mut() = status;
        if self.close {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn proxy_status(&self) -> HeaderValue {
        match self.error {
            // An answer, not an error.
            "" => HeaderValue::from_static("weir"),
            OVER_LIMIT => HeaderValue::from_static("weir; error=http_request_denied"),
            error => HeaderValue::try_from(format!("weir; error={error}"))
                .unwrap_or(HeaderValue::from_static("weir; error=proxy_internal_error")),
        }
    }

    fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }

    /// The problem details of an error, without the closing brace; `answered_by` and below are weir's own.
    fn error_problem(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct ProblemClause<'a> {
            id: &'a str,
            title: &'a str,
            text: &'a str,
        }
        #[derive(Serialize)]
        struct Problem<'a> {
            r#type: &'static str,
            title: &'static str,
            status: u16,
            detail: &'a str,
            answered_by: &'static str,
            error: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            clause: Option<ProblemClause<'a>>,
        }
        let clause =
            self.clause.as_deref().map(|Clause { id, title, text, .. }| ProblemClause { id, title, text });
        let problem = Problem {
            r#type: "about:blank",
            title: self.title(),
            status: self.status.as_u16(),
            detail: &self.detail,
            answered_by: "weir",
            error: self.error,
            clause,
        };
        // Strings and numbers only: this cannot fail.
        let mut body = serde_json::to_vec(&problem).unwrap_or_default();
        body.pop();
        body
    }
}

/// A notice with the words of the limits that it is about.
struct Worded<'a> {
    notice: &'a Notice,
    refused: Option<Refused<'a>>,
}

impl<'a> Worded<'a> {
    fn new(notice: &'a Notice, texts: &'a [LimitTexts]) -> Self {
        Worded { notice, refused: notice.over.as_ref().and_then(|over| over.in_words(texts)) }
    }

    fn detail(&self) -> &str {
        self.refused.as_ref().map_or(&self.notice.detail, |refused| &refused.numbers.detail)
    }

    fn retry_after(&self) -> Option<Duration> {
        self.refused.as_ref().map_or(self.notice.retry_after, |refused| refused.retry_after)
    }

    fn problem(&self, request_id: &[u8]) -> Vec<u8> {
        const WAIT: &[u8] = b",\"retry_after_seconds\":";
        const ID: &[u8] = b",\"request_id\":\"";
        // What differs from one answer to the next: a number and an id that is plain by construction.
        let wait = self.retry_after().map(whole_seconds_up);
        let more = wait.map_or(0, |wait| WAIT.len() + decimal_len(wait))
            + ID.len()
            + request_id.len()
            + 2
            + FIELDS_BYTES;
        let mut body = match &self.refused {
            Some(refused) => refused.problem(more),
            None => self.notice.error_problem(),
        };
        if let Some(wait) = wait {
            body.extend_from_slice(WAIT);
            push_number(&mut body, wait);
        }
        body.extend_from_slice(ID);
        body.extend_from_slice(request_id);
        body.extend_from_slice(b"\"}");
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice() -> Notice {
        Notice::new(StatusCode::BAD_REQUEST, "http_request_error", "<script> & \"quotes\"")
    }

    /// Promise: nothing that a client sent can become markup in the page.
    #[test]
    fn page_escapes() {
        let page = String::from_utf8(page::page(&Worded::new(&notice(), &[]), "id")).unwrap();
        assert!(page.contains("&lt;script&gt; &amp; &quot;quotes&quot;"));
        assert!(!page.contains("<script>"));
    }

    /// Promise: programs get problem details with the members that RFC 9457 names, and weir says that it
    /// was weir that answered.
    #[test]
    fn problem_has_its_members() {
        let problem: serde_json::Value =
            serde_json::from_slice(&Worded::new(&notice(), &[]).problem(b"01ABC")).unwrap();
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["status"], 400);
        assert_eq!(problem["title"], "Bad Request");
        assert_eq!(problem["answered_by"], "weir");
        assert_eq!(problem["request_id"], "01ABC");
    }
}
