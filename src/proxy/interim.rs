//! Interim responses (1xx, RFC 9110 §15.2).
//!
//! `100` releases the body that waits for it: the app decides, and the client is told when the body is first
//! asked for. An app that says nothing within [`CONTINUE_MAX`] gets the body all the same, as RFC 9110 §10.1.1
//! advises clients. Every other 1xx but `101` is passed on to HTTP/1.1 clients.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode, Version, header, response};
use tokio::time::sleep;

use super::exchange::Exchange;
use super::request_body::Upload;
use super::{headers, identify};

const CONTINUE_MAX: Duration = Duration::from_secs(1);

/// Whether another response to the same request follows.
pub fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

/// Has the body released in time, where it waits for the app to ask for it.
pub fn await_continue(exchange: &Exchange) {
    if let Some(upload) = exchange.upload.as_ref().filter(|upload| upload.is_held()) {
        release_in_time(Arc::clone(upload));
    }
}

/// Does with the app's interim response what it says.
pub fn pass_on(head: response::Parts, exchange: &Exchange) {
    if head.status == StatusCode::CONTINUE {
        if let Some(upload) = &exchange.upload {
            upload.release();
        }
    } else if exchange.version == Version::HTTP_11 {
        let mut fields = head.headers;
        headers::strip_hop_by_hop(&mut fields);
        // RFC 9110 §8.6: there is no body whose length it could be.
        fields.remove(header::CONTENT_LENGTH);
        exchange.conn.side.push_interim(&encode(head.status, &fields, identify::learn_from(exchange)));
    }
}

fn release_in_time(upload: Arc<Upload>) {
    tokio::spawn(async move {
        sleep(CONTINUE_MAX).await;
        upload.release();
    });
}

fn encode(status: StatusCode, headers: &HeaderMap, removed: Option<&HeaderName>) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\n").into_bytes();
    for (name, value) in headers.iter().filter(|(name, _)| Some(*name) != removed) {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}
