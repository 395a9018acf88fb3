//! Principals: who a request is charged to.

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

    pub const fn kind(self) -> PrincipalKind {
        self.kind
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
