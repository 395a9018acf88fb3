//! Which server takes a request: power of two choices by requests in flight.
//!
//! Mitzenmacher, "The power of two choices in randomized load balancing", IEEE TPDS 2001: the better of two
//! random servers is nearly as good as the best of all, without the herd that the best attracts.

use std::sync::Arc;

use super::server::Server;
use crate::time::Moment;

/// The server for the next request, or none when active checks hold every server for down.
///
/// `tried` is avoided as long as there is another. Ejected servers are taken only when nothing else is left:
/// a guess about failures in passing must not turn a bad minute into an outage of weir's own making.
pub fn pick<'a>(
    servers: &'a [Arc<Server>],
    tried: Option<&Arc<Server>>,
    now: Moment,
) -> Option<&'a Arc<Server>> {
    let fresh = |s: &Server| !tried.is_some_and(|t| std::ptr::eq(Arc::as_ptr(t), s));
    choose(servers, |s| fresh(s) && s.health.is_healthy(now))
        .or_else(|| choose(servers, |s| s.health.is_healthy(now)))
        .or_else(|| choose(servers, |s| s.health.passes_checks()))
}

fn choose(servers: &[Arc<Server>], fit: impl Fn(&Server) -> bool) -> Option<&Arc<Server>> {
    if let [only] = servers {
        return fit(only).then_some(only);
    }
    let count = servers.iter().filter(|s| fit(s)).count();
    if count == 0 {
        return None;
    }
    let nth = |n: usize| servers.iter().filter(|s| fit(s)).nth(n);
    // Health may change between count and nth; a missing second choice is simply no choice.
    let one = nth(fastrand::usize(..count))?;
    let two = nth(fastrand::usize(..count)).unwrap_or(one);
    let better = if load(two) < load(one) { two } else { one };
    if better.gate.has_room() {
        return Some(better);
    }
    // Both may be full while a third is not: rather look at all than queue beside an idle server.
    servers.iter().filter(|s| fit(s) && s.gate.has_room()).min_by_key(|s| load(s)).or(Some(better))
}

fn load(server: &Server) -> u32 {
    server.in_flight()
}
