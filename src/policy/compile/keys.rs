//! Keys that tokens are verified with: from files in PEM (RFC 7468) to what a verifier takes.

use rustls_pki_types::pem::{PemObject, SectionKind};
use thiserror::Error;

use crate::policy::identity::JwtKey;

/// Why a file is no file of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum KeyFault {
    #[error("it is not in PEM")]
    NotPem,
    #[error("it holds no public key")]
    NoKey,
    #[error("it holds a private key, which only the issuer should have")]
    PrivateKey,
    #[error("it holds a certificate instead of its public key")]
    Certificate,
    #[error("its key is damaged")]
    Damaged,
    #[error("its key is neither RSA nor P-256, P-384 or Ed25519")]
    UnknownKind,
    #[error("its RSA key is shorter than 2048 bits")]
    WeakRsa,
    #[error("its secret is shorter than 32 bytes")]
    WeakSecret,
}

/// Every public key of a file, at least one.
pub(super) fn public_keys(pem: &[u8]) -> Result<Vec<JwtKey>, KeyFault> {
    let mut keys = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        match section.map_err(|_| KeyFault::NotPem)? {
            (SectionKind::PublicKey, der) => keys.push(public_key(&der)?),
            (SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey, _) => {
                return Err(KeyFault::PrivateKey);
            }
            (SectionKind::Certificate, _) => return Err(KeyFault::Certificate),
            _ => {}
        }
    }
    if keys.is_empty() { Err(KeyFault::NoKey) } else { Ok(keys) }
}

/// The secret that a file holds: all of it but the line's end that an editor adds.
pub(super) fn secret(file: &[u8]) -> Result<JwtKey, KeyFault> {
    /// As long as the shortest hash (RFC 7518 §3.2).
    const BYTES_MIN: usize = 32;
    let secret = file.strip_suffix(b"\n").unwrap_or(file);
    let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
    if secret.len() < BYTES_MIN {
        return Err(KeyFault::WeakSecret);
    }
    Ok(JwtKey::Secret(secret.into()))
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// A `SubjectPublicKeyInfo` in DER (RFC 5280 §4.1; the kinds: RFC 3279 §2.3, RFC 5480 §2.1, RFC 8410 §3).
fn public_key(der: &[u8]) -> Result<JwtKey, KeyFault> {
    let parts = || {
        let (info, _) = element(der, SEQUENCE)?;
        let (algorithm, rest) = element(info, SEQUENCE)?;
        let (kind, parameters) = element(algorithm, OBJECT_IDENTIFIER)?;
        let (bits, _) = element(rest, BIT_STRING)?;
        Some((kind, parameters, bits.strip_prefix(&[0])?))
    };
    let (kind, parameters, key) = parts().ok_or(KeyFault::Damaged)?;
    let curve = element(parameters, OBJECT_IDENTIFIER).map(|(curve, _)| curve);
    let point = |bytes: usize| key.len() == bytes && key.first() == Some(&0x04);
    match (kind, curve) {
        (RSA, _) => rsa(key),
        (EC, Some(P256)) if point(65) => Ok(JwtKey::P256(key.into())),
        (EC, Some(P384)) if point(97) => Ok(JwtKey::P384(key.into())),
        (ED25519, _) if key.len() == 32 => Ok(JwtKey::Ed25519(key.into())),
        (EC, Some(P256 | P384)) | (ED25519, _) => Err(KeyFault::Damaged),
        _ => Err(KeyFault::UnknownKind),
    }
}

fn rsa(key: &[u8]) -> Result<JwtKey, KeyFault> {
    /// RFC 7518 §3.3.
    const MODULUS_BYTES_MIN: usize = 2048 / 8;
    let modulus = || element(element(key, SEQUENCE)?.0, INTEGER);
    let (modulus, _) = modulus().ok_or(KeyFault::Damaged)?;
    let modulus = modulus.strip_prefix(&[0]).unwrap_or(modulus);
    if modulus.len() < MODULUS_BYTES_MIN { Err(KeyFault::WeakRsa) } else { Ok(JwtKey::Rsa(key.into())) }
}

/// The contents of the element with this tag at the start of `der`, and what follows it (X.690 §8.1).
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.strip_prefix(&[tag])?.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // A length of one to three bytes; no key is longer than 16 MB.
        0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Made by `openssl genpkey -algorithm …` and `openssl pkey -pubout`; the private halves are gone.
    const P256_PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEK7lov8hiR+Uu8ypXnf6JoSxhb23/\n\
        hv1354gvxbtqtx2gPPbUqq9RuElSMy3lWB/UMTkOIbynkGzMvAimRDtPAA==\n\
        -----END PUBLIC KEY-----";
    const ED25519_PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAlm3fwfTUB71HrzVQSJ0MdQ046g4WnmS5p3FeHNhrezo=\n\
        -----END PUBLIC KEY-----";

    /// Promise: each kind of key is told by what it says of itself, and several may stand in one file.
    #[test]
    fn keys_are_told_apart() {
        let both = format!("a comment\n{P256_PEM}\n{ED25519_PEM}");
        let keys = public_keys(both.as_bytes()).unwrap();
        let [JwtKey::P256(point), JwtKey::Ed25519(key)] = keys.as_slice() else { panic!("{keys:?}") };
        assert_eq!((point.len(), point[0], key.len()), (65, 4, 32));
    }

    /// Promise: what is no public key is refused, and told why.
    #[test]
    fn what_is_no_public_key_is_refused() {
        let pem =
            |label: &str, body: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
        // SEQUENCE { SEQUENCE { rsaEncryption, NULL }, BIT STRING { SEQUENCE { INTEGER 3, INTEGER 3 } } }
        let weak = "MBwwDQYJKoZIhvcNAQEBBQADCwAwCAICAAMCAgAD";
        for (text, fault) in [
            (String::new(), KeyFault::NoKey),
            ("hello".to_owned(), KeyFault::NoKey),
            (pem("PUBLIC KEY", "!"), KeyFault::NotPem),
            ("-----BEGIN PUBLIC KEY-----\nAAAA\n".to_owned(), KeyFault::NotPem),
            (pem("PUBLIC KEY", "AAAA"), KeyFault::Damaged),
            (pem("PUBLIC KEY", weak), KeyFault::WeakRsa),
            (pem("PRIVATE KEY", "AAAA"), KeyFault::PrivateKey),
            (pem("EC PRIVATE KEY", "AAAA"), KeyFault::PrivateKey),
            (pem("CERTIFICATE", "AAAA"), KeyFault::Certificate),
        ] {
            assert_eq!(public_keys(text.as_bytes()), Err(fault), "{text}");
        }
    }

    /// Promise: a secret is what the file holds, without the line's end; a short one is refused.
    #[test]
    fn secrets_are_long() {
        let long = "0123456789abcdef0123456789abcdef";
        for file in [long.to_owned(), format!("{long}\n"), format!("{long}\r\n")] {
            assert_eq!(secret(file.as_bytes()), Ok(JwtKey::Secret(long.as_bytes().into())), "{file:?}");
        }
        assert_eq!(secret(b"hunter2\n"), Err(KeyFault::WeakSecret));
        assert!(!format!("{:?}", secret(long.as_bytes())).contains("0123"));
    }

    proptest! {
        /// Promise: no bytes, however strange, make the reader panic.
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = public_key(&bytes);
            let _ = public_keys(&bytes);
        }
    }
}
