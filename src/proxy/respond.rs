//! weir's own responses: problem details for programs (RFC 9457), a plain page for people.
//!
//! Every one says that weir answered and not the app: in its body, and in `Proxy-Status` (RFC 9209).

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde::Serialize;

use super::headers::X_REQUEST_ID;
use super::response_body::ResponseBody;
use crate::clause::Clause;
use crate::policy::{Bound, Limit, Period};

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// The problem type for a limit that is used up (draft-ietf-httpapi-ratelimit-headers).
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

/// The error of `Proxy-Status` for a request over a limit (RFC 9209 §2.3.20).
const OVER_LIMIT: &str = "http_request_denied";

/// `retry_after_seconds` and `request_id`, with the longest id that is taken over.
const VARYING_BYTES_MAX: usize = 200;

/// What weir has to say itself.
#[derive(Clone, Debug)]
pub struct Notice {
    pub status: StatusCode,
    /// One sentence for whoever sent the request.
    pub detail: Cow<'static, str>,
    /// The error of `Proxy-Status` (RFC 9209 §2.3), such as `connection_refused`.
    pub error: &'static str,
    pub retry_after: Option<Duration>,
    /// The limit that tripped.
    pub limit: Option<Arc<OverLimit>>,
    /// Nothing more can be read from this connection.
    pub close: bool,
}

impl Notice {
    pub fn new(status: StatusCode, error: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Notice { status, detail: detail.into(), error, retry_after: None, limit: None, close: false }
    }

    pub fn closing(self) -> Self {
        Notice { close: true, ..self }
    }

    pub fn retry_after(self, wait: Option<Duration>) -> Self {
        Notice { retry_after: wait, ..self }
    }

    /// The response for a client whose request had `accept`.
    pub fn respond(&self, accept: Accept, request_id: &HeaderValue) -> Response<ResponseBody> {
        let id = request_id.to_str().unwrap_or("unknown");
        let (content_type, body) = match accept {
            Accept::Html => (HTML, self.page(id)),
            Accept::Json => (PROBLEM_JSON, self.problem(id)),
        };
        let mut response = Response::new(ResponseBody::own(Bytes::from(body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, content_type);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(PROXY_STATUS, self.proxy_status());
        headers.insert(X_REQUEST_ID, request_id.clone());
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds_up(wait)));
        }
        if self.close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn proxy_status(&self) -> HeaderValue {
        match self.error {
            OVER_LIMIT => HeaderValue::from_static("weir; error=http_request_denied"),
            error => HeaderValue::try_from(format!("weir; error={error}"))
                .unwrap_or(HeaderValue::from_static("weir; error=proxy_internal_error")),
        }
    }

    fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }

    fn problem(&self, request_id: &str) -> Vec<u8> {
        let mut body = match &self.limit {
            Some(over) => over.problem.clone(),
            None => Problem {
                r#type: "about:blank",
                title: self.title(),
                status: self.status.as_u16(),
                detail: &self.detail,
                answered_by: "weir",
                error: self.error,
                limit: None,
                violated_policies: None,
                clause: None,
            }
            .opened(),
        };
        // What differs from one answer to the next: a number and an id that is plain by construction.
        if let Some(wait) = self.retry_after {
            body.extend_from_slice(b",\"retry_after_seconds\":");
            // Writing to a Vec cannot fail.
            let _ = write!(body, "{}", whole_seconds_up(wait));
        }
        body.extend_from_slice(b",\"request_id\":\"");
        body.extend_from_slice(request_id.as_bytes());
        body.extend_from_slice(b"\"}");
        body
    }

    fn page(&self, request_id: &str) -> Vec<u8> {
        let mut page = String::with_capacity(1024);
        let (status, title) = (self.status.as_u16(), self.title());
        // Writing to a string cannot fail.
        let _ = write!(
            page,
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{status} {title}</title>\
             <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:12vh auto;padding:0 1.5em;\
             color:#222;background:#fff}}h1{{font-size:1.5em}}small,blockquote{{color:#666}}\
             blockquote{{margin:1em 0;padding-left:1em;border-left:3px solid #ccc}}\
             @media(prefers-color-scheme:dark){{body{{color:#ddd;background:#181818}}}}</style>\
             <h1>{title}</h1><p>{}</p>",
            escape(self.limit.as_ref().map_or(&self.detail, |over| &over.detail))
        );
        if let Some(wait) = self.retry_after {
            let _ = write!(page, "<p>Please try again in {} s.</p>", whole_seconds_up(wait));
        }
        if let Some(over) = &self.limit {
            let (name, clause) = (&over.name, &over.clause);
            let _ = write!(
                page,
                "<p>The limit is “{}”, under the clause “{}” of the acceptable use policy:</p>\
                 <blockquote>{}</blockquote>",
                escape(name),
                escape(&clause.title),
                escape(&clause.text)
            );
        }
        let _ = write!(
            page,
            "<p><small>{status} · answered by weir, which stands in front of this site, not by the site itself \
             · request {}</small></p></html>",
            escape(request_id)
        );
        page.into_bytes()
    }
}

/// All that weir says of one limit that is over, made once per policy: a flood is refused with little more than
/// a copy.
#[derive(Debug)]
pub struct OverLimit {
    name: String,
    clause: Clause,
    detail: String,
    /// The problem details object up to the members that differ, without its closing brace.
    problem: Vec<u8>,
}

impl OverLimit {
    pub fn new(limit: &Limit, clause: &Clause) -> Self {
        let detail = match limit.bound {
            Bound::SlidingWindow { units, window } => {
                format!("The limit “{}” is used up: at most {units} in every {window:?}.", limit.name)
            }
            Bound::Gcra { units, window, burst } => format!(
                "The limit “{}” is used up: {units} per {window:?}, paced, at most {burst} at once.",
                limit.name
            ),
            Bound::Quota { units, period: Period::Rolling(window) } => {
                format!("The quota “{}” is used up: at most {units} in {window:?}.", limit.name)
            }
            Bound::Quota { units, period: Period::Month } => {
                format!("The quota “{}” is used up: at most {units} in a calendar month.", limit.name)
            }
            Bound::Concurrency { requests } => format!(
                "The limit “{}” is used up: at most {requests} requests at the same time.",
                limit.name
            ),
        };
        let mut problem = Problem {
            r#type: QUOTA_EXCEEDED,
            title: "Too Many Requests",
            status: StatusCode::TOO_MANY_REQUESTS.as_u16(),
            detail: &detail,
            answered_by: "weir",
            error: OVER_LIMIT,
            limit: Some(&limit.name),
            violated_policies: Some(&[&limit.name]),
            clause: Some(ProblemClause { id: &clause.id, title: &clause.title, text: &clause.text }),
        }
        .opened();
        // Room for the members that differ, so that the copy is the only allocation.
        problem.reserve_exact(VARYING_BYTES_MAX);
        OverLimit { name: limit.name.clone(), clause: clause.clone(), detail, problem }
    }

    /// The refusal, ready to be sent.
    pub fn notice(self: &Arc<Self>, retry_after: Option<Duration>) -> Notice {
        let mut notice = Notice::new(StatusCode::TOO_MANY_REQUESTS, OVER_LIMIT, "").retry_after(retry_after);
        notice.limit = Some(Arc::clone(self));
        notice
    }
}

/// Members of the problem details object; `answered_by` and below are weir's own.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    answered_by: &'static str,
    error: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'a str>,
    #[serde(rename = "violated-policies", skip_serializing_if = "Option::is_none")]
    violated_policies: Option<&'a [&'a str]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clause: Option<ProblemClause<'a>>,
}

impl Problem<'_> {
    /// The object without its closing brace.
    fn opened(&self) -> Vec<u8> {
        // Strings and numbers only: this cannot fail.
        let mut body = serde_json::to_vec(self).unwrap_or_default();
        body.pop();
        body
    }
}

#[derive(Serialize)]
struct ProblemClause<'a> {
    id: &'a str,
    title: &'a str,
    text: &'a str,
}

/// What a client reads best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    Html,
    Json,
}

impl Accept {
    /// Browsers ask for `text/html`; everything else is a program.
    pub fn of(headers: &HeaderMap) -> Self {
        let asks_html = headers
            .get_all(header::ACCEPT)
            .iter()
            .any(|v| memchr::memmem::find(v.as_bytes(), b"text/html").is_some());
        if asks_html { Accept::Html } else { Accept::Json }
    }
}

/// `Retry-After` has whole seconds; rounded up, so that retrying then succeeds.
fn whole_seconds_up(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"']) {
        return Cow::Borrowed(text);
    }
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice() -> Notice {
        Notice::new(StatusCode::BAD_REQUEST, "http_request_error", "<script> & \"quotes\"")
    }

    /// Promise: `Retry-After` is never a moment too early.
    #[test]
    fn retry_after_rounds_up() {
        assert_eq!(whole_seconds_up(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds_up(Duration::from_secs(2)), 2);
        assert_eq!(whole_seconds_up(Duration::from_nanos(2_000_000_001)), 3);
    }

    /// Promise: nothing that a client sent can become markup in the page.
    #[test]
    fn page_escapes() {
        let page = String::from_utf8(notice().page("id")).unwrap();
        assert!(page.contains("&lt;script&gt; &amp; &quot;quotes&quot;"));
        assert!(!page.contains("<script>"));
    }

    /// Promise: programs get problem details with the members that RFC 9457 names, and weir says that it
    /// was weir that answered.
    #[test]
    fn problem_has_its_members() {
        let problem: serde_json::Value = serde_json::from_slice(&notice().problem("01ABC")).unwrap();
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["status"], 400);
        assert_eq!(problem["title"], "Bad Request");
        assert_eq!(problem["answered_by"], "weir");
        assert_eq!(problem["request_id"], "01ABC");
    }
}
