//! TLS towards clients: certificates by name, tickets that outlive a reload, and nothing older than TLS 1.2.
//!
//! rustls on aws-lc-rs does the work; its cipher suites and groups are left as they are. Requests in early data are not
//! accepted: they could be replayed (RFC 8470).

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use http::HeaderValue;
use thiserror::Error;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;
use webpki::EndEntityCert;

use super::outbox::Socket;
use crate::policy::Policy;
use crate::policy::tls::{Certificate, MinVersion, Tls};

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
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

/// Keys for session tickets. They change by the hour, not with the policy, so that a reload ends no session.
#[derive(Clone)]
pub struct Tickets(Arc<dyn ProducesTickets>);

impl Tickets {
    /// Errors: no random numbers.
    pub fn new() -> io::Result<Self> {
        aws_lc_rs::Ticketer::new().map(Tickets).map_err(io::Error::other)
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets")
    }
}

/// The TLS of one policy.
#[derive(Clone)]
pub struct ServerTls {
    acceptor: TlsAcceptor,
    /// `Strict-Transport-Security` (RFC 6797).
    pub hsts: Option<HeaderValue>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("hsts", &self.hsts).finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Errors: a certificate that cannot be read, or whose key does not fit.
    pub fn new(tls: &Tls, tickets: &Tickets) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let certificates = ByName::new(&tls.certificates, &provider)?;
        let versions: &[_] = match tls.min_version {
            MinVersion::Tls12 => &[&TLS13, &TLS12],
            MinVersion::Tls13 => &[&TLS13],
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(certificates));
        config.ticketer = Arc::clone(&tickets.0);
        let protocols: &[&[u8]] = if tls.http2 { &[HTTP2, HTTP1] } else { &[HTTP1] };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let hsts = tls.hsts.and_then(|age| format!("max-age={}", age.as_secs()).try_into().ok());
        Ok(ServerTls { acceptor: TlsAcceptor::from(Arc::new(config)), hsts })
    }

    /// Shakes hands. A failure has been told to the client as an alert.
    pub async fn accept(&self, socket: Socket) -> io::Result<TlsStream<Socket>> {
        self.acceptor.accept(socket).await
    }
}

/// Whether the certificates of a policy can serve, for whoever does not start it.
pub fn check(policy: &Policy) -> Result<(), TlsError> {
    let Some(tls) = &policy.tls else { return Ok(()) };
    let provider = Arc::new(aws_lc_rs::default_provider());
    ByName::new(&tls.certificates, &provider).map(drop)
}

/// Certificates by the names that they were issued for.
#[derive(Debug)]
struct ByName {
    /// In lower case, as written in the certificates: `*` stands for one label (RFC 9525 §6.3).
    names: HashMap<String, Arc<CertifiedKey>>,
    first: Option<Arc<CertifiedKey>>,
}

impl ByName {
    fn new(certificates: &[Certificate], provider: &CryptoProvider) -> Result<Self, TlsError> {
        let mut all = ByName { names: HashMap::new(), first: None };
        for certificate in certificates {
            let key = Arc::new(certified(certificate, provider)?);
            for name in names(certificate)? {
                // The first that has a name serves it.
                all.names.entry(name).or_insert_with(|| Arc::clone(&key));
            }
            all.first.get_or_insert(key);
        }
        Ok(all)
    }

    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        // rustls hands over lower case.
        self.names.get(name).or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.names.get(&format!("*.{parent}"))
        })
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        hello.server_name().and_then(|name| self.find(name)).or(self.first.as_ref()).cloned()
    }
}

fn certified(certificate: &Certificate, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let file = || Arc::clone(&certificate.file);
    CertifiedKey::from_der(certificate.chain.clone(), certificate.key.clone_key(), provider).map_err(
        |error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::WrongKey { file: file() },
            why => TlsError::Certificate { file: file(), why },
        },
    )
}

fn names(certificate: &Certificate) -> Result<Vec<String>, TlsError> {
    let Some(own) = certificate.chain.first() else { return Ok(Vec::new()) };
    let own = EndEntityCert::try_from(own)
        .map_err(|why| TlsError::Unreadable { file: Arc::clone(&certificate.file), why })?;
    Ok(own.valid_dns_names().map(str::to_ascii_lowercase).collect())
}
