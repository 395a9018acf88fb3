//! Accounts: those of the file, each with the plan and the agreement that it has.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::clauses;
use super::terms::TermsTable;
use crate::config::{Config, Diagnostic, Problems, nearest};
use crate::facts::{Account, Principal};
use crate::policy::{Accounts, TermsId};

pub(super) fn compile(config: &Config, terms: &TermsTable, problems: &Problems) -> Accounts {
    check_plans(config, problems);
    check_agreements(config, problems);
    let mut agreements: HashMap<Arc<str>, TermsId> = config
        .agreements
        .iter()
        .filter_map(|agreement| {
            let id: Arc<str> = agreement.account.value.as_str().into();
            Some((id, terms.of_agreement(&agreement.account.value)?))
        })
        .collect();
    let Some(file) = &config.accounts else {
        return Accounts { agreements, ..Accounts::default() };
    };
    let suspended = file.list.iter().filter_map(|account| {
        let clause = clauses::resolve(account.suspended.as_ref()?, config, problems)?;
        Some((Arc::clone(&account.id.value), clause))
    });
    let suspended = suspended.collect();
    let list = file
        .list
        .iter()
        .map(|written| {
            let id = &written.id.value;
            let of_plan = written.plan.as_ref().and_then(|plan| terms.of_plan(&plan.value));
            Account {
                principal: Principal::account(id),
                terms: agreements.remove(id).or(of_plan).unwrap_or(TermsId::NONE),
                id: Arc::clone(id),
            }
        })
        .collect();
    Accounts {
        list,
        by_credential: file.by_credential.clone(),
        by_id: file.by_id.clone(),
        agreements,
        suspended,
    }
}

/// Accounts come and go without a change of the configuration, so what does not fit is a warning.
fn check_plans(config: &Config, problems: &Problems) {
    let Some(accounts) = &config.accounts else { return };
    let mut reported = HashSet::new();
    for plan in accounts.list.iter().filter_map(|account| account.plan.as_ref()) {
        let plans = || config.plans.iter().map(|plan| plan.name.value.as_str());
        if plans().all(|name| name != &*plan.value) && reported.insert(&*plan.value) {
            let warning = Diagnostic::warning(plan.place, format!("no plan is called \"{}\"", plan.value));
            problems.add(match nearest(&plan.value, plans()) {
                Some(near) => warning.help(format!("did you mean `{near}`?")),
                None => warning.help("its accounts get the limits' own numbers"),
            });
        }
    }
}

fn check_agreements(config: &Config, problems: &Problems) {
    for agreement in &config.agreements {
        super::matches::warn_of_strangers(std::slice::from_ref(&agreement.account), config, problems);
    }
}
