//! Who is asking, and what the app says about that: between a request, the resolver, and what is counted and logged.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName};

use super::exchange::Exchange;
use super::notices;
use super::respond::Notice;
use crate::facts::Who;
use crate::identity::{Release, Resolved, Said};
use crate::metrics::IdentityOutcome;
use crate::policy::RouteId;

/// Everyone behind a request with these headers; noted in `exchange` for the answer and the access log.
pub fn who(exchange: &mut Exchange, headers: &HeaderMap) -> Result<Who, Notice> {
    let resolver = &exchange.live.resolver;
    let resolved = if resolver.is_idle() {
        Resolved::default()
    } else {
        let certificate = exchange.conn.guest().and_then(|guest| guest.certificate.as_ref());
        let resolved = resolver.resolve(headers, certificate, exchange.clock().wall());
        resolved.map_err(|_| notices::too_many_credentials())?
    };
    let Resolved { mut who, sessions } = resolved;
    who.fingerprint = exchange.conn.guest().and_then(|guest| guest.fingerprint.clone());
    exchange.shared().metrics.identity(match (who.accounts.first(), who.unknown) {
        (Some(_), _) => IdentityOutcome::Known,
        (None, Some(_)) => IdentityOutcome::Unknown,
        (None, None) => IdentityOutcome::None,
    });
    if let (Some(record), Some(first)) = (&mut exchange.record, who.accounts.first()) {
        record.account = Some(first.id.clone());
    }
    if let (Some(record), Some(print)) = (&mut exchange.record, &who.fingerprint) {
        record.fingerprint = Some(Arc::clone(&print.text));
    }
    exchange.sessions = sessions;
    Ok(who)
}

/// The header by which the app names the account of a request. It ends here, wherever it stands and whoever sent it.
pub fn learn_from(exchange: &Exchange) -> Option<&HeaderName> {
    exchange.live.policy.identity.learn_from.as_ref()
}

/// Takes what the app says of the request's account out of the head of its answer. What the client is to have instead of
/// that answer, if the account turns out to be suspended.
pub fn learn(exchange: &mut Exchange, answer: &mut HeaderMap) -> Option<Notice> {
    let live = &exchange.live;
    let account = live.policy.identity.learn_from.as_ref().and_then(|name| answer.remove(name))?;
    let Said { account, release } = live.resolver.learn(&exchange.sessions, account.as_bytes(), answer);
    let id = account?;
    if let Some(record) = &mut exchange.record {
        record.account.get_or_insert_with(|| Arc::clone(&id));
    }
    match release {
        Release::Pass => None,
        Release::Withhold => suspension(exchange, exchange.client?, [&id]),
    }
}

/// The refusal of a request from this address to a route that is not for its accounts' plans, if weir may refuse it.
pub fn barred(exchange: &Exchange, address: IpAddr, route: RouteId, who: &Who) -> Option<Notice> {
    let policy = &exchange.live.policy;
    let gate = policy.gate_against(route, &who.accounts)?;
    let (engine, accounts) = (&exchange.shared().engine, who.accounts.iter().map(|account| &account.id));
    let refuses = engine.may_refuse(&exchange.live.binding, address, accounts, exchange.clock().now());
    policy.clauses.get(usize::from(gate.clause.0)).filter(|_| refuses).map(notices::barred)
}

/// The refusal of a request from this address, if one of these accounts is suspended and weir may refuse it.
pub fn suspension<'a>(
    exchange: &Exchange,
    address: IpAddr,
    accounts: impl IntoIterator<Item = &'a Arc<str>> + Clone,
) -> Option<Notice> {
    let policy = &exchange.live.policy;
    let clause = accounts.clone().into_iter().find_map(|id| policy.accounts.suspension(id))?;
    let (engine, now) = (&exchange.shared().engine, exchange.clock().now());
    let refuses = engine.may_refuse(&exchange.live.binding, address, accounts, now);
    policy.clauses.get(usize::from(clause.0)).filter(|_| refuses).map(notices::suspended)
}
