//! Which account a session is, as far as the app said so.

use std::fmt;
use std::sync::{Arc, OnceLock};

use quick_cache::sync::Cache;

use crate::facts::Principal;

/// How many sessions are remembered. About 100 bytes each, taken as they come.
const SESSIONS_MAX: usize = 262_144;

/// What was learned.
///
/// Bounded, and a flood of new sessions pushes out others that are seen once before those that come again (S3-FIFO). A
/// session that was forgotten is learned again from the app's next answer.
#[derive(Default)]
pub(super) struct Learned {
    /// Made when there is something to remember.
    accounts: OnceLock<Cache<Principal, Arc<str>>>,
}

/// What is to be done with an answer that names an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// It goes to the client.
    Pass,
    /// The account is suspended: the client gets weir's own answer instead, and so does every later request of the
    /// session.
    Withhold,
}

impl Learned {
    pub(super) fn account(&self, session: Principal) -> Option<Arc<str>> {
        self.accounts.get()?.get(&session)
    }

    pub(super) fn bind(&self, session: Principal, account: &Arc<str>) {
        let accounts = self.accounts.get_or_init(|| Cache::new(SESSIONS_MAX));
        // The app says it with every answer; mostly it is known.
        if accounts.peek(&session).is_none_or(|known| known != *account) {
            accounts.insert(session, Arc::clone(account));
        }
    }

    pub(super) fn forget(&self, session: Principal) {
        if let Some(accounts) = self.accounts.get() {
            accounts.remove(&session);
        }
    }

    pub(super) fn sessions(&self) -> usize {
        self.accounts.get().map_or(0, Cache::len)
    }
}

impl fmt::Debug for Learned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Learned({} sessions)", self.sessions())
    }
}
