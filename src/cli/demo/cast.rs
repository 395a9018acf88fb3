//! Who visits, from which address, and when.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde::Serialize;

/// One of the scripted visitors, or somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Visitor {
    Reader,
    Integration,
    Crawler,
    Flood,
    /// Whoever else comes by, with curl or a browser.
    Guest,
}

impl Visitor {
    /// Those who are scripted.
    pub(super) const ALL: [Visitor; 4] =
        [Visitor::Reader, Visitor::Integration, Visitor::Crawler, Visitor::Flood];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Visitor::Reader => "reader",
            Visitor::Integration => "integration",
            Visitor::Crawler => "crawler",
            Visitor::Flood => "flood",
            Visitor::Guest => "you",
        }
    }

    /// What it does, in a few words.
    pub(super) const fn conduct(self) -> &'static str {
        match self {
            Visitor::Reader => "reads articles in a browser, with pauses to think",
            Visitor::Integration => "polls the API, and waits when it is told to",
            Visitor::Crawler => "walks through every article, and ignores robots.txt",
            Visitor::Flood => "400 requests a second, mostly expensive searches",
            Visitor::Guest => "looks around",
        }
    }

    /// Everyone has an address of their own, all on loopback.
    pub(super) const fn address(self) -> Ipv4Addr {
        match self {
            Visitor::Reader => Ipv4Addr::new(127, 0, 0, 11),
            Visitor::Integration => Ipv4Addr::new(127, 0, 0, 12),
            Visitor::Crawler => Ipv4Addr::new(127, 0, 0, 13),
            Visitor::Flood => Ipv4Addr::new(127, 0, 0, 14),
            Visitor::Guest => Ipv4Addr::LOCALHOST,
        }
    }

    /// Who has that address; a guest when none of the scripted.
    pub(super) fn at(address: IpAddr) -> Self {
        Self::ALL.into_iter().find(|visitor| visitor.address() == address).unwrap_or(Visitor::Guest)
    }

    /// For arrays of [`Visitor::COUNT`].
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    pub(super) const COUNT: usize = Self::ALL.len() + 1;
}

/// A part of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// Everyone but the flood.
    Calm,
    /// The flood, held back by weir.
    Flood,
    /// The flood is over.
    After,
    /// The same flood, sent straight to the app: what weir kept away.
    WithoutWeir,
}

impl Phase {
    pub(super) const ALL: [Phase; 4] = [Phase::Calm, Phase::Flood, Phase::After, Phase::WithoutWeir];

    pub(super) const fn caption(self) -> &'static str {
        match self {
            Phase::Calm => "someone reads, an integration polls, a crawler walks the site",
            Phase::Flood => "a flood from one address: watch what the reader notices",
            Phase::After => "the flood is over",
            Phase::WithoutWeir => "the same flood past weir, straight at the app",
        }
    }

    /// When it begins, in percent of the whole.
    const fn begins_percent(self) -> u32 {
        match self {
            Phase::Calm => 0,
            Phase::Flood => 40,
            Phase::After => 75,
            Phase::WithoutWeir => 85,
        }
    }
}

/// When what happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    pub total: Duration,
}

impl Schedule {
    pub(super) fn begins(self, phase: Phase) -> Duration {
        self.total * phase.begins_percent() / 100
    }

    /// The phase at a time since the start; the last one for ever.
    pub(super) fn phase(self, at: Duration) -> Phase {
        Phase::ALL.into_iter().rev().find(|phase| self.begins(*phase) <= at).unwrap_or(Phase::Calm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: visitors are told apart by address, and a stranger is a guest.
    #[test]
    fn an_address_names_a_visitor() {
        for (index, visitor) in Visitor::ALL.into_iter().enumerate() {
            assert_eq!(Visitor::at(visitor.address().into()), visitor);
            assert_eq!(visitor.index(), index);
        }
        assert_eq!(Visitor::at(Ipv4Addr::new(192, 0, 2, 1).into()), Visitor::Guest);
        assert!(Visitor::Guest.index() < Visitor::COUNT);
    }

    /// Promise: every phase has its turn, in order, whatever the length.
    #[test]
    fn phases_follow_each_other() {
        for seconds in [1, 3, 30, 600] {
            let schedule = Schedule { total: Duration::from_secs(seconds) };
            let begins = Phase::ALL.map(|phase| schedule.begins(phase));
            assert!(begins.is_sorted_by(|a, b| a < b), "{begins:?}");
            assert_eq!(Phase::ALL.map(|phase| schedule.phase(schedule.begins(phase))), Phase::ALL);
            assert_eq!(schedule.phase(Duration::MAX), Phase::WithoutWeir);
        }
    }
}
