//! TLS towards clients (that towards servers is `upstream::secure`): certificates by name, tickets that outlive a reload, and nothing older than TLS 1.2.
//!
//! rustls on aws-lc-rs does the work; its cipher suites and groups are left as they are. Requests in early data are not
//! accepted: they could be replayed (RFC 8470).

mod clients;
mod heard;
mod hello;
mod issued;
#[doc(hidden)]
pub mod ja4;
mod names;
mod tickets;
mod validity;

pub use clients::Guest;
pub use issued::{Issued, Open};
pub use tickets::Tickets;
pub use validity::Validity;

use std::fmt;
use std::io;
use std::sync::Arc;

use http::HeaderValue;
use thiserror::Error;
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::server::{ResolvesServerCert, VerifierBuilderError};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{StartHandshake, TlsAcceptor};

use super::outbox::Socket;
use super::upstream::secure;
use crate::facts::Fingerprint;
use crate::policy::tls::{Certificate, ClientCertificates, MinVersion, Tls};
use crate::policy::{ListenAddress, Policy};
use crate::time::WallTime;
use clients::Clients;
use names::ByName;

/// What clients may speak inside (RFC 7301).
pub const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// Why certificates cannot serve.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error("the certificate in \"{file}\" cannot be used: {why}")]
    Certificate { file: Arc<str>, why: rustls::Error },
    #[error("the key beside \"{file}\" is not that of its first certificate")]
    WrongKey { file: Arc<str> },
    #[error("the first certificate in \"{file}\" cannot be read: {why}")]
    Unreadable { file: Arc<str>, why: webpki::Error },
    #[error("a certificate in \"{file}\" cannot vouch for others: {why}")]
    Authority { file: Arc<str>, why: rustls::Error },
    #[error("clients cannot be verified by \"{file}\" and what is revoked: {why}")]
    Clients { file: Arc<str>, why: VerifierBuilderError },
    #[error("the system has no authorities to verify servers by: {0}")]
    NoRoots(String),
    #[error("no certificate could have the name of the server {server}")]
    Nameless { server: Arc<str> },
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

impl TlsError {
    pub(super) fn of_certificate(certificate: &Certificate, why: rustls::Error) -> Self {
        let file = Arc::clone(&certificate.file);
        match why {
            rustls::Error::InconsistentKeys(_) => TlsError::WrongKey { file },
            why => TlsError::Certificate { file, why },
        }
    }
}

/// The TLS of one policy.
#[derive(Clone)]
pub struct ServerTls {
    /// For listeners that ask for certificates like most.
    common: Door,
    /// For those that do not.
    own: Vec<(ListenAddress, Door)>,
    fingerprint: bool,
    /// Until when each of the files' certificates is good.
    expires: Vec<(Arc<str>, WallTime)>,
    issued: Issued,
    /// `Strict-Transport-Security` (RFC 6797).
    pub hsts: Option<HeaderValue>,
}

/// How some listeners shake hands.
#[derive(Clone)]
struct Door {
    acceptor: TlsAcceptor,
    clients: Arc<Clients>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("hsts", &self.hsts).finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Errors: a certificate that cannot be read, or whose key does not fit.
    pub fn new(tls: &Tls, tickets: &Tickets, issued: &Issued) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let certificates: Arc<dyn ResolvesServerCert> = Arc::new(ByName::new(tls, issued, &provider)?);
        let door = |rule: Option<&ClientCertificates>| {
            let clients = Clients::new(rule, &provider)?;
            let mut config = server_config(tls, &provider, &clients, Arc::clone(&certificates))?;
            config.ticketer = tickets.under(rule);
            Ok(Door { acceptor: TlsAcceptor::from(Arc::new(config)), clients: Arc::new(clients) })
        };
        let rules = &tls.client_certificates;
        let own = rules.own.iter().map(|(listener, rule)| Ok((listener.clone(), door(rule.as_deref())?)));
        Ok(ServerTls {
            common: door(rules.common.as_deref())?,
            own: own.collect::<Result<_, _>>()?,
            fingerprint: tls.fingerprint,
            expires: tls.certificates.iter().filter_map(expires).collect(),
            issued: issued.clone(),
            hsts: tls.hsts.and_then(|age| format!("max-age={}", age.as_secs()).try_into().ok()),
        })
    }

    /// Until when each certificate is good: by its file, or by its name where it was obtained.
    pub fn expires(&self) -> Vec<(Arc<str>, WallTime)> {
        self.expires.iter().cloned().chain(self.issued.expires()).collect()
    }

    /// Shakes hands at the listener with this address, as configured. A failure has been told to the client as an alert.
    /// `None`: it was an authority, which has learnt all that it came for.
    pub async fn accept(
        &self,
        listener: &ListenAddress,
        mut socket: Socket,
    ) -> io::Result<Option<(TlsStream<Socket>, Guest)>> {
        let own = self.own.iter().find(|(address, _)| address == listener);
        let door = own.map_or(&self.common, |(_, door)| door);
        if !self.fingerprint && !self.issued.is_challenged() {
            let stream = door.acceptor.accept(socket).await?;
            let guest = door.clients.guest(stream.get_ref().1)?;
            return Ok(Some((stream, guest)));
        }
        let (accepted, message) = heard::first_message(&mut socket).await?;
        if let Some(config) = self.issued.challenge_of(&accepted.client_hello())? {
            let mut stream = StartHandshake::from_parts(accepted, socket).into_stream(config).await?;
            return stream.shutdown().await.map(|()| None);
        }
        let fingerprint = self.fingerprint.then(|| ja4::ja4(&message).map(Fingerprint::new)).flatten();
        drop(message);
        let config = Arc::clone(door.acceptor.config());
        let stream = StartHandshake::from_parts(accepted, socket).into_stream(config).await?;
        let guest = door.clients.guest(stream.get_ref().1)?;
        Ok(Some((stream, Guest { fingerprint, ..guest })))
    }
}

fn expires(certificate: &Certificate) -> Option<(Arc<str>, WallTime)> {
    let validity = Validity::of(certificate.chain.first()?)?;
    Some((Arc::clone(&certificate.file), validity.not_after))
}

/// Whether the certificates of a policy can serve, for whoever does not start it.
pub fn check(policy: &Policy) -> Result<(), TlsError> {
    policy.upstreams.iter().try_for_each(|upstream| secure::config(upstream).map(drop))?;
    let Some(tls) = &policy.tls else { return Ok(()) };
    let provider = Arc::new(aws_lc_rs::default_provider());
    ByName::new(tls, &Issued::default(), &provider)?;
    tls.client_certificates.all().try_for_each(|rule| Clients::new(Some(rule), &provider).map(drop))
}

fn server_config(
    tls: &Tls,
    provider: &Arc<CryptoProvider>,
    clients: &Clients,
    certificates: Arc<dyn ResolvesServerCert>,
) -> Result<ServerConfig, TlsError> {
    let versions: &[_] = match tls.min_version {
        MinVersion::Tls12 => &[&TLS13, &TLS12],
        MinVersion::Tls13 => &[&TLS13],
    };
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions)
        .map_err(TlsError::Setup)?
        .with_client_cert_verifier(clients.verifier())
        .with_cert_resolver(certificates);
    let protocols: &[&[u8]] = if tls.http2 { &[HTTP2, HTTP1] } else { &[HTTP1] };
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}
