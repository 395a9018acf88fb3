//! What no limit covers, and which limits cover nothing: it can run, but is probably not meant.

use super::limits::{CompiledLimits, can_be_missing};
use super::reach;
use super::routes::WrittenRoute;
use crate::config::limits::{KeyPart, Limit};
use crate::config::{Config, Diagnostic, Problems};
use crate::policy::{Match, Missing};
use crate::remedy::Mode;

pub(super) fn check(config: &Config, limits: &CompiledLimits, routes: &[WrittenRoute], problems: &Problems) {
    for (at, limit) in config.limits.iter().enumerate() {
        if let Some(matches) = limits.matches(at) {
            warn_of_no_route(limit, matches, routes, problems);
            warn_of_nobody(limit, matches, config, problems);
        }
    }
    warn_of_unlimited_strangers(config, limits, routes, problems);
}

fn warn_of_no_route(limit: &Limit, matches: &Match, routes: &[WrittenRoute], problems: &Problems) {
    if routes.is_empty() || (0..routes.len()).any(|at| reach::meets(matches, routes, at)) {
        return;
    }
    let message = format!("the limit \"{}\" never applies: no route takes what it matches", limit.name.value);
    problems.add(
        Diagnostic::warning(limit.matches.place, message)
            .help("the first route that matches takes a request; what none matches is answered with 404"),
    );
}

/// A limit on somebody whom nothing in the configuration lets weir recognise.
fn warn_of_nobody(limit: &Limit, matches: &Match, config: &Config, problems: &Problems) {
    let identity = &config.identity;
    let skips = missing(limit) == Missing::Skip;
    let by = |part: KeyPart| limit.key.value.iter().find(|p| skips && p.value == part).map(|p| p.place);
    let knows_accounts = !identity.account.is_empty() || identity.learn_account_from.is_some();
    let asks_for_account = !(matches.plans.is_empty() && matches.accounts.is_empty());
    let account = by(KeyPart::Account).or(asks_for_account.then_some(limit.matches.place));
    let name = &limit.name.value;
    if let Some(place) = account.filter(|_| !knows_accounts) {
        problems.add(
            Diagnostic::warning(
                place,
                format!("the limit \"{name}\" never applies: no request has an account"),
            )
            .help("say under [identity] where a credential stands: `account = [\"bearer\"]`"),
        );
    }
    let knows_sessions =
        !identity.account.is_empty() || identity.session.as_ref().is_some_and(|s| !s.is_empty());
    if let Some(place) = by(KeyPart::Session).filter(|_| !knows_sessions) {
        problems.add(
            Diagnostic::warning(
                place,
                format!("the limit \"{name}\" never applies: no request has a session"),
            )
            .help("say under [identity] where a session stands: `session = [\"cookie:session\"]`"),
        );
    }
}

/// Limits on accounts leave those without one alone; then something else has to count them.
fn warn_of_unlimited_strangers(
    config: &Config,
    limits: &CompiledLimits,
    routes: &[WrittenRoute],
    problems: &Problems,
) {
    let all: Vec<(&Limit, &Match)> = config
        .limits
        .iter()
        .enumerate()
        .filter(|(_, limit)| limit.mode.unwrap_or_default() != Mode::Off)
        .filter_map(|(at, limit)| Some((limit, limits.matches(at)?)))
        .collect();
    let covered = |route: &&WrittenRoute| {
        all.iter().any(|(limit, matches)| {
            limit.mode.unwrap_or_default() == Mode::Enforce
                && counts_strangers(limit)
                && reach::covers(matches, route)
        })
    };
    let open: Vec<&WrittenRoute> = routes.iter().filter(|route| !covered(route)).collect();
    let ([first, rest @ ..], Some((last, _))) = (open.as_slice(), all.last()) else { return };
    let names: Vec<String> = open.iter().take(NAMED_MAX).map(|r| format!("\"{}\"", r.route.name)).collect();
    let more = match rest.len().saturating_sub(NAMED_MAX - 1) {
        0 => String::new(),
        more => format!(" and {more} more routes"),
    };
    let message =
        format!("requests without an account can reach {}{more} without meeting any limit", names.join(", "));
    let mut warning = Diagnostic::warning(first.place, message)
        .help("add a limit with `key = [\"client\"]` and no `match`, or `missing = \"shared\"` to one that skips them");
    if let Some((limit, _)) = all.iter().find(|(limit, _)| !counts_strangers(limit)) {
        warning = warning.related(limit.key.place, "this limit skips them");
    } else {
        warning = warning.related(last.matches.place, "limits cover a part only");
    }
    problems.add(warning);
}

/// Routes that one warning names.
const NAMED_MAX: usize = 4;

/// Whether a request that shows nothing but its address is counted.
fn counts_strangers(limit: &Limit) -> bool {
    missing(limit) == Missing::Shared || !limit.key.value.iter().any(|part| can_be_missing(&part.value))
}

fn missing(limit: &Limit) -> Missing {
    limit.missing.as_ref().map(|missing| missing.value).unwrap_or_default()
}
