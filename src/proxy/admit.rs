//! Asks the engine about one request, and carries out what it says.

use super::exchange::Exchange;
use super::refusal::fields::MetLimits;
use super::refusal::jitter::Jitter;
use super::refusal::{Over, Told};
use super::respond::Notice;
use super::serve::Stop;
use super::{delay, notices, recent};
use crate::engine::Ticket;
use crate::facts::Facts;
use crate::metrics::RequestDecision;
use crate::policy::responses::RateLimitFields as Wanted;
use crate::remedy::{Conviction, Decision, Delay, Mode, Refusal, Verdict};

/// All limits in one decision. An error is the refusal.
pub(super) async fn admit(exchange: &mut Exchange, facts: Facts<'_>) -> Result<(), Stop> {
    // What waits is in a box, so that the many that do not wait are not larger for it.
    let (decision, ticket) = match delay::line_ahead(exchange, &facts) {
        Some(line) => Box::pin(delay::wait_behind(exchange, facts, *line)).await,
        None => match ask(exchange, &facts) {
            (decision, ticket) if matches!(decision.verdict, Verdict::Delay(_)) => {
                Box::pin(delay::wait(exchange, facts, decision, ticket)).await
            }
            asked => asked,
        },
    };
    exchange.ticket = Some(ticket);
    let mut over_in_shadow = false;
    for check in &decision.checks {
        exchange.live.metrics.limit_check(check);
        over_in_shadow |= check.mode == Mode::Shadow && !check.within;
    }
    match decision.verdict {
        Verdict::Forward => {
            if over_in_shadow {
                recent::remember_shadow(exchange, &facts);
            }
            if exchange.live.policy.responses.rate_limit_fields == Wanted::Always {
                let legacy = exchange.live.policy.responses.legacy_rate_limit_fields;
                exchange.met =
                    Some(MetLimits { details: decision.details, legacy, jitter: Jitter::random() });
            }
            Ok(())
        }
        Verdict::Refuse(refusal) => Err(refuse(exchange, &facts, refusal, decision)),
        Verdict::Convict(conviction) => Err(convict(exchange, &facts, conviction)),
        // A delay is a refusal where the request cannot wait.
        Verdict::Delay(Delay { limit, wait }) => {
            let refusal = Refusal { limit, retry_after: Some(wait) };
            Err(refuse(exchange, &facts, refusal, decision))
        }
    }
}

/// Asks the engine once, with the numbers of each limit where the response tells them.
pub(super) fn ask(exchange: &Exchange, facts: &Facts<'_>) -> (Decision, Ticket) {
    let (engine, binding) = (&exchange.shared().engine, &exchange.live.binding);
    match exchange.live.policy.responses.rate_limit_fields {
        Wanted::Always => engine.admit_in_detail(binding, facts),
        Wanted::Refusals | Wanted::Never => engine.admit(binding, facts),
    }
}

fn refuse(exchange: &mut Exchange, facts: &Facts<'_>, refusal: Refusal, decision: Decision) -> Stop {
    recent::remember(exchange, facts, refusal, &decision);
    let limit = refusal.limit;
    let live = &exchange.live;
    if let Some(record) = &mut exchange.record {
        record.limit = live.limit_names.get(usize::from(limit.0)).cloned();
    }
    let responses = &live.policy.responses;
    let told = Told {
        fields: responses.rate_limit_fields != Wanted::Never,
        legacy: responses.legacy_rate_limit_fields,
    };
    let over = Over { limit, details: decision.details, told, jitter: Jitter::random() };
    Stop { decision: RequestDecision::Refused, notice: Notice::refusal(over) }
}

/// Refuses a request because of what somebody behind it was found to do.
fn convict(exchange: &mut Exchange, facts: &Facts<'_>, conviction: Conviction) -> Stop {
    recent::remember_conviction(exchange, facts, conviction);
    let Conviction { behaviour, clause, answer, until, .. } = conviction;
    exchange.live.metrics.finding_refusal(behaviour);
    if let Some(record) = &mut exchange.record {
        record.detector = Some(exchange.live.policy.conduct.name_of(behaviour));
    }
    let clause = exchange.live.policy.clause(clause);
    let notice = notices::convicted(answer, clause, until.since(facts.at));
    Stop { decision: RequestDecision::Refused, notice }
}
