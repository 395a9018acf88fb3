//! Limits: those that can run, and what is wrong with the others.

use std::num::NonZeroU32;

use super::routes::{self, WrittenRoute};
use super::{clauses, numbers, without_effect};
use crate::config::limits::{self as written, Algorithm, Cost, KeyPart, Numbers};
use crate::config::units::Amount;
use crate::config::{At, Config, Diagnostic, Place, Problems};
use crate::policy::path::PathRules;
use crate::policy::{Bound, ClauseId, Cost as Counted, Limit, LimitKey, Match, Missing, Over, WhoPart};

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
    let matches = compile_match(&limit.matches, rules, problems);
    numbers::check(limit, &limit.numbers, matches.as_ref(), routes, problems);
    if without_effect::of_limit(limit).is_some() {
        return None;
    }
    Some(Limit {
        name: limit.name.value.clone(),
        clause: clause?,
        key: compile_key(&limit.key.value),
        matches: matches?,
        bound: bound(limit)?,
        cost: Counted::Requests,
        over: Over::Reject,
        mode: limit.mode.unwrap_or_default(),
        exempt: Default::default(),
    })
}

fn default_clause(limit: &written::Limit, config: &Config, problems: &Problems) -> Option<ClauseId> {
    let known = config.clauses.iter().any(|clause| clause.id.value == clauses::DEFAULT);
    // Without any clause the policy file itself is what is wrong, and was reported.
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
        who: if has(KeyPart::Client) { vec![WhoPart::Client] } else { Vec::new() },
        per_route: has(KeyPart::Route),
        per_upstream: has(KeyPart::Upstream),
        per_method: has(KeyPart::Method),
        missing: Missing::Skip,
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

/// `None` when a template is wrong, which is reported: without it the limit would match more than was meant.
pub(super) fn compile_match(
    matches: &written::Match,
    rules: PathRules,
    problems: &Problems,
) -> Option<Match> {
    let paths: Vec<_> = matches.paths.iter().map(|path| routes::template(path, rules, problems)).collect();
    Some(Match {
        paths: paths.into_iter().collect::<Option<_>>()?,
        methods: matches.methods.clone(),
        hosts: matches.hosts.iter().map(|host| host.value.clone()).collect(),
        ..Match::default()
    })
}

fn bound(limit: &written::Limit) -> Option<Bound> {
    if let Some(concurrency) = &limit.numbers.concurrency {
        return NonZeroU32::new(concurrency.value).map(|requests| Bound::Concurrency { requests });
    }
    let rate = limit.numbers.rate.as_ref()?.value;
    let Amount::Count(units) = rate.amount else { return None };
    let window = rate.window;
    Some(match numbers::algorithm(limit) {
        Algorithm::SlidingWindow => Bound::SlidingWindow { units, window },
        Algorithm::Gcra => Bound::Gcra { units, window, burst: numbers::burst(limit, &limit.numbers) },
    })
}
