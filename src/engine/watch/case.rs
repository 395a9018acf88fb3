//! A finding and what is done about it.

use std::sync::Arc;
use std::time::Duration;

use super::saved::Earlier;
use crate::clause::Behaviour;
use crate::detect;
use crate::facts::{Client, Principal};
use crate::finding::Finding;
use crate::remedy::{Answer, Mode};
use crate::time::Moment;

/// Whoever was recognised by how often something happens is left alone after this long without it.
pub(super) const QUIET_BRIEF: Duration = Duration::from_secs(10 * 60);
/// The others are recognised by what they did over weeks: a slow crawler is one finding a day, not one a page.
pub(super) const QUIET: Duration = Duration::from_secs(24 * 3600);

/// A finding, as the policy takes it.
#[derive(Clone, Debug)]
pub struct Case {
    pub finding: Finding,
    /// What found it: a detector's name, or that of a rule of the operator's.
    pub detector: Arc<str>,
    /// The id of the clause that forbids it.
    pub clause: Arc<str>,
    /// In force for the request at which it was last recognised: its detector's, weakened by exemptions,
    /// `never_refuse` and the switch for everything.
    pub mode: Mode,
    /// `None`: nobody was refused for it.
    pub sanction: Option<Sanction>,
    /// Measures that say that it goes on; without one, it ends by itself.
    pub(super) lasting: u32,
    /// How long it stays open after it was last recognised, or its sanction ended.
    pub(super) quiet: Duration,
    /// Of one that is older than the process.
    pub earlier: Option<Box<Earlier>>,
}

/// For how long a principal is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sanction {
    pub since: Moment,
    pub until: Moment,
    pub answer: Answer,
}

/// What became of findings at one moment; mostly nothing.
pub type FindingEvents = Vec<FindingEvent>;

/// What became of a finding. The case is as it was then.
#[derive(Clone, Debug)]
pub enum FindingEvent {
    /// There is a new one. It may have a sanction from the start.
    Opened(Box<Case>),
    /// It was known, and from now on its principal is refused.
    Sanctioned(Box<Case>),
    /// It was not recognised for a while, or had to make room for others.
    Closed(Box<Case>),
}

/// Which findings are wanted: those to which all of this applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FindingFilter {
    pub behaviour: Option<Behaviour>,
    pub principal: Option<Principal>,
    /// It took part.
    pub client: Option<Client>,
    pub is_open: Option<bool>,
}

impl FindingEvent {
    pub fn case(&self) -> &Case {
        match self {
            FindingEvent::Opened(case) | FindingEvent::Sanctioned(case) | FindingEvent::Closed(case) => case,
        }
    }
}

impl FindingFilter {
    pub fn admits(&self, Finding { behaviour, principal, clients, closed, .. }: &Finding) -> bool {
        let took_part = |client: Client| *principal == client.into() || clients.contains(&client);
        self.behaviour.is_none_or(|wanted| wanted == *behaviour)
            && self.principal.is_none_or(|wanted| wanted == *principal)
            && self.client.is_none_or(took_part)
            && self.is_open.is_none_or(|wanted| wanted == closed.is_none())
    }
}

impl Case {
    /// One of a detector's that ends by itself.
    pub fn new(finding: Finding, clause: Arc<str>, mode: Mode, sanction: Option<Sanction>) -> Self {
        let behaviour = finding.behaviour;
        let (detector, quiet) = (behaviour.name().into(), quiet_after(behaviour));
        Case { finding, detector, clause, mode, sanction, lasting: 0, quiet, earlier: None }
    }

    /// Whether its principal is being refused.
    pub fn is_in_force(&self, now: Moment) -> bool {
        self.sanction.is_some_and(|sanction| now < sanction.until)
    }

    /// When it is over, unless it is recognised again before; not before `now` while something says that it goes on.
    pub(super) fn over_at(&self, now: Moment) -> Moment {
        let quiet = self.quiet;
        // Whoever is refused has no occasion for more: the quiet time begins after that.
        let refused_until = self.sanction.map_or(Moment::ORIGIN, |sanction| sanction.until);
        let over = self.finding.last.max(refused_until).after(quiet);
        if self.lasting == 0 { over } else { over.max(now.after(quiet)) }
    }

    /// Refuses its principal for so long from now on. Whether that is new.
    pub(super) fn sanction(&mut self, answer: Answer, lasts: Duration, now: Moment) -> bool {
        let until = now.after(lasts);
        match &mut self.sanction {
            Some(sanction) if now < sanction.until => {
                (sanction.until, sanction.answer) = (sanction.until.max(until), answer);
                false
            }
            sanction => {
                *sanction = Some(Sanction { since: now, until, answer });
                true
            }
        }
    }
}

/// How long a finding of one of weir's own detectors stays open without being recognised again.
pub(super) fn quiet_after(behaviour: Behaviour) -> Duration {
    let is_brief = match behaviour {
        Behaviour::Load | Behaviour::Interfere => true,
        behaviour => detect::spec(behaviour).is_some_and(|spec| spec.is_demand),
    };
    if is_brief { QUIET_BRIEF } else { QUIET }
}
