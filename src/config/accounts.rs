//! The accounts file: who is known, by the hashes of their credentials.

use super::diagnostic::Diagnostic;
use super::place::At;
use super::reader::{Item, Table, TableKind};

pub const ACCOUNTS_FILE: TableKind = TableKind { title: "an accounts file", keys: &["version", "accounts"] };

pub const ACCOUNT: TableKind = TableKind { title: "[[accounts]]", keys: &["id", "plan", "credentials"] };

/// One `[[accounts]]` as written.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: At<String>,
    pub plan: Option<At<String>>,
    /// SHA-256 of each credential.
    pub credentials: Vec<At<[u8; 32]>>,
}

const ACCOUNTS_MAX: usize = 10_000_000;
const ID_BYTES_MAX: usize = 256;

pub(super) fn read(table: &Table<'_>) -> Vec<Account> {
    super::read_version(table);
    let accounts =
        table.read("accounts", |item| Some(item.tables(ACCOUNTS_MAX, account))).unwrap_or_default();
    report_duplicates(table, &accounts);
    accounts
}

fn account(item: Item<'_>) -> Option<Account> {
    const ID: &str = "an id of at most 256 bytes without control characters";
    let table = item.table(&ACCOUNT)?;
    let id = table.require("id", ID, |i| {
        i.parse(ID, |text| {
            let plain = text.len() <= ID_BYTES_MAX && !text.chars().any(char::is_control);
            plain.then(|| text.to_owned())
        })
        .map(|id| i.at(id))
    });
    Some(Account {
        plan: table.read("plan", |i| i.text_at("the name of a plan")),
        credentials: table.read("credentials", |i| i.one_or_list(credential)).unwrap_or_default(),
        id: id?,
    })
}

/// A credential by its hash. What was written instead is not repeated: it may be the credential itself.
fn credential(item: Item<'_>) -> Option<At<[u8; 32]>> {
    const EXPECTED: &str = "\"sha256:\" and 64 hexadecimal digits: the SHA-256 of the credential";
    let text = item.text(EXPECTED)?;
    match text.strip_prefix("sha256:").and_then(hash) {
        Some(hash) => Some(item.at(hash)),
        None => item.refuse("a credential is not written as its hash", EXPECTED),
    }
}

fn hash(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u32> = text.chars().map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | *digit))
        .map(|byte| u8::try_from(byte).ok())
        .collect::<Option<_>>()?;
    (digits.len() == 64).then_some(())?;
    bytes.try_into().ok()
}

fn report_duplicates(table: &Table<'_>, accounts: &[Account]) {
    let mut ids = std::collections::HashMap::new();
    let mut hashes = std::collections::HashMap::new();
    for account in accounts {
        if let Some(first) = ids.insert(account.id.value.as_str(), account.id.place) {
            table.problems.add(
                Diagnostic::error(
                    account.id.place,
                    format!("two accounts have the id \"{}\"", account.id.value),
                )
                .expected("an id of its own for each account")
                .related(first, "the first"),
            );
        }
        for credential in &account.credentials {
            if let Some(first) = hashes.insert(credential.value, credential.place) {
                table.problems.add(
                    Diagnostic::error(
                        credential.place,
                        "a credential belongs to two accounts, or twice to one",
                    )
                    .expected("credentials that each name one account")
                    .related(first, "the first"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::hash;

    /// Promise: only a whole SHA-256 is taken for one.
    #[test]
    fn hashes_are_64_digits() {
        assert_eq!(hash(&"0f".repeat(32)), Some([0x0f; 32]));
        assert_eq!(hash(&"0F".repeat(32)), Some([0x0f; 32]));
        for bad in ["", "0f", &"0g".repeat(32), &"0f".repeat(33), &"0".repeat(63)] {
            assert_eq!(hash(bad), None, "{bad}");
        }
    }
}
