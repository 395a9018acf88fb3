//! `match` and `exempt` of limits: templates compiled, plans and accounts that exist.

use std::sync::Arc;

use super::routes;
use crate::config::matches as written;
use crate::config::{At, Config, Diagnostic, Problems};
use crate::policy::path::PathRules;
use crate::policy::{Exempt, Match};

/// `None` when a template or a plan is wrong, which is reported: without it the limit would match more than was
/// meant.
pub(super) fn compile(
    matches: &written::Match,
    config: &Config,
    rules: PathRules,
    problems: &Problems,
) -> Option<Match> {
    let paths: Vec<_> = matches.paths.iter().map(|path| routes::template(path, rules, problems)).collect();
    let plans: Vec<_> = matches.plans.iter().map(|plan| self::plan(plan, config, problems)).collect();
    // Both halves are looked at before either may end the compilation.
    let not = matches.not.as_ref().map(|not| compile(&not.value, config, rules, problems).map(Box::new));
    warn_of_strangers(&matches.accounts, config, problems);
    Some(Match {
        paths: paths.into_iter().collect::<Option<_>>()?,
        methods: matches.methods.clone(),
        hosts: matches.hosts.iter().map(|host| host.value.clone()).collect(),
        headers: matches.headers.clone(),
        plans: plans.into_iter().collect::<Option<_>>()?,
        accounts: ids(&matches.accounts),
        clients: matches.clients.clone(),
        not: match not {
            Some(not) => Some(not?),
            None => None,
        },
    })
}

pub(super) fn exempt(exempt: &written::Exempt, config: &Config, problems: &Problems) -> Exempt {
    warn_of_strangers(&exempt.accounts, config, problems);
    Exempt { ranges: exempt.ranges.clone(), accounts: ids(&exempt.accounts) }
}

/// The name of a plan, or `None` after reporting that there is none.
pub(super) fn plan(name: &At<String>, config: &Config, problems: &Problems) -> Option<Arc<str>> {
    let plans = || config.plans.iter().map(|plan| plan.name.value.as_str());
    if plans().any(|plan| plan == name.value) {
        return Some(name.value.as_str().into());
    }
    problems.add(
        Diagnostic::error(name.place, format!("no plan is called \"{}\"", name.value))
            .one_of(&name.value, plans()),
    );
    None
}

/// Accounts that no file knows and nobody can name.
///
/// They come and go without a change of the configuration, so this is a warning; and where the app or a token names
/// accounts, any id may be one.
pub(super) fn warn_of_strangers(accounts: &[At<String>], config: &Config, problems: &Problems) {
    let Some(known) = &config.accounts else { return };
    if config.identity.names_accounts() {
        return;
    }
    for account in accounts {
        if !known.knows(&account.value) {
            problems.add(
                Diagnostic::warning(account.place, format!("no account is called \"{}\"", account.value))
                    .help("the accounts file has no such `id`: this applies to nobody"),
            );
        }
    }
}

fn ids(accounts: &[At<String>]) -> Vec<Arc<str>> {
    accounts.iter().map(|account| account.value.as_str().into()).collect()
}
