//! Networks and software, by what their clients do for the first time: each of them may do too little to be found.
//!
//! Only clients without an account belong to any. Nothing is looked up here for a request of somebody who is known, and
//! nothing when deciding while no crowd is refused.

use smallvec::SmallVec;

use super::arrival::Watched;
use super::shard::{Noted, Suspect};
use super::{FindingEvents, Watch};
use crate::detect::{Crowd, News, SeenCrowd, Signs, Sums};
use crate::engine::Binding;
use crate::facts::{Client, Facts, Principal, PrincipalKind};
use crate::policy::Networks;
use crate::time::Moment;
use crate::window::Heavy;

/// Crowds that are known at once: a quarter of a mebibyte. Any that brings more than one in so many of all newcomers is
/// among them.
const CROWDS: usize = 512;
/// Fewer are not judged.
const JUDGED_FROM: u32 = 10;
/// Everything counts half after so long, as what a crowd keeps fades after an hour.
const HALVE_EVERY_NANOS: u64 = 30 * 60 * 1_000_000_000;

/// What is known of crowds.
#[derive(Debug)]
pub(super) struct Crowds {
    known: Heavy<Principal, Met>,
    /// How often everything was halved, had it been from the origin of time on.
    halved: u64,
    signs: Signs,
}

/// A crowd since it is known.
#[derive(Clone, Debug, Default)]
struct Met {
    crowd: Crowd,
    since: Option<Moment>,
    turns: u32,
}

/// A crowd that may have to be judged.
struct Judged {
    lately: Sums,
    since: Moment,
    turns: u32,
}

impl Default for Crowds {
    fn default() -> Self {
        Crowds { known: Heavy::new(CROWDS), halved: 0, signs: Signs::default() }
    }
}

impl Crowds {
    fn note(&mut self, principal: Principal, news: News, noted: &Noted<'_>) -> Option<Judged> {
        let now = noted.event.at;
        let halved = now.as_nanos() / HALVE_EVERY_NANOS;
        if halved > self.halved {
            self.known.halve();
            self.halved = halved;
        }
        if let Some(signs) = noted.signs {
            self.signs = signs;
        }
        let (weight, Met { crowd, since, turns }) = self.known.add(principal);
        crowd.note(news.turn, news.known, noted.event.sight.target, now);
        *turns = turns.saturating_add(1);
        let since = *since.get_or_insert(now);
        (weight.most >= JUDGED_FROM).then(|| Judged { lately: crowd.lately(now), since, turns: *turns })
    }

    /// What a crowd did is dealt with now: it neither prolongs what is done to it nor brings on the next.
    fn start_over(&mut self, principal: Principal) {
        if let Some(met) = self.known.get_mut(principal) {
            *met = Met::default();
        }
    }
}

/// The crowds that somebody without an account belongs to.
pub(super) type Of = SmallVec<[Principal; 2]>;

pub(super) fn of(client: Client, fingerprint: Option<Principal>, networks: &Networks) -> Of {
    std::iter::once(networks.of(client.address())).chain(fingerprint).collect()
}

impl Watch {
    /// Notes what a client did for the first time for those it belongs to, and finds what they look like together.
    pub(super) fn note_crowds(
        &self,
        binding: &Binding,
        news: News,
        noted: &Noted<'_>,
        events: &mut FindingEvents,
    ) {
        let Watched { from, fingerprint, spared, .. } = *noted.watched;
        if news.turn.is_nothing() || !spared.is_nobody() {
            return;
        }
        for principal in of(from, fingerprint, &binding.policy().network) {
            let (judged, signs) = {
                let mut crowds = self.crowds.lock();
                (crowds.note(principal, news, noted), crowds.signs)
            };
            let Some(judged) = judged else { continue };
            let Judged { lately, since, turns } = judged;
            let seen = SeenCrowd {
                is_software: principal.kind() == PrincipalKind::Fingerprint,
                lately,
                site: &signs,
            };
            let suspect = Suspect { principal, requests: turns, since, at: noted.event.at };
            let mut is_sanctioned = false;
            for own in &noted.panel.own {
                let Some(suspicion) = own.detector.judge_crowd(&seen) else { continue };
                let mut shard = self.shard(principal).lock();
                if shard.find(suspect, &own.judge, suspicion, noted, events) {
                    self.shared.note_crowd(noted.event.at.after(own.judge.terms.lasts));
                    is_sanctioned = true;
                }
                self.shared.note_due(shard.cases.due());
            }
            if is_sanctioned {
                self.crowds.lock().start_over(principal);
            }
        }
    }

    /// The crowds that a request is to be refused for, should they be: nobody's who has an account, or has ever been seen
    /// to look at pages.
    pub(super) fn crowds_of(&self, binding: &Binding, facts: &Facts<'_>) -> Of {
        if !self.shared.is_any_crowd_refused(facts.at) || !facts.who.accounts.is_empty() {
            return Of::new();
        }
        let client = Principal::from(facts.client);
        if self.shard(client).lock().has_settled(client) {
            return Of::new();
        }
        let fingerprint = facts.who.fingerprint.as_ref().map(|print| print.principal);
        of(facts.client, fingerprint, &binding.policy().network)
    }
}

/// Whether a principal is a crowd, and not somebody.
pub(super) const fn is_crowd(principal: Principal) -> bool {
    matches!(principal.kind(), PrincipalKind::Network | PrincipalKind::Fingerprint)
}
