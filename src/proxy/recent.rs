//! Remembers why a request was refused, or would have been, for whoever is asked about it later.

use smallvec::SmallVec;

use super::exchange::Exchange;
use crate::engine::recent::{Names, Refused, RequestId};
use crate::facts::Facts;
use crate::remedy::{Conviction, Decision, Refusal};

/// Notes a refusal by a limit, under its request id.
pub(super) fn remember(exchange: &Exchange, facts: &Facts<'_>, refusal: Refusal, decision: &Decision) {
    note(exchange, facts, refusal, decision, false);
}

/// Notes what a limit in shadow would have refused: some of it, see [`RecentRefusals::wants_shadow`].
///
/// [`RecentRefusals::wants_shadow`]: crate::engine::recent::RecentRefusals::wants_shadow
pub(super) fn remember_shadow(exchange: &Exchange, facts: &Facts<'_>) {
    let shared = exchange.shared();
    if !shared.refusals.wants_shadow(facts.client, facts.at) {
        return;
    }
    // A decision to forward has no numbers; a limit that is over stays so, as it charged nothing.
    let decision = shared.engine.explain(&exchange.live.binding, facts).decision;
    if let Some(refusal) = Names::would_refuse(&decision) {
        note(exchange, facts, refusal, &decision, true);
    }
}

fn note(exchange: &Exchange, facts: &Facts<'_>, refusal: Refusal, decision: &Decision, in_shadow: bool) {
    let live = &exchange.live;
    exchange.shared().refusals.remember(facts.client, in_shadow, || Refused {
        in_shadow,
        limit: Some(live.names.limit(refusal)),
        retry_after: refusal.retry_after,
        over: live.names.over(&live.policy, decision),
        ..refused(exchange, facts)
    });
}

/// Notes a refusal because of a finding.
pub(super) fn remember_conviction(exchange: &Exchange, facts: &Facts<'_>, conviction: Conviction) {
    exchange.shared().refusals.remember(facts.client, false, || Refused {
        finding: Some(Box::new(exchange.live.names.convicted(conviction))),
        retry_after: Some(conviction.until.since(facts.at)),
        ..refused(exchange, facts)
    });
}

/// What of a refused request is noted whatever refused it.
fn refused(exchange: &Exchange, facts: &Facts<'_>) -> Refused {
    Refused {
        // Since then it was no more than decided.
        at: facts.at,
        request_id: RequestId::from_slice(exchange.request_id.as_bytes()),
        client: facts.client,
        accounts: facts.who.accounts.iter().map(|account| account.id.clone()).collect(),
        method: facts.method.clone(),
        route: exchange.live.names.route(facts.route),
        in_shadow: false,
        limit: None,
        finding: None,
        retry_after: None,
        over: SmallVec::new(),
    }
}
