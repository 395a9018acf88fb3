//! `[identity]`: how a request is joined to an account, and how much of an address is a client or a network.

use std::time::Duration;

use http::HeaderName;

use super::place::At;
use super::reader::{Item, Table, TableKind};
use crate::policy::identity::{CertificatePart, JwtAlgorithm, Place};

pub const IDENTITY: TableKind = TableKind {
    title: "[identity]",
    keys: &["account", "session", "accounts_file", "learn_account_from", "client", "network", "asn_database"],
};

pub const CLIENT: TableKind = TableKind { title: "`client`", keys: &["ipv4_prefix", "ipv6_prefix"] };

pub const NETWORK: TableKind = TableKind { title: "`network`", keys: &["ipv4_prefix", "ipv6_prefix"] };

pub const JWT: TableKind = TableKind {
    title: "a JWT of `account`",
    keys: &["jwt", "claim", "key_file", "secret_file", "algorithms", "issuer", "audience", "leeway"],
};

pub const CERTIFICATE: TableKind =
    TableKind { title: "a certificate of `account`", keys: &["client_certificate"] };

/// `[identity]` as written.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// Where a credential may stand.
    pub account: Vec<At<Credential>>,
    /// `None`: where the credentials of browsers and programs stand.
    pub session: Option<Vec<At<Place>>>,
    pub accounts_file: Option<At<String>>,
    pub learn_account_from: Option<At<HeaderName>>,
    pub client: Prefixes,
    pub network: Prefixes,
    pub asn_database: Option<At<String>>,
}

/// How many bits of an address count.
#[derive(Clone, Debug, Default)]
pub struct Prefixes {
    pub ipv4: Option<At<u8>>,
    pub ipv6: Option<At<u8>>,
}

/// A kind of credential, and where in a request it may stand.
#[derive(Clone, Debug)]
pub enum Credential {
    Token(Place),
    Jwt(Box<Jwt>),
    ClientCertificate(CertificatePart),
}

/// How a JSON Web Token is verified, and what it says.
#[derive(Clone, Debug)]
pub struct Jwt {
    pub place: Place,
    pub claim: Option<String>,
    /// Files in PEM.
    pub key_files: Vec<At<String>>,
    pub secret_file: Option<At<String>>,
    pub algorithms: Vec<At<JwtAlgorithm>>,
    pub issuer: Option<String>,
    pub audiences: Vec<String>,
    pub leeway: Option<Duration>,
}

impl Identity {
    /// Whether something but the accounts file says which accounts there are: the app, or a token.
    pub fn names_accounts(&self) -> bool {
        self.learn_account_from.is_some()
            || self.account.iter().any(|c| match c.value {
                Credential::Token(_) | Credential::ClientCertificate(CertificatePart::Fingerprint) => false,
                Credential::Jwt(_) | Credential::ClientCertificate(_) => true,
            })
    }

    /// Every file of keys that is named.
    pub fn key_files(&self) -> impl Iterator<Item = &At<String>> {
        self.account.iter().flat_map(|credential| match &credential.value {
            Credential::Jwt(jwt) => jwt.key_files.iter().chain(&jwt.secret_file),
            Credential::Token(_) | Credential::ClientCertificate(_) => [].iter().chain(&None),
        })
    }
}

const PLACE: &str = "\"bearer\", \"header:NAME\" or \"cookie:NAME\"";
/// More differ in time only by a broken clock.
const LEEWAY_MAX: Duration = Duration::from_secs(60 * 60);

