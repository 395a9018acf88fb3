//! From when to when a certificate is good.

use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::time::ASN1Time;

use crate::time::WallTime;

/// What a certificate says of itself (RFC 5280 §4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub not_before: WallTime,
    pub not_after: WallTime,
}

impl Validity {
    /// `None`: it cannot be read.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let at = |time: ASN1Time| WallTime {
            unix_ms: u64::try_from(time.timestamp()).unwrap_or_default().saturating_mul(1000),
        };
        Some(Validity {
            not_before: at(parsed.validity.not_before),
            not_after: at(parsed.validity.not_after),
        })
    }
}
