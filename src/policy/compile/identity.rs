//! Accounts: whether the accounts file, the plans and the agreements speak of the same.

use std::collections::HashSet;

use crate::config::{Config, Diagnostic, Problems, nearest};

/// Accounts come and go without a change of the configuration, so what does not fit is a warning.
pub(super) fn check_accounts(config: &Config, problems: &Problems) {
    let Some(accounts) = &config.accounts else { return };
    let mut reported = HashSet::new();
    for plan in accounts.iter().filter_map(|account| account.plan.as_ref()) {
        let plans = || config.plans.iter().map(|plan| plan.name.value.as_str());
        if plans().all(|name| name != plan.value) && reported.insert(plan.value.as_str()) {
            let warning = Diagnostic::warning(plan.place, format!("no plan is called \"{}\"", plan.value));
            problems.add(match nearest(&plan.value, plans()) {
                Some(near) => warning.help(format!("did you mean `{near}`?")),
                None => warning.help("its accounts get the limits' own numbers"),
            });
        }
    }
    let ids: HashSet<&str> = accounts.iter().map(|account| account.id.value.as_str()).collect();
    for account in config.agreements.iter().map(|agreement| &agreement.account) {
        if !ids.contains(account.value.as_str()) {
            problems.add(
                Diagnostic::warning(account.place, format!("no account is called \"{}\"", account.value))
                    .help("the accounts file has no such `id`: the agreement applies to nobody"),
            );
        }
    }
}