pub(super) fn read(item: Item<'_>) -> Option<Identity> {
    let table = item.table(&IDENTITY)?;
    Some(Identity {
        account: table.read("account", |i| readable(i, credential)).unwrap_or_default(),
        session: table.read("session", |i| i.one_or_list(|i| place(i).map(|p| i.at(p)))),
        accounts_file: table.read("accounts_file", |i| i.text_at("a file's name")),
        learn_account_from: table.read("learn_account_from", |i| {
            i.parse("the name of a response header", |t| t.parse().ok()).map(|name| i.at(name))
        }),
        client: table.read("client", |i| Some(prefixes(&i.table(&CLIENT)?))).unwrap_or_default(),
        network: table.read("network", |i| Some(prefixes(&i.table(&NETWORK)?))).unwrap_or_default(),
        asn_database: table.read("asn_database", |i| i.text_at("a file's name")),
    })
}

/// Those of an array that can be read: the others are reported, and hide nothing that is wrong with these.
fn readable<'a, T>(item: Item<'a>, read: impl Fn(Item<'a>) -> Option<T>) -> Option<Vec<At<T>>> {
    let all = item.one_or_list(|item| Some(read(item).map(|value| item.at(value))))?;
    Some(all.into_iter().flatten().collect())
}

fn prefixes(table: &Table<'_>) -> Prefixes {
    Prefixes {
        ipv4: table.read("ipv4_prefix", |i| i.whole(8..=32).map(|n| i.at(n))),
        ipv6: table.read("ipv6_prefix", |i| i.whole(16..=128).map(|n| i.at(n))),
    }
}

fn credential(item: Item<'_>) -> Option<Credential> {
    const EXPECTED: &str = "\"bearer\", \"header:NAME\", \"cookie:NAME\", \"client-certificate\" or a table \
                            { jwt = \"bearer\", key_file = \"…\" }";
    if item.has("client_certificate") {
        let words = CertificatePart::ALL.map(|part| (part.name(), part));
        let part = item.table(&CERTIFICATE)?.read("client_certificate", |item| item.word(&words));
        return part.map(Credential::ClientCertificate);
    }
    if item.is_table() {
        return jwt(&item.table(&JWT)?).map(|jwt| Credential::Jwt(Box::new(jwt)));
    }
    item.parse(EXPECTED, |text| match text {
        "client-certificate" => Some(Credential::ClientCertificate(CertificatePart::Fingerprint)),
        _ => place_in(text).map(Credential::Token),
    })
}

fn place(item: Item<'_>) -> Option<Place> {
    item.parse(PLACE, place_in)
}

fn place_in(text: &str) -> Option<Place> {
    match text.split_once(':') {
        None => (text == "bearer").then_some(Place::Bearer),
        Some(("header", name)) => name.parse().ok().map(Place::Header),
        // A cookie's name is a token, like a header's (RFC 6265 §4.1.1), but its case counts.
        Some(("cookie", name)) => name.parse::<HeaderName>().ok().map(|_| Place::Cookie(name.into())),
        Some(_) => None,
    }
}

fn jwt(table: &Table<'_>) -> Option<Jwt> {
    let place = table.require("jwt", PLACE, place);
    let files = |i: Item<'_>| i.one_or_list(|i| i.text_at("the name of a file in PEM"));
    let words: Vec<_> = JwtAlgorithm::ALL.iter().map(|algorithm| (algorithm.name(), *algorithm)).collect();
    let text = |i: Item<'_>, expected| i.text(expected).map(str::to_owned);
    Some(Jwt {
        claim: table.read("claim", |i| text(i, "the name of a claim such as \"sub\"")),
        key_files: table.read("key_file", files).unwrap_or_default(),
        secret_file: table.read("secret_file", |i| i.text_at("a file's name")),
        algorithms: table.read("algorithms", |i| readable(i, |i| i.word(&words))).unwrap_or_default(),
        issuer: table.read("issuer", |i| text(i, "what the claim `iss` must be")),
        audiences: table
            .read("audience", |i| i.one_or_list(|i| text(i, "what the claim `aud` must hold")))
            .unwrap_or_default(),
        leeway: table.read("leeway", |i| i.duration(Duration::ZERO..=LEEWAY_MAX)),
        place: place?,
    })
}
