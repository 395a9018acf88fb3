//! Certificates that are obtained while weir runs, and what shows an authority that a name leads here.
//!
//! Whoever obtains them (`acme`) writes here, and each handshake reads: what is new serves the next one, and no
//! connection notices.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::server::{ClientHello, NoServerSessionStorage};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::version::{TLS12, TLS13};

use super::names::certified;
use super::{TlsError, Validity};
use crate::policy::tls::Certificate;
use crate::time::WallTime;

/// The protocol in which an authority asks for a proof, and nothing else (RFC 8737 §6.2).
const ACME_TLS: &[u8] = b"acme-tls/1";

/// Shared by all who have a clone.
#[derive(Clone, Default)]
pub struct Issued(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// By name, in lower case.
    certificates: ArcSwap<BTreeMap<String, Serving>>,
    /// By name: how to shake hands with the authority that asks about it.
    handshakes: ArcSwap<BTreeMap<String, Arc<ServerConfig>>>,
    /// By token: what its file holds (RFC 8555 §8.3).
    files: ArcSwap<BTreeMap<String, Arc<str>>>,
}

/// A certificate in force.
#[derive(Clone)]
struct Serving {
    certified: Arc<CertifiedKey>,
    expires: Option<WallTime>,
}

/// Only the names.
impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.certificates.load().keys()).finish()
    }
}

impl Issued {
    /// Puts a certificate in force for `name`, in place of any before it.
    ///
    /// Errors: it cannot be used, or the key is not its own; then nothing has changed.
    pub fn serve(&self, name: &str, certificate: &Certificate) -> Result<(), TlsError> {
        let certified = Arc::new(certified(certificate, &aws_lc_rs::default_provider())?);
        let expires = certificate.chain.first().and_then(Validity::of).map(|validity| validity.not_after);
        insert(&self.0.certificates, name, &Serving { certified, expires });
        Ok(())
    }

    /// Forgets the certificate for `name`.
    pub fn forget(&self, name: &str) {
        remove(&self.0.certificates, name);
    }

    /// Lets an authority find this certificate when it asks about `name` (RFC 8737), until what is returned is dropped.
    ///
    /// Errors: the key cannot be used.
    pub fn open_handshake(&self, name: &str, proof: &Certificate) -> Result<Open, TlsError> {
        let config = Arc::new(proving(proof)?);
        insert(&self.0.handshakes, name, &config);
        Ok(Open { issued: self.clone(), what: What::Handshake(name.to_owned()) })
    }

    /// Lets an authority read this proof under this token (RFC 8555 §8.3), until what is returned is dropped.
    pub fn open_file(&self, token: &str, proof: &str) -> Open {
        insert(&self.0.files, token, &Arc::from(proof));
        Open { issued: self.clone(), what: What::File(token.to_owned()) }
    }

    pub(super) fn certificate(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.0.certificates.load().get(name).map(|serving| Arc::clone(&serving.certified))
    }

    /// Until when each is good, by name.
    pub(super) fn expires(&self) -> Vec<(Arc<str>, WallTime)> {
        let all = self.0.certificates.load();
        all.iter().filter_map(|(name, serving)| Some((name.as_str().into(), serving.expires?))).collect()
    }

    /// Whether an authority may come by TLS.
    pub(super) fn is_challenged(&self) -> bool {
        !self.0.handshakes.load().is_empty()
    }

    /// How to shake hands with whoever says this first; `None`: like with everybody.
    ///
    /// Errors: it is an authority, and asks about a name that nothing is to be shown for.
    pub(super) fn challenge_of(&self, hello: &ClientHello<'_>) -> io::Result<Option<Arc<ServerConfig>>> {
        let is_authority = hello.alpn().is_some_and(|mut protocols| {
            // It offers nothing else (RFC 8737 §3).
            protocols.next() == Some(ACME_TLS) && protocols.next().is_none()
        });
        if !is_authority {
            return Ok(None);
        }
        let handshakes = self.0.handshakes.load();
        let found = hello.server_name().and_then(|name| handshakes.get(name));
        found
            .map(|config| Some(Arc::clone(config)))
            .ok_or_else(|| io::Error::other("no challenge for this name"))
    }

    /// What is to be read under the path of a token.
    pub fn file(&self, path: &str) -> Option<Arc<str>> {
        let token = path.strip_prefix("/.well-known/acme-challenge/")?;
        self.0.files.load().get(token).cloned()
    }
}

/// Something that an authority can see for as long as this lives.
#[derive(Debug)]
#[must_use]
pub struct Open {
    issued: Issued,
    what: What,
}

/// By name, and by token.
#[derive(Debug)]
enum What {
    Handshake(String),
    File(String),
}

impl Drop for Open {
    fn drop(&mut self) {
        match &self.what {
            What::Handshake(name) => remove(&self.issued.0.handshakes, name),
            What::File(token) => remove(&self.issued.0.files, token),
        }
    }
}

/// No client is asked for a certificate, whatever the listener does: an authority has none to show.
fn proving(proof: &Certificate) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let key = provider.key_provider.load_private_key(proof.key.clone_key());
    let key = key.map_err(|why| TlsError::of_certificate(proof, why))?;
    // Not compared: the library reads no certificate with an extension that it does not know, as a proof's is.
    let certified = CertifiedKey::new(proof.chain.clone(), key);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(TlsError::Setup)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![ACME_TLS.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn insert<T: Clone>(into: &ArcSwap<BTreeMap<String, T>>, name: &str, value: &T) {
    into.rcu(|before| {
        let mut all = BTreeMap::clone(before);
        all.insert(name.to_owned(), value.clone());
        all
    });
}

fn remove<T: Clone>(from: &ArcSwap<BTreeMap<String, T>>, name: &str) {
    from.rcu(|before| {
        let mut all = BTreeMap::clone(before);
        all.remove(name);
        all
    });
}
