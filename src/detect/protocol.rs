//! Abuse of the protocols below requests: what is begun and never ended, and what is sent to no end.
//!
//! Slow heads and bodies hold connections (slowloris), handshakes that come to nothing cost cryptography, floods of HTTP/2
//! cost work for no request. The proxy ends each by itself; here they are counted for whoever sends them. Everybody has
//! some: bad lines, broken clients, an impatient reload. Only numbers that nobody reaches by accident tell.

use std::time::Duration;

use super::registry::settle;
use super::{Detector, Knob, Seen, Spec, Suspicion, evidence, surest};
use crate::clause::Behaviour;
use crate::time::Moment;
use crate::window::{Aged, Fade};

/// A minute and ten minutes, twice: [`Aged`] counts in full what is younger than half its window, and then lets it fade.
const SOON: Duration = Duration::from_secs(2 * 60);
const MEMORY: Duration = Duration::from_secs(2 * 600);

const KNOBS: [Knob; KINDS] = [
    Knob::new(
        "slow",
        100,
        5,
        60_000,
        "heads and bodies within ten minutes that did not come, or were not taken, in time",
    ),
    Knob::new("handshakes", 600, 10, 60_000, "TLS handshakes within ten minutes that failed or did not end"),
    Knob::new("floods", 10, 2, 60_000, "connections of HTTP/2 within ten minutes that had to be ended"),
    Knob::new(
        "malformed",
        100,
        5,
        60_000,
        "heads and bodies within ten minutes with more than one reading, or none",
    ),
    Knob::new("connections", 6_000, 10, 60_000, "connections within ten minutes over as many as it may have"),
];

/// How sure the numbers make, and when they are reached within a minute.
const LIKELY: f32 = 0.7;
const SURE: f32 = 0.9;

pub(super) const SPEC: Spec = Spec {
    behaviour: Behaviour::Protocol,
    knobs: &KNOBS,
    is_demand: true,
    build: |thresholds| Box::new(Protocol { thresholds: settle(&KNOBS, thresholds) }),
};

/// What a client did without its becoming a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A head or a body stood still or trickled, in either direction.
    Slow,
    /// A handshake failed or did not end.
    Handshake,
    /// A connection of HTTP/2 had to be ended.
    Flood,
    /// A head or a body could be read in two ways, or not at all.
    Malformed,
    /// It opened more connections than it may have.
    Connection,
}

const KINDS: usize = 5;
/// By kind: the rule that is met by many of it, and the name of their number.
const RULES: [(&str, &str); KINDS] = [
    ("slow", "slow"),
    ("handshakes", "handshakes_failed"),
    ("floods", "connections_ended"),
    ("malformed", "malformed"),
    ("connections", "connections_refused"),
];

/// The faults of one principal, over a minute and over ten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    soon: Aged<Counts>,
    lately: Aged<Counts>,
}

/// By kind. Each number stops at 65,535.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts([u16; KINDS]);

impl Faults {
    pub(super) fn note(&mut self, fault: Fault, now: Moment) {
        for counts in [self.soon.current(SOON, now), self.lately.current(MEMORY, now)] {
            if let Some(count) = counts.0.get_mut(fault as usize) {
                *count = count.saturating_add(1);
            }
        }
    }
}

impl Fade for Counts {
    fn with_share_of(&self, older: &Self, share: u32) -> Self {
        let mut sums = self.0;
        for (sum, older) in sums.iter_mut().zip(older.0) {
            *sum = sum.saturating_add(u16::try_from(u32::from(older) * share / 256).unwrap_or(u16::MAX));
        }
        Counts(sums)
    }
}

#[derive(Debug)]
struct Protocol {
    thresholds: [u32; KINDS],
}

impl Detector for Protocol {
    fn behaviour(&self) -> Behaviour {
        Behaviour::Protocol
    }

    fn judge(&self, seen: &Seen<'_>) -> Option<Suspicion> {
        let faults = seen.conduct.faults()?;
        let (soon, lately) = (faults.soon.sum(SOON, seen.now).0, faults.lately.sum(MEMORY, seen.now).0);
        surest(std::array::from_fn::<_, KINDS, _>(|kind| {
            let (rule, counter) = RULES[kind];
            let (soon, lately, threshold) = (soon[kind], lately[kind], self.thresholds[kind]);
            let confidence = if u32::from(soon) >= threshold { SURE } else { LIKELY };
            let most = soon.max(lately);
            let met = u32::from(most) >= threshold;
            Suspicion::when(met, rule, confidence, [evidence(counter, most, threshold)])
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::scene::Scene;

    fn rule(scene: &Scene, who: &str) -> Option<(&'static str, f32)> {
        scene.judge(who, Behaviour::Protocol, &[]).map(|found| (found.rule, found.confidence))
    }

    /// Promise: each kind is found at its own number and not one before; all at once it is as good as certain.
    #[test]
    fn each_kind_has_its_number() {
        for (fault, name, number) in [
            (Fault::Slow, "slow", 100),
            (Fault::Handshake, "handshakes", 600),
            (Fault::Flood, "floods", 10),
            (Fault::Malformed, "malformed", 100),
            (Fault::Connection, "connections", 6000),
        ] {
            let mut scene = Scene::new();
            (1..number).for_each(|_| scene.fails(name, fault));
            assert_eq!(rule(&scene, name), None, "one less is nothing");
            scene.fails(name, fault);
            assert_eq!(rule(&scene, name), Some((name, SURE)));
        }
    }

    /// Promise: spread over ten minutes it is less sure, and over hours it is nothing: a bad line, of which a body stalls
    /// every seven seconds, is no attack, nor is a machine that has tried a handshake every two seconds all night.
    #[test]
    fn what_is_spread_is_less() {
        let mut scene = Scene::new();
        for second in 0..1200 {
            if second % 5 == 0 {
                scene.fails("slowloris", Fault::Slow);
            }
            if second % 7 == 0 {
                scene.fails("bad line", Fault::Slow);
            }
            if second % 2 == 0 {
                scene.fails("machine", Fault::Handshake);
            }
            scene.wait(1);
        }
        assert_eq!(rule(&scene, "slowloris"), Some(("slow", LIKELY)));
        assert_eq!(rule(&scene, "bad line"), None);
        assert_eq!(rule(&scene, "machine"), None);
    }

    /// Promise: different faults do not add up, and all are forgotten after twenty minutes.
    #[test]
    fn kinds_stay_apart_and_fade() {
        let mut scene = Scene::new();
        for _ in 0..99 {
            scene.fails("both", Fault::Slow);
            scene.fails("both", Fault::Malformed);
        }
        assert_eq!(rule(&scene, "both"), None);
        scene.fails("both", Fault::Malformed);
        assert_eq!(rule(&scene, "both"), Some(("malformed", SURE)));
        scene.wait(1200);
        assert_eq!(rule(&scene, "both"), None);
    }
}
