//! One decision: every limit is asked before any is charged.

use smallvec::SmallVec;

use super::binding::{Binding, BoundLimit};
use super::held::{self, Network};
use super::keyed::KeyedHash;
use super::names::SlotKey;
use super::record::Record;
use super::subject::{Charged, Subject};
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
        let places = charge(trials, lent, principals, verdict, facts.at);
        let wanted = terms.details || verdict != Verdict::Forward;
        let details = if wanted { describe(trials, lent, principals, facts.at) } else { Box::default() };
        // Last: it may add cells to the record of a network.
        held::hold(trials, lent, network, principals, facts.at);
        if grown {
            (0..records(trials)).for_each(|at| lent.record(at).forget_idle(facts.at));
        }
        (verdict, places, details)
    });
    let checks = asked.trials.iter().map(Trial::outcome).collect();
    (Decision { verdict, checks, details }, places)
}

/// What would be decided now, with the numbers of every check as they are. Works on copies: nothing is charged, and
/// nobody is remembered, forgotten or visited because somebody asked.
pub(super) fn foresee(table: &Table, terms: Terms<'_>, facts: &Facts<'_>) -> Decision {
    let mut asked = Asked::default();
    asked.gather(terms, facts);
    let network = table.asks_for_networks().then(|| asked.network(terms.binding, facts));
    let Asked { principals, mut trials } = asked;
    if let Some(network) = network {
        let it = principals[network.record];
        held::stand_in(&mut trials, network, &principals, |somebody| {
            table.stands_for(it, somebody, facts.at)
        });
    }
    let mut records: Vec<Record> = principals.iter().map(|principal| table.copy(*principal)).collect();
    let mut details = Vec::with_capacity(trials.len());
    for trial in &mut trials {
        let Some(record) = records.get_mut(trial.record) else { continue };
        let at = record.find(trial.slot, 0, trial.rule);
        trial.check = record.open().check(at, trial.rule, trial.cost, facts.at);
        details.push(trial.detail(principals[trial.record], record.status(at, trial.rule, facts.at)));
    }
    Decision {
        verdict: verdict(&trials, terms.binding, facts),
        checks: trials.iter().map(Trial::outcome).collect(),
        details: details.into(),
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
    /// Where the cell is: there still, unless a cell was added after it was asked.
    pub(super) at: usize,
    pub(super) check: Check,
}

impl<'a> Asked<'a> {
    fn gather(&mut self, terms: Terms<'a>, facts: &Facts<'_>) {
        let Terms { binding, keyed, mode, .. } = terms;
        let ceiling =
            if binding.never_refuses(facts.address, facts.who) { mode.at_most(Mode::Shadow) } else { mode };
        let mut client = None;
        for limit in binding.applicable(facts) {
            let mode = binding.mode(limit, facts).at_most(ceiling);
            if matches!(limit.subject, Subject::Client) {
                // By far the usual one.
                let record = *client.get_or_insert_with(|| self.record_of(facts.client.into()));
                self.try_on(limit, facts, mode, None, record);
            } else {
                for Charged { principal, terms } in limit.subject.charges(facts, keyed) {
                    let record = self.record_of(principal);
                    self.try_on(limit, facts, mode, terms, record);
                }
            }
        }
    }

    #[inline]
    fn try_on(
        &mut self,
        limit: &'a BoundLimit,
        facts: &Facts<'_>,
        mode: Mode,
        terms: Option<TermsId>,
        record: usize,
    ) {
        let terms = terms.unwrap_or_else(|| limit.rules.terms_of(facts));
        self.trials.push(Trial {
            limit,
            terms,
            rule: limit.rules.of(terms),
            cost: limit.cost_at_admission(facts),
            slot: limit.slot(facts),
            mode,
            record,
            stands_in: false,
            at: 0,
            check: Check::Within,
        });
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
    /// Whether the next one is about the same principal, whose record is then looked up once for both.
    pub(super) const fn shares_record(&self, next: &Trial<'_>) -> bool {
        self.record == next.record
    }

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

    /// How the cell of this principal stands, for whoever is to be told.
    fn detail(&self, principal: Principal, status: Status) -> LimitDetail {
        let Status { limit, used, remaining, reset_after } = status;
        LimitDetail {
            limit: self.limit.id,
            terms: self.terms,
            mode: self.mode,
            principal,
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
    // All cells are found before the first is asked: what has to come from memory then comes together.
    let mut begin = 0;
    while let Some(&Trial { record: owner, .. }) = trials.get(begin) {
        let record = lent.record(owner);
        record.expect(|| trials.iter().filter(|trial| trial.record == owner).count());
        let known = record.len();
        for trial in trials.iter_mut().skip(begin).take_while(|trial| trial.record == owner) {
            trial.at = record.find(trial.slot, next, trial.rule);
            next = trial.at + 1;
            begin += 1;
        }
        grown |= record.len() > known;
    }
    for run in trials.chunk_by_mut(Trial::shares_record) {
        let record = lent.record(run[0].record);
        if grown {
            for trial in &mut *run {
                trial.at = record.find(trial.slot, trial.at, trial.rule);
            }
        }
        let mut cells = record.open();
        for trial in run {
            trial.check = cells.check(trial.at, trial.rule, trial.cost, now);
        }
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
/// that would not have refused it.
fn charge(
    trials: &Trials<'_>,
    lent: &mut Lent<'_>,
    principals: &[Principal],
    verdict: Verdict,
    now: Moment,
) -> Places {
    let mut places = Places::new();
    if verdict != Verdict::Forward {
        return places;
    }
    for run in trials.chunk_by(Trial::shares_record) {
        let mut cells = lent.record(run[0].record).open();
        for trial in run.iter().filter(|trial| trial.check.is_within()) {
            if cells.charge(trial.at, trial.rule, trial.cost) {
                places.push(trial.place(principals[trial.record], now));
            }
        }
    }
    places
}

/// The numbers of every check, as they are after the decision.
fn describe(
    trials: &Trials<'_>,
    lent: &mut Lent<'_>,
    principals: &[Principal],
    now: Moment,
) -> Box<[LimitDetail]> {
    let detail = |trial: &Trial<'_>| {
        let status = lent.record(trial.record).status(trial.at, trial.rule, now);
        trial.detail(principals[trial.record], status)
    };
    trials.iter().map(detail).collect()
}
