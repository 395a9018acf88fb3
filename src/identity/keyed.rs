//! Hashes under a key: the name of a credential wherever it must not be known.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::Sha;
use crate::facts::{Principal, PrincipalKind};

/// HMAC-SHA-256 (RFC 2104) under a key that nobody else has, cut to 128 bits.
///
/// A credential may be weak, such as a session number, and a plain hash of it could be found by trying. HMAC rather
/// than SipHash, because its results are made to be seen: they may be written down, in evidence for years. It is
/// taken of the credential's SHA-256, which is needed anyway, so that a long credential is gone through once.
#[derive(Clone)]
pub(super) struct Keyed(Hmac<Sha256>);

impl Keyed {
    /// `key`: random, 256 bits. With another key, nobody is the same principal.
    pub(super) fn new(key: &[u8; 32]) -> Self {
        // RFC 2104 §2: a key shorter than a block of the hash is filled up with zeros.
        let mut block = [0; 64];
        block.iter_mut().zip(key).for_each(|(at, octet)| *at = *octet);
        Keyed(Hmac::new(&block.into()))
    }

    /// What the credential with this SHA-256 is called. The same value as session and as credential is two
    /// principals, which nobody can tell to be one.
    pub(super) fn principal(&self, kind: PrincipalKind, sha: &Sha) -> Principal {
        let mut mac = self.0.clone();
        mac.update(kind.name().as_bytes());
        mac.update(sha);
        let tag = mac.finalize().into_bytes();
        Principal::new(kind, tag.iter().take(16).fold(0, |id, byte| id << 8 | u128::from(*byte)))
    }
}

/// Never the key.
impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyed(…)")
    }
}
