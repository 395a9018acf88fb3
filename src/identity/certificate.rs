//! Certificates of clients (RFC 5280), as TLS has verified them: what in one says whose it is.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use smallvec::SmallVec;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Sha, is_account_id};
use crate::facts::Account;
use crate::policy::Accounts;
use crate::policy::identity::CertificatePart;

/// What is kept of a certificate for as long as its connection lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Of the whole, in DER.
    sha: Sha,
    /// In their order, those that no account can be called left out.
    names: Vec<(CertificatePart, Arc<str>)>,
}

impl Certificate {
    /// `der`: the client's own certificate, verified. One whose names cannot be read has none.
    pub fn read(der: &[u8]) -> Self {
        let mut names = Vec::new();
        let mut add = |part, name: &str| {
            if is_account_id(name) {
                names.push((part, Arc::from(name)));
            }
        };
        if let Ok((_, certificate)) = X509Certificate::from_der(der) {
            let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
            common.for_each(|name| add(CertificatePart::SubjectCn, name));
            let alternative = certificate.subject_alternative_name().ok().flatten();
            for name in alternative.iter().flat_map(|extension| &extension.value.general_names) {
                match name {
                    GeneralName::DNSName(name) => add(CertificatePart::SanDns, name),
                    GeneralName::URI(uri) => add(CertificatePart::SanUri, uri),
                    GeneralName::RFC822Name(address) => add(CertificatePart::SanEmail, address),
                    _ => {}
                }
            }
        }
        Certificate { sha: Sha256::digest(der).into(), names }
    }

    pub(super) fn sha(&self) -> &Sha {
        &self.sha
    }

    /// Whose it is by this part of it. Of several names, those that are known beat the others; where none is, it is
    /// the first one's. Empty: nobody's.
    pub(super) fn accounts(&self, part: CertificatePart, accounts: &Accounts) -> SmallVec<[Account; 1]> {
        if part == CertificatePart::Fingerprint {
            return accounts.with_credential(&self.sha).cloned().into_iter().collect();
        }
        let names = || self.names.iter().filter(|(of, _)| *of == part).map(|(_, name)| name);
        let known: SmallVec<_> =
            names().filter(|name| accounts.knows(name)).map(|name| accounts.named(name)).collect();
        if known.is_empty() {
            names().next().map(|name| accounts.named(name)).into_iter().collect()
        } else {
            known
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn issue(common_name: &str, sans: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.subject_alt_names = sans;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn ids(certificate: &Certificate, part: CertificatePart, accounts: &Accounts) -> Vec<String> {
        certificate.accounts(part, accounts).iter().map(|account| account.id.to_string()).collect()
    }

    /// Promise: each part of a certificate names the account that stands there and no other, and its fingerprint the
    /// account that has it as a credential.
    #[test]
    fn each_part_names_its_account() {
        let der = issue(
            "Acme billing",
            vec![
                SanType::DnsName("billing.acme.test".try_into().unwrap()),
                SanType::URI("spiffe://acme.test/billing".try_into().unwrap()),
                SanType::Rfc822Name("billing@acme.test".try_into().unwrap()),
            ],
        );
        let certificate = Certificate::read(&der);
        let mut accounts = Accounts::default();
        for (part, id) in [
            (CertificatePart::SubjectCn, "Acme billing"),
            (CertificatePart::SanDns, "billing.acme.test"),
            (CertificatePart::SanUri, "spiffe://acme.test/billing"),
            (CertificatePart::SanEmail, "billing@acme.test"),
        ] {
            assert_eq!(ids(&certificate, part, &accounts), [id]);
        }
        assert!(ids(&certificate, CertificatePart::Fingerprint, &accounts).is_empty());
        accounts.list.push(accounts.named(&Arc::from("acme")));
        accounts.by_credential.insert(Sha256::digest(&der).into(), 0);
        assert_eq!(ids(&certificate, CertificatePart::Fingerprint, &accounts), ["acme"]);
    }

    /// Promise: of several names, the known ones count, else the first; what no account can be called is none.
    #[test]
    fn a_known_name_beats_the_others() {
        let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
        let certificate =
            Certificate::read(&issue("a\u{7}b", vec![dns("one.test"), dns("two.test"), dns("three.test")]));
        let mut accounts = Accounts::default();
        assert_eq!(ids(&certificate, CertificatePart::SanDns, &accounts), ["one.test"]);
        accounts.agreements.extend(["two.test", "three.test"].map(|id| (id.into(), Default::default())));
        assert_eq!(ids(&certificate, CertificatePart::SanDns, &accounts), ["two.test", "three.test"]);
        assert!(ids(&certificate, CertificatePart::SubjectCn, &accounts).is_empty());
    }

    /// Promise: what cannot be read has a fingerprint and no names.
    #[test]
    fn an_unreadable_one_has_no_names() {
        let certificate = Certificate::read(b"not a certificate");
        assert!(certificate.names.is_empty());
        assert_eq!(certificate.sha[..], Sha256::digest(b"not a certificate")[..]);
    }
}
