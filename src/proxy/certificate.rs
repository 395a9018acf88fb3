//! Certificates of clients, request by request: routes that need one, and the field by which the app is told of it.

use http::{HeaderMap, HeaderName};

use super::exchange::Exchange;
use super::headers::Added;
use super::respond::Notice;
use super::{forwarded, notices};
use crate::policy::RouteId;

/// RFC 9440 §2.
const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

/// The refusal of a request to a route that needs a certificate, from a client that showed none. In every mode: the app
/// may rely on it as it does on the handshake.
pub fn missing(exchange: &Exchange, route: RouteId) -> Option<Notice> {
    let needed = exchange.live.policy.route(route).needs_certificate;
    let shown = exchange.conn.guest().is_some_and(|guest| guest.certificate.is_some());
    (needed && !shown).then(notices::certificate_needed)
}

/// The fields that end at weir where it knows clients by their certificates, whoever sent them.
pub fn ended(exchange: &Exchange) -> impl Iterator<Item = HeaderName> {
    let tls = exchange.live.policy.tls.as_ref();
    let asked = tls.is_some_and(|tls| tls.client_certificates.are_asked_for());
    [CLIENT_CERT, CLIENT_CERT_CHAIN].into_iter().filter(move |_| asked)
}

/// Removes those fields, and tells the app of the client's own certificate where it is to know.
pub fn rewrite(exchange: &Exchange, headers: &mut HeaderMap, added: &mut Added) {
    ended(exchange).for_each(|name| forwarded::remove_spellings(headers, &name));
    if let Some(value) = exchange.conn.guest().and_then(|guest| guest.client_cert.clone()) {
        added.push((CLIENT_CERT, value));
    }
}
