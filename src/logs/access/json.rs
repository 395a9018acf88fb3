//! The access log as JSON: one object a line. `docs/logs.md` describes the fields.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use super::record::AccessRecord;
use super::timestamp::Timestamp;
use crate::facts::Origin;

/// Appends one line, with its end.
pub(super) fn write(out: &mut Vec<u8>, record: &AccessRecord, time: &mut Timestamp) {
    let fields = record.text.fields();
    let line = Line {
        time: time.rfc3339(record.at),
        client: record.client,
        method: record.method.as_str(),
        target: text(fields.target),
        version: format!("{:?}", record.version),
        host: some(fields.host),
        referer: some(fields.referer),
        user_agent: some(fields.user_agent),
        request_id: some(fields.request_id),
        status: record.status.as_u16(),
        response_bytes: record.response_bytes,
        answered_by: match record.origin {
            Origin::App => "app",
            Origin::Weir => "weir",
        },
        decision: record.decision.name(),
        limit: record.limit.as_deref(),
        route: record.route.as_deref(),
        server: record.server.as_deref(),
        total_us: micros(record.total),
        upstream_us: record.upstream.map(micros),
    };
    // Fails neither for these types nor for a Vec; should it ever, the line ends here and the log goes on.
    let _ = serde_json::to_writer(&mut *out, &line);
    out.push(b'\n');
}

/// The fields in the order in which they are written. Those that do not apply are left out.
#[derive(Serialize)]
struct Line<'a> {
    time: &'a str,
    client: IpAddr,
    method: &'a str,
    target: Cow<'a, str>,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    referer: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<Cow<'a, str>>,
    status: u16,
    response_bytes: u64,
    answered_by: &'static str,
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'a str>,
    total_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_us: Option<u64>,
}

/// Octets that are not UTF-8 become U+FFFD.
fn text(value: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(value)
}

fn some(value: &[u8]) -> Option<Cow<'_, str>> {
    (!value.is_empty()).then(|| text(value))
}

fn micros(of: Duration) -> u64 {
    u64::try_from(of.as_micros()).unwrap_or(u64::MAX)
}
