//! The decisions worth showing one by one: a few a second, out of hundreds.

use std::collections::VecDeque;
use std::time::Duration;

use super::cast::Visitor;
use super::decision::{Decided, Fate};
use crate::policy::LimitId;

/// The latest decisions worth showing, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Feed {
    lines: VecDeque<Decided>,
    shown_last: [Option<Duration>; Visitor::COUNT],
    refused_last: Vec<(Visitor, LimitId, Duration)>,
}

const LINES_MAX: usize = 12;
/// Nobody gets a line more often than this, unless it is news.
const SAMPLE_EVERY: Duration = Duration::from_millis(1500);
/// A refusal after so long without one is news.
const QUIET: Duration = Duration::from_secs(3);

impl Feed {
    /// Whether it was worth showing.
    pub(super) fn offer(&mut self, decided: &Decided) -> Option<News> {
        let news = self.judge(decided)?;
        if let Some(last) = self.shown_last.get_mut(decided.visitor.index()) {
            *last = Some(decided.at);
        }
        self.lines.push_back(decided.clone());
        if self.lines.len() > LINES_MAX {
            self.lines.pop_front();
        }
        Some(news)
    }

    pub(super) fn latest(&self) -> impl DoubleEndedIterator<Item = &Decided> + ExactSizeIterator {
        self.lines.iter()
    }

    fn judge(&mut self, decided: &Decided) -> Option<News> {
        if let Fate::Refused(limit) = decided.fate
            && self.begins_refusals(decided.visitor, limit, decided.at)
        {
            return Some(News::Turn);
        }
        match self.shown_last.get(decided.visitor.index()).copied().flatten() {
            None => Some(News::Turn),
            Some(last) if decided.at.saturating_sub(last) >= SAMPLE_EVERY => Some(News::Sample),
            Some(_) => None,
        }
    }

    fn begins_refusals(&mut self, visitor: Visitor, limit: LimitId, at: Duration) -> bool {
        let mut known = self.refused_last.iter_mut();
        if let Some((_, _, last)) = known.find(|(v, l, _)| (*v, *l) == (visitor, limit)) {
            return at.saturating_sub(std::mem::replace(last, at)) >= QUIET;
        }
        self.refused_last.push((visitor, limit, at));
        true
    }
}

/// Why a decision is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A visitor's first request, or the first refusal after some quiet.
    Turn,
    /// One of many alike.
    Sample,
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Method, StatusCode};

    fn decided(at_ms: u64, visitor: Visitor, fate: Fate) -> Decided {
        let (method, target, status) = (Method::GET, "/".to_owned(), StatusCode::OK);
        Decided { at: Duration::from_millis(at_ms), visitor, method, target, status, fate }
    }

    /// Promise: an arrival and the start of refusals are always shown; of the rest, only a sample.
    #[test]
    fn turns_are_shown_and_the_rest_sampled() {
        let mut feed = Feed::default();
        let refused = Fate::Refused(LimitId(0));
        let mut offer = |at, fate| feed.offer(&decided(at, Visitor::Flood, fate));
        assert_eq!(offer(0, Fate::Admitted), Some(News::Turn));
        assert_eq!(offer(10, Fate::Admitted), None);
        assert_eq!(offer(20, refused), Some(News::Turn));
        assert_eq!(offer(30, refused), None);
        assert_eq!(offer(40, Fate::Refused(LimitId(1))), Some(News::Turn));
        assert_eq!(offer(1540, refused), Some(News::Sample));
        assert_eq!(offer(4540, refused), Some(News::Turn));
        assert_eq!(feed.latest().len(), 5);
    }

    /// Promise: the feed is bounded, whatever comes.
    #[test]
    fn the_feed_is_bounded() {
        let mut feed = Feed::default();
        for at in 0..100 {
            feed.offer(&decided(at * 2000, Visitor::Reader, Fate::Admitted));
        }
        assert_eq!(feed.latest().len(), LINES_MAX);
        assert_eq!(feed.latest().next_back().map(|d| d.at), Some(Duration::from_secs(198)));
    }
}
