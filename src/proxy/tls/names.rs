//! Certificates by the names that they were issued for.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

use super::TlsError;
use crate::policy::tls::Certificate;

#[derive(Debug)]
pub(super) struct ByName {
    /// In lower case, as written in the certificates: `*` stands for one label (RFC 9525 §6.3).
    names: HashMap<String, Arc<CertifiedKey>>,
    first: Option<Arc<CertifiedKey>>,
}

impl ByName {
    pub(super) fn new(certificates: &[Certificate], provider: &CryptoProvider) -> Result<Self, TlsError> {
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
    CertifiedKey::from_der(certificate.chain.clone(), certificate.key.clone_key(), provider)
        .map_err(|why| TlsError::of_certificate(certificate, why))
}

fn names(certificate: &Certificate) -> Result<Vec<String>, TlsError> {
    let Some(own) = certificate.chain.first() else { return Ok(Vec::new()) };
    let own = EndEntityCert::try_from(own)
        .map_err(|why| TlsError::Unreadable { file: Arc::clone(&certificate.file), why })?;
    Ok(own.valid_dns_names().map(str::to_ascii_lowercase).collect())
}
