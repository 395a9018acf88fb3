//! Who is asking, as far as a request shows it.

use std::sync::Arc;

use smallvec::SmallVec;

use super::Principal;
use crate::policy::TermsId;

/// Everyone behind one request.
#[derive(Clone, Debug, Default)]
pub struct Who {
    /// The known accounts, each once: a known credential beats an unknown one. Two are both charged.
    pub accounts: SmallVec<[Account; 1]>,
    /// A credential that no account has; only where there is no known account. It is charged beside its client, so
    /// that inventing tokens wins nothing.
    pub unknown: Option<Principal>,
    pub session: Option<Principal>,
    /// The software behind the connection, as its handshake shows it. Many may have the same.
    pub fingerprint: Option<Fingerprint>,
}

/// What the first message of a TLS connection looks like, by JA4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Such as `t13d1516h2_8daaf6152771_e5627efa2ab1`.
    pub text: Arc<str>,
    pub principal: Principal,
}

impl Fingerprint {
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        Fingerprint { principal: Principal::fingerprint(&text), text }
    }
}

/// A known account.
#[derive(Clone, Debug)]
pub struct Account {
    /// As the operator names it.
    pub id: Arc<str>,
    pub principal: Principal,
    /// Its plan and agreement.
    pub terms: TermsId,
}

impl Who {
    pub const ANYONE: &'static Who =
        &Who { accounts: SmallVec::new_const(), unknown: None, session: None, fingerprint: None };
}
