//! Limits: those that can run, and what is wrong with the others.

use std::num::NonZeroU32;
use std::time::Duration;

use super::routes::WrittenRoute;
use super::{clauses, matches, numbers, without_effect};
use crate::config::limits::{self as written, Algorithm, Delay, KeyPart, Numbers};
use crate::config::{At, Config, Diagnostic, Problems};
use crate::policy::path::PathRules;
use crate::policy::{Bound, ClauseId, Cost, Limit, LimitId, LimitKey, Match, Missing, Over, WhoPart};

/// Without `delay`, a request waits no longer than a person takes for slowness.
const DELAY_MAX: Duration = Duration::from_secs(1);
const DELAY_QUEUE: u32 = 100;

/// What became of each written limit.
#[derive(Debug)]
pub(super) struct CompiledLimits {
    pub(super) list: Vec<Limit>,
    /// In the order in which they are written.
    written: Vec<Compiled>,
}

#[derive(Debug)]
struct Compiled {
    /// Which of `list`; `None` if it has no effect or is wrong.
    id: Option<LimitId>,
    /// `None` if it is wrong, which was reported.
    matches: Option<Match>,
}

impl CompiledLimits {
    /// Which limit of the policy the one is that is written at `at`.
    pub(super) fn id(&self, at: usize) -> Option<LimitId> {
        self.written.get(at)?.id
    }

    pub(super) fn matches(&self, at: usize) -> Option<&Match> {
        self.written.get(at)?.matches.as_ref()
    }
}

pub(super) fn compile(
    config: &Config,
    rules: PathRules,
    routes: &[WrittenRoute],
    problems: &Problems,
) -> CompiledLimits {
    report_double_names(&config.limits, problems);
    let mut compiled = CompiledLimits { list: Vec::new(), written: Vec::new() };
    for limit in &config.limits {
        let matches = matches::compile(&limit.matches.value, config, rules, problems);
        numbers::check_units(limit, &limit.numbers, problems);
        numbers::check(limit, &limit.numbers, matches.as_ref(), routes, problems);
        let runs = one(limit, matches.clone(), config, problems)
            .filter(|_| without_effect::of_limit(limit, config).is_none());
        let id = runs.as_ref().and_then(|_| u16::try_from(compiled.list.len()).ok()).map(LimitId);
        compiled.list.extend(runs);
        compiled.written.push(Compiled { id, matches });
    }
    compiled
}

/// What `numbers` allow, and the limit's own where they say nothing.
pub(super) fn bound(limit: &written::Limit, numbers: &Numbers) -> Option<Bound> {
    let Numbers { rate, concurrency, quota, .. } = numbers.or(limit.numbers);
    if let Some(concurrency) = concurrency {
        return NonZeroU32::new(concurrency.value).map(|requests| Bound::Concurrency { requests });
    }
    if let Some(quota) = quota {
        return Some(Bound::Quota { units: quota.value.amount.units()?, period: quota.value.period });
    }
    let rate = rate?.value;
    let (units, window) = (rate.amount.units()?, rate.window);
    Some(match numbers::algorithm(limit) {
        Algorithm::SlidingWindow => Bound::SlidingWindow { units, window },
        Algorithm::Gcra => Bound::Gcra { units, window, burst: numbers::burst(limit, numbers) },
    })
}

