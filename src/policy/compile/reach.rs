//! Which limits meet which routes: exact for paths and hosts, so that nobody is warned in vain.

use super::routes::{WrittenRoute, host_covers};
use crate::policy::Match;
use crate::policy::template::Template;

/// Whether some request to the route at `at` can be matched: one that no earlier route takes, and that `not` does
/// not except by its path and host alone.
pub(super) fn meets(matches: &Match, routes: &[WrittenRoute], at: usize) -> bool {
    let Some((route, earlier)) = routes.get(at).zip(routes.get(..at)) else { return false };
    let (host, path) = (route.route.host.as_deref(), &route.route.path);
    shared_hosts(&matches.hosts, host).iter().any(|host| {
        shared_paths(&matches.paths, path).iter().any(|path| {
            let taken = earlier
                .iter()
                .any(|e| host_covers(e.route.host.as_deref(), *host) && e.route.path.covers(path));
            let excepted = matches.not.as_ref().is_some_and(|not| {
                !asks_more_than_where(not) && covers_host(not, *host) && covers_path(not, path)
            });
            !taken && !excepted
        })
    })
}

/// Whether every request to the route is matched, whoever sends it.
pub(super) fn covers(matches: &Match, route: &WrittenRoute) -> bool {
    let (host, path) = (route.route.host.as_deref(), &route.route.path);
    let untouched =
        |not: &Match| shared_hosts(&not.hosts, host).is_empty() || shared_paths(&not.paths, path).is_empty();
    let Match { headers, plans, accounts, clients, .. } = matches;
    let names_nobody = headers.is_empty() && plans.is_empty() && accounts.is_empty() && clients.is_empty();
    names_nobody
        && matches.methods.is_empty()
        && covers_host(matches, host)
        && covers_path(matches, path)
        && matches.not.as_deref().is_none_or(untouched)
}

fn asks_more_than_where(matches: &Match) -> bool {
    matches.asks_who() || !matches.methods.is_empty()
}

fn covers_host(matches: &Match, host: Option<&str>) -> bool {
    matches.hosts.is_empty() || matches.hosts.iter().any(|wide| host_covers(Some(wide), host))
}

fn covers_path(matches: &Match, path: &Template) -> bool {
    matches.paths.is_empty() || matches.paths.iter().any(|wide| wide.covers(path))
}

/// What the hosts of a match share with the host of a route; without hosts, all of it.
fn shared_hosts<'h>(hosts: &'h [String], host: Option<&'h str>) -> Vec<Option<&'h str>> {
    if hosts.is_empty() {
        return vec![host];
    }
    // Of two patterns one covers the other, or they share nothing.
    let shared = |pattern: &'h String| {
        let pattern = Some(pattern.as_str());
        match (host_covers(host, pattern), host_covers(pattern, host)) {
            (true, _) => Some(pattern),
            (_, true) => Some(host),
            _ => None,
        }
    };
    hosts.iter().filter_map(shared).collect()
}

fn shared_paths(paths: &[Template], path: &Template) -> Vec<Template> {
    if paths.is_empty() {
        return vec![path.clone()];
    }
    paths.iter().filter_map(|other| other.intersection(path)).collect()
}
