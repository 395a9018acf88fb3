//! Who is known, on which plan, under which agreement.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Bound, ClauseId, LimitId};
use crate::facts::{Account, Principal};

/// Index of [`Policy::terms`](super::Policy::terms): a plan and an agreement that some account has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TermsId(pub u32);

impl TermsId {
    /// Neither plan nor agreement.
    pub const NONE: TermsId = TermsId(0);
}

/// The numbers that an account has instead of the limits' own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    pub plan: Option<Arc<str>>,
    /// The account whose agreement it is.
    pub agreement: Option<Arc<str>>,
    /// Quoted in every decision that rests on the agreement.
    pub reference: Option<Arc<str>>,
    /// In the order of [`Policy::limits`](super::Policy::limits), each limit at most once: the agreement's number if it
    /// has one, else the plan's.
    pub overrides: Vec<Override>,
}

impl Terms {
    /// The account's own number for a limit.
    pub fn numbers_of(&self, limit: LimitId) -> Option<&Override> {
        self.overrides.iter().find(|other| other.limit == limit)
    }
}

/// Another number for one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    pub limit: LimitId,
    pub bound: Bound,
    pub layer: Layer,
    /// What the plan says, where the agreement says something else.
    pub overridden: Option<Bound>,
}

/// Where a number comes from. The later one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// Built in.
    Default,
    /// `[[limits]]`.
    Policy,
    Plan,
    Agreement,
}

impl Layer {
    pub const fn name(self) -> &'static str {
        match self {
            Layer::Default => "default",
            Layer::Policy => "policy",
            Layer::Plan => "plan",
            Layer::Agreement => "agreement",
        }
    }
}

/// Every known account.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    pub list: Vec<Account>,
    /// By SHA-256 of a credential: which of `list`.
    pub by_credential: HashMap<[u8; 32], u32>,
    /// By id: which of `list`.
    pub by_id: HashMap<Arc<str>, u32>,
    /// Of accounts that are not in the file but have an agreement, by id.
    pub agreements: HashMap<Arc<str>, TermsId>,
    /// Those that are suspended, by id, and under which clause.
    pub suspended: HashMap<Arc<str>, ClauseId>,
}

impl Accounts {
    /// The account whose credential has this SHA-256.
    pub fn with_credential(&self, sha256: &[u8; 32]) -> Option<&Account> {
        self.by_credential.get(sha256).and_then(|at| self.list.get(usize::try_from(*at).ok()?))
    }

    /// The account of this id, as the app or a verified token names it: also one that is not in the file, with the
    /// terms of its agreement if it has one.
    pub fn named(&self, id: &Arc<str>) -> Account {
        self.with_id(id).cloned().unwrap_or_else(|| Account {
            id: Arc::clone(id),
            principal: Principal::account(id),
            terms: self.agreements.get(id).copied().unwrap_or_default(),
        })
    }

    /// Whether the accounts file or an agreement has an account of this id.
    pub fn knows(&self, id: &str) -> bool {
        self.by_id.contains_key(id) || self.agreements.contains_key(id)
    }

    /// The clause because of which this account is suspended, if it is.
    pub fn suspension(&self, id: &str) -> Option<ClauseId> {
        if self.suspended.is_empty() { None } else { self.suspended.get(id).copied() }
    }

    pub fn with_id(&self, id: &str) -> Option<&Account> {
        self.by_id.get(id).and_then(|at| self.list.get(usize::try_from(*at).ok()?))
    }
}
