//! What weir says when it answers itself: one function per reason.

use std::io;
use std::time::Duration;

use http::StatusCode;
use tokio_rustls::rustls;

use super::client_side::BodyEnd;
use super::forward::ForwardError;
use super::head::Fault;
use super::respond::Notice;
use super::upstream::connect::ConnectError;
use super::upstream::http2::NotHttp2;
use crate::clause::Clause;
use crate::identity::CREDENTIALS_MAX;
use crate::policy::path::PathFault;
use crate::remedy::Answer;

pub fn fault(fault: Fault) -> Notice {
    Notice::new(fault.status(), "http_request_error", fault.detail()).closing()
}

pub fn head_timed_out() -> Notice {
    let detail = "The head of the request did not arrive in time.";
    Notice::new(StatusCode::REQUEST_TIMEOUT, "http_request_error", detail).closing()
}

pub fn unreadable_target() -> Notice {
    Notice::new(StatusCode::BAD_REQUEST, "http_request_error", "The request target cannot be read.")
}

pub fn unreadable_host() -> Notice {
    Notice::new(
        StatusCode::BAD_REQUEST,
        "http_request_error",
        "The Host field is not a host name or address.",
    )
}

pub fn too_many_credentials() -> Notice {
    let detail = format!("The request has more than {CREDENTIALS_MAX} credentials.");
    Notice::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "http_request_error", detail)
}

/// The account behind the request is suspended, under a clause.
pub fn suspended(clause: &Clause) -> Notice {
    let detail = format!("This account is suspended, because of: {}.", clause.title);
    Notice::new(StatusCode::FORBIDDEN, "http_request_denied", detail).under(clause)
}

/// The route is for accounts on other plans.
pub fn barred(clause: &Clause) -> Notice {
    let detail =
        format!("This is for accounts on certain plans, and none such asks for it: {}.", clause.title);
    Notice::new(StatusCode::FORBIDDEN, "http_request_denied", detail).under(clause)
}

/// The route is for clients that TLS knows by a certificate.
pub fn certificate_needed() -> Notice {
    let detail = "This needs a client certificate: connect by TLS, and show one from an authority that is trusted here.";
    Notice::new(StatusCode::FORBIDDEN, "http_request_denied", detail)
}

/// Somebody behind the request was found to do what a clause forbids. By what is not told: that would be a lesson in
/// how to evade it.
pub fn convicted(answer: Answer, clause: &Clause, wait: Duration) -> Notice {
    let status = match answer {
        Answer::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Answer::Forbidden => StatusCode::FORBIDDEN,
    };
    let detail =
        format!("Nothing is answered for a while, because of what was asked for before: {}.", clause.title);
    Notice::new(status, "http_request_denied", detail).under(clause).retry_after(Some(wait))
}

pub fn path_fault(fault: PathFault) -> Notice {
    Notice::new(StatusCode::BAD_REQUEST, "http_request_error", format!("The path is refused: {fault}."))
}

pub fn no_route() -> Notice {
    Notice::new(StatusCode::NOT_FOUND, "destination_not_found", "Nothing is served at this host and path.")
}

pub fn body_too_large(bytes_max: u64) -> Notice {
    let detail = format!("The body may hold at most {bytes_max} bytes.");
    Notice::new(StatusCode::PAYLOAD_TOO_LARGE, "http_request_error", detail).closing()
}

/// The app switched protocols although nobody asked for it.
pub fn unasked_switch() -> Notice {
    let detail = "The site switched to a protocol that was not asked for.";
    Notice::new(StatusCode::BAD_GATEWAY, "http_protocol_error", detail)
}

/// The app answered a request for a WebSocket as if it were for a page.
pub fn no_switch() -> Notice {
    let detail = "The site did not switch to the protocol that was asked for.";
    Notice::new(StatusCode::BAD_GATEWAY, "http_protocol_error", detail)
}

pub fn internal() -> Notice {
    let detail = "weir failed on this request. Other requests are not affected.";
    Notice::new(StatusCode::INTERNAL_SERVER_ERROR, "proxy_internal_error", detail).closing()
}

