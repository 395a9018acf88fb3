//! The admin listener: metrics, health, the running policy. Knows the engine and the policy, never the proxy.
//!
//! It only reads: nothing that it answers changes what weir does. It belongs on loopback or a private network,
//! because it asks nobody who they are.

mod answer;
mod config;
mod endpoints;
mod health;
mod index;
mod metrics;
mod server;

use std::fmt;
use std::sync::Arc;

pub use self::server::serve;

use crate::engine::Engine;
use crate::metrics::Metrics;
use crate::policy::Policy;

/// What the admin listener reads from.
pub struct Admin {
    pub metrics: Metrics,
    pub engine: Engine,
    /// The policy in force now.
    pub policy: Box<dyn Fn() -> Arc<Policy> + Send + Sync>,
    pub readiness: Box<dyn Fn() -> Readiness + Send + Sync>,
}

/// Whether weir should be sent traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    pub ready: bool,
    /// Why not, one sentence each; empty when ready.
    pub reasons: Vec<String>,
}

impl Readiness {
    /// Ready unless there is a reason against it.
    pub fn unless(reasons: Vec<String>) -> Self {
        Readiness { ready: reasons.is_empty(), reasons }
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}