/// Checks everything about a limit but its numbers. `None` if something is wrong with it.
fn one(
    limit: &written::Limit,
    matches: Option<Match>,
    config: &Config,
    problems: &Problems,
) -> Option<Limit> {
    let clause = match &limit.clause {
        Some(id) => clauses::resolve(id, config, problems),
        None => default_clause(limit, config, problems),
    };
    check_key(limit, problems);
    check_shape(limit, problems);
    let exempt = matches::exempt(&limit.exempt, config, problems);
    Some(Limit {
        name: limit.name.value.clone(),
        clause: clause?,
        key: compile_key(limit),
        matches: matches?,
        bound: bound(limit, &Numbers::default())?,
        cost: cost(limit),
        over: over(limit),
        mode: limit.mode.unwrap_or_default(),
        exempt,
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

/// No part twice, nobody beside everyone, and something that can be missing if that is spoken of.
fn check_key(limit: &written::Limit, problems: &Problems) {
    let key = &limit.key.value;
    for (at, part) in key.iter().enumerate() {
        if let Some(first) = key.iter().take(at).find(|other| other.value == part.value) {
            problems.add(
                Diagnostic::error(part.place, "a part of `key` is written twice")
                    .expected("each part once")
                    .related(first.place, "the first"),
            );
        }
    }
    let everyone = key.iter().find(|part| part.value == KeyPart::Everyone);
    let somebody = key.iter().find(|part| is_who(&part.value) && part.value != KeyPart::Everyone);
    if let (Some(everyone), Some(somebody)) = (everyone, somebody) {
        problems.add(
            Diagnostic::error(everyone.place, "`key` counts everyone together, and somebody apart")
                .expected("\"everyone\" alone or with route, upstream and method, or else without it")
                .related(somebody.place, "who is counted apart"),
        );
    }
    if let Some(missing) = &limit.missing
        && !key.is_empty()
        && !key.iter().any(|part| can_be_missing(&part.value))
    {
        problems.add(
            Diagnostic::error(missing.place, "nothing in `key` can be missing from a request")
                .expected("`missing` beside account, session, fingerprint or header:NAME")
                .related(limit.key.place, "every request has these"),
        );
    }
}

fn is_who(part: &KeyPart) -> bool {
    !matches!(part, KeyPart::Route | KeyPart::Upstream | KeyPart::Method)
}

/// Every request has an address, and so a client and a network.
pub(super) fn can_be_missing(part: &KeyPart) -> bool {
    matches!(part, KeyPart::Account | KeyPart::Session | KeyPart::Fingerprint | KeyPart::Header(_))
}

fn compile_key(limit: &written::Limit) -> LimitKey {
    let parts = || limit.key.value.iter().map(|part| &part.value);
    let who = parts().filter_map(|part| match part {
        KeyPart::Client => Some(WhoPart::Client),
        KeyPart::Network => Some(WhoPart::Network),
        KeyPart::Account => Some(WhoPart::Account),
        KeyPart::Session => Some(WhoPart::Session),
        KeyPart::Header(name) => Some(WhoPart::Header(name.clone())),
        KeyPart::Fingerprint => Some(WhoPart::Fingerprint),
        KeyPart::Everyone | KeyPart::Route | KeyPart::Upstream | KeyPart::Method => None,
    });
    let has = |part: KeyPart| parts().any(|p| *p == part);
    LimitKey {
        who: who.collect(),
        per_route: has(KeyPart::Route),
        per_upstream: has(KeyPart::Upstream),
        per_method: has(KeyPart::Method),
        missing: limit.missing.as_ref().map_or(Missing::Skip, |missing| missing.value),
    }
}

/// What of a limit's words do not go together, whatever its numbers.
fn check_shape(limit: &written::Limit, problems: &Problems) {
    let numbers = &limit.numbers;
    let refuse = |place, message: &str, expected: &str| {
        problems.add(Diagnostic::error(place, message).expected(expected));
    };
    let has_number = numbers.rate.is_some() || numbers.concurrency.is_some() || numbers.quota.is_some();
    let unrated = numbers.rate.is_none() && has_number;
    if let Some(algorithm) = limit.algorithm.as_ref().filter(|_| unrated) {
        let expected = "no `algorithm` beside `concurrency` or `quota`";
        refuse(algorithm.place, "`algorithm` belongs to a `rate`", expected);
    }
    if let Some(cost) = limit.cost.as_ref().filter(|cost| cost.value != Cost::Requests)
        && numbers.concurrency.is_some()
    {
        refuse(cost.place, "`concurrency` counts requests", "no `cost` beside `concurrency`");
    }
    let delays = limit.over.as_ref().filter(|over| over.value == written::Over::Delay);
    if let Some(over) = delays.filter(|_| unrated) {
        let expected =
            "no `over = \"delay\"` beside `concurrency` or `quota`: nobody knows when there is room again";
        refuse(over.place, "`over = \"delay\"` belongs to a `rate`", expected);
    }
    if let (Some(delay), None) = (&limit.delay, delays) {
        refuse(
            delay.place,
            "`delay` belongs to `over = \"delay\"`",
            "`over = \"delay\"` beside it, or no `delay`",
        );
    }
}

fn cost(limit: &written::Limit) -> Cost {
    limit.cost.as_ref().map(|cost| cost.value).unwrap_or_default()
}

fn over(limit: &written::Limit) -> Over {
    if limit.over.as_ref().is_none_or(|over| over.value == written::Over::Reject) {
        return Over::Reject;
    }
    let Delay { max, queue } = limit.delay.as_ref().map(|delay| delay.value).unwrap_or_default();
    Over::Delay { wait_max: max.unwrap_or(DELAY_MAX), queue_max: queue.unwrap_or(DELAY_QUEUE) }
}
