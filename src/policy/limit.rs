//! Limits, ready to run.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method};
use ipnet::IpNet;

use super::template::Template;
use super::{ClauseId, host_matches};
use crate::remedy::Mode;

/// One limit that can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    pub name: String,
    pub clause: ClauseId,
    pub key: LimitKey,
    pub matches: Match,
    pub bound: Bound,
    pub cost: Cost,
    pub over: Over,
    pub mode: Mode,
    /// Counted, never limited by this one.
    pub exempt: Exempt,
}

/// What a limit counts by: who, times any parts that the configuration bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitKey {
    /// All of these together; none: everyone.
    pub who: Vec<WhoPart>,
    pub per_route: bool,
    pub per_upstream: bool,
    pub per_method: bool,
    pub missing: Missing,
}

/// One part of who a limit counts by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WhoPart {
    Client,
    Network,
    Account,
    Session,
    Fingerprint,
    Header(HeaderName),
}

/// What becomes of a request that lacks what a limit counts by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// The limit does not apply to it.
    #[default]
    Skip,
    /// All such requests share one budget.
    Shared,
}

/// Which requests a limit applies to: all that fit every part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// Any of these; empty: every path.
    pub paths: Vec<Template>,
    /// Any of these; empty: every method. `GET` includes `HEAD`.
    pub methods: Vec<Method>,
    /// Any of these, as in a route; empty: every host.
    pub hosts: Vec<String>,
    /// All of these are present; empty: whatever the headers.
    pub headers: Vec<HeaderName>,
    /// Any account on one of these plans; empty: with or without.
    pub plans: Vec<Arc<str>>,
    /// Any of these; empty: with or without an account.
    pub accounts: Vec<Arc<str>>,
    /// Any of these; empty: every address.
    pub clients: Vec<IpNet>,
    /// Not those that fit this.
    pub not: Option<Box<Match>>,
}

impl Match {
    /// Whether the parts that a route can settle cover a request: path, method and host.
    pub fn covers(&self, method: &Method, host: &str, path: &str) -> bool {
        (self.methods.is_empty()
            || self.methods.contains(method)
            || (method == Method::HEAD && self.methods.contains(&Method::GET)))
            && (self.hosts.is_empty() || self.hosts.iter().any(|h| host_matches(h, host)))
            && (self.paths.is_empty() || self.paths.iter().any(|t| t.matches(path)))
    }

    /// Whether anything but path, method and host is asked for.
    pub fn asks_who(&self) -> bool {
        !self.headers.is_empty()
            || !self.plans.is_empty()
            || !self.accounts.is_empty()
            || !self.clients.is_empty()
            || self.not.is_some()
    }
}

/// Who is counted, but never limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exempt {
    pub ranges: Vec<IpNet>,
    pub accounts: Vec<Arc<str>>,
}

impl Exempt {
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty() && self.accounts.is_empty()
    }
}

/// How much a limit allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// At most `units` in every window of length `window`.
    SlidingWindow { units: NonZeroU64, window: Duration },
    /// GCRA: `units` per `window`, paced, with `burst` at once.
    Gcra { units: NonZeroU64, window: Duration, burst: NonZeroU32 },
    /// Requests in flight.
    Concurrency { requests: NonZeroU32 },
    /// At most `units` in a long period, kept over restarts.
    Quota { units: NonZeroU64, period: Period },
}

/// The period of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// The last so-and-so long, at any moment.
    Rolling(Duration),
    /// A month of the calendar, in UTC.
    Month,
}

/// What a rate counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Cost {
    /// Requests, by their route's weight.
    #[default]
    Requests,
    RequestBytes,
    ResponseBytes,
    /// Both ways.
    Bytes,
    /// Time spent waiting on the upstream, in microseconds, each begun one counted.
    UpstreamTime,
}

impl Cost {
    pub const fn name(self) -> &'static str {
        match self {
            Cost::Requests => "requests",
            Cost::RequestBytes => "request-bytes",
            Cost::ResponseBytes => "response-bytes",
            Cost::Bytes => "bytes",
            Cost::UpstreamTime => "upstream-time",
        }
    }

    /// Whether it is known only after the request.
    pub const fn is_settled(self) -> bool {
        !matches!(self, Cost::Requests)
    }
}

/// What is done with a request that is over a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Over {
    #[default]
    Reject,
    /// It waits its turn, `wait_max` at the longest; with more than `queue_max` waiting it is refused.
    Delay { wait_max: Duration, queue_max: u32 },
}
