//! What is done with one request. Decided by the engine, carried out by the proxy, which chooses nothing.

use std::time::Duration;

use smallvec::SmallVec;

use crate::clause::Behaviour;
use crate::facts::Principal;
use crate::finding::FindingId;
use crate::policy::{ClauseId, LimitId, TermsId};
use crate::time::Moment;

/// Whether something is upheld or only watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    #[default]
    Enforce,
    /// Decide, count and report; never touch the traffic.
    Shadow,
    /// Neither decide nor count.
    Off,
}

impl Mode {
    pub const ALL: [Mode; 3] = [Mode::Enforce, Mode::Shadow, Mode::Off];

    pub const fn name(self) -> &'static str {
        match self {
            Mode::Enforce => "enforce",
            Mode::Shadow => "shadow",
            Mode::Off => "off",
        }
    }

    /// The weaker of two modes: `Off` over `Shadow` over `Enforce`.
    pub fn at_most(self, other: Mode) -> Mode {
        match (self, other) {
            (Mode::Off, _) | (_, Mode::Off) => Mode::Off,
            (Mode::Shadow, _) | (_, Mode::Shadow) => Mode::Shadow,
            _ => Mode::Enforce,
        }
    }
}

/// How a request is refused because of what was found of somebody behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Answer {
    /// 429, with the time after which to come back.
    #[default]
    TooManyRequests,
    /// 403.
    Forbidden,
}

impl Answer {
    pub const fn status(self) -> u16 {
        match self {
            Answer::TooManyRequests => 429,
            Answer::Forbidden => 403,
        }
    }
}

/// What one limit said of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitCheck {
    pub limit: LimitId,
    /// The mode in force for this request: the limit's own, weakened by `[enforcement]` and `never_refuse`.
    pub mode: Mode,
    pub within: bool,
}

/// The same with its numbers, for whoever is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitDetail {
    pub limit: LimitId,
    /// Whose numbers it had: the limit's own where these terms say nothing of it.
    pub terms: TermsId,
    pub mode: Mode,
    /// Whose cell it was.
    pub principal: Principal,
    pub within: bool,
    /// As in [`Refusal`]; `None` also for a check that was within.
    pub retry_after: Option<Duration>,
    pub usage: Usage,
}

/// How much of a limit is used, in its units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub limit: u64,
    pub used: u64,
    /// What would be admitted now.
    pub remaining: u64,
    /// Until nothing is used, if nobody uses it further; `None` where that cannot be said (concurrency).
    pub reset_after: Option<Duration>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The limit that tripped; when several did, the one with the longest wait.
    pub limit: LimitId,
    /// After this time a retry succeeds if nobody else uses the key; `None` where that cannot be said
    /// (concurrency).
    pub retry_after: Option<Duration>,
}

/// Why a request is refused although it is within every limit: somebody behind it was found to do what a clause
/// forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conviction {
    pub finding: FindingId,
    pub behaviour: Behaviour,
    pub clause: ClauseId,
    /// Whom the finding is about.
    pub principal: Principal,
    pub answer: Answer,
    /// From then on a request succeeds, unless it happens again.
    pub until: Moment,
}

/// Why a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// The limit that it waits for, in whose queue it needs a place.
    pub limit: LimitId,
    /// After this time it is asked about again; others may have been quicker then.
    pub wait: Duration,
}

/// The engine's answer to one request: an immutable plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    pub verdict: Verdict,
    /// Every limit that applied, in file order, for the metrics. Twice where two principals were charged.
    pub checks: SmallVec<[LimitCheck; 10]>,
    /// The numbers of the checks, in the same order; empty where nobody asks for them.
    pub details: Box<[LimitDetail]>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    #[default]
    Forward,
    Delay(Delay),
    Refuse(Refusal),
    /// For what was found. No limit was asked.
    Convict(Conviction),
}