/// `retry` is an estimate of when to come back, where weir or the site has no room.
pub fn forward_failed(error: &ForwardError, body: BodyEnd, retry: impl FnOnce() -> Duration) -> Notice {
    match error {
        ForwardError::NoHealthyServer => Notice::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "destination_unavailable",
            "No server of this site is healthy.",
        )
        .retry_after(Some(retry())),
        ForwardError::Queue(_) => Notice::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "connection_limit_reached",
            "The site is busy: every place is taken, and so is the queue.",
        )
        .retry_after(Some(retry())),
        ForwardError::Connect(error) => connect_failed(error, retry),
        ForwardError::Broken(error) if error.is_malformed() => Notice::new(
            StatusCode::BAD_GATEWAY,
            "http_protocol_error",
            "The site answered something that is not HTTP.",
        ),
        ForwardError::Broken(_) => Notice::new(
            StatusCode::BAD_GATEWAY,
            "connection_terminated",
            "The site closed the connection before it answered.",
        ),
        ForwardError::NoResponse(_) | ForwardError::Overtime => Notice::new(
            StatusCode::GATEWAY_TIMEOUT,
            "http_response_timeout",
            "The site did not answer in time.",
        ),
        ForwardError::BodyTooLarge => {
            let detail = "The body is larger than allowed.";
            Notice::new(StatusCode::PAYLOAD_TOO_LARGE, "http_request_error", detail).closing()
        }
        ForwardError::BodyBroken if body == BodyEnd::Stalled => {
            let detail = "The body of the request stopped arriving.";
            Notice::new(StatusCode::REQUEST_TIMEOUT, "http_request_error", detail).closing()
        }
        ForwardError::BodyBroken => {
            let detail = "The body of the request broke off or was not framed as HTTP demands.";
            Notice::new(StatusCode::BAD_REQUEST, "http_request_error", detail).closing()
        }
    }
}

/// What went wrong between weir and a server, by RFC 9209 §2.3.
fn tls_failed(error: &io::Error) -> Notice {
    let why = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let (kind, detail) = match why {
        Some(rustls::Error::InvalidCertificate(_)) => {
            ("tls_certificate_error", "The site's server showed a certificate that cannot be verified.")
        }
        Some(rustls::Error::AlertReceived(_)) => {
            ("tls_alert_received", "The site's server refused to speak TLS with weir.")
        }
        _ => ("tls_protocol_error", "No TLS could be spoken with the site's server."),
    };
    Notice::new(StatusCode::BAD_GATEWAY, kind, detail)
}

fn not_http2(error: &NotHttp2) -> Notice {
    let detail = match error {
        NotHttp2::Http1 => "The site's server speaks HTTP/1.1, where HTTP/2 is configured.",
        NotHttp2::Other => "The site's server does not speak HTTP/2, which is configured.",
        NotHttp2::Full => "The site's server takes no requests by HTTP/2.",
        NotHttp2::Closed | NotHttp2::Broken(_) => {
            "The site's server ended the connection before HTTP/2 began."
        }
    };
    Notice::new(StatusCode::BAD_GATEWAY, "http_protocol_error", detail)
}

fn connect_failed(error: &ConnectError, retry: impl FnOnce() -> Duration) -> Notice {
    match error {
        ConnectError::Resolve(_) => {
            Notice::new(StatusCode::BAD_GATEWAY, "dns_error", "The name of the site's server has no address.")
        }
        ConnectError::Local(_) => Notice::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "proxy_internal_error",
            "weir cannot open another connection at the moment.",
        )
        .retry_after(Some(retry())),
        ConnectError::TimedOut(_) => Notice::new(
            StatusCode::GATEWAY_TIMEOUT,
            "connection_timeout",
            "The site's server could not be reached in time.",
        ),
        ConnectError::Tls(error) => tls_failed(error),
        ConnectError::Protocol(error) => not_http2(error),
        ConnectError::Refused(_) => Notice::new(
            StatusCode::BAD_GATEWAY,
            "connection_refused",
            "The site's server could not be reached.",
        ),
    }
}
