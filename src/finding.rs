//! What a detector found: what, of whom, how sure, and because of which numbers. Nothing here says what is done about it.

use smallvec::SmallVec;

use crate::clause::Behaviour;
use crate::facts::Principal;
use crate::time::Moment;

/// One behaviour of one principal, when it was first recognised.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub at: Moment,
    pub principal: Principal,
    pub behaviour: Behaviour,
    /// From 0 to 1.
    pub confidence: f32,
    /// The rule within the detector that was met.
    pub rule: &'static str,
    pub evidence: Reasons,
    /// Requests of this principal so far.
    pub requests: u32,
    /// The first of them.
    pub since: Moment,
}

/// The numbers behind a finding.
pub type Reasons = SmallVec<[Evidence; 4]>;

/// One number that crossed, and what it crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    pub counter: &'static str,
    pub value: u32,
    pub threshold: u32,
}
