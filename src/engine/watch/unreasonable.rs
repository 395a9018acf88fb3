//! Unreasonable load as a finding: measured by `engine::load`, and treated like what conduct shows.

use super::case::{Case, FindingEvents};
use super::{Watch, panel::Spared};
use crate::clause::Behaviour;
use crate::engine::{Binding, LoadEvent, LoadFinding};
use crate::facts::Principal;
use crate::finding::{Evidence, Finding, FindingId};
use crate::remedy::Mode;
use crate::time::Moment;

/// It is measured, not guessed.
const CONFIDENCE: f32 = 0.95;

impl Watch {
    /// Notes that an account began or ceased to take an unreasonable share of an upstream. `mode` is the switch for
    /// everything.
    pub(in crate::engine) fn note_load(
        &self,
        binding: &Binding,
        event: &LoadEvent,
        mode: Mode,
        now: Moment,
    ) -> FindingEvents {
        let mut events = FindingEvents::new();
        match event {
            LoadEvent::Began(load) => {
                if let Some(case) = self.case_of(binding, load, mode, now) {
                    let mut shard = self.shard(case.finding.principal).lock();
                    shard.file(case, &self.shared, &mut events);
                    self.shared.note_due(shard.cases.due());
                }
            }
            LoadEvent::Ended { finding, .. } => {
                let account = Principal::account(&finding.account);
                if let Some(case) = self.shard(account).lock().cases.find(account, Behaviour::Load) {
                    case.lasting = case.lasting.saturating_sub(1);
                    case.finding.last = now;
                }
            }
        }
        events
    }

    fn case_of(&self, binding: &Binding, load: &LoadFinding, mode: Mode, now: Moment) -> Option<Case> {
        let judge = binding.panel().judge(Behaviour::Load)?;
        let principal = Principal::account(&load.account);
        let mode = judge.mode(Spared::default(), mode);
        let is_spared = judge.spares_account(&load.account) || binding.never_refuses_account(&load.account);
        let mode = if is_spared { mode.at_most(Mode::Shadow) } else { mode };
        let evidence = |counter, value, threshold| Evidence { counter, value, threshold };
        let mut finding = Finding::new(FindingId::default(), principal, Behaviour::Load, now);
        let reasons = [
            evidence("share_permille", load.share_permille, load.fair_permille),
            evidence("utilisation_permille", load.utilisation_permille, 0),
        ];
        finding.grow(CONFIDENCE, load.resource.name(), reasons.into_iter().collect(), now);
        finding.since = load.since;
        finding.id = self.shared.next_id();
        let mut case = Case { lasting: 1, ..judge.case(finding, mode) };
        if mode == Mode::Enforce && judge.terms.confidence <= CONFIDENCE {
            case.sanction(judge.terms.answer, judge.terms.lasts, now);
        }
        Some(case)
    }
}
