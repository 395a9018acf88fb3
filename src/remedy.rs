//! What is done with one request. Decided by the engine, carried out by the proxy, which chooses nothing.

use std::time::Duration;

use smallvec::SmallVec;

use crate::policy::LimitId;

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

/// What one limit said of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitCheck {
    pub limit: LimitId,
    /// The mode in force for this request: the limit's own, weakened by `[enforcement]` and `never_refuse`.
    pub mode: Mode,
    pub within: bool,
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

/// The engine's answer to one request: an immutable plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub verdict: Verdict,
    /// Every limit that applied, in file order, for the metrics.
    pub checks: SmallVec<[LimitCheck; 10]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Forward,
    Refuse(Refusal),
}
