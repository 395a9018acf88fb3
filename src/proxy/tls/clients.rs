//! Certificates of clients: which are let in, and what is kept of the one that was shown.

use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderValue;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoClientAuth, WebPkiClientVerifier};
use tokio_rustls::rustls::{HandshakeKind, RootCertStore, ServerConnection};

use super::TlsError;
use crate::facts::Fingerprint;
use crate::identity::Certificate;
use crate::policy::tls::{ClientCertificates, Demand};

/// What the handshake of a connection told of its client.
#[derive(Debug, Default)]
pub struct Guest {
    /// The certificate that it showed and that was verified.
    pub certificate: Option<Certificate>,
    /// What its first message looked like, where that is asked for.
    pub fingerprint: Option<Fingerprint>,
    /// The same as `Client-Cert` tells it (RFC 9440), where the app is to know.
    pub client_cert: Option<HeaderValue>,
}

/// How a listener looks at the certificates of its clients.
#[derive(Debug)]
pub(super) struct Clients {
    verifier: Arc<dyn ClientCertVerifier>,
    forward: bool,
}

impl Clients {
    /// `None`: they are not asked for.
    pub(super) fn new(
        rule: Option<&ClientCertificates>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let Some(rule) = rule else {
            return Ok(Clients { verifier: Arc::new(NoClientAuth), forward: false });
        };
        let mut roots = RootCertStore::empty();
        for authority in &rule.authorities {
            let added = roots.add(authority.clone());
            added.map_err(|why| TlsError::Authority { file: Arc::clone(&rule.file), why })?;
        }
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        if !rule.revocations.is_empty() {
            // A list that is out of date does not tell what was revoked since.
            builder = builder.with_crls(rule.revocations.iter().cloned()).enforce_revocation_expiration();
        }
        if rule.demand == Demand::Optional {
            builder = builder.allow_unauthenticated();
        }
        let verifier = builder.build();
        let verifier = verifier.map_err(|why| TlsError::Clients { file: Arc::clone(&rule.file), why })?;
        Ok(Clients { verifier, forward: rule.forward })
    }

    pub(super) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.verifier)
    }

    /// Who shook hands.
    ///
    /// Errors: the session was resumed, and its certificate has expired or was revoked since.
    pub(super) fn guest(&self, connection: &ServerConnection) -> io::Result<Guest> {
        let Some((own, issuers)) = connection.peer_certificates().and_then(<[_]>::split_first) else {
            return Ok(Guest::default());
        };
        // rustls takes the certificate of a resumed session as it was.
        if connection.handshake_kind() == Some(HandshakeKind::Resumed) {
            let verified = self.verifier.verify_client_cert(own, issuers, UnixTime::now());
            verified.map_err(io::Error::other)?;
        }
        Ok(Guest {
            certificate: Some(Certificate::read(own)),
            fingerprint: None,
            client_cert: self.forward.then(|| client_cert(own)).flatten(),
        })
    }
}

/// A byte sequence of structured fields (RFC 9440 §2.1).
fn client_cert(certificate: &CertificateDer<'_>) -> Option<HeaderValue> {
    let text = format!(":{}:", STANDARD.encode(certificate));
    HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
}
