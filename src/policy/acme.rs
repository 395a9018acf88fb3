//! Certificates that weir obtains itself (RFC 8555): from whom, for which names, and how it shows that they are its own.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::tls::Verify;

/// How certificates are obtained. That the authority's terms were agreed to was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// Host names in lower case, none twice; each gets a certificate of its own. At least one.
    pub names: Vec<Arc<str>>,
    /// The URL of the authority's directory (RFC 8555 §7.1.1): `https`.
    pub directory: Arc<str>,
    /// Who vouches for the directory's own certificate.
    pub verify: Verify,
    /// URLs such as `mailto:ops@example.com`. May be empty.
    pub contact: Vec<String>,
    pub challenge: Challenge,
    /// Where keys and certificates are kept.
    pub state_dir: PathBuf,
    pub external_account: Option<ExternalAccount>,
}

/// How the authority is shown that a name leads here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Challenge {
    /// In a TLS handshake on port 443 (RFC 8737).
    #[default]
    TlsAlpn,
    /// In a response on port 80 (RFC 8555 §8.3).
    Http,
}

impl Challenge {
    /// As it is written, here and in the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Challenge::TlsAlpn => "tls-alpn-01",
            Challenge::Http => "http-01",
        }
    }

    /// Where the authority connects to.
    pub const fn port(self) -> u16 {
        match self {
            Challenge::TlsAlpn => 443,
            Challenge::Http => 80,
        }
    }
}

/// By what the authority knows its customer (RFC 8555 §7.3.4).
#[derive(Clone, PartialEq, Eq)]
pub struct ExternalAccount {
    pub id: Arc<str>,
    /// In base64url, without padding.
    pub key: Arc<str>,
}

/// The key is left out.
impl fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalAccount").field("id", &self.id).finish_non_exhaustive()
    }
}
