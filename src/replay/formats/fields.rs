//! Which names in a JSON object hold what.

use std::collections::HashMap;
use std::str::FromStr;

use thiserror::Error;

/// What a name may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Field {
    /// RFC 3339, Apache's format, or seconds or milliseconds since the Unix epoch.
    Time,
    Client,
    Host,
    Method,
    Target,
    /// A whole request line.
    Request,
    Protocol,
    Status,
    Bytes,
    Referer,
    UserAgent,
    Account,
    /// By JA4.
    Fingerprint,
    RequestId,
    /// Whether the proxy answered itself: `weir`.
    AnsweredBy,
    /// Seconds that the app took.
    TookSeconds,
    /// Microseconds.
    TookMicros,
}

impl Field {
    pub const COUNT: usize = 17;

    /// With the names that are known, the better first; a dot leads into an object.
    const KNOWN: [(Field, &'static str, &'static [&'static str]); Self::COUNT] = [
        (
            Field::Time,
            "time",
            &["time", "timestamp", "@timestamp", "ts", "time_iso8601", "time_local", "StartUTC"],
        ),
        (
            Field::Client,
            "client",
            &[
                "client",
                "client_ip",
                "remote_addr",
                "remote_ip",
                "ClientHost",
                "ip",
                "request.client_ip",
                "request.remote_ip",
            ],
        ),
        (Field::Host, "host", &["host", "http_host", "vhost", "RequestHost", "server_name", "request.host"]),
        (Field::Method, "method", &["method", "request_method", "RequestMethod", "request.method"]),
        (
            Field::Target,
            "target",
            &["target", "request_uri", "uri", "RequestPath", "url", "path", "request.uri"],
        ),
        (Field::Request, "request", &["request"]),
        (
            Field::Protocol,
            "protocol",
            &["protocol", "version", "server_protocol", "proto", "RequestProtocol", "request.proto"],
        ),
        (Field::Status, "status", &["status", "DownstreamStatus", "status_code"]),
        (
            Field::Bytes,
            "bytes",
            &["response_bytes", "body_bytes_sent", "bytes_sent", "bytes", "size", "DownstreamContentSize"],
        ),
        (
            Field::Referer,
            "referer",
            &["referer", "http_referer", "referrer", "request_Referer", "request.headers.Referer"],
        ),
        (
            Field::UserAgent,
            "user_agent",
            &["user_agent", "http_user_agent", "request_User-Agent", "request.headers.User-Agent"],
        ),
        (Field::Account, "account", &["account"]),
        (Field::Fingerprint, "fingerprint", &["fingerprint", "ja4"]),
        (Field::RequestId, "request_id", &["request_id"]),
        (Field::AnsweredBy, "answered_by", &["answered_by"]),
        (Field::TookSeconds, "upstream_seconds", &["upstream_response_time"]),
        (Field::TookMicros, "upstream_us", &["upstream_us"]),
    ];
}

/// Names, and what they hold. Those that are known without asking are nginx's usual ones, Caddy's, Traefik's and
/// weir's own.
#[derive(Clone, Debug)]
pub struct Fields {
    pub(super) names: Names,
}

/// The names of one object.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(pub(super) HashMap<Box<str>, Name>);

#[derive(Clone, Debug, Default)]
pub(super) struct Name {
    /// What it holds, and how good a name for that it is: the smallest is the best.
    pub(super) holds: Option<(Field, u8)>,
    /// Where it is an object.
    pub(super) inner: Names,
}

/// Why names cannot be understood.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FieldsError {
    #[error("`{0}` is not of the form FIELD=NAME")]
    Form(String),
    #[error("no field is called `{0}`; there are {1}")]
    Unknown(String, String),
}

impl Default for Fields {
    fn default() -> Self {
        let mut names = Names::default();
        for (field, _, known) in Field::KNOWN {
            for (rank, name) in (1..).zip(known) {
                names.add(name, field, rank);
            }
        }
        Fields { names }
    }
}

impl FromStr for Fields {
    type Err = FieldsError;

    /// `status=http.code,client=ip`: these names before those that are known.
    fn from_str(text: &str) -> Result<Self, FieldsError> {
        let mut fields = Fields::default();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let (field, name) = part.split_once('=').ok_or_else(|| FieldsError::Form(part.to_owned()))?;
            let (field, name) = (field.trim(), name.trim());
            let found = Field::KNOWN.iter().find(|(_, called, _)| *called == field);
            let (field, ..) = found.ok_or_else(|| {
                let all: Vec<&str> = Field::KNOWN.iter().map(|(_, called, _)| *called).collect();
                FieldsError::Unknown(field.to_owned(), all.join(", "))
            })?;
            fields.names.add(name, *field, 0);
        }
        Ok(fields)
    }
}

impl Names {
    fn add(&mut self, path: &str, field: Field, rank: u8) {
        match path.split_once('.') {
            Some((first, rest)) => self.0.entry(first.into()).or_default().inner.add(rest, field, rank),
            None => self.0.entry(path.into()).or_default().holds = Some((field, rank)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: a mistake in `--fields` is named.
    #[test]
    fn mistakes_are_named() {
        assert!("status=code, client=ip.address".parse::<Fields>().is_ok());
        assert_eq!("status".parse::<Fields>().unwrap_err(), FieldsError::Form("status".to_owned()));
        let unknown = "stauts=code".parse::<Fields>().unwrap_err().to_string();
        assert!(unknown.contains("`stauts`") && unknown.contains("user_agent"), "{unknown}");
    }
}
