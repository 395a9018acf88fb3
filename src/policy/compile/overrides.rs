//! Plans and agreements: other numbers, for limits that exist.

use super::routes::WrittenRoute;
use super::{limits, numbers};
use crate::config::limits::{Limit, Numbers};
use crate::config::plans::Override;
use crate::config::{Config, Diagnostic, Problems};
use crate::policy::path::PathRules;

pub(super) fn check(config: &Config, rules: PathRules, routes: &[WrittenRoute], problems: &Problems) {
    let plans = config.plans.iter().flat_map(|plan| &plan.limits);
    let agreements = config.agreements.iter().flat_map(|agreement| &agreement.limits);
    for written in plans.chain(agreements) {
        if let Some(limit) = limit_of(written, config, problems) {
            check_kind(written, limit, problems);
            // What is wrong with its templates was reported with the limit.
            let matches = limits::compile_match(&limit.matches, rules, &Problems::default());
            numbers::check(limit, &written.numbers, matches.as_ref(), routes, problems);
        }
    }
    for agreement in &config.agreements {
        let known = |name: &str| config.plans.iter().any(|plan| plan.name.value == name);
        if let Some(plan) = agreement.plan.as_ref().filter(|plan| !known(&plan.value)) {
            let names = config.plans.iter().map(|plan| plan.name.value.as_str());
            problems.add(
                Diagnostic::error(plan.place, format!("no plan is called \"{}\"", plan.value))
                    .one_of(&plan.value, names),
            );
        }
    }
}

fn limit_of<'c>(written: &Override, config: &'c Config, problems: &Problems) -> Option<&'c Limit> {
    let name = &written.limit;
    let limit = config.limits.iter().find(|limit| limit.name.value == name.value);
    if limit.is_none() {
        let names = config.limits.iter().map(|limit| limit.name.value.as_str());
        problems.add(
            Diagnostic::error(name.place, format!("no limit is called \"{}\"", name.value))
                .one_of(&name.value, names),
        );
    }
    limit
}

/// An override changes numbers, never what kind of limit it is.
fn check_kind(written: &Override, limit: &Limit, problems: &Problems) {
    let kinds = |numbers: &Numbers| {
        [
            ("rate", numbers.rate.as_ref().map(|n| n.place)),
            ("concurrency", numbers.concurrency.as_ref().map(|n| n.place)),
            ("quota", numbers.quota.as_ref().map(|n| n.place)),
        ]
    };
    if kinds(&written.numbers).iter().all(|(_, place)| place.is_none()) && written.numbers.burst.is_none() {
        problems.add(
            Diagnostic::error(written.place, format!("nothing is changed about \"{}\"", limit.name.value))
                .expected("`rate`, `burst`, `concurrency` or `quota`"),
        );
    }
    let own = kinds(&limit.numbers);
    let Some((own_kind, _)) = own.iter().find(|(_, place)| place.is_some()) else { return };
    for (kind, place) in kinds(&written.numbers) {
        if let Some(place) = place.filter(|_| kind != *own_kind) {
            problems.add(
                Diagnostic::error(
                    place,
                    format!("the limit \"{}\" has a `{own_kind}`, not a `{kind}`", limit.name.value),
                )
                .expected(format!("`{own_kind}`: an override changes numbers only"))
                .related(limit.name.place, "the limit"),
            );
        }
    }
}
