//! Requests that wait their turn for a limit instead of being refused (`over = "delay"`).
//!
//! Those that wait for the same budget stand in one line, in the order in which they came, and only the first asks
//! the engine again: when the budget has room, or as soon as it becomes the first. One that has just come joins the line
//! unasked if there is one for a budget of its own, so that it takes nobody's turn.
//!
//! A request that waits holds one place in the queue of the limit that it waits for, and nothing else: no place at an
//! upstream, and of its body nothing is read.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::sleep_until;

use super::Live;
use super::admit::ask;
use super::exchange::Exchange;
use super::lifecycle::Stage;
use crate::clock::Clock;
use crate::engine::{QueuePlace, Ticket};
use crate::facts::{Facts, Principal};
use crate::policy::{LimitId, Over, RouteId};
use crate::remedy::{Decision, Delay, LimitDetail, Mode, Verdict};
use crate::time::Moment;

/// After which it is worth to try again, where there is room but others stand in line for it.
const A_MOMENT: Duration = Duration::from_secs(1);

/// Who waits for what, under one policy. Bounded by the queues of its limits.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: Mutex<HashMap<Budget, VecDeque<Arc<Notify>>>>,
    /// How many lines there are: all that is looked at where nobody waits.
    count: AtomicUsize,
}

impl Lines {
    fn join(&self, budget: &Budget, called: &Arc<Notify>) {
        let mut lines = self.lines.lock();
        lines.entry(budget.clone()).or_default().push_back(Arc::clone(called));
        self.count.store(lines.len(), Ordering::Relaxed);
    }

    /// Whoever becomes the first by it is called.
    fn leave(&self, budget: &Budget, called: &Arc<Notify>) {
        let mut lines = self.lines.lock();
        let Some(line) = lines.get_mut(budget) else { return };
        let at = line.iter().position(|waiting| Arc::ptr_eq(waiting, called));
        if let Some(at) = at {
            line.remove(at);
        }
        match line.front() {
            Some(next) if at == Some(0) => next.notify_one(),
            Some(_) => {}
            None => drop(lines.remove(budget)),
        }
        self.count.store(lines.len(), Ordering::Relaxed);
    }

    fn is_first(&self, budget: &Budget, called: &Arc<Notify>) -> bool {
        let lines = self.lines.lock();
        lines.get(budget).and_then(VecDeque::front).is_some_and(|first| Arc::ptr_eq(first, called))
    }

    fn has_line(&self, budget: &Budget) -> bool {
        self.lines.lock().contains_key(budget)
    }

    fn are_none(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }
}

/// What one line waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Budget {
    limit: LimitId,
    principal: Principal,
    /// Where routes, or upstreams, have budgets of their own.
    route: Option<RouteId>,
    method: Option<Method>,
}

/// Whether others already wait for a budget that this request needs; then it is to [`wait_behind`] them.
pub(super) fn line_ahead(exchange: &Exchange, facts: &Facts<'_>) -> Option<Box<LineAhead>> {
    let live = &exchange.live;
    if live.lines.are_none() {
        return None;
    }
    let needed = exchange.shared().engine.budgets_that_delay(&live.binding, facts).into_iter();
    let mut budgets = needed.map(|(limit, principal)| Budget::new(live, facts, limit, principal));
    budgets.find(|budget| live.lines.has_line(budget)).map(|budget| Box::new(LineAhead(budget)))
}

/// A line in which others stand already.
#[derive(Debug)]
pub(super) struct LineAhead(Budget);

/// Joins that line, and waits as [`wait`] does once it is this request's turn. Where there is no place in it, the
/// request is refused, also where there is room: that is for those in the line.
pub(super) async fn wait_behind(
    exchange: &Exchange,
    mut facts: Facts<'_>,
    LineAhead(budget): LineAhead,
) -> (Decision, Ticket) {
    let (mut turn, limit) = (None, budget.limit);
    let Some(last) = stand(&mut turn, exchange, budget) else { return turned_away(exchange, &facts, limit) };
    let next = last.wait(exchange, facts.at).await;
    facts.at = exchange.clock().now();
    facts.waited = facts.at.since(exchange.started);
    let (decision, ticket) = ask(exchange, &facts);
    match next {
        Next::Stay => wait_in(turn, exchange, facts, decision, ticket).await,
        Next::Leave => (decision, ticket),
    }
}

/// What is said where the line for a limit is full.
fn turned_away(exchange: &Exchange, facts: &Facts<'_>, limit: LimitId) -> (Decision, Ticket) {
    let mut decision = exchange.shared().engine.explain(&exchange.live.binding, facts).decision;
    if decision.verdict == Verdict::Forward {
        decision.verdict = Verdict::Delay(Delay { limit, wait: A_MOMENT });
        decision
            .checks
            .iter_mut()
            .filter(|check| check.limit == limit)
            .for_each(|check| check.within = false);
    }
    (decision, Ticket::default())
}

