//! Limits: those that can run, and what is wrong with the others.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::ONE;
use super::clauses;
use super::routes::{self, WrittenRoute};
use super::without_effect;
use crate::config::limits::{self as written, Algorithm, Cost, KeyPart, Numbers};
use crate::config::units::{Amount, Rate, WINDOW_MAX};
use crate::config::{At, Config, Diagnostic, Place, Problems};
use crate::policy::path::PathRules;
use crate::policy::{Bound, Limit, LimitKey, Match, PrincipalKind};

pub(super) fn compile(
    config: &Config,
    rules: PathRules,
    routes: &[WrittenRoute],
    problems: &Problems,
) -> Vec<Limit> {
    report_double_names(&config.limits, problems);
    config.limits.iter().filter_map(|limit| one(limit, config, rules, routes, problems)).collect()
}

/// Checks everything about a limit. `None` if it has no effect yet, or something is wrong with it.
fn one(
    limit: &written::Limit,
    config: &Config,
    rules: PathRules,
    routes: &[WrittenRoute],
    problems: &Problems,
) -> Option<Limit> {
    let clause = match &limit.clause {
        Some(id) => clauses::resolve(id, config, problems),
        None => default_clause(limit, config, problems),
    };
    check_key(&limit.key, problems);
    check_shape(limit, problems);
    check_numbers(limit, &limit.numbers, problems);
    let matches = compile_match(&limit.matches, rules, problems);
    check_weights(limit, &limit.numbers, &matches, routes, problems);
    if without_effect::of_limit(limit).is_some() {
        return None;
    }
    Some(Limit {
        name: limit.name.value.clone(),
        clause: clause?,
        key: compile_key(&limit.key.value),
        matches,
        bound: bound(limit)?,
        mode: limit.mode.unwrap_or_default(),
    })
}

fn default_clause(
    limit: &written::Limit,
    config: &Config,
    problems: &Problems,
) -> Option<crate::policy::ClauseId> {
    let known = config.clauses.iter().any(|clause| clause.id.value == clauses::DEFAULT);
    if known || config.clauses.is_empty() {
        return clauses::resolve(&At::new(clauses::DEFAULT.to_owned(), limit.place), config, problems);
    }
    problems.add(
        Diagnostic::error(limit.name.place, format!("the limit \"{}\" has no clause", limit.name.value))
            .expected(format!("`clause`, as the policy has no clause \"{}\" to stand in", clauses::DEFAULT)),
    );
    None
}

fn report_double_names(limits: &[written::Limit], problems: &Problems) {
    for (at, limit) in limits.iter().enumerate() {
        if let Some(first) = limits.iter().take(at).find(|other| other.name.value == limit.name.value) {
            problems.add(
                Diagnostic::error(
                    limit.name.place,
                    format!("two limits are called \"{}\"", limit.name.value),
                )
                .expected("a name of its own for each limit")
                .related(first.name.place, "the first"),
            );
        }
    }
}

/// At most one principal; no part twice.
fn check_key(key: &At<Vec<At<KeyPart>>>, problems: &Problems) {
    let mut principal: Option<Place> = None;
    for (at, part) in key.value.iter().enumerate() {
        if let Some(first) = key.value.iter().take(at).find(|other| other.value == part.value) {
            problems.add(
                Diagnostic::error(part.place, "a part of `key` is written twice")
                    .expected("each part once")
                    .related(first.place, "the first"),
            );
        } else if is_principal(&part.value) {
            if let Some(first) = principal {
                problems.add(
                    Diagnostic::error(part.place, "`key` has two principals")
                        .expected(
                            "one of client, network, account, session, fingerprint, header:NAME and everyone, \
                             with any of route, upstream and method",
                        )
                        .related(first, "the first")
                        .help("write a limit for each"),
                );
            }
            principal = principal.or(Some(part.place));
        }
    }
}

fn is_principal(part: &KeyPart) -> bool {
    !matches!(part, KeyPart::Route | KeyPart::Upstream | KeyPart::Method)
}

fn compile_key(parts: &[At<KeyPart>]) -> LimitKey {
    let has = |part: KeyPart| parts.iter().any(|p| p.value == part);
    LimitKey {
        principal: if has(KeyPart::Client) { PrincipalKind::Client } else { PrincipalKind::Everyone },
        per_route: has(KeyPart::Route),
        per_upstream: has(KeyPart::Upstream),
        per_method: has(KeyPart::Method),
    }
}

/// What of a limit's words do not go together, whatever its numbers.
fn check_shape(limit: &written::Limit, problems: &Problems) {
    let numbers = &limit.numbers;
    let rated = numbers.rate.is_some();
    if let Some(algorithm) = limit.algorithm.as_ref().filter(|_| !rated && has_number(numbers)) {
        problems.add(
            Diagnostic::error(algorithm.place, "`algorithm` belongs to a `rate`")
                .expected("no `algorithm` beside `concurrency` or `quota`"),
        );
    }
    if let Some(cost) = limit.cost.as_ref().filter(|cost| cost.value != Cost::Requests)
        && numbers.concurrency.is_some()
    {
        problems.add(
            Diagnostic::error(cost.place, "`concurrency` counts requests")
                .expected("no `cost` beside `concurrency`"),
        );
    }
}

fn has_number(numbers: &Numbers) -> bool {
    numbers.rate.is_some() || numbers.concurrency.is_some() || numbers.quota.is_some()
}

/// Checks the numbers that a plan or an agreement puts in place of a limit's own.
pub(super) fn check_layer(
    limit: &written::Limit,
    numbers: &Numbers,
    rules: PathRules,
    routes: &[WrittenRoute],
    problems: &Problems,
) {
    check_numbers(limit, numbers, problems);
    // What is wrong with its templates was reported with the limit.
    let matches = compile_match(&limit.matches, rules, &Problems::default());
    check_weights(limit, numbers, &matches, routes, problems);
}

/// Whether numbers, the limit's own or another layer's, fit what the limit counts and how.
fn check_numbers(limit: &written::Limit, numbers: &Numbers, problems: &Problems) {
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

fn algorithm(limit: &written::Limit) -> Algorithm {
    limit.algorithm.as_ref().map_or(Algorithm::SlidingWindow, |algorithm| algorithm.value)
}

fn burst(limit: &written::Limit, numbers: &Numbers) -> NonZeroU32 {
    let burst = numbers.burst.as_ref().or(limit.numbers.burst.as_ref());
    burst.and_then(|burst| NonZeroU32::new(burst.value)).unwrap_or(ONE)
}

fn compile_match(matches: &written::Match, rules: PathRules, problems: &Problems) -> Match {
    Match {
        paths: matches.paths.iter().filter_map(|path| routes::template(path, rules, problems)).collect(),
        methods: matches.methods.clone(),
        hosts: matches.hosts.iter().map(|host| host.value.clone()).collect(),
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

fn bound(limit: &written::Limit) -> Option<Bound> {
    if let Some(concurrency) = &limit.numbers.concurrency {
        return NonZeroU32::new(concurrency.value).map(|requests| Bound::Concurrency { requests });
    }
    let rate = limit.numbers.rate.as_ref()?.value;
    let (units, window): (NonZeroU64, Duration) = match rate.amount {
        Amount::Count(units) => (units, rate.window),
        Amount::Time(_) | Amount::Bytes(_) => return None,
    };
    Some(match algorithm(limit) {
        Algorithm::SlidingWindow => Bound::SlidingWindow { units, window },
        Algorithm::Gcra => Bound::Gcra { units, window, burst: burst(limit, &limit.numbers) },
    })
}
