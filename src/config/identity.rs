//! `[identity]`: how a request is joined to an account, and how much of an address is a client.

use http::HeaderName;

use super::place::At;
use super::reader::{Item, TableKind};

pub const IDENTITY: TableKind =
    TableKind { title: "[identity]", keys: &["account", "accounts_file", "learn_account_from", "client"] };

pub const CLIENT: TableKind = TableKind { title: "`client`", keys: &["ipv4_prefix", "ipv6_prefix"] };

/// `[identity]` as written.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// Where a credential may stand.
    pub account: Vec<At<Credential>>,
    pub accounts_file: Option<At<String>>,
    pub learn_account_from: Option<At<HeaderName>>,
    pub ipv4_prefix: Option<u8>,
    pub ipv6_prefix: Option<u8>,
}

/// A place in a request where a credential may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// `Authorization: Bearer` (RFC 6750 §2.1).
    Bearer,
    Header(HeaderName),
    Cookie(String),
}

pub(super) fn read(item: Item<'_>) -> Option<Identity> {
    let table = item.table(&IDENTITY)?;
    let client = table.read("client", |i| i.table(&CLIENT));
    Some(Identity {
        account: table
            .read("account", |i| i.one_or_list(|i| credential(i).map(|c| i.at(c))))
            .unwrap_or_default(),
        accounts_file: table.read("accounts_file", |i| i.text_at("a file's name")),
        learn_account_from: table.read("learn_account_from", |i| {
            i.parse("the name of a response header", |t| t.parse().ok()).map(|name| i.at(name))
        }),
        ipv4_prefix: client.and_then(|t| t.read("ipv4_prefix", |i| i.whole(8..=32))),
        ipv6_prefix: client.and_then(|t| t.read("ipv6_prefix", |i| i.whole(16..=128))),
    })
}

fn credential(item: Item<'_>) -> Option<Credential> {
    item.parse("\"bearer\", \"header:NAME\" or \"cookie:NAME\"", |text| match text.split_once(':') {
        None => (text == "bearer").then_some(Credential::Bearer),
        Some(("header", name)) => name.parse().ok().map(Credential::Header),
        // A cookie's name is a token, like a header's (RFC 6265 §4.1.1), but its case counts.
        Some(("cookie", name)) => {
            name.parse::<HeaderName>().ok().map(|_| Credential::Cookie(name.to_owned()))
        }
        Some(_) => None,
    })
}
