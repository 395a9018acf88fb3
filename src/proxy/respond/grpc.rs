//! weir's own responses as a gRPC client reads them: trailers only, in the head of a 200 (gRPC over HTTP/2,
//! “Responses”).

use std::time::Duration;

use http::{HeaderName, StatusCode};

use crate::proxy::message::own_message::OwnMessage;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// When a client that retries by itself may do so, in milliseconds (gRFC A6, “Pushback”).
const GRPC_RETRY_PUSHBACK_MS: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// Adds what stands for `status` in gRPC. `error` is that of `Proxy-Status`.
pub(super) fn put(
    fields: &mut OwnMessage,
    (status, error): (StatusCode, &str),
    message: &str,
    retry_after: Option<Duration>,
) {
    fields.put_number(&GRPC_STATUS, code(status, error).into());
    fields.put_bytes(&GRPC_MESSAGE, &percent_encoded(message));
    if let Some(wait) = retry_after {
        let ms = wait.as_nanos().div_ceil(1_000_000);
        fields.put_number(&GRPC_RETRY_PUSHBACK_MS, u64::try_from(ms).unwrap_or(u64::MAX));
    }
}

/// What a gRPC client makes of an HTTP status by itself (“HTTP to gRPC Status Code Mapping”), and where weir knows more
/// than the status says: who is over a limit should not take it for an outage, nor a deadline for one.
fn code(status: StatusCode, error: &str) -> u16 {
    match (status.as_u16(), error) {
        (400, _) => 13,       // INTERNAL
        (401, _) => 16,       // UNAUTHENTICATED
        (403, _) => 7,        // PERMISSION_DENIED
        (404 | 501, _) => 12, // UNIMPLEMENTED
        (413 | 429, _) => 8,  // RESOURCE_EXHAUSTED
        // UNAVAILABLE; where no connection was made in time, nothing was sent.
        (502 | 503, _) | (504, "connection_timeout") => 14,
        (408 | 504, _) => 4, // DEADLINE_EXCEEDED
        _ => 2,              // UNKNOWN
    }
}

/// All but printable ASCII, and the percent sign itself.
fn percent_encoded(message: &str) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = Vec::with_capacity(message.len() + 16);
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(byte),
            _ => encoded.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: a message arrives whole, whatever is in it.
    #[test]
    fn messages_are_percent_encoded() {
        assert_eq!(percent_encoded("at most 5 %."), b"at most 5 %25.");
        assert_eq!(percent_encoded("“é”\n"), b"%E2%80%9C%C3%A9%E2%80%9D%0A");
    }

    /// Promise: a client is told when to come back to the millisecond, and never too early.
    #[test]
    fn pushback_rounds_up() {
        let mut fields = OwnMessage::default();
        let wait = Some(Duration::from_micros(1_500_001));
        put(&mut fields, (StatusCode::TOO_MANY_REQUESTS, "http_request_denied"), "x", wait);
        let expected = b"grpc-status: 8\r\ngrpc-message: x\r\ngrpc-retry-pushback-ms: 1501\r\n";
        assert_eq!(fields.lines(), expected);
    }

    /// Promise: a limit, a deadline and an outage are told apart, each by the code that clients act upon.
    #[test]
    fn reasons_are_told_apart() {
        let code = |status| code(StatusCode::from_u16(status).unwrap(), "http_response_timeout");
        let codes =
            [(401, 16), (403, 7), (404, 12), (413, 8), (429, 8), (502, 14), (503, 14), (504, 4), (500, 2)];
        for (status, expected) in codes {
            assert_eq!(code(status), expected, "{status}");
        }
        assert_eq!(super::code(StatusCode::GATEWAY_TIMEOUT, "connection_timeout"), 14);
    }
}
