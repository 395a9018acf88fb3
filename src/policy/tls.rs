//! TLS as the policy has it: certificates with their keys, and what listeners promise by them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// What every TLS listener has in common.
#[derive(Clone, Debug)]
pub struct Tls {
    /// At least one; the first serves whoever asks for a name that none of them has, or for none.
    pub certificates: Vec<Certificate>,
    pub min_version: MinVersion,
    /// Whether HTTP/2 is offered beside HTTP/1.1.
    pub http2: bool,
    /// Whether plain listeners send everyone to TLS.
    pub redirect: Redirect,
    /// For how long a browser is to come by TLS alone (RFC 6797).
    pub hsts: Option<Duration>,
}

/// What a plain listener does with a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redirect {
    /// Serves it.
    #[default]
    No,
    /// Sends it to the port of the first TLS listener.
    ToListener,
    /// Sends it to this port, where something between maps one to the other.
    ToPort(u16),
}

/// A chain of certificates and the key of the first.
#[derive(Clone)]
pub struct Certificate {
    /// As the configuration names its file, for messages.
    pub file: Arc<str>,
    pub chain: Vec<CertificateDer<'static>>,
    pub key: Arc<PrivateKeyDer<'static>>,
}

/// The key is left out.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Certificate { file, chain, .. } = self;
        f.debug_struct("Certificate").field("file", file).field("chain", &chain.len()).finish_non_exhaustive()
    }
}

/// The oldest protocol that is spoken; nothing older than 1.2 is (RFC 8996).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    #[default]
    Tls12,
    Tls13,
}

impl MinVersion {
    pub const fn name(self) -> &'static str {
        match self {
            MinVersion::Tls12 => "1.2",
            MinVersion::Tls13 => "1.3",
        }
    }
}
