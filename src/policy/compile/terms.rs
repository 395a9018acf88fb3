//! Plans and agreements: other numbers, for limits that exist.

use std::collections::HashMap;
use std::sync::Arc;

use super::limits::{self, CompiledLimits};
use super::numbers;
use super::routes::WrittenRoute;
use crate::config::limits::{Limit, Numbers};
use crate::config::plans::{Agreement, Override as Written, Plan};
use crate::config::{Config, Diagnostic, Problems};
use crate::policy::{Layer, Override, Terms, TermsId};

/// Every plan and agreement, and where in the policy's list it stands.
#[derive(Debug, Default)]
pub(super) struct TermsTable {
    pub(super) list: Vec<Terms>,
    plans: HashMap<String, TermsId>,
    agreements: HashMap<String, TermsId>,
}

impl TermsTable {
    pub(super) fn of_plan(&self, name: &str) -> Option<TermsId> {
        self.plans.get(name).copied()
    }

    /// Of the agreement with the account `id`.
    pub(super) fn of_agreement(&self, id: &str) -> Option<TermsId> {
        self.agreements.get(id).copied()
    }

    fn add(&mut self, terms: Terms) -> TermsId {
        let id = TermsId(u32::try_from(self.list.len()).unwrap_or(u32::MAX));
        self.list.push(terms);
        id
    }
}

pub(super) fn compile(
    config: &Config,
    limits: &CompiledLimits,
    routes: &[WrittenRoute],
    problems: &Problems,
) -> TermsTable {
    let mut table = TermsTable { list: vec![Terms::default()], ..TermsTable::default() };
    for written in all_overrides(config) {
        if let Some(limit) = limit_of(written, config, problems) {
            check_kind(written, limit, problems);
            numbers::check_units(limit, &written.numbers, problems);
        }
    }
    let merge = Merge { config, limits, routes, problems };
    for plan in &config.plans {
        let terms = Terms {
            plan: Some(plan.name.value.as_str().into()),
            overrides: merge.overrides(Some(plan), None),
            ..Terms::default()
        };
        let id = table.add(terms);
        table.plans.insert(plan.name.value.clone(), id);
    }
    for agreement in &config.agreements {
        if let Some(plan) = &agreement.plan {
            super::matches::plan(plan, config, problems);
        }
        let plan = plan_under(agreement, config);
        let terms = Terms {
            plan: plan.map(|plan| plan.name.value.as_str().into()),
            agreement: Some(agreement.account.value.as_str().into()),
            reference: agreement.reference.as_deref().map(Arc::from),
            overrides: merge.overrides(plan, Some(agreement)),
        };
        let id = table.add(terms);
        table.agreements.insert(agreement.account.value.clone(), id);
    }
    table
}

fn all_overrides(config: &Config) -> impl Iterator<Item = &Written> {
    let plans = config.plans.iter().flat_map(|plan| &plan.limits);
    plans.chain(config.agreements.iter().flat_map(|agreement| &agreement.limits))
}

/// The plan of an account with an agreement: the agreement's, else the one in the accounts file.
fn plan_under<'c>(agreement: &Agreement, config: &'c Config) -> Option<&'c Plan> {
    let in_file = || {
        let file = config.accounts.as_ref()?;
        let at = file.by_id.get(agreement.account.value.as_str())?;
        file.list.get(usize::try_from(*at).ok()?)?.plan.as_ref().map(|plan| &*plan.value)
    };
    let name = agreement.plan.as_ref().map(|plan| plan.value.as_str()).or_else(in_file)?;
    config.plans.iter().find(|plan| plan.name.value == name)
}

/// How the layers become one number for each limit.
struct Merge<'c> {
    config: &'c Config,
    limits: &'c CompiledLimits,
    routes: &'c [WrittenRoute],
    problems: &'c Problems,
}

impl Merge<'_> {
    /// In the order of the limits. What has no effect, or is wrong, is left out.
    fn overrides(&self, plan: Option<&Plan>, agreement: Option<&Agreement>) -> Vec<Override> {
        let of = |overrides: &[Written], limit: &Limit| {
            overrides.iter().find(|o| o.limit.value == limit.name.value).map(|o| o.numbers)
        };
        let mut all = Vec::new();
        for (at, limit) in self.config.limits.iter().enumerate() {
            let by_plan = plan.and_then(|plan| of(&plan.limits, limit));
            let by_agreement = agreement.and_then(|agreement| of(&agreement.limits, limit));
            let Some((numbers, layer)) = effective(by_plan, by_agreement) else { continue };
            // An agreement without a word of its own was checked with its plan.
            if by_agreement.is_some() || agreement.is_none() {
                let matches = self.limits.matches(at);
                numbers::check(limit, &numbers, matches, self.routes, self.problems);
            }
            let bound = limits::bound(limit, &numbers);
            let overridden = by_agreement.and(by_plan).and_then(|numbers| limits::bound(limit, &numbers));
            if let (Some(limit), Some(bound)) = (self.limits.id(at), bound) {
                all.push(Override { limit, bound, layer, overridden });
            }
        }
        all
    }
}

/// The agreement's numbers, then the plan's.
fn effective(plan: Option<Numbers>, agreement: Option<Numbers>) -> Option<(Numbers, Layer)> {
    match (plan, agreement) {
        (_, Some(first)) => Some((first.or(plan.unwrap_or_default()), Layer::Agreement)),
        (Some(plan), None) => Some((plan, Layer::Plan)),
        (None, None) => None,
    }
}

fn limit_of<'c>(written: &Written, config: &'c Config, problems: &Problems) -> Option<&'c Limit> {
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
fn check_kind(written: &Written, limit: &Limit, problems: &Problems) {
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
