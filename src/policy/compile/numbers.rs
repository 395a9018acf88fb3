//! The numbers of limits: units that agree, paces that can be kept, and room for every route's weight.

use std::num::NonZeroU32;

use super::routes::WrittenRoute;
use super::{ONE, reach};
use crate::config::limits::{self as written, Algorithm, Numbers};
use crate::config::units::{Amount, Rate, WINDOW_MAX};
use crate::config::{At, Diagnostic, Place, Problems};
use crate::policy::{Cost, Match};

/// Checks the units of `numbers`, the limit's own or those of a plan or an agreement, as they are written.
pub(super) fn check_units(limit: &written::Limit, numbers: &Numbers, problems: &Problems) {
    let cost = cost(limit);
    if let Some(rate) = &numbers.rate {
        check_unit("rate", rate.place, rate.value.amount, cost, problems);
    }
    if let Some(quota) = &numbers.quota {
        check_unit("quota", quota.place, quota.value.amount, cost, problems);
    }
    let Some(burst) = &numbers.burst else { return };
    if limit.numbers.rate.is_some() && algorithm(limit) != Algorithm::Gcra {
        problems.add(
            Diagnostic::error(burst.place, "`burst` belongs to `algorithm = \"gcra\"`")
                .expected("no `burst` with a sliding window, which admits N in any pattern"),
        );
    } else if cost.is_settled() {
        problems.add(
            Diagnostic::error(
                burst.place,
                format!("`burst` counts requests, but the limit counts {}", unit(cost)),
            )
            .expected("no `burst`: what is known only afterwards is a debt that the next requests wait for"),
        );
    }
}

/// Checks the numbers in force for somebody, `numbers` and the limit's own where they say nothing, against what the
/// limit counts and how.
///
/// Without `matches` (its templates are wrong, which was reported) nothing is said about weights.
pub(super) fn check(
    limit: &written::Limit,
    numbers: &Numbers,
    matches: Option<&Match>,
    routes: &[WrittenRoute],
    problems: &Problems,
) {
    if cost(limit) != Cost::Requests {
        return;
    }
    let rate = numbers.rate.or(limit.numbers.rate);
    if let (Some(rate), Algorithm::Gcra) = (&rate, algorithm(limit)) {
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

fn cost(limit: &written::Limit) -> Cost {
    limit.cost.as_ref().map(|cost| cost.value).unwrap_or_default()
}

const fn unit(cost: Cost) -> &'static str {
    match cost {
        Cost::Requests => "requests",
        Cost::UpstreamTime => "upstream time",
        Cost::RequestBytes | Cost::ResponseBytes | Cost::Bytes => "bytes",
    }
}

/// The unit of an amount must be that of its cost.
fn check_unit(what: &str, place: Place, amount: Amount, cost: Cost, problems: &Problems) {
    let (fits, example) = match cost {
        Cost::Requests => (matches!(amount, Amount::Count(_)), "a plain count such as \"100/10s\""),
        Cost::UpstreamTime => (matches!(amount, Amount::Time(_)), "a time such as \"120s/min\""),
        Cost::RequestBytes | Cost::ResponseBytes | Cost::Bytes => {
            (matches!(amount, Amount::Bytes(_)), "a size such as \"2GiB/h\"")
        }
    };
    if fits {
        return;
    }
    let (written, needed) = match amount {
        Amount::Count(_) => ("a plain count", "no `cost`"),
        Amount::Time(_) => ("a time", "`cost = \"upstream-time\"`"),
        Amount::Bytes(_) => ("a size", "`cost = \"bytes\"`, \"request-bytes\" or \"response-bytes\""),
    };
    problems.add(
        Diagnostic::error(place, format!("the {what} is {written}, but the limit counts {}", unit(cost)))
            .expected(example)
            .help(format!("{written} needs {needed}")),
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
    let Some((most, place, what)) = admitted_at_once(limit, numbers) else { return };
    for (at, heavy) in routes.iter().enumerate() {
        let weight = heavy.route.weight.get();
        if u64::from(weight) > most && reach::meets(matches, routes, at) {
            let (route, name) = (&heavy.route.name, &limit.name.value);
            problems.add(
                Diagnostic::error(
                    heavy.weight_place.unwrap_or(heavy.place),
                    format!("one request to \"{route}\" weighs {weight}, more than \"{name}\" {what}"),
                )
                .expected(format!("a weight of at most {most}"))
                .related(place, format!("admits at most {most} at once"))
                .help("lower the weight, raise the limit, or keep the limit from this route by its `match`"),
            );
        }
    }
}

/// The heaviest request that ever fits, where that is written, and in words. `None` for what counts otherwise.
fn admitted_at_once(limit: &written::Limit, numbers: &Numbers) -> Option<(u64, Place, &'static str)> {
    let numbers = numbers.or(limit.numbers);
    if let Some(quota) = numbers.quota {
        return Some((quota.value.amount.units()?.get(), quota.place, "allows in its period"));
    }
    let rate = numbers.rate?;
    let Amount::Count(units) = rate.value.amount else { return None };
    Some(match algorithm(limit) {
        Algorithm::SlidingWindow => (units.get(), rate.place, "allows in a window"),
        Algorithm::Gcra => {
            (u64::from(burst(limit, &numbers).get()), rate.place, "allows at once (its burst)")
        }
    })
}
