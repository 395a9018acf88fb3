//! The accounts file: who is known, by the hashes of their credentials.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::diagnostic::Diagnostic;
use super::place::{At, Place};
use super::reader::{Item, Table, TableKind};

pub const ACCOUNTS_FILE: TableKind = TableKind { title: "an accounts file", keys: &["version", "accounts"] };

pub const ACCOUNT: TableKind =
    TableKind { title: "[[accounts]]", keys: &["id", "plan", "credentials", "suspended"] };

/// An accounts file as written; no id and no credential is in it twice.
#[derive(Clone, Debug, Default)]
pub struct AccountsFile {
    pub list: Vec<Account>,
    /// Which of `list`.
    pub by_id: HashMap<Arc<str>, u32>,
    /// Which of `list`, by the SHA-256 of a credential.
    pub by_credential: HashMap<[u8; 32], u32>,
}

/// One `[[accounts]]` as written.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: At<Arc<str>>,
    pub plan: Option<At<Arc<str>>>,
    /// The clause because of which it is suspended.
    pub suspended: Option<At<String>>,
}

/// One `[[accounts]]` as it is read, before it is held against the others.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) id: At<Arc<str>>,
    pub(super) plan: Option<At<Arc<str>>>,
    pub(super) suspended: Option<At<String>>,
    /// SHA-256 of each credential.
    pub(super) credentials: Vec<At<[u8; 32]>>,
}

const ACCOUNTS_MAX: usize = 10_000_000;
pub(super) const ID_BYTES_MAX: usize = 256;

pub(super) fn read(table: &Table<'_>) -> AccountsFile {
    super::read_version(table);
    let written = table.read("accounts", |item| Some(item.tables(ACCOUNTS_MAX, account))).unwrap_or_default();
    let mut places = HashMap::new();
    let mut file = AccountsFile::default();
    for account in written {
        for (credential, first) in twice(&account.credentials, &mut places) {
            table.problems.add(
                Diagnostic::error(credential, "a credential belongs to two accounts, or twice to one")
                    .expected("credentials that each name one account")
                    .related(first, "the first"),
            );
        }
        if let Err(first) = file.add(&account) {
            let message = format!("two accounts have the id \"{}\"", account.id.value);
            table.problems.add(
                Diagnostic::error(account.id.place, message)
                    .expected("an id of its own for each account")
                    .related(first, "the first"),
            );
        }
    }
    file
}

impl AccountsFile {
    pub fn knows(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// Adds an account, or yields the place of the one that has the same id. A credential that is known already
    /// stays with whom it is.
    pub(super) fn add(&mut self, account: &Written) -> Result<(), Place> {
        let at = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        match self.by_id.entry(Arc::clone(&account.id.value)) {
            Entry::Occupied(first) => {
                let first = self.list.get(*first.get() as usize);
                return Err(first.map_or(account.id.place, |first| first.id.place));
            }
            Entry::Vacant(free) => free.insert(at),
        };
        for credential in &account.credentials {
            self.by_credential.entry(credential.value).or_insert(at);
        }
        let Written { id, plan, suspended, .. } = account.clone();
        self.list.push(Account { id, plan, suspended });
        Ok(())
    }
}

/// The places of those credentials that were seen before, each with the first.
fn twice(credentials: &[At<[u8; 32]>], places: &mut HashMap<[u8; 32], Place>) -> Vec<(Place, Place)> {
    let seen = |credential: &At<[u8; 32]>| match places.entry(credential.value) {
        Entry::Occupied(first) => Some((credential.place, *first.get())),
        Entry::Vacant(free) => {
            free.insert(credential.place);
            None
        }
    };
    credentials.iter().filter_map(seen).collect()
}

fn account(item: Item<'_>) -> Option<Written> {
    const ID: &str = "an id of at most 256 bytes without control characters";
    let table = item.table(&ACCOUNT)?;
    let id = table.require("id", ID, |i| i.parse(ID, |text| is_id(text).then(|| i.at(text.into()))));
    Some(Written {
        plan: table.read("plan", |i| i.text("the name of a plan").map(|plan| i.at(plan.into()))),
        suspended: table.read("suspended", |i| {
            i.text("the id of the clause because of which it is suspended")
                .map(|clause| i.at(clause.to_owned()))
        }),
        credentials: table.read("credentials", |i| i.one_or_list(credential)).unwrap_or_default(),
        id: id?,
    })
}

pub(super) fn is_id(text: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// A credential by its hash. What was written instead is not repeated: it may be the credential itself.
fn credential(item: Item<'_>) -> Option<At<[u8; 32]>> {
    const EXPECTED: &str = "\"sha256:\" and 64 hexadecimal digits: the SHA-256 of the credential";
    let text = item.text(EXPECTED)?;
    match hash(text) {
        Some(hash) => Some(item.at(hash)),
        None => item.refuse("a credential is not written as its hash", EXPECTED),
    }
}

/// `sha256:` and 64 hexadecimal digits.
pub(super) fn hash(text: &str) -> Option<[u8; 32]> {
    let (digits, []) = text.strip_prefix("sha256:")?.as_bytes().as_chunks::<2>() else { return None };
    let digits: &[[u8; 2]; 32] = digits.try_into().ok()?;
    let mut hash = [0; 32];
    for (byte, [high, low]) in hash.iter_mut().zip(digits) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(hash)
}

fn digit(ascii: u8) -> Option<u8> {
    match ascii {
        b'0'..=b'9' => Some(ascii - b'0'),
        b'a'..=b'f' => Some(ascii - b'a' + 10),
        b'A'..=b'F' => Some(ascii - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::hash;

    /// Promise: only a whole SHA-256 is taken for one.
    #[test]
    fn hashes_are_64_digits() {
        let written = |digits: &str| hash(&format!("sha256:{digits}"));
        assert_eq!(written(&"0f".repeat(32)), Some([0x0f; 32]));
        assert_eq!(written(&"A9".repeat(32)), Some([0xa9; 32]));
        for bad in ["", "0f", &"0g".repeat(32), &"0f".repeat(33), &"0".repeat(63), &"é".repeat(32)] {
            assert_eq!(written(bad), None, "{bad}");
        }
        assert_eq!(hash(&"0f".repeat(32)), None);
    }
}
