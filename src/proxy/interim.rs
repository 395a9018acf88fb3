//! Interim responses (1xx, RFC 9110 §15.2).
//!
//! `100` releases the body that waits for it: the app decides, and hyper tells the client when the body is first
//! asked for. An app that says nothing within [`CONTINUE_MAX`] gets the body all the same, as RFC 9110 §10.1.1
//! advises clients. Every other 1xx but `101` is passed on to HTTP/1.1 clients.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, Request, StatusCode, Version};
use tokio::time::sleep;

use super::exchange::Exchange;
use super::identify;
use super::request_body::{RequestBody, Upload};

const CONTINUE_MAX: Duration = Duration::from_secs(1);

/// Has the app's interim responses to `request` carried to the client.
pub fn pass_on(request: &mut Request<RequestBody>, exchange: &Exchange) {
    let side = Arc::clone(&exchange.conn.side);
    let (upload, client) = (exchange.upload.clone(), exchange.version);
    let removed = identify::learn_from(exchange).cloned();
    if let Some(upload) = upload.as_ref().filter(|u| u.is_held()) {
        release_in_time(Arc::clone(upload));
    }
    hyper::ext::on_informational(request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            if let Some(upload) = &upload {
                upload.release();
            }
        } else if client >= Version::HTTP_11 {
            side.push_interim(&encode(response.status(), response.headers(), removed.as_ref()));
        }
    });
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
