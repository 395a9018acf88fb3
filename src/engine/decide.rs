//! One decision: every limit is asked before any is charged.

use smallvec::SmallVec;

use super::binding::{Binding, BoundLimit};
use super::held::{self, Network};
use super::keyed::KeyedHash;
use super::names::SlotKey;
use super::record::Record;
use super::table::{Lent, Table, Wanted};
use super::ticket::{Place, Places};
use crate::facts::{Facts, Principal};
use crate::limit::{Check, Rule, Status};
use crate::policy::{Over, TermsId};
use crate::remedy::{Decision, Delay, LimitCheck, LimitDetail, Mode, Refusal, Usage, Verdict};
use crate::time::Moment;

/// What a decision needs besides the records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'a> {
    pub(super) binding: &'a Binding,
    pub(super) keyed: &'a KeyedHash,
    /// The switch for everything.
    pub(super) mode: Mode,
    /// Whether the numbers of each check are wanted even if nothing is refused.
    pub(super) details: bool,
}

/// Decides a request, and says where it counts as in flight.
pub(super) fn decide(table: &Table, terms: Terms<'_>, facts: &Facts<'_>) -> (Decision, Places) {
    let mut asked = Asked::default();
    if terms.mode != Mode::Off {
        asked.gather(terms, facts);
    }
    if asked.trials.is_empty() {
        return (Decision::default(), Places::new());
    }
    let network = table.asks_for_networks().then(|| asked.network(terms.binding, facts));
    // Where they are: they are too large to be moved.
    let Asked { principals, trials } = &mut asked;
    let principals = principals.as_slice();
    let wanted = Wanted { principals, last_if_known: network.is_some_and(|it| it.is_extra) };
    let (verdict, places, details) = table.with(wanted, facts.at, |lent| {
        if let Some(network) = network {
            held::ask_network(trials, lent, network, principals);
        }
        let grown = ask(trials, lent, facts.at);
        let verdict = verdict(trials, terms.binding, facts);
        let places = settle(trials, lent, principals, verdict, facts.at);
        held::hold(trials, lent, network, principals, facts.at);
        let wanted = terms.details || verdict != Verdict::Forward;
        let details = if wanted { describe(trials, principals) } else { Box::default() };
        if grown {
            (0..records(trials)).for_each(|at| lent.record(at).forget_idle(facts.at));
        }
        (verdict, places, details)
    });
    let checks = asked.trials.iter().map(Trial::outcome).collect();
    (Decision { verdict, checks, details }, places)
}

/// What would be decided now, with the numbers of every check as they are. Works on copies: nothing is charged, and
/// nobody is remembered, forgotten or visited because somebody asked. A network that stands for clients for whom there
/// is no room (see `held`) is left out.
pub(super) fn foresee(table: &Table, terms: Terms<'_>, facts: &Facts<'_>) -> Decision {
    let mut asked = Asked::default();
    asked.gather(terms, facts);
    let Asked { principals, mut trials } = asked;
    let mut records: Vec<Record> = principals.iter().map(|principal| table.copy(*principal)).collect();
    for trial in &mut trials {
        let Some(record) = records.get_mut(trial.record) else { continue };
        let at = record.find(trial.slot, 0, trial.rule);
        trial.check = record.check(at, trial.rule, trial.cost, facts.at);
        trial.status = record.status(at, trial.rule, facts.at);
    }
    Decision {
        verdict: verdict(&trials, terms.binding, facts),
        checks: trials.iter().map(Trial::outcome).collect(),
        details: describe(&trials, &principals),
    }
}

/// Every limit that is asked, and whose records that takes.
#[derive(Debug, Default)]
struct Asked<'a> {
    /// Each once.
    principals: SmallVec<[Principal; 4]>,
    trials: Trials<'a>,
}

pub(super) type Trials<'a> = SmallVec<[Trial<'a>; 10]>;

/// One limit, asked about one request on account of one principal.
#[derive(Clone, Debug)]
pub(super) struct Trial<'a> {
    limit: &'a BoundLimit,
    terms: TermsId,
    pub(super) rule: &'a Rule,
    cost: u64,
    pub(super) slot: SlotKey,
    mode: Mode,
    /// Which of the principals.
    pub(super) record: usize,
    /// Whether that is a network that stands for the principal whom the limit is about.
    pub(super) stands_in: bool,
    /// Where the cell was when it was asked: there still, unless a cell was added after that.
    pub(super) at: usize,
    pub(super) check: Check,
    /// How the cell stands after the decision.
    pub(super) status: Status,
}

impl<'a> Asked<'a> {
    fn gather(&mut self, terms: Terms<'a>, facts: &Facts<'_>) {
        let Terms { binding, keyed, mode, .. } = terms;
        let ceiling = if binding.never_refuses(facts) { mode.at_most(Mode::Shadow) } else { mode };
        for limit in binding.applicable(facts) {
            let mode = binding.mode(limit, facts).at_most(ceiling);
            for charged in limit.subject.charges(facts, keyed) {
                let terms = charged.terms.unwrap_or_else(|| limit.rules.terms_of(facts));
                let rule = limit.rules.of(terms);
                let record = self.record_of(charged.principal);
                self.trials.push(Trial {
                    limit,
                    terms,
                    rule,
                    cost: limit.cost_at_admission(facts),
                    slot: limit.slot(facts),
                    mode,
                    record,
                    stands_in: false,
                    at: 0,
                    check: Check::Within,
                    status: Status::default(),
                });
            }
        }
    }

