//! TLS as the policy has it: certificates with their keys, and what listeners promise by them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::ListenAddress;
use super::acme::Acme;

/// What every TLS listener has in common.
#[derive(Clone, Debug)]
pub struct Tls {
    /// At least one, or `acme`; the first serves whoever asks for a name that none of them has, or for none.
    pub certificates: Vec<Certificate>,
    /// How more are obtained; those take the place of the ones above for their names.
    pub acme: Option<Arc<Acme>>,
    pub min_version: MinVersion,
    /// Whether HTTP/2 is offered beside HTTP/1.1.
    pub http2: bool,
    /// Whether plain listeners send everyone to TLS.
    pub redirect: Redirect,
    /// For how long a browser is to come by TLS alone (RFC 6797).
    pub hsts: Option<Duration>,
    pub client_certificates: ClientCertificateRules,
    /// Whether each connection's first message is fingerprinted.
    pub fingerprint: bool,
}

/// Which listener asks its clients for certificates. By address: it outlives a reload, and the rules do not.
#[derive(Clone, Debug, Default)]
pub struct ClientCertificateRules {
    /// For listeners that say nothing of their own.
    pub common: Option<Arc<ClientCertificates>>,
    /// `None`: this one asks for none.
    pub own: Vec<(ListenAddress, Option<Arc<ClientCertificates>>)>,
}

impl ClientCertificateRules {
    /// What the listener with this address, as configured, asks for.
    pub fn of(&self, listener: &ListenAddress) -> Option<&Arc<ClientCertificates>> {
        let own = self.own.iter().find(|(address, _)| address == listener);
        own.map_or(self.common.as_ref(), |(_, own)| own.as_ref())
    }

    /// Every rule that there is.
    pub fn all(&self) -> impl Iterator<Item = &Arc<ClientCertificates>> {
        self.common.iter().chain(self.own.iter().filter_map(|(_, own)| own.as_ref()))
    }

    /// Whether any listener asks for some.
    pub fn are_asked_for(&self) -> bool {
        self.all().next().is_some()
    }
}

/// How the certificates of clients are asked for and verified.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// As the configuration names the file of `authorities`, for messages.
    pub file: Arc<str>,
    /// Who may have issued them; at least one.
    pub authorities: Vec<CertificateDer<'static>>,
    /// What they have revoked. Empty: that is not looked at.
    pub revocations: Vec<CertificateRevocationListDer<'static>>,
    pub demand: Demand,
    /// Whether the app is told which one it was (RFC 9440).
    pub forward: bool,
}

/// Sizes in place of certificates.
impl fmt::Debug for ClientCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClientCertificates { file, authorities, revocations, demand, forward } = self;
        f.debug_struct("ClientCertificates")
            .field("file", file)
            .field("authorities", &authorities.len())
            .field("revocations", &revocations.len())
            .field("demand", demand)
            .field("forward", forward)
            .finish()
    }
}

/// What becomes of a client that shows no certificate. One that shows a bad one is not let in either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Demand {
    /// It is served.
    #[default]
    Optional,
    /// Its handshake fails.
    Required,
}

impl Demand {
    pub const fn name(self) -> &'static str {
        match self {
            Demand::Optional => "optional",
            Demand::Required => "required",
        }
    }
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

/// How the servers of an upstream are reached by TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    pub verify: Verify,
    /// Instead of the host in a server's address.
    pub server_name: Option<String>,
    /// What weir shows servers that ask for a certificate.
    pub own: Option<Certificate>,
}

/// Who must have issued a server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Anybody whom the system trusts.
    System,
    /// One of these. `file`: as the configuration names it, for messages.
    By { file: Arc<str>, authorities: Vec<CertificateDer<'static>> },
    /// Anybody at all: whoever is between can read and change everything.
    Nobody,
}

impl Verify {
    pub fn name(&self) -> &str {
        match self {
            Verify::System => "system",
            Verify::By { file, .. } => file,
            Verify::Nobody => "NOBODY",
        }
    }
}

/// A chain of certificates and the key of the first.
#[derive(Clone, PartialEq, Eq)]
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
