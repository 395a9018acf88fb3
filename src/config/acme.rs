//! `[tls.acme]`: certificates that are obtained, from whom, for which names, and where they are kept.

use super::place::At;
use super::reader::{Item, TableKind};
use crate::policy::acme::Challenge;

pub const ACME: TableKind = TableKind {
    title: "[tls.acme]",
    keys: &[
        "names",
        "state_dir",
        "terms_agreed",
        "contact",
        "directory",
        "ca",
        "challenge",
        "external_account",
    ],
};

pub const EXTERNAL_ACCOUNT: TableKind = TableKind { title: "`external_account`", keys: &["id", "key_file"] };

/// `[tls.acme]` as written.
#[derive(Clone, Debug)]
pub struct Acme {
    pub names: At<Vec<At<String>>>,
    pub state_dir: String,
    pub terms_agreed: Option<At<bool>>,
    /// E-mail addresses.
    pub contact: Vec<At<String>>,
    pub directory: Option<At<String>>,
    /// A file in PEM.
    pub ca: Option<At<String>>,
    pub challenge: Option<At<Challenge>>,
    pub external_account: Option<ExternalAccount>,
}

/// An account that the authority knows its customer by.
#[derive(Clone, Debug)]
pub struct ExternalAccount {
    pub id: String,
    /// A file that holds the key as text.
    pub key_file: At<String>,
}

impl Acme {
    /// Every file that is named.
    pub fn files(&self) -> impl Iterator<Item = &At<String>> {
        self.ca.iter().chain(self.external_account.iter().map(|account| &account.key_file))
    }
}

const CHALLENGES: &[(&str, Challenge)] =
    &[(Challenge::TlsAlpn.name(), Challenge::TlsAlpn), (Challenge::Http.name(), Challenge::Http)];

/// Each is asked for by itself, and is a label of a metric.
const NAMES_MAX: usize = 100;

pub(super) fn read(item: Item<'_>) -> Option<Acme> {
    const NAMES: &str = "`names = [\"app.example.com\"]`, the host names to have certificates for";
    const STATE_DIR: &str = "`state_dir = \"/var/lib/weir/acme\"`, where keys and certificates are kept";
    let table = item.table(&ACME)?;
    let names = table.require("names", NAMES, |item| names(item, NAMES));
    let state_dir = table.require("state_dir", STATE_DIR, |item| item.text(STATE_DIR).map(str::to_owned));
    let terms_agreed = table.read("terms_agreed", |item| item.boolean().map(|agreed| item.at(agreed)));
    let contact = table.read("contact", |item| item.one_or_list(|item| item.text_at("an e-mail address")));
    let directory = table.read("directory", |item| item.text_at("the URL of a directory (RFC 8555 §7.1.1)"));
    let ca = table.read("ca", |item| item.text_at("a file's name"));
    let challenge = table.read("challenge", |item| item.word(CHALLENGES).map(|it| item.at(it)));
    let external_account = table.read("external_account", external_account);
    Some(Acme {
        names: names?,
        state_dir: state_dir?,
        terms_agreed,
        contact: contact.unwrap_or_default(),
        directory,
        ca,
        challenge,
        external_account,
    })
}

fn names(item: Item<'_>, expected: &str) -> Option<At<Vec<At<String>>>> {
    let names = item.one_or_list(|item| item.text_at("a host name"))?;
    match names.len() {
        0 => item.refuse("`names` is empty", expected),
        1..=NAMES_MAX => Some(item.at(names)),
        more => item.refuse(format!("`names` has {more} names"), &format!("{NAMES_MAX} at most")),
    }
}

fn external_account(item: Item<'_>) -> Option<ExternalAccount> {
    let table = item.table(&EXTERNAL_ACCOUNT)?;
    let id = "`id`, by which the authority knows the account";
    let id = table.require("id", id, |item| item.text(id).map(str::to_owned));
    let key_file = "`key_file`, a file with the key that the authority gave, in base64url";
    let key_file = table.require("key_file", key_file, |item| item.text_at("a file's name"));
    Some(ExternalAccount { id: id?, key_file: key_file? })
}
