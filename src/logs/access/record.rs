//! One request, as the access log is told of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode, Version};

use crate::facts::Origin;
use crate::metrics::RequestDecision;
use crate::time::WallTime;

/// What the access log keeps of one request.
#[derive(Clone, Debug)]
pub struct AccessRecord {
    /// When the head of the request was read.
    pub at: WallTime,
    /// The believed address of the client.
    pub client: IpAddr,
    pub method: Method,
    pub version: Version,
    /// What the client wrote, copied.
    pub text: RequestText,
    /// As the client got it; 499 where it left before there was one.
    pub status: StatusCode,
    /// Of the response's body, as sent.
    pub response_bytes: u64,
    pub origin: Origin,
    pub decision: RequestDecision,
    /// The account behind the request, as the operator names it; the first if there are several.
    pub account: Option<Arc<str>>,
    /// What the handshake of the client looked like, where fingerprints are taken.
    pub fingerprint: Option<Arc<str>>,
    /// The limit that refused the request.
    pub limit: Option<Arc<str>>,
    /// The detector because of whose finding it was refused.
    pub detector: Option<Arc<str>>,
    pub route: Option<Arc<str>>,
    /// The server that the request was last sent to.
    pub server: Option<Arc<str>>,
    /// From the first byte of the head to the last of the response.
    pub total: Duration,
    /// Of that, what was spent waiting for the upstream. `None`: it was never asked.
    pub upstream: Option<Duration>,
}

/// Texts of a request to copy, as the client sent them; empty where it sent none.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestFields<'a> {
    /// The request target with its query.
    pub target: &'a [u8],
    pub host: &'a [u8],
    pub referer: &'a [u8],
    pub user_agent: &'a [u8],
    pub request_id: &'a [u8],
}

/// Texts of a request, copied into one allocation so that a queued record does not keep a connection's read
/// buffer alive. Each is cut at [`RequestText::FIELD_BYTES_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestText {
    bytes: Box<[u8]>,
    /// Where the target, the host, the referer and the user agent end; the request id is the rest.
    ends: [u16; 4],
}

impl RequestText {
    /// What one field may hold: bounds the queue's memory whatever clients send.
    pub const FIELD_BYTES_MAX: usize = 2048;

    pub fn copy(fields: &RequestFields<'_>) -> Self {
        let parts = [fields.target, fields.host, fields.referer, fields.user_agent, fields.request_id]
            .map(|part| part.get(..Self::FIELD_BYTES_MAX).unwrap_or(part));
        let mut end = 0;
        let ends = [parts[0], parts[1], parts[2], parts[3]].map(|part| {
            end += u16::try_from(part.len()).unwrap_or(u16::MAX);
            end
        });
        RequestText { bytes: parts.concat().into(), ends }
    }

    pub fn fields(&self) -> RequestFields<'_> {
        let [target, host, referer, user_agent] = self.ends.map(usize::from);
        RequestFields {
            target: &self.bytes[..target],
            host: &self.bytes[target..host],
            referer: &self.bytes[host..referer],
            user_agent: &self.bytes[referer..user_agent],
            request_id: &self.bytes[user_agent..],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: every field comes back as it was copied, empty ones as empty, long ones cut at the bound.
    #[test]
    fn fields_come_back_and_are_bounded() {
        let long = [b'x'; 5000];
        let fields = RequestFields {
            target: b"/a?b=c",
            host: b"",
            referer: &long,
            user_agent: b"curl/8",
            request_id: b"id-1",
        };
        let text = RequestText::copy(&fields);
        let back = text.fields();
        assert_eq!(back.target, fields.target);
        assert_eq!(back.host, fields.host);
        assert_eq!(back.referer, &long[..2048]);
        assert_eq!(back.user_agent, fields.user_agent);
        assert_eq!(back.request_id, fields.request_id);
    }
}
