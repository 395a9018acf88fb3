//! The admin listener: metrics, health, the running policy. Knows the engine and the policy, never the proxy.
//!
//! All but two of its answers only read; the mode can be set (`mode`) and the configuration read again (`reload`), but
//! not by a web page (`guard`). It belongs on
//! loopback or a private network, because it asks nobody who they are.

mod answer;
mod asked;
mod config;
mod decisions;
mod endpoints;
mod explain;
mod findings;
mod guard;
mod health;
mod incidents;
mod index;
mod metrics;
mod mode;
mod reload;
mod server;
#[cfg(test)]
mod tests;

pub use self::findings::{FindingsReport, Followers};
pub use self::mode::{ModeReport, ModeRequest, ModeSwitch};
pub use self::reload::{Reload, ReloadReport};
pub use self::server::serve;

use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body;

use crate::clock::Clock;
use crate::engine::recent::RecentRefusals;
use crate::engine::{Binding, Engine};
use crate::facts::Who;
use crate::findings::Book;
use crate::metrics::Metrics;
use asked::Asked;

/// Everyone behind a request with such headers; `None` where they hold too many credentials.
pub type Identify = dyn Fn(&HeaderMap) -> Option<Who> + Send + Sync;

/// What the admin listener reads from, and the switch.
pub struct Admin {
    pub clock: Clock,
    pub metrics: Metrics,
    pub engine: Engine,
    /// The policy in force now, joined to the engine.
    pub binding: Box<dyn Fn() -> Arc<Binding> + Send + Sync>,
    pub identify: Box<Identify>,
    pub refusals: Arc<RecentRefusals>,
    pub findings: Arc<Book>,
    pub followers: Followers,
    pub switch: ModeSwitch,
    /// `None` where there is no configuration file.
    pub reload: Option<Reload>,
    pub readiness: Box<dyn Fn() -> Readiness + Send + Sync>,
}

/// Answers one request as the listener would. For tests and fuzzing: no socket is asked for.
#[doc(hidden)]
pub fn answer_one(
    admin: &Arc<Admin>,
    request: Request<Bytes>,
    from: IpAddr,
) -> Response<impl Body<Data = Bytes, Error = Infallible> + use<>> {
    let (parts, body) = request.into_parts();
    endpoints::route(admin, &Asked::of(parts, body, from))
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
