//! `[tls]`: certificates, and what TLS listeners have in common.

use std::time::Duration;

use super::acme::{self, Acme};
use super::place::At;
use super::reader::{Item, TableKind};
use crate::policy::tls::{Demand, MinVersion, Redirect};

pub const TLS: TableKind = TableKind {
    title: "[tls]",
    keys: &[
        "certificates",
        "acme",
        "min_version",
        "http2",
        "redirect",
        "hsts",
        "client_certificates",
        "fingerprint",
    ],
};

pub const CERTIFICATE: TableKind =
    TableKind { title: "a certificate of `certificates`", keys: &["cert", "key"] };

pub const CLIENT_CERTIFICATES: TableKind =
    TableKind { title: "`client_certificates`", keys: &["ca", "mode", "crl", "forward"] };

/// `[tls]` as written.
#[derive(Clone, Debug)]
pub struct Tls {
    /// At least one, or `acme`.
    pub certificates: Vec<At<Certificate>>,
    /// How more are obtained.
    pub acme: Option<At<Acme>>,
    pub min_version: Option<MinVersion>,
    pub http2: Option<bool>,
    /// Whether plain listeners send everyone here.
    pub redirect: Option<At<Redirect>>,
    pub hsts: Option<Duration>,
    /// For listeners that say nothing of their own.
    pub client_certificates: Option<ClientCertificates>,
    pub fingerprint: Option<bool>,
}

/// Whose certificates are taken from clients, and whether one must be shown.
#[derive(Clone, Debug)]
pub struct ClientCertificates {
    /// A file in PEM.
    pub ca: At<String>,
    pub mode: Option<Demand>,
    /// Files in PEM.
    pub crl: Vec<At<String>>,
    pub forward: Option<bool>,
}

impl ClientCertificates {
    /// Every file that is named, and whether it is one of revocations.
    pub fn files(&self) -> impl Iterator<Item = (&At<String>, bool)> {
        std::iter::once((&self.ca, false)).chain(self.crl.iter().map(|file| (file, true)))
    }
}

/// Two files in PEM.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The server's own first, then those that it was issued by.
    pub chain: At<String>,
    pub key: At<String>,
}

const DEMANDS: &[(&str, Demand)] = &[("optional", Demand::Optional), ("required", Demand::Required)];

const MIN_VERSIONS: &[(&str, MinVersion)] = &[("1.2", MinVersion::Tls12), ("1.3", MinVersion::Tls13)];

const CERTIFICATES: &str = "`certificates = [{ cert = \"cert.pem\", key = \"key.pem\" }]`";

/// A browser forgets a shorter one before it matters (RFC 6797 §6.1.1).
const HSTS_MIN: Duration = Duration::from_secs(1);
const HSTS_MAX: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

pub(super) fn read(item: Item<'_>) -> Option<Tls> {
    let table = item.table(&TLS)?;
    let acme = table.item("acme").map(|item| acme::read(item).map(|it| item.at(it)));
    let certificates = match &acme {
        // Whoever obtains them needs no files.
        Some(_) => table.read("certificates", certificates).or_else(|| Some(Vec::new())),
        None => table.require("certificates", &format!("{CERTIFICATES} or [tls.acme]"), certificates),
    };
    let min_version = table.read("min_version", |item| item.word(MIN_VERSIONS));
    let http2 = table.read("http2", |item| item.boolean());
    let redirect = table.read("redirect", |item| redirect(item).map(|it| item.at(it)));
    let hsts = table.read("hsts", |item| item.duration(HSTS_MIN..=HSTS_MAX));
    let client_certificates = table.read("client_certificates", client_certificates);
    let fingerprint = table.read("fingerprint", |item| item.boolean());
    Some(Tls {
        certificates: certificates?,
        // What is wrong with it was reported.
        acme: acme.map_or(Some(None), |acme| acme.map(Some))?,
        min_version,
        http2,
        redirect,
        hsts,
        client_certificates,
        fingerprint,
    })
}

pub(super) fn client_certificates(item: Item<'_>) -> Option<ClientCertificates> {
    let table = item.table(&CLIENT_CERTIFICATES)?;
    let ca = "`ca`, a file with the certificates of those who issue them, in PEM";
    let ca = table.require("ca", ca, |item| item.text_at("a file's name"));
    let crl = |item: Item<'_>| item.one_or_list(|item| item.text_at("the name of a file in PEM"));
    let (mode, crl) = (table.read("mode", |item| item.word(DEMANDS)), table.read("crl", crl));
    let forward = table.read("forward", |item| item.boolean());
    Some(ClientCertificates { ca: ca?, mode, crl: crl.unwrap_or_default(), forward })
}

fn certificates(item: Item<'_>) -> Option<Vec<At<Certificate>>> {
    let certificates = item.one_or_list(|item| certificate(item).map(|it| item.at(it)))?;
    if certificates.is_empty() {
        return item.refuse("`certificates` is empty", CERTIFICATES);
    }
    Some(certificates)
}

/// Whether, or to which port.
fn redirect(item: Item<'_>) -> Option<Redirect> {
    if item.is_boolean() {
        return item.boolean().map(|yes| if yes { Redirect::ToListener } else { Redirect::No });
    }
    item.whole(1..=u64::from(u16::MAX)).map(Redirect::ToPort)
}

fn certificate(item: Item<'_>) -> Option<Certificate> {
    let table = item.table(&CERTIFICATE)?;
    let file = |key, what| table.require(key, what, |item| item.text_at("a file's name"));
    let chain = file("cert", "`cert`, a file of certificates in PEM");
    let key = file("key", "`key`, the file of the private key in PEM");
    Some(Certificate { chain: chain?, key: key? })
}
