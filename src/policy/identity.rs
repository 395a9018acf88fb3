//! Who is asking: where a credential may stand in a request, and how it is checked.

use std::fmt;
use std::time::Duration;

use http::HeaderName;

/// `[identity]`, ready to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Where a credential may stand, as in the file; none twice. All that are present are looked at.
    pub sources: Vec<Source>,
    /// Where what tells a session may stand, the first that is present wins. Only read if a limit or
    /// `learn_from` needs sessions.
    pub sessions: Vec<Place>,
    /// The response header by which the app names the account of a session. weir removes it.
    pub learn_from: Option<HeaderName>,
}

/// A place in a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// `Authorization: Bearer` (RFC 6750 §2.1).
    Bearer,
    /// The whole value of a header field.
    Header(HeaderName),
    /// A cookie by its name, whose case counts (RFC 6265 §4.1.1).
    Cookie(Box<str>),
}

impl Place {
    /// As a configuration names it.
    pub fn name(&self) -> String {
        match self {
            Place::Bearer => "bearer".to_owned(),
            Place::Header(name) => format!("header:{name}"),
            Place::Cookie(name) => format!("cookie:{name}"),
        }
    }
}

/// A kind of credential, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Something opaque: the accounts file knows its SHA-256.
    Token(Place),
    /// A signed token that names the account itself.
    Jwt(Jwt),
    /// The certificate by which a client identified itself to TLS.
    ClientCertificate(CertificatePart),
}

/// What of a client's certificate says whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CertificatePart {
    /// The SHA-256 of the whole, in DER, which the accounts file knows.
    Fingerprint,
    /// The common name of its subject: the account's id.
    SubjectCn,
    /// A name of a host among its alternative names (RFC 5280 §4.2.1.6): the account's id, as with the rest.
    SanDns,
    /// A URI there, such as a SPIFFE ID.
    SanUri,
    /// An address of e-mail there.
    SanEmail,
}

impl CertificatePart {
    pub const ALL: [CertificatePart; 5] = [
        CertificatePart::Fingerprint,
        CertificatePart::SubjectCn,
        CertificatePart::SanDns,
        CertificatePart::SanUri,
        CertificatePart::SanEmail,
    ];

    /// As a configuration names it.
    pub const fn name(self) -> &'static str {
        match self {
            CertificatePart::Fingerprint => "fingerprint",
            CertificatePart::SubjectCn => "subject-cn",
            CertificatePart::SanDns => "san-dns",
            CertificatePart::SanUri => "san-uri",
            CertificatePart::SanEmail => "san-email",
        }
    }
}

/// How a JSON Web Token (RFC 7519) in compact form is verified, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwt {
    pub place: Place,
    /// The claim whose text is the account's id.
    pub claim: Box<str>,
    /// Any of these; never empty.
    pub keys: Vec<JwtKey>,
    /// The only ones accepted, each fit for one of `keys`; never empty. What the token itself says it uses
    /// chooses among these and nothing else (RFC 8725 §3.1).
    pub algorithms: Vec<JwtAlgorithm>,
    /// `iss` must be this; `None`: whatever it is.
    pub issuer: Option<Box<str>>,
    /// `aud` must hold one of these; empty: whatever it is.
    pub audiences: Vec<Box<str>>,
    /// How far the clocks of issuer and weir may differ, for `exp` and `nbf`.
    pub leeway: Duration,
}

/// A key that signatures are verified with.
#[derive(Clone, PartialEq, Eq)]
pub enum JwtKey {
    /// `RSAPublicKey` in DER (RFC 8017 appendix A.1.1).
    Rsa(Box<[u8]>),
    /// An uncompressed point of P-256, 65 octets (SEC 1 §2.3.3).
    P256(Box<[u8]>),
    /// An uncompressed point of P-384, 97 octets.
    P384(Box<[u8]>),
    /// RFC 8032, 32 octets.
    Ed25519(Box<[u8]>),
    /// Shared with the issuer: whoever has it can sign.
    Secret(Box<[u8]>),
}

impl JwtKey {
    pub const fn name(&self) -> &'static str {
        match self {
            JwtKey::Rsa(_) => "RSA",
            JwtKey::P256(_) => "P-256",
            JwtKey::P384(_) => "P-384",
            JwtKey::Ed25519(_) => "Ed25519",
            JwtKey::Secret(_) => "secret",
        }
    }
}

/// Only what kind of key it is: one of them is a secret.
impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JwtKey::{}(…)", self.name())
    }
}

/// A signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1). `none` is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JwtAlgorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
    Hs256,
    Hs384,
    Hs512,
}

impl JwtAlgorithm {
    pub const ALL: [JwtAlgorithm; 12] = [
        JwtAlgorithm::Rs256,
        JwtAlgorithm::Rs384,
        JwtAlgorithm::Rs512,
        JwtAlgorithm::Ps256,
        JwtAlgorithm::Ps384,
        JwtAlgorithm::Ps512,
        JwtAlgorithm::Es256,
        JwtAlgorithm::Es384,
        JwtAlgorithm::EdDsa,
        JwtAlgorithm::Hs256,
        JwtAlgorithm::Hs384,
        JwtAlgorithm::Hs512,
    ];

    /// As a token names it.
    pub const fn name(self) -> &'static str {
        match self {
            JwtAlgorithm::Rs256 => "RS256",
            JwtAlgorithm::Rs384 => "RS384",
            JwtAlgorithm::Rs512 => "RS512",
            JwtAlgorithm::Ps256 => "PS256",
            JwtAlgorithm::Ps384 => "PS384",
            JwtAlgorithm::Ps512 => "PS512",
            JwtAlgorithm::Es256 => "ES256",
            JwtAlgorithm::Es384 => "ES384",
            JwtAlgorithm::EdDsa => "EdDSA",
            JwtAlgorithm::Hs256 => "HS256",
            JwtAlgorithm::Hs384 => "HS384",
            JwtAlgorithm::Hs512 => "HS512",
        }
    }

    /// Whether a key of this kind makes such signatures. A public key is never taken for a shared secret, which
    /// anyone could then sign with (RFC 8725 §2.1).
    pub const fn fits(self, key: &JwtKey) -> bool {
        use JwtAlgorithm as A;
        matches!(
            (self, key),
            (A::Rs256 | A::Rs384 | A::Rs512 | A::Ps256 | A::Ps384 | A::Ps512, JwtKey::Rsa(_))
                | (A::Es256, JwtKey::P256(_))
                | (A::Es384, JwtKey::P384(_))
                | (A::EdDsa, JwtKey::Ed25519(_))
                | (A::Hs256 | A::Hs384 | A::Hs512, JwtKey::Secret(_))
        )
    }
}