/// Waits until the request is admitted or refused. A verdict that is still to delay means that it cannot wait (any
/// longer): there is no place, its time is over, or weir stops.
pub(super) async fn wait(
    exchange: &Exchange,
    facts: Facts<'_>,
    decision: Decision,
    ticket: Ticket,
) -> (Decision, Ticket) {
    wait_in(None, exchange, facts, decision, ticket).await
}

async fn wait_in(
    turn: Option<Turn>,
    exchange: &Exchange,
    mut facts: Facts<'_>,
    decision: Decision,
    ticket: Ticket,
) -> (Decision, Ticket) {
    let (mut decision, mut ticket, mut turn) = (decision, ticket, turn);
    while let Verdict::Delay(delay) = decision.verdict {
        let budget = Budget::of(&exchange.live, &facts, delay.limit, &decision.details);
        let Some(turn) = stand(&mut turn, exchange, budget) else { break };
        let next = turn.wait(exchange, facts.at.after(delay.wait)).await;
        facts.at = exchange.clock().now();
        facts.waited = facts.at.since(exchange.started);
        (decision, ticket) = ask(exchange, &facts);
        if next == Next::Leave {
            break;
        }
    }
    (decision, ticket)
}

/// A turn in the line for `budget`: the one that is held already, or the last in another line, with a place in its
/// limit's queue. `None` if all are taken.
fn stand<'a>(turn: &'a mut Option<Turn>, exchange: &Exchange, budget: Budget) -> Option<&'a Turn> {
    if turn.as_ref().is_none_or(|held| held.budget != budget) {
        let same_queue = turn.as_mut().filter(|held| held.budget.limit == budget.limit);
        let place = match same_queue.and_then(|held| held.place.take()) {
            Some(place) => place,
            None => exchange.shared().engine.queue(&exchange.live.binding, budget.limit)?,
        };
        *turn = Some(Turn::join(exchange, budget, place));
    }
    turn.as_ref()
}

impl Budget {
    fn of(live: &Live, facts: &Facts<'_>, limit: LimitId, details: &[LimitDetail]) -> Self {
        let over = details.iter().filter(|d| d.limit == limit && d.mode == Mode::Enforce && !d.within);
        let longest = over.max_by_key(|detail| detail.retry_after);
        Budget::new(live, facts, limit, longest.map_or(Principal::EVERYONE, |detail| detail.principal))
    }

    fn new(live: &Live, facts: &Facts<'_>, limit: LimitId, principal: Principal) -> Self {
        let key = &live.policy.limit(limit).key;
        Budget {
            limit,
            principal,
            route: (key.per_route || key.per_upstream).then_some(facts.route),
            method: key.per_method.then(|| facts.method.clone()),
        }
    }
}

/// What follows a wait, once the engine was asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Another wait, if the engine says so.
    Stay,
    Leave,
}

/// One request's place in a line. Dropping it leaves the line, and lets the next be the first.
#[derive(Debug)]
struct Turn {
    live: Arc<Live>,
    clock: Clock,
    budget: Budget,
    called: Arc<Notify>,
    since: Moment,
    /// `None` only while it moves to another line of the same limit.
    place: Option<QueuePlace>,
}

impl Turn {
    fn join(exchange: &Exchange, budget: Budget, place: QueuePlace) -> Self {
        let live = Arc::clone(&exchange.live);
        let called = Arc::new(Notify::new());
        live.lines.join(&budget, &called);
        live.metrics.limit_wait_began(budget.limit);
        let clock = exchange.clock();
        Turn { live, since: clock.now(), clock, budget, called, place: Some(place) }
    }

    /// Waits until `room`, if this is the first in line, else until it is. At the longest as long as the limit and the
    /// request's own time allow, or until weir stops.
    async fn wait(&self, exchange: &Exchange, room: Moment) -> Next {
        let deadline = exchange.started.after(self.wait_max(exchange));
        let first = self.live.lines.is_first(&self.budget, &self.called);
        if first && room > deadline {
            return Next::Leave;
        }
        let until = if first { room } else { deadline };
        tokio::select! {
            () = exchange.shared().lifecycle.reached(Stage::Draining) => Next::Leave,
            () = self.called.notified(), if !first => Next::Stay,
            () = sleep_until(self.clock.instant(until).into()) => if first { Next::Stay } else { Next::Leave },
        }
    }

    fn wait_max(&self, exchange: &Exchange) -> Duration {
        let policy = &self.live.policy;
        let limits = match policy.limit(self.budget.limit).over {
            Over::Delay { wait_max, .. } => wait_max,
            Over::Reject => Duration::ZERO,
        };
        let streams = exchange.route.is_some_and(|route| policy.route(route).stream);
        policy.timeouts.total.filter(|_| !streams).map_or(limits, |total| total.min(limits))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.live.lines.leave(&self.budget, &self.called);
        self.live.metrics.limit_wait_ended(self.budget.limit, self.clock.now().since(self.since));
    }
}
