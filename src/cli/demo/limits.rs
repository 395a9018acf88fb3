//! The limits of the demo's policy, as the screen and the summary speak of them.

use std::collections::VecDeque;
use std::time::Duration;

use http::Method;

use crate::policy::{Bound, LimitId, Match, Period, Policy};

/// A sliding-window limit: how it is called, and what it allows.
#[derive(Clone, Debug)]
pub(super) struct LimitLabel {
    pub name: String,
    /// As configuration writes it: `30/10s`.
    pub rate: String,
    pub clause: String,
    pub units: u64,
    pub window: Duration,
    pub matches: Match,
}

/// The labels of a policy, by limit.
#[derive(Clone, Debug)]
pub(super) struct LimitLabels(pub(super) Vec<LimitLabel>);

impl LimitLabels {
    pub(super) fn of(policy: &Policy) -> Self {
        let label = |limit: &crate::policy::Limit| {
            let (units, window) = match limit.bound {
                Bound::SlidingWindow { units, window } | Bound::Gcra { units, window, .. } => {
                    (units.get(), window)
                }
                Bound::Quota { units, period: Period::Rolling(window) } => (units.get(), window),
                Bound::Quota { units, period: Period::Month } => (units.get(), Duration::ZERO),
                Bound::Concurrency { requests } => (u64::from(requests.get()), Duration::ZERO),
            };
            LimitLabel {
                name: limit.name.clone(),
                rate: format!("{units}/{}s", window.as_secs()),
                clause: policy.clause(limit.clause).id.clone(),
                units,
                window,
                matches: limit.matches.clone(),
            }
        };
        LimitLabels(policy.limits.iter().map(label).collect())
    }

    pub(super) fn get(&self, limit: LimitId) -> Option<&LimitLabel> {
        self.0.get(usize::from(limit.0))
    }

    /// The limit of that name.
    pub(super) fn find(&self, name: &str) -> Option<LimitId> {
        let at = self.0.iter().position(|label| label.name == name)?;
        u16::try_from(at).ok().map(LimitId)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &LimitLabel> {
        self.0.iter()
    }
}

/// How much of every limit's window one visitor has used, worked out from what was admitted.
#[derive(Clone, Debug, Default)]
pub(super) struct Windows(Vec<VecDeque<Duration>>);

/// The window that is fullest, of one visitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fullest {
    pub limit: String,
    pub used: u64,
    pub units: u64,
}

impl Windows {
    /// Counts an admitted request in every window that covers it.
    pub(super) fn admit(&mut self, labels: &LimitLabels, at: Duration, method: &Method, path: &str) {
        self.0.resize(labels.0.len(), VecDeque::new());
        for (label, stamps) in labels.iter().zip(&mut self.0) {
            if label.matches.covers(method, "", path) {
                stamps.push_back(at);
                while stamps.front().is_some_and(|oldest| *oldest + label.window <= at) {
                    stamps.pop_front();
                }
            }
        }
    }

    /// The window that is fullest now, if any holds anything. Of two alike, the narrower limit.
    pub(super) fn fullest(&self, labels: &LimitLabels, now: Duration) -> Option<Fullest> {
        let used = |(label, stamps): (&LimitLabel, &VecDeque<Duration>)| {
            let used = stamps.iter().filter(|stamp| **stamp + label.window > now).count() as u64;
            Fullest { limit: label.name.clone(), used, units: label.units }
        };
        let all = labels.iter().zip(&self.0).map(used).filter(|window| window.used > 0);
        all.max_by(|a, b| (a.used * b.units).cmp(&(b.used * a.units)).then(b.units.cmp(&a.units)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::sample;

    fn second(at: u64) -> Duration {
        Duration::from_secs(at)
    }

    /// Promise: only what a limit covers fills its window, and it leaves the window when its time has passed.
    #[test]
    fn a_window_fills_and_empties() {
        let (labels, mut windows) = (sample::limits(), Windows::default());
        assert_eq!(windows.fullest(&labels, second(0)), None);
        windows.admit(&labels, second(0), &Method::GET, "/");
        let per_client = |used| Some(Fullest { limit: "per-client".to_owned(), used, units: 100 });
        assert_eq!(windows.fullest(&labels, second(0)), per_client(1));
        windows.admit(&labels, second(4), &Method::GET, "/articles/a");
        let articles = Some(Fullest { limit: "articles".to_owned(), used: 1, units: 3 });
        assert_eq!(windows.fullest(&labels, second(13)), articles);
        assert_eq!(windows.fullest(&labels, second(14)), None);
    }
}
