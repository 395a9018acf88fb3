//! Records for the tests of both formats.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use http::{Method, StatusCode, Version};

use super::record::{AccessRecord, RequestFields, RequestText};
use crate::facts::Origin;
use crate::metrics::RequestDecision;
use crate::time::WallTime;

/// A page that the app sent, at 2026-11-24 05:56:12.345 UTC.
pub(super) fn forwarded() -> AccessRecord {
    AccessRecord {
        at: WallTime { unix_ms: 1_795_499_772_345 },
        client: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)),
        method: Method::GET,
        version: Version::HTTP_11,
        text: RequestText::copy(&RequestFields {
            target: b"/articles/42?lang=en",
            host: b"help.example",
            referer: b"https://help.example/articles/",
            user_agent: b"Mozilla/5.0 (X11; Linux x86_64)",
            request_id: b"0191f3c8",
        }),
        status: StatusCode::OK,
        response_bytes: 5120,
        origin: Origin::App,
        decision: RequestDecision::Forwarded,
        account: Some("acme".into()),
        fingerprint: Some("t13d1516h2_8daaf6152771_e5627efa2ab1".into()),
        limit: None,
        detector: None,
        route: Some("articles".into()),
        server: Some("127.0.0.1:13000".into()),
        total: Duration::from_micros(12_345),
        upstream: Some(Duration::from_micros(11_900)),
    }
}

/// A refusal, of a client that sends little and tries to forge a line with what it sends.
pub(super) fn refused() -> AccessRecord {
    AccessRecord {
        client: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        version: Version::HTTP_10,
        text: RequestText::copy(&RequestFields {
            target: b"/\"\\x\t",
            user_agent: b"a\r\nb\xff\x7f\"",
            ..RequestFields::default()
        }),
        status: StatusCode::TOO_MANY_REQUESTS,
        response_bytes: 0,
        origin: Origin::Weir,
        decision: RequestDecision::Refused,
        account: None,
        fingerprint: None,
        limit: Some("per-client".into()),
        detector: None,
        route: None,
        server: None,
        total: Duration::from_nanos(30_999),
        upstream: None,
        ..forwarded()
    }
}
