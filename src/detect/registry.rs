//! The registry: which detectors there are, and what can be set of each.

use std::fmt;

use super::{Detector, crawl, flood, harvest, interfere, load, probe, protocol, retry, stuffing, swarm};
use crate::clause::Behaviour;

/// One threshold of a detector: a key of `[detectors.NAME]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knob {
    pub name: &'static str,
    /// What works untuned.
    pub default: u32,
    pub min: u32,
    pub max: u32,
    /// What it bounds, in a few words.
    pub about: &'static str,
}

impl Knob {
    pub(super) const fn new(
        name: &'static str,
        default: u32,
        min: u32,
        max: u32,
        about: &'static str,
    ) -> Self {
        Knob { name, default, min, max, about }
    }
}

/// A kind of detector.
#[derive(Clone, Copy)]
pub struct Spec {
    pub behaviour: Behaviour,
    pub knobs: &'static [Knob],
    /// Whether arrivals count as they come, admitted or not: what is refused down to its limit does not comply.
    pub is_demand: bool,
    pub(super) build: fn(&[u32]) -> Box<dyn Detector>,
}

impl Spec {
    /// A detector with these thresholds, in the order of `knobs`: one that is missing has its default, one that is
    /// out of bounds the nearest bound.
    pub fn build(&self, thresholds: &[u32]) -> Box<dyn Detector> {
        (self.build)(thresholds)
    }
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spec")
            .field("behaviour", &self.behaviour)
            .field("knobs", &self.knobs)
            .finish_non_exhaustive()
    }
}

/// Every detector.
pub const fn specs() -> &'static [Spec] {
    const SPECS: &[Spec] = &[
        crawl::SPEC,
        harvest::SPEC,
        probe::SPEC,
        stuffing::SPEC,
        flood::SPEC,
        retry::SPEC,
        load::SPEC,
        interfere::SPEC,
        protocol::SPEC,
        swarm::SPEC,
    ];
    SPECS
}

/// The detector of a behaviour, where one is built.
pub fn spec(behaviour: Behaviour) -> Option<&'static Spec> {
    specs().iter().find(|spec| spec.behaviour == behaviour)
}

/// The value of each knob: as given, within its bounds, or its default.
pub(super) fn settle<const N: usize>(knobs: &[Knob; N], given: &[u32]) -> [u32; N] {
    std::array::from_fn(|at| match given.get(at) {
        Some(value) => (*value).clamp(knobs[at].min, knobs[at].max),
        None => knobs[at].default,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: every knob has a name of its own within its detector, that TOML needs no quotes for, and a default
    /// that is allowed; every behaviour has one detector at most.
    #[test]
    fn knobs_are_sound() {
        for (at, spec) in specs().iter().enumerate() {
            assert!(specs()[..at].iter().all(|other| other.behaviour != spec.behaviour), "{spec:?}");
            for (at, knob) in spec.knobs.iter().enumerate() {
                assert!(spec.knobs[..at].iter().all(|other| other.name != knob.name), "{knob:?}");
                assert!(knob.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
                assert!(knob.min <= knob.default && knob.default <= knob.max, "{knob:?}");
                assert!(!["mode", "clause", "confidence", "answer", "for", "exempt"].contains(&knob.name));
            }
        }
    }

    /// Promise: what is not given has its default, and what is out of bounds the nearest bound.
    #[test]
    fn thresholds_settle_within_bounds() {
        let knobs = [Knob::new("a", 5, 1, 10, ""), Knob::new("b", 7, 2, 9, "")];
        assert_eq!(settle(&knobs, &[]), [5, 7]);
        assert_eq!(settle(&knobs, &[0, 100]), [1, 9]);
        assert_eq!(settle(&knobs, &[3]), [3, 7]);
    }
}
