//! weir's own responses as a gRPC client reads them: trailers only, in the head of a 200 (gRPC over HTTP/2,
//! “Responses”).

use std::time::Duration;

use http::{HeaderName, StatusCode};

use crate::proxy::message::own_message::OwnMessage;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// When a client that retries by itself may do so, in milliseconds (gRFC A6, “Pushback”).
const GRPC_RETRY_PUSHBACK_MS: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

const RESOURCE_EXHAUSTED: u16 = 8;

/// Adds what stands for `status` in gRPC. `over_limit`: the request is refused because of a limit.
pub(super) fn put(
    fields: &mut OwnMessage,
    status: StatusCode,
    over_limit: bool,
    message: &str,
    retry_after: Option<Duration>,
) {
    let code = if over_limit { RESOURCE_EXHAUSTED } else { code(status) };
    fields.put_number(&GRPC_STATUS, code.into());
    fields.put_bytes(&GRPC_MESSAGE, &percent_encoded(message));
    if let Some(wait) = retry_after {
        let ms = wait.as_nanos().div_ceil(1_000_000);
        fields.put_number(&GRPC_RETRY_PUSHBACK_MS, u64::try_from(ms).unwrap_or(u64::MAX));
    }
}

/// What a gRPC client makes of an HTTP status by itself (“HTTP to gRPC Status Code Mapping”).
fn code(status: StatusCode) -> u16 {
    match status.as_u16() {
        400 => 13,                   // INTERNAL
        401 => 16,                   // UNAUTHENTICATED
        403 => 7,                    // PERMISSION_DENIED
        404 => 12,                   // UNIMPLEMENTED
        429 | 502 | 503 | 504 => 14, // UNAVAILABLE
        _ => 2,                      // UNKNOWN
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
        put(&mut fields, StatusCode::TOO_MANY_REQUESTS, true, "x", wait);
        let expected = b"grpc-status: 8\r\ngrpc-message: x\r\ngrpc-retry-pushback-ms: 1501\r\n";
        assert_eq!(fields.lines(), expected);
    }
}
