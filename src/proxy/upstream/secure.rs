//! TLS towards servers: whom to believe that they are who they should be, and the certificate that weir shows itself.

use std::fmt;
use std::io;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::policy;
use crate::policy::tls::Verify;
use crate::proxy::outbox::Socket;
use crate::proxy::tls::TlsError;

/// Shakes hands with one server.
#[derive(Clone)]
pub struct Connector {
    connector: TlsConnector,
    /// That its certificate must have, and that it is asked for (RFC 6066 §3), unless it is an address.
    name: ServerName<'static>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Connector {
    /// `None`: the server speaks no TLS. `config` is that of its upstream.
    pub(super) fn new(
        server: &policy::Server,
        config: Option<&Arc<ClientConfig>>,
    ) -> Result<Option<Self>, TlsError> {
        let (Some(config), Some(_)) = (config, &server.tls) else { return Ok(None) };
        let name = server.tls_name().and_then(|name| ServerName::try_from(name.into_owned()).ok());
        let name = name.ok_or_else(|| TlsError::Nameless { server: server.name.as_str().into() })?;
        Ok(Some(Connector { connector: TlsConnector::from(Arc::clone(config)), name }))
    }

    pub(super) async fn shake_hands(&self, socket: Socket) -> io::Result<TlsStream<Socket>> {
        self.connector.connect(self.name.clone(), socket).await
    }
}

/// What the servers of one upstream have in common, sessions to resume included; `None` where none speaks TLS.
///
/// Errors: certificates that cannot be used, or none to verify servers by.
pub fn config(upstream: &policy::Upstream) -> Result<Option<Arc<ClientConfig>>, TlsError> {
    let Some(tls) = upstream.servers.iter().find_map(|server| server.tls.as_deref()) else { return Ok(None) };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(TlsError::Setup)?;
    let builder = match roots(&tls.verify)? {
        Some(roots) => builder.with_root_certificates(roots),
        None => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider))),
    };
    let mut config = match &tls.own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let shown = builder.with_client_auth_cert(own.chain.clone(), own.key.clone_key());
            shown.map_err(|why| TlsError::of_certificate(own, why))?
        }
    };
    config.alpn_protocols = vec![upstream.protocol().name().as_bytes().to_vec()];
    Ok(Some(Arc::new(config)))
}

/// `None`: no certificate is looked at.
pub fn roots(verify: &Verify) -> Result<Option<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    match verify {
        Verify::Nobody => return Ok(None),
        Verify::By { file, authorities } => {
            for authority in authorities {
                let added = roots.add(authority.clone());
                added.map_err(|why| TlsError::Authority { file: Arc::clone(file), why })?;
            }
        }
        Verify::System => {
            let found = rustls_native_certs::load_native_certs();
            // Some systems have some that nobody can read any more.
            let (added, _) = roots.add_parsable_certificates(found.certs);
            if added == 0 {
                let why = found.errors.first().map_or("there are none".to_owned(), ToString::to_string);
                return Err(TlsError::NoRoots(why));
            }
        }
    }
    Ok(Some(roots))
}

/// Takes every certificate; that its owner is there is still proven.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
