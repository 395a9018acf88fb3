//! The numbers of limits: units that agree, paces that can be kept, and room for every route's weight.

use std::num::NonZeroU32;

use super::ONE;
use super::routes::{self, WrittenRoute};
use crate::config::limits::{self as written, Algorithm, Cost, Numbers};
use crate::config::units::{Amount, Rate, WINDOW_MAX};
use crate::config::{At, Diagnostic, Problems};
use crate::policy::Match;

/// Checks `numbers`, the limit's own or those of a plan or an agreement, against what the limit counts and how.
///
/// Without `matches` (its templates are wrong, which was reported) nothing is said about weights.
pub(super) fn check(
    limit: &written::Limit,
    numbers: &Numbers,
    matches: Option<&Match>,
    routes: &[WrittenRoute],
    problems: &Problems,
) {
    let cost = limit.cost.as_ref().map_or(Cost::Requests, |cost| cost.value);
    for rate in numbers.rate.iter().chain(&numbers.quota) {
        check_unit(rate, cost, problems);
    }
    let gcra = algorithm(limit) == Algorithm::Gcra;
    if let Some(burst) = numbers.burst.as_ref().filter(|_| !gcra && limit.numbers.rate.is_some()) {
        problems.add(
            Diagnostic::error(burst.place, "`burst` belongs to `algorithm = \"gcra\"`")
                .expected("no `burst` with a sliding window, which admits N in any pattern"),
        );
    }
    let rate = numbers.rate.as_ref().or(limit.numbers.rate.as_ref());
    if let (Some(rate), true) = (rate, gcra) {
        check_pace(rate, burst(limit, numbers), problems);
    }
    if let Some(matches) = matches {
        check_weights(limit, numbers, matches, routes, problems);
    }
}

/// The algorithm of a rate. Sliding windows are the default: they hold N in every window, and need no burst.
pub(super) fn algorithm(limit: &written::Limit) -> Algorithm {
    limit.algorithm.as_ref().map_or(Algorithm::SlidingWindow, |algorithm| algorithm.value)
}

/// The burst in force: what `numbers` say, else the limit itself, else 1.
pub(super) fn burst(limit: &written::Limit, numbers: &Numbers) -> NonZeroU32 {
    let burst = numbers.burst.as_ref().or(limit.numbers.burst.as_ref());
    burst.and_then(|burst| NonZeroU32::new(burst.value)).unwrap_or(ONE)
}

/// The unit of a rate must be that of its cost.
fn check_unit(rate: &At<Rate>, cost: Cost, problems: &Problems) {
    let (fits, counted, example) = match cost {
        Cost::Requests => {
            (matches!(rate.value.amount, Amount::Count(_)), "requests", "a plain count such as \"100/10s\"")
        }
        Cost::UpstreamTime => {
            (matches!(rate.value.amount, Amount::Time(_)), "upstream time", "a time such as \"120s/min\"")
        }
        Cost::RequestBytes | Cost::ResponseBytes | Cost::Bytes => {
            (matches!(rate.value.amount, Amount::Bytes(_)), "bytes", "a size such as \"2GiB/h\"")
        }
    };
    if fits {
        return;
    }
    let (unit, needed) = match rate.value.amount {
        Amount::Count(_) => ("a plain count", "no `cost`"),
        Amount::Time(_) => ("a time", "`cost = \"upstream-time\"`"),
        Amount::Bytes(_) => ("a size", "`cost = \"bytes\"`, \"request-bytes\" or \"response-bytes\""),
    };
    problems.add(
        Diagnostic::error(rate.place, format!("the rate is {unit}, but the limit counts {counted}"))
            .expected(example)
            .help(format!("{unit} needs {needed}")),
    );
}

/// GCRA keeps time in nanoseconds: a unit must take at least one, and a whole burst must not take for ever.
fn check_pace(rate: &At<Rate>, burst: NonZeroU32, problems: &Problems) {
    let Amount::Count(units) = rate.value.amount else { return };
    let interval = rate.value.window.as_nanos() / u128::from(units.get());
    if interval == 0 {
        problems.add(
            Diagnostic::error(rate.place, "the rate is too fast for GCRA").expected("at most 1G in a second"),
        );
    }
    if interval.saturating_mul(u128::from(burst.get())) > WINDOW_MAX.as_nanos() {
        problems.add(
            Diagnostic::error(rate.place, format!("a burst of {burst} takes more than a year to come back"))
                .expected("a smaller burst, or a faster rate"),
        );
    }
}

/// A request that weighs more than a limit ever admits at once would be refused for ever.
fn check_weights(
    limit: &written::Limit,
    numbers: &Numbers,
    matches: &Match,
    routes: &[WrittenRoute],
    problems: &Problems,
) {
    let Some(rate) = numbers.rate.as_ref().or(limit.numbers.rate.as_ref()) else { return };
    let Amount::Count(units) = rate.value.amount else { return };
    let (most, what) = match algorithm(limit) {
        Algorithm::SlidingWindow => (units.get(), "allows in a window"),
        Algorithm::Gcra => (u64::from(burst(limit, numbers).get()), "allows at once (its burst)"),
    };
    for (at, heavy) in routes.iter().enumerate() {
        let weight = heavy.route.weight.get();
        let reached = || reaches(matches, heavy, routes.get(..at).unwrap_or_default());
        if u64::from(weight) > most && reached() {
            let place = heavy.weight_place.unwrap_or(heavy.place);
            let (route, name) = (&heavy.route.name, &limit.name.value);
            problems.add(
                Diagnostic::error(
                    place,
                    format!("one request to \"{route}\" weighs {weight}, more than \"{name}\" {what}"),
                )
                .expected(format!("a weight of at most {most}"))
                .related(rate.place, format!("admits at most {most} at once"))
                .help("lower the weight, raise the limit, or keep the limit from this route by its `match`"),
            );
        }
    }
}

/// Whether a limit certainly meets requests of a route: its templates and the route's cover one another, and
/// no earlier route takes what they share. Templates that only overlap are given the benefit of the doubt.
fn reaches(matches: &Match, route: &WrittenRoute, earlier: &[WrittenRoute]) -> bool {
    let host = route.route.host.as_deref();
    let hosts = matches.hosts.is_empty()
        || matches
            .hosts
            .iter()
            .any(|h| routes::host_covers(Some(h), host) || routes::host_covers(host, Some(h)));
    let paths = matches.paths.is_empty()
        || matches.paths.iter().any(|path| {
            let taken = || {
                earlier
                    .iter()
                    .any(|e| routes::host_covers(e.route.host.as_deref(), host) && e.route.path.covers(path))
            };
            path.covers(&route.route.path) || (route.route.path.covers(path) && !taken())
        });
    hosts && paths
}
