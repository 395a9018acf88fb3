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
        account: record.account.as_deref(),
        fingerprint: record.fingerprint.as_deref(),
        limit: record.limit.as_deref(),
        detector: record.detector.as_deref(),
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
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detector: Option<&'a str>,
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

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    const PAGE: &str = include_str!("../../../docs/logs.md");

    /// Promise: one object a line, its fields as docs/logs.md lists them, and no text a client sends can end
    /// a string or a line. Written by hand from the documentation.
    #[test]
    fn lines_are_as_documented() {
        let mut out = Vec::new();
        let mut time = Timestamp::default();
        write(&mut out, &example::forwarded(), &mut time);
        write(&mut out, &example::refused(), &mut time);
        let expected = concat!(
            r#"{"time":"2026-11-24T05:56:12.345Z","client":"203.0.113.7","method":"GET","#,
            r#""target":"/articles/42?lang=en","version":"HTTP/1.1","host":"help.example","#,
            r#""referer":"https://help.example/articles/","user_agent":"Mozilla/5.0 (X11; Linux x86_64)","#,
            r#""request_id":"0191f3c8","status":200,"response_bytes":5120,"answered_by":"app","#,
            r#""decision":"forwarded","account":"acme","fingerprint":"t13d1516h2_8daaf6152771_e5627efa2ab1","#,
            r#""route":"articles","server":"127.0.0.1:13000","total_us":12345,"#,
            r#""upstream_us":11900}"#,
            "\n",
            r#"{"time":"2026-11-24T05:56:12.345Z","client":"2001:db8::1","method":"GET","#,
            r#""target":"/\"\\x\t","version":"HTTP/1.0","user_agent":"a\r\nb"#,
            "\u{fffd}\u{7f}",
            r#"\"","status":429,"response_bytes":0,"answered_by":"weir","decision":"refused","#,
            r#""limit":"per-client","total_us":30}"#,
            "\n",
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    /// Promise: docs/logs.md describes exactly the fields that are written, in their order.
    #[test]
    fn the_page_lists_every_field() {
        let mut record = example::forwarded();
        record.limit = Some("per-client".into());
        record.detector = Some("crawl".into());
        let mut out = Vec::new();
        write(&mut out, &record, &mut Timestamp::default());
        let line = String::from_utf8(out).unwrap();
        let written: Vec<&str> = line
            .split("\":")
            .filter_map(|before| before.rsplit('"').next())
            .filter(|key| is_key(key))
            .collect();

        let (_, section) = PAGE.split_once("### JSON").unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        let documented: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
        assert_eq!(documented, written);
    }

    fn is_key(text: &str) -> bool {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    }
}
