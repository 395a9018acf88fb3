//! Who has to be remembered after a decision, and what becomes of those for whom there is no room.
//!
//! See `table` for who is held, and for what it means that a network stands for somebody.

use super::decide::{Trial, Trials};
use super::table::{Kept, Lent};
use crate::facts::{Principal, PrincipalKind};
use crate::limit::Rule;
use crate::time::Moment;

/// The network around the client of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network {
    /// Which of the principals it is.
    pub(super) record: usize,
    /// Whether no limit asks for it.
    pub(super) is_extra: bool,
}

/// Asks the network as well, by the limits about those it stands for.
pub(super) fn ask_network(
    trials: &mut Trials<'_>,
    lent: &mut Lent<'_>,
    network: Network,
    principals: &[Principal],
) {
    stand_in(trials, network, principals, |somebody| lent.stands_for(network.record, somebody));
}

/// The same where `stands_for` tells whether it stands for somebody.
pub(super) fn stand_in(
    trials: &mut Trials<'_>,
    network: Network,
    principals: &[Principal],
    mut stands_for: impl FnMut(Principal) -> bool,
) {
    for at in 0..trials.len() {
        let trial = &trials[at];
        let somebody = principals[trial.record];
        let is_asked = |other: &Trial<'_>| other.stands_in && other.slot == trial.slot;
        if can_be_stood_for(somebody) && stands_for(somebody) && !trials.iter().any(is_asked) {
            trials.push(trial.of_network(network.record));
        }
    }
}

/// Sees to it that nobody is let off by being forgotten.
pub(super) fn hold(
    trials: &Trials<'_>,
    lent: &mut Lent<'_>,
    network: Option<Network>,
    principals: &[Principal],
    now: Moment,
) {
    for run in trials.chunk_by(Trial::shares_record) {
        let mut cells = lent.record(run[0].record).open();
        for trial in run {
            if trial.stands_in || !trial.check.is_within() || cells.is_half_used(trial.at, trial.rule, now) {
                cells.hold_while_used(trial.at, trial.rule, now);
            }
        }
    }
    let Some(network) = network else { return };
    for (at, &somebody) in principals.iter().enumerate() {
        if can_be_stood_for(somebody)
            && lent.keep(at) == Kept::NoRoom
            && !lent.stands_for(network.record, somebody)
        {
            for trial in trials.iter().filter(|trial| trial.record == at) {
                charge_to(lent, network, trial, now);
            }
            lent.stand_for(network.record, somebody);
        }
    }
}

/// Charges to the network what has been used of a limit.
fn charge_to(lent: &mut Lent<'_>, network: Network, trial: &Trial<'_>, now: Moment) {
    // What is in flight is never forgotten.
    if matches!(trial.rule, Rule::Concurrency(_)) {
        return;
    }
    let used = lent.record(trial.record).status(trial.at, trial.rule, now).used;
    let record = lent.record(network.record);
    let at = record.find(trial.slot, 0, trial.rule);
    record.take_over(at, trial.rule, used, now);
    record.open().hold_while_used(at, trial.rule, now);
}

const fn can_be_stood_for(principal: Principal) -> bool {
    !matches!(principal.kind(), PrincipalKind::Account | PrincipalKind::Network | PrincipalKind::Everyone)
}
