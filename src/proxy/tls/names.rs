//! Certificates by the names that they were issued for.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

use super::{Issued, TlsError};
use crate::policy::tls::{Certificate, Tls};

#[derive(Debug)]
pub(super) struct ByName {
    /// In lower case, as written in the certificates: `*` stands for one label (RFC 9525 §6.3).
    names: HashMap<String, Arc<CertifiedKey>>,
    first: Option<Arc<CertifiedKey>>,
    /// What is obtained while weir runs; asked first, and for no name that the policy does not have.
    issued: Issued,
    to_obtain: Vec<Arc<str>>,
}

impl ByName {
    pub(super) fn new(tls: &Tls, issued: &Issued, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let to_obtain = tls.acme.as_ref().map(|acme| acme.names.clone()).unwrap_or_default();
        let mut all = ByName { names: HashMap::new(), first: None, issued: issued.clone(), to_obtain };
        for certificate in &tls.certificates {
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

    /// For whoever asks for no name that is known here.
    fn of_anybody(&self) -> Option<Arc<CertifiedKey>> {
        let obtained = || self.to_obtain.iter().find_map(|name| self.issued.certificate(name));
        self.first.clone().or_else(obtained)
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let Some(name) = hello.server_name() else { return self.of_anybody() };
        let is_to_obtain = self.to_obtain.iter().any(|to_obtain| **to_obtain == *name);
        let issued = if is_to_obtain { self.issued.certificate(name) } else { None };
        if let Some(found) = issued.or_else(|| self.find(name).cloned()) {
            return Some(found);
        }
        if is_to_obtain {
            tracing::debug!(name, "a handshake fails: there is no certificate for this name yet");
            // Somebody else's would be refused as well, and less clearly.
            return None;
        }
        self.of_anybody()
    }
}

pub(super) fn certified(
    certificate: &Certificate,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    CertifiedKey::from_der(certificate.chain.clone(), certificate.key.clone_key(), provider)
        .map_err(|why| TlsError::of_certificate(certificate, why))
}

fn names(certificate: &Certificate) -> Result<Vec<String>, TlsError> {
    let Some(own) = certificate.chain.first() else { return Ok(Vec::new()) };
    let own = EndEntityCert::try_from(own)
        .map_err(|why| TlsError::Unreadable { file: Arc::clone(&certificate.file), why })?;
    Ok(own.valid_dns_names().map(str::to_ascii_lowercase).collect())
}
