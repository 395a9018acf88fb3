//! Certificates and keys, out of the files that `[tls]` names, and listeners that need them.

use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::acme;
use crate::config::listen::Listener;
use crate::config::tls::{self as written, Certificate as Written};
use crate::config::{At, Config, Diagnostic, NamedFiles, Place, Problems};
use crate::policy::tls::{Certificate, ClientCertificateRules, ClientCertificates, Redirect, Tls};

pub(super) fn compile(config: &Config, directory: &Path, problems: &Problems) -> Option<Tls> {
    let listeners = config.listen.iter().flat_map(|listen| &listen.proxy);
    let first = listeners.into_iter().find_map(|listener| listener.tls);
    let tls = match (&config.tls, first) {
        (Some(tls), Some(_)) => tls,
        (Some(tls), None) => {
            problems.add(
                Diagnostic::warning(tls.place, "no listener speaks TLS, so these certificates serve nobody")
                    .help("write `proxy_tls = \"0.0.0.0:443\"` in [listen]"),
            );
            tls
        }
        (None, Some(place)) => {
            problems.add(Diagnostic::error(place, "a TLS listener needs a certificate").expected(
                "[tls] with `certificates = [{ cert = \"cert.pem\", key = \"key.pem\" }]`, or [tls.acme]",
            ));
            return None;
        }
        (None, None) => return None,
    };
    let written::Tls {
        certificates,
        acme,
        min_version,
        http2,
        redirect,
        hsts,
        client_certificates,
        fingerprint,
    } = tls.value.as_ref()?;
    let read = |written: &At<Written>| certificate(&written.value, &config.named, problems);
    let redirects = redirect.as_ref().filter(|redirect| redirect.value != Redirect::No);
    if let (Some(redirect), None) = (redirects, first) {
        problems.add(
            Diagnostic::error(redirect.place, "there is no TLS listener to redirect to")
                .expected("`proxy_tls` in [listen], or no `redirect`"),
        );
    }
    // All are read before any is missed, so that every error is found.
    let certificates: Vec<Option<_>> = certificates.iter().map(read).collect();
    let acme = acme.as_ref().map(|acme| acme::compile(acme, config, directory, problems));
    let rules = rules(client_certificates.as_ref(), config, problems);
    Some(Tls {
        certificates: certificates.into_iter().collect::<Option<_>>()?,
        acme: acme.map_or(Some(None), |acme| acme.map(Some))?,
        min_version: min_version.unwrap_or_default(),
        http2: http2.unwrap_or(true),
        redirect: redirects.map_or(Redirect::No, |redirect| redirect.value),
        hsts: *hsts,
        client_certificates: rules?,
        fingerprint: fingerprint.unwrap_or(false),
    })
}

fn rules(
    common: Option<&written::ClientCertificates>,
    config: &Config,
    problems: &Problems,
) -> Option<ClientCertificateRules> {
    let read = |written: &written::ClientCertificates| {
        client_certificates(written, &config.named, problems).map(Arc::new)
    };
    let listeners = config.listen.iter().flat_map(|listen| &listen.proxy);
    let own = listeners.filter_map(|listener| Some((listener, listener.client_certificates.as_ref()?)));
    let own: Vec<_> = own
        .map(|(listener, own)| {
            report_plain(listener, own.place, problems);
            let rule = own.value.as_ref().map(read);
            Some((listener.address.value.clone(), rule.map_or(Some(None), |rule| rule.map(Some))?))
        })
        .collect();
    let common = common.map(read);
    Some(ClientCertificateRules {
        common: common.map_or(Some(None), |rule| rule.map(Some))?,
        own: own.into_iter().collect::<Option<_>>()?,
    })
}

fn report_plain(listener: &Listener, place: Place, problems: &Problems) {
    if listener.tls.is_none() {
        problems.add(
            Diagnostic::error(place, "a plain listener cannot ask for certificates")
                .expected("`tls = true` beside it, or no `client_certificates`"),
        );
    }
}

/// `None` after reporting what is wrong.
fn client_certificates(
    written: &written::ClientCertificates,
    named: &NamedFiles,
    problems: &Problems,
) -> Option<ClientCertificates> {
    let authorities = certificates(&written.ca, named, problems, AUTHORITIES);
    let revocations = |file: &At<String>| {
        read(file, named, problems, REVOCATIONS, |pem| {
            let all =
                CertificateRevocationListDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().ok()?;
            (!all.is_empty()).then_some(all)
        })
    };
    let revocations: Vec<_> = written.crl.iter().map(revocations).collect();
    Some(ClientCertificates {
        file: written.ca.value.as_str().into(),
        authorities: authorities?,
        revocations: revocations.into_iter().collect::<Option<Vec<_>>>()?.into_iter().flatten().collect(),
        demand: written.mode.unwrap_or_default(),
        forward: written.forward.unwrap_or(false),
    })
}

/// `None` after reporting what is wrong. That key and certificate belong together is for the library that uses them to
/// say: see `proxy::tls`.
fn certificate(written: &Written, named: &NamedFiles, problems: &Problems) -> Option<Certificate> {
    pair(&written.chain, &written.key, named, problems)
}

/// The same of two files.
pub(super) fn pair(
    chain: &At<String>,
    key: &At<String>,
    named: &NamedFiles,
    problems: &Problems,
) -> Option<Certificate> {
    let file = chain.value.as_str().into();
    let chain = certificates(chain, named, problems, CERTIFICATES);
    let key = read(key, named, problems, KEY, |pem| PrivateKeyDer::from_pem_slice(pem).ok());
    Some(Certificate { file, chain: chain?, key: Arc::new(key?) })
}

/// All of a file, at least one; `None` after reporting what is wrong.
pub(super) fn certificates(
    file: &At<String>,
    named: &NamedFiles,
    problems: &Problems,
    expected: (&str, &str),
) -> Option<Vec<CertificateDer<'static>>> {
    read(file, named, problems, expected, |pem| {
        let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().ok()?;
        (!all.is_empty()).then_some(all)
    })
}

const CERTIFICATES: (&str, &str) = (
    "no file of certificates",
    "certificates in PEM, each after `-----BEGIN CERTIFICATE-----`, the server's own first",
);
pub(super) const AUTHORITIES: (&str, &str) = (
    "no file of certificates",
    "certificates in PEM, each after `-----BEGIN CERTIFICATE-----`: those of whoever issues them",
);
const REVOCATIONS: (&str, &str) =
    ("no list of revoked certificates", "lists in PEM, each after `-----BEGIN X509 CRL-----`");
const KEY: (&str, &str) = (
    "no file of a private key",
    "a private key in PEM, such as `openssl genpkey` writes, without a passphrase",
);

fn read<T>(
    file: &At<String>,
    named: &NamedFiles,
    problems: &Problems,
    (fault, expected): (&str, &str),
    parse: impl FnOnce(&[u8]) -> Option<T>,
) -> Option<T> {
    // A file that could not be read was reported.
    let parsed = parse(named.keys.get(&file.value)?);
    if parsed.is_none() {
        let message = format!("\"{}\" is {fault}", file.value);
        problems.add(Diagnostic::error(file.place, message).expected(expected));
    }
    parsed
}
