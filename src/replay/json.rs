//! One JSON object a line, with the field names of nginx's and Caddy's examples, Traefik and weir's own access log.

use std::net::IpAddr;

use serde::Deserialize;

/// A request of a JSON log; owns its text, as JSON escapes it.
#[derive(Debug, Default, Deserialize)]
pub struct JsonLine {
    #[serde(
        alias = "timestamp",
        alias = "ts",
        alias = "@timestamp",
        alias = "time_iso8601",
        alias = "StartUTC"
    )]
    time: Option<Time>,
    #[serde(
        alias = "remote_addr",
        alias = "remote_ip",
        alias = "client_ip",
        alias = "ClientHost",
        alias = "ip"
    )]
    client: Option<String>,
    #[serde(alias = "http_host", alias = "RequestHost", alias = "vhost")]
    host: Option<String>,
    #[serde(alias = "request_method", alias = "RequestMethod")]
    method: Option<String>,
    #[serde(alias = "request_uri", alias = "uri", alias = "path", alias = "RequestPath", alias = "url")]
    target: Option<String>,
    /// nginx's whole request line, or Caddy's object.
    request: Option<RequestPart>,
    #[serde(alias = "server_protocol", alias = "proto", alias = "RequestProtocol")]
    protocol: Option<String>,
    #[serde(alias = "DownstreamStatus")]
    status: Option<Number>,
    #[serde(
        alias = "body_bytes_sent",
        alias = "bytes_sent",
        alias = "size",
        alias = "response_bytes",
        alias = "DownstreamContentSize"
    )]
    bytes: Option<Number>,
    #[serde(alias = "http_referer", alias = "referrer", alias = "request_Referer")]
    referer: Option<String>,
    #[serde(alias = "http_user_agent", alias = "request_User-Agent")]
    user_agent: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Time {
    Seconds(f64),
    Text(String),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Number(u64),
    Text(String),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RequestPart {
    Line(String),
    Caddy(Box<Caddy>),
}

#[derive(Debug, Deserialize)]
struct Caddy {
    #[serde(alias = "client_ip")]
    remote_ip: Option<String>,
    host: Option<String>,
    method: Option<String>,
    uri: Option<String>,
    proto: Option<String>,
    #[serde(default)]
    headers: std::collections::HashMap<String, Vec<String>>,
}

impl JsonLine {
    pub fn read(line: &[u8]) -> Option<Self> {
        let mut read: JsonLine = serde_json::from_slice(line).ok()?;
        match read.request.take() {
            Some(RequestPart::Line(line)) => {
                let mut words = line.split(' ');
                read.method = words.next().map(str::to_owned);
                read.target = words.next().map(str::to_owned);
                read.protocol = words.next().map(str::to_owned);
            }
            Some(RequestPart::Caddy(caddy)) => {
                let header = |name: &str| caddy.headers.get(name).and_then(|v| v.first()).cloned();
                read.referer = header("Referer");
                read.user_agent = header("User-Agent");
                read.client = caddy.remote_ip;
                read.host = caddy.host;
                read.method = caddy.method;
                read.target = caddy.uri;
                read.protocol = caddy.proto;
            }
            None => {}
        }
        Some(read)
    }

    /// The request; `None` without a time, a client, a target or a status.
    pub fn entry(&self) -> Option<super::Entry<'_>> {
        let client: IpAddr = self.client.as_deref()?.parse().ok()?;
        Some(super::Entry {
            unix_ms: self.time.as_ref()?.unix_ms()?,
            client,
            host: field(self.host.as_ref()),
            method: self.method.as_deref().unwrap_or("GET"),
            target: self.target.as_deref()?,
            is_http_1_0: self.protocol.as_deref() == Some("HTTP/1.0"),
            status: self.status.as_ref()?.value()?.try_into().ok()?,
            bytes: self.bytes.as_ref().and_then(Number::value).unwrap_or(0),
            referer: field(self.referer.as_ref()),
            user_agent: field(self.user_agent.as_ref()),
        })
    }
}

fn field(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty() && *text != "-")
}

impl Number {
    fn value(&self) -> Option<u64> {
        match self {
            Number::Number(number) => Some(*number),
            Number::Text(text) => text.parse().ok(),
        }
    }
}

impl Time {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "negative and absurd times saturate"
    )]
    fn unix_ms(&self) -> Option<u64> {
        match self {
            // Seconds, or milliseconds where seconds would be in the year 5138 or later.
            Time::Seconds(seconds) if *seconds > 1e11 => Some(*seconds as u64),
            Time::Seconds(seconds) => Some((*seconds * 1000.0) as u64),
            Time::Text(text) => text.parse::<f64>().ok().map_or_else(
                || super::combined::rfc3339(text.as_bytes()),
                |seconds| Time::Seconds(seconds).unix_ms(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: the shapes that nginx, Caddy and weir write are read alike.
    #[test]
    fn three_shapes() {
        let nginx = br#"{"time_iso8601":"2016-02-20T00:00:45-05:00","remote_addr":"192.0.2.7","request":"GET /a HTTP/1.0","status":"200","body_bytes_sent":12,"http_referer":"-"}"#;
        let caddy = br#"{"ts":1455944445.0,"request":{"remote_ip":"192.0.2.7","method":"GET","uri":"/a","proto":"HTTP/1.0","host":"x","headers":{"User-Agent":["U"]}},"status":200,"size":12}"#;
        for line in [&nginx[..], &caddy[..]] {
            let read = JsonLine::read(line).expect("JSON");
            let entry = read.entry().expect("a request");
            assert_eq!(
                (entry.unix_ms, entry.target, entry.status, entry.bytes),
                (1_455_944_445_000, "/a", 200, 12)
            );
            assert!(entry.is_http_1_0 && entry.referer.is_none());
        }
        assert!(JsonLine::read(b"{}").expect("JSON").entry().is_none());
    }
}
