//! `[responses]`: what a client is told of the limits that it meets.

use http::HeaderName;

use super::place::At;
use super::reader::{Item, TableKind};
use crate::policy::host;
use crate::policy::responses::{Origins, RateLimitFields};

pub const RESPONSES: TableKind =
    TableKind { title: "[responses]", keys: &["rate_limit_fields", "legacy_rate_limit_fields", "cors"] };

pub const CORS: TableKind = TableKind { title: "`cors`", keys: &["origins", "credentials", "expose"] };

/// `[responses]` as written.
#[derive(Clone, Debug, Default)]
pub struct Responses {
    pub rate_limit_fields: Option<RateLimitFields>,
    pub legacy_rate_limit_fields: Option<At<bool>>,
    pub cors: Option<Cors>,
}

/// `cors` as written.
#[derive(Clone, Debug)]
pub struct Cors {
    pub origins: Origins,
    pub credentials: Option<At<bool>>,
    pub expose: Vec<HeaderName>,
}

const FIELDS: [(&str, RateLimitFields); 3] = [
    (RateLimitFields::Refusals.name(), RateLimitFields::Refusals),
    (RateLimitFields::Always.name(), RateLimitFields::Always),
    (RateLimitFields::Never.name(), RateLimitFields::Never),
];

pub(super) fn read(item: Item<'_>) -> Option<Responses> {
    let table = item.table(&RESPONSES)?;
    Some(Responses {
        rate_limit_fields: table.read("rate_limit_fields", |i| i.word(&FIELDS)),
        legacy_rate_limit_fields: table.read("legacy_rate_limit_fields", |i| i.boolean().map(|b| i.at(b))),
        cors: table.read("cors", cors),
    })
}

fn cors(item: Item<'_>) -> Option<Cors> {
    const ORIGINS: &str = "\"*\", or origins such as [\"https://app.example.com\"]";
    let table = item.table(&CORS)?;
    let origins = table.require("origins", ORIGINS, |item| {
        if item.is_text() && item.text(ORIGINS)? == "*" {
            return Some(Origins::Any);
        }
        let origins = item.one_or_list(|i| i.parse(ORIGIN, origin))?;
        if origins.is_empty() {
            return item.refuse("`origins` is empty", ORIGINS);
        }
        Some(Origins::These(origins))
    });
    Some(Cors {
        credentials: table.read("credentials", |i| i.boolean().map(|b| i.at(b))),
        expose: table
            .read("expose", |i| {
                i.one_or_list(|i| i.parse("the name of a response header", |t| t.parse().ok()))
            })
            .unwrap_or_default(),
        origins: origins?,
    })
}

const ORIGIN: &str =
    "an origin such as \"https://app.example.com\" or \"http://localhost:3000\", without a path";

/// An origin as browsers send it (RFC 6454 §6.2): lower case, and no port where it is the scheme's own.
fn origin(text: &str) -> Option<Box<str>> {
    let (scheme, authority) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let own_port = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let parts = host::split(authority).ok()?;
    let host = host::host(authority).ok()?;
    Some(
        match parts.port.filter(|port| *port != own_port) {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        }
        .into(),
    )
}

#[cfg(test)]
mod tests {
    use super::origin;

    /// Promise: an origin is compared in the form in which browsers send it; what is none is refused.
    #[test]
    fn origins_are_as_browsers_send_them() {
        for (written, sent) in [
            ("https://app.example.com", "https://app.example.com"),
            ("HTTPS://App.Example.com:443", "https://app.example.com"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://[::1]:80", "http://[::1]"),
        ] {
            assert_eq!(origin(written).as_deref(), Some(sent), "{written}");
        }
        for bad in ["app.example.com", "https://", "https://a.example/", "ftp://a.example", "*", "null"] {
            assert_eq!(origin(bad), None, "{bad}");
        }
    }
}
