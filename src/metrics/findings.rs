//! Findings: how many were made, by whom and for which clause, and how many are open.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::definitions as def;
use super::exposition::{Exposition, whole};
use crate::clause::Behaviour;
use crate::engine::WatchStats;
use crate::policy::Policy;
use crate::remedy::Mode;

/// Findings of one detector, or of one rule, for one clause. Rare, and so one counter for all cores.
#[derive(Debug)]
pub(super) struct FindingSeries {
    behaviour: Behaviour,
    /// By mode.
    made: [AtomicU64; MODES.len()],
    /// Requests that they refused.
    refusals: AtomicU64,
}

const MODES: [Mode; 2] = [Mode::Enforce, Mode::Shadow];

/// The series that exist, by detector and clause.
pub(super) type AllFindingSeries = BTreeMap<(Arc<str>, String), Arc<FindingSeries>>;

/// The series of one policy's detectors.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters(Arc<[(Behaviour, Arc<FindingSeries>)]>);

impl Counters {
    pub(super) fn count(&self, behaviour: Behaviour, mode: Mode) {
        let Some(at) = MODES.iter().position(|known| *known == mode) else { return };
        if let Some((_, series)) = self.0.iter().find(|(of, _)| *of == behaviour) {
            series.made[at].fetch_add(1, Relaxed);
        }
    }

    pub(super) fn count_refusal(&self, behaviour: Behaviour) {
        if let Some((_, series)) = self.0.iter().find(|(of, _)| *of == behaviour) {
            series.refusals.fetch_add(1, Relaxed);
        }
    }
}

impl FindingSeries {
    fn of(behaviour: Behaviour) -> Self {
        FindingSeries { behaviour, made: Default::default(), refusals: AtomicU64::default() }
    }
}

/// Makes the detectors and rules of `policy` the ones that exist; what keeps its detector and clause counts on.
pub(super) fn bind(series: &mut AllFindingSeries, policy: &Policy) -> Counters {
    let mut old = std::mem::take(series);
    let conduct = &policy.conduct;
    let detectors =
        conduct.detectors.iter().map(|one| (one.behaviour, one.behaviour.name().into(), one.clause));
    let rules = conduct.rules.iter().map(|rule| (rule.behaviour(), Arc::clone(&rule.name), rule.clause));
    let each = detectors.chain(rules).map(|(behaviour, name, clause)| {
        let key = (name, policy.clause(clause).id.clone());
        let kept = old.remove(&key).unwrap_or_else(|| Arc::new(FindingSeries::of(behaviour)));
        series.insert(key, Arc::clone(&kept));
        (behaviour, kept)
    });
    Counters(each.collect())
}

pub(super) fn render(out: &mut Exposition, series: &AllFindingSeries, open: &[(Behaviour, u64)]) {
    let findings = series.iter().flat_map(|((detector, clause), counts)| {
        MODES.iter().zip(&counts.made).map(move |(mode, count)| {
            (vec![&**detector, clause.as_str(), mode.name()], whole(count.load(Relaxed)))
        })
    });
    out.labelled(&def::FINDINGS, findings);
    let of = |counts: &FindingSeries| open.iter().find(|(behaviour, _)| *behaviour == counts.behaviour);
    let gauges = series
        .iter()
        .map(|((detector, _), counts)| (vec![&**detector], whole(of(counts).map_or(0, |(_, open)| *open))));
    out.labelled(&def::FINDINGS_OPEN, gauges);
    let refusals = series
        .iter()
        .map(|((detector, _), counts)| (vec![&**detector], whole(counts.refusals.load(Relaxed))));
    out.labelled(&def::FINDING_REFUSALS, refusals);
}

pub(super) fn watch(out: &mut Exposition, stats: WatchStats) {
    out.single(&def::FINDINGS_DISPLACED, stats.findings_displaced);
    out.single(&def::CONDUCT_PRINCIPALS, stats.principals);
    out.single(&def::CONDUCT_BYTES, stats.bytes);
    out.single(&def::CONDUCT_BYTES_MAX, stats.bytes_max);
}
