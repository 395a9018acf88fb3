//! One decision: every limit is asked before any is charged.

use smallvec::SmallVec;

use super::binding::{Binding, BoundLimit};
use super::names::SlotKey;
use super::record::Record;
use super::table::{Needs, Records, Table};
use super::ticket::Places;
use crate::facts::{Facts, PrincipalKind};
use crate::limit::{Check, Rule};
use crate::remedy::{Decision, LimitCheck, Mode, Refusal, Verdict};
use crate::time::Moment;

/// Decides a request, and says where it counts as in flight.
pub(super) fn decide(table: &Table, binding: &Binding, facts: &Facts<'_>) -> (Decision, Places) {
    let ceiling = if binding.never_refuses(facts) { Mode::Shadow } else { Mode::Enforce };
    let mut trials: Trials<'_> =
        binding.applicable(facts).map(|limit| Trial::new(limit, facts, ceiling)).collect();
    let count = |kind| trials.iter().filter(|trial| trial.limit.principal == kind).count();
    let (of_client, of_everyone) = (count(PrincipalKind::Client), count(PrincipalKind::Everyone));
    let needs = Needs { client: (of_client > 0).then_some(facts.client), everyone: of_everyone > 0 };
    if needs.client.is_none() && !needs.everyone {
        return (Decision { verdict: Verdict::Forward, checks: SmallVec::new() }, Places::new());
    }
    let (verdict, places) = table.with(needs, |mut records| {
        let known = records.len();
        records.client.expect(of_client);
        records.everyone.expect(of_everyone);
        ask(&mut trials, &mut records, facts.at);
        let verdict = verdict(&trials);
        let places = match verdict {
            Verdict::Forward => charge(&trials, &mut records),
            Verdict::Refuse(_) => Places::new(),
        };
        if records.len() > known {
            records.forget_idle(facts.at);
        }
        (verdict, places)
    });
    (Decision { verdict, checks: trials.iter().map(Trial::outcome).collect() }, places)
}

type Trials<'a> = SmallVec<[Trial<'a>; 10]>;

/// One limit, asked about one request.
#[derive(Debug)]
struct Trial<'a> {
    limit: &'a BoundLimit,
    slot: SlotKey,
    mode: Mode,
    /// Where the cell was when it was asked: there still, unless a cell was added after that.
    at: usize,
    check: Check,
}

impl<'a> Trial<'a> {
    fn new(limit: &'a BoundLimit, facts: &Facts<'_>, ceiling: Mode) -> Self {
        Trial {
            limit,
            slot: limit.slot(facts),
            mode: limit.mode.at_most(ceiling),
            at: 0,
            check: Check::Within,
        }
    }

    fn outcome(&self) -> LimitCheck {
        LimitCheck { limit: self.limit.id, mode: self.mode, within: self.check.is_within() }
    }
}

impl Records<'_> {
    fn of(&mut self, principal: PrincipalKind) -> &mut Record {
        match principal {
            PrincipalKind::Client => self.client,
            _ => self.everyone,
        }
    }

    const fn len(&self) -> usize {
        self.client.len() + self.everyone.len()
    }

    fn forget_idle(&mut self, now: Moment) {
        self.client.forget_idle(now);
        self.everyone.forget_idle(now);
    }
}

fn ask(trials: &mut Trials<'_>, records: &mut Records<'_>, now: Moment) {
    // Both the limits and the cells of a record are mostly in the order in which they were configured.
    let mut next = 0;
    for trial in trials {
        let BoundLimit { rule, cost, principal, .. } = trial.limit;
        let record = records.of(*principal);
        trial.at = record.find(trial.slot, next, rule);
        next = trial.at + 1;
        trial.check = record.cell(trial.at).check(rule, *cost, now);
    }
}

/// Refused by the enforced limit with the longest wait, the first of them in file order.
fn verdict(trials: &Trials<'_>) -> Verdict {
    let mut refusal: Option<Refusal> = None;
    for trial in trials.iter().filter(|trial| trial.mode == Mode::Enforce) {
        let Check::Over { retry_after } = trial.check else { continue };
        if refusal.is_none_or(|longest| retry_after > longest.retry_after) {
            refusal = Some(Refusal { limit: trial.limit.id, retry_after });
        }
    }
    refusal.map_or(Verdict::Forward, Verdict::Refuse)
}

/// Charges an admitted request to every limit that it is within. That is all enforced ones, and those in shadow
/// that would not have refused it.
fn charge(trials: &Trials<'_>, records: &mut Records<'_>) -> Places {
    let mut places = Places::new();
    for trial in trials.iter().filter(|trial| trial.check.is_within()) {
        let BoundLimit { rule, cost, principal, .. } = trial.limit;
        let record = records.of(*principal);
        let at = record.find(trial.slot, trial.at, rule);
        record.charge(at, rule, *cost);
        if matches!(rule, Rule::Concurrency(_)) {
            places.push((*principal, trial.slot));
        }
    }
    places
}
