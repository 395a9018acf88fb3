//! The detectors of a policy: who looks for what, and whom it spares.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::clause::Behaviour;
use crate::detect::{self, Detector};
use crate::facts::Who;
use crate::policy::{Policy, conduct};
use crate::remedy::Mode;

/// Detectors with the thresholds of one policy. Made once per reload.
#[derive(Default)]
pub(in crate::engine) struct Panel {
    pub(super) judges: Vec<Judge>,
}

/// One detector.
pub(super) struct Judge {
    pub(super) detector: Box<dyn Detector>,
    /// Whether it looks at arrivals, admitted or not.
    pub(super) is_demand: bool,
    pub(super) terms: conduct::Detector,
    pub(super) clause: Arc<str>,
}

/// Behaviours for which one request is never refused, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spared(u16);

impl Panel {
    pub(in crate::engine) fn new(policy: &Policy) -> Self {
        let judges = policy.conduct.detectors.iter().filter_map(|terms| {
            let spec = detect::spec(terms.behaviour)?;
            let clause = policy.clauses.get(usize::from(terms.clause.0));
            Some(Judge {
                detector: spec.build(&terms.thresholds),
                is_demand: spec.is_demand,
                clause: clause.map(|clause| clause.id.as_str().into()).unwrap_or_default(),
                terms: terms.clone(),
            })
        });
        Panel { judges: judges.collect() }
    }

    pub(super) fn judge(&self, behaviour: Behaviour) -> Option<&Judge> {
        self.judges.iter().find(|judge| judge.terms.behaviour == behaviour)
    }

    /// What a request from here is never refused for, whoever else does it.
    pub(super) fn spares(&self, address: IpAddr, who: &Who) -> Spared {
        let spared = self.judges.iter().filter(|judge| judge.spares(address, who));
        Spared(spared.fold(0, |bits, judge| bits | bit(judge.terms.behaviour)))
    }
}

impl Judge {
    pub(super) fn spares(&self, address: IpAddr, who: &Who) -> bool {
        self.terms.exempt.ranges.iter().any(|range| range.contains(&address))
            || who.accounts.iter().any(|account| self.spares_account(&account.id))
    }

    pub(super) fn spares_account(&self, id: &Arc<str>) -> bool {
        self.terms.exempt.accounts.contains(id)
    }

    /// The mode in which it meets a request, given the most that anything may be then.
    pub(super) fn mode(&self, spared: Spared, most: Mode) -> Mode {
        let own = self.terms.mode.at_most(most);
        if spared.0 & bit(self.terms.behaviour) == 0 { own } else { own.at_most(Mode::Shadow) }
    }
}

const fn bit(behaviour: Behaviour) -> u16 {
    1 << behaviour as u16
}

// Every behaviour has a bit.
const _: () = assert!(Behaviour::ALL.len() <= 16);

impl fmt::Debug for Panel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.judges.iter().map(|judge| &judge.terms)).finish()
    }
}
