//! The operator's acceptable use policy as data: clauses, and the behaviours they forbid.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// What can be recognised: a closed list of weir's own, which operators map to clauses of theirs, and what rules of
/// theirs describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Behaviour {
    Flood,
    Retry,
    Crawl,
    Harvest,
    Probe,
    Stuffing,
    Load,
    Interfere,
    /// Staying just below a limit to learn where it lies.
    Surf,
    /// Returning under another identity after a sanction.
    Evade,
    /// Many clients of one shape.
    Swarm,
    /// Machine-regular replies or near-duplicate messages.
    Spam,
    /// Slow requests, reset floods and other protocol abuse.
    Protocol,
    Unauthorised,
    Content,
    /// What one of the operator's rules describes.
    Rule(RuleId),
}

/// A rule of the operator's, by its name: the same after a reload and after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(u64);

impl RuleId {
    /// By the first eight bytes of the SHA-256 of its name.
    pub fn named(name: &str) -> Self {
        let hash = Sha256::digest(name.as_bytes());
        RuleId(hash.iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte)))
    }
}

impl Behaviour {
    /// Weir's own.
    pub const ALL: [Behaviour; 15] = [
        Behaviour::Flood,
        Behaviour::Retry,
        Behaviour::Crawl,
        Behaviour::Harvest,
        Behaviour::Probe,
        Behaviour::Stuffing,
        Behaviour::Load,
        Behaviour::Interfere,
        Behaviour::Surf,
        Behaviour::Evade,
        Behaviour::Swarm,
        Behaviour::Spam,
        Behaviour::Protocol,
        Behaviour::Unauthorised,
        Behaviour::Content,
    ];

    /// The name used in configuration, metrics and reports; of all rules, `rule`.
    pub const fn name(self) -> &'static str {
        match self {
            Behaviour::Flood => "flood",
            Behaviour::Retry => "retry",
            Behaviour::Crawl => "crawl",
            Behaviour::Harvest => "harvest",
            Behaviour::Probe => "probe",
            Behaviour::Stuffing => "stuffing",
            Behaviour::Load => "load",
            Behaviour::Interfere => "interfere",
            Behaviour::Surf => "surf",
            Behaviour::Evade => "evade",
            Behaviour::Swarm => "swarm",
            Behaviour::Spam => "spam",
            Behaviour::Protocol => "protocol",
            Behaviour::Unauthorised => "unauthorised",
            Behaviour::Content => "content",
            Behaviour::Rule(_) => "rule",
        }
    }

    /// One of weir's own.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|b| b.name() == name)
    }
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One paragraph of the operator's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// The operator's own short name, unique in the policy: `load`, `crawl`, …
    pub id: String,
    pub title: String,
    /// The sentence as the operator's users read it; quoted in notices and evidence.
    pub text: String,
    pub forbids: Vec<Behaviour>,
}
