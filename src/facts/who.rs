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
    pub const ANYONE: &'static Who = &Who { accounts: SmallVec::new_const(), unknown: None, session: None };
}
