//! Principals: who a request is charged to.

use sha2::{Digest as _, Sha256};

use super::Client;

/// What kind of somebody a principal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PrincipalKind {
    /// An address, folded to its prefix.
    Client,
    /// A wider prefix, or an autonomous system.
    Network,
    /// A known account.
    Account,
    /// A credential that no account has.
    Credential,
    Session,
    Fingerprint,
    /// The value of one header field.
    Header,
    /// Several of the above at once.
    Combination,
    /// All requests together.
    Everyone,
}

impl PrincipalKind {
    pub const ALL: [PrincipalKind; 9] = [
        PrincipalKind::Client,
        PrincipalKind::Network,
        PrincipalKind::Account,
        PrincipalKind::Credential,
        PrincipalKind::Session,
        PrincipalKind::Fingerprint,
        PrincipalKind::Header,
        PrincipalKind::Combination,
        PrincipalKind::Everyone,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            PrincipalKind::Client => "client",
            PrincipalKind::Network => "network",
            PrincipalKind::Account => "account",
            PrincipalKind::Credential => "credential",
            PrincipalKind::Session => "session",
            PrincipalKind::Fingerprint => "fingerprint",
            PrincipalKind::Header => "header",
            PrincipalKind::Combination => "combination",
            PrincipalKind::Everyone => "everyone",
        }
    }
}

/// Who a request is charged to. Holds no secret: what was one is a keyed hash here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal {
    kind: PrincipalKind,
    /// Two halves, so that a principal is 24 bytes.
    id: [u64; 2],
}

impl Principal {
    pub const EVERYONE: Principal = Principal { kind: PrincipalKind::Everyone, id: [0; 2] };

    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    pub const fn new(kind: PrincipalKind, id: u128) -> Self {
        Principal { kind, id: [(id >> 64) as u64, id as u64] }
    }

    /// The account that the operator calls `id`: the same after a restart and on every machine. An id is no secret, but
    /// the app may take it from people, hence a hash that nobody can find two ids for.
    pub fn account(id: &str) -> Self {
        Principal::of_text(PrincipalKind::Account, id)
    }

    /// The software of this [`Fingerprint`](super::Fingerprint): the same everywhere, as an account is.
    pub(super) fn fingerprint(text: &str) -> Self {
        Principal::of_text(PrincipalKind::Fingerprint, text)
    }

    fn of_text(kind: PrincipalKind, text: &str) -> Self {
        let hash = Sha256::digest(text.as_bytes());
        let first = hash.iter().take(16).fold(0, |id, byte| id << 8 | u128::from(*byte));
        Principal::new(kind, first)
    }

    pub const fn kind(self) -> PrincipalKind {
        self.kind
    }

    /// The client that it is, if it is one.
    pub fn client(self) -> Option<Client> {
        (self.kind == PrincipalKind::Client).then(|| Client::from_bits(self.id()))
    }

    pub const fn id(self) -> u128 {
        (self.id[0] as u128) << 64 | self.id[1] as u128
    }
}

impl From<Client> for Principal {
    fn from(client: Client) -> Self {
        Principal::new(PrincipalKind::Client, client.as_bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: an account is the same principal in every run: the first half of the SHA-256 of its id.
    /// `printf %s acme | sha256sum`.
    #[test]
    fn an_account_is_its_id() {
        let acme = Principal::account("acme");
        assert_eq!(acme.kind(), PrincipalKind::Account);
        assert_eq!(acme.id(), 0x822b_33ad_87c1_48a0_a20a_5ba7_cd5e_bcaa);
        assert_ne!(acme, Principal::account("Acme"));
    }
}