    /// The network around the client, among the principals.
    fn network(&mut self, binding: &Binding, facts: &Facts<'_>) -> Network {
        let known = self.principals.len();
        let record = self.record_of(binding.policy().network.of(facts.address));
        Network { record, is_extra: record == known }
    }

    fn record_of(&mut self, principal: Principal) -> usize {
        let known = self.principals.iter().position(|known| *known == principal);
        known.unwrap_or_else(|| {
            self.principals.push(principal);
            self.principals.len() - 1
        })
    }
}

impl Trial<'_> {
    /// The same limit, asked about a network that stands for the principal.
    pub(super) fn of_network(&self, record: usize) -> Self {
        Trial { record, stands_in: true, ..self.clone() }
    }

    fn outcome(&self) -> LimitCheck {
        LimitCheck { limit: self.limit.id, mode: self.mode, within: self.check.is_within() }
    }

    /// What it holds until the request ends.
    fn place(&self, principal: Principal, now: Moment) -> Place {
        Place {
            principal,
            slot: self.slot,
            rule: *self.rule,
            cost: self.limit.cost,
            reserved: self.cost,
            since: now,
        }
    }

    /// The status, for whoever is to be told.
    fn detail(&self, principals: &[Principal]) -> LimitDetail {
        let Status { limit, used, remaining, reset_after } = self.status;
        LimitDetail {
            limit: self.limit.id,
            terms: self.terms,
            mode: self.mode,
            principal: principals[self.record],
            retry_after: match self.check {
                Check::Within => None,
                Check::Over { retry_after } => retry_after,
            },
            within: self.check.is_within(),
            usage: Usage { limit, used, remaining, reset_after },
        }
    }
}

/// How many of the principals are asked: all, but for a network that stands for nobody.
fn records(trials: &Trials<'_>) -> usize {
    trials.iter().map(|trial| trial.record + 1).max().unwrap_or(0)
}

/// Asks each limit for itself. Whether that took cells that there were not.
fn ask(trials: &mut [Trial<'_>], lent: &mut Lent<'_>, now: Moment) -> bool {
    let mut grown = false;
    // Both the limits and the cells of a record are mostly in the order in which they were configured.
    let mut next = 0;
    for nth in 0..trials.len() {
        let Trial { record: owner, slot, rule, cost, .. } = trials[nth];
        let record = lent.record(owner);
        record.expect(|| trials.iter().filter(|trial| trial.record == owner).count());
        let known = record.len();
        let at = record.find(slot, next, rule);
        grown |= record.len() > known;
        next = at + 1;
        let trial = &mut trials[nth];
        (trial.at, trial.check) = (at, record.check(at, rule, cost, now));
    }
    grown
}

/// Refused by the enforced limit with the longest wait, the first of them in file order; delayed where every limit
/// that is over would rather have the request wait, and that in time.
fn verdict(trials: &Trials<'_>, binding: &Binding, facts: &Facts<'_>) -> Verdict {
    let mut refusal: Option<Refusal> = None;
    let mut can_wait = true;
    for trial in trials.iter().filter(|trial| trial.mode == Mode::Enforce) {
        let Check::Over { retry_after } = trial.check else { continue };
        if refusal.is_none_or(|longest| retry_after > longest.retry_after) {
            refusal = Some(Refusal { limit: trial.limit.id, retry_after });
        }
        can_wait &= match (binding.policy().limit(trial.limit.id).over, retry_after) {
            (Over::Delay { wait_max, .. }, Some(wait)) => facts.waited.saturating_add(wait) <= wait_max,
            _ => false,
        };
    }
    match refusal {
        None => Verdict::Forward,
        Some(Refusal { limit, retry_after: Some(wait) }) if can_wait => Verdict::Delay(Delay { limit, wait }),
        Some(refusal) => Verdict::Refuse(refusal),
    }
}

/// Charges an admitted request to every limit that it is within. That is all enforced ones, and those in shadow
/// that would not have refused it. Notes how all cells stand then, whether admitted or not.
fn settle(
    trials: &mut Trials<'_>,
    lent: &mut Lent<'_>,
    principals: &[Principal],
    verdict: Verdict,
    now: Moment,
) -> Places {
    let mut places = Places::new();
    for trial in trials {
        let record = lent.record(trial.record);
        trial.at = record.find(trial.slot, trial.at, trial.rule);
        if verdict == Verdict::Forward && trial.check.is_within() {
            record.charge(trial.at, trial.rule, trial.cost);
            if trial.rule.is_held() {
                places.push(trial.place(principals[trial.record], now));
            }
        }
        trial.status = record.status(trial.at, trial.rule, now);
    }
    places
}

/// The numbers of every check, as they are after the decision.
fn describe(trials: &Trials<'_>, principals: &[Principal]) -> Box<[LimitDetail]> {
    trials.iter().map(|trial| trial.detail(principals)).collect()
}
