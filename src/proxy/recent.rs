//! Remembers why a request was refused, for whoever is asked about it later.

use super::exchange::Exchange;
use crate::engine::recent::Refused;
use crate::facts::Facts;
use crate::remedy::{Decision, Refusal};

/// Notes a refusal under its request id.
pub(super) fn remember(exchange: &Exchange, facts: &Facts<'_>, refusal: Refusal, decision: &Decision) {
    let (live, clock) = (&exchange.live, exchange.clock());
    exchange.shared().refusals.remember(Refused {
        // It may have waited since the time of its facts.
        at: clock.now(),
        wall: clock.wall(),
        request_id: exchange.request_id.clone(),
        client: facts.client,
        accounts: facts.who.accounts.iter().map(|account| account.id.clone()).collect(),
        method: facts.method.clone(),
        route: live.names.route(facts.route),
        limit: live.names.limit(refusal),
        retry_after: refusal.retry_after,
        over: live.names.over(&live.policy, decision),
    });
}
