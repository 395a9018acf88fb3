//! How the app's answers went lately, and how much they were: to everybody together, and to one principal.

use std::time::Duration;

use super::conduct::Answer;
use crate::window::Fade;

/// How long an answer counts.
pub(super) const MEMORY: Duration = Duration::from_secs(3600);

/// Answers of the app within an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    pub answers: u32,
    /// Answered with 5xx.
    pub errors: u32,
    /// Answered well, but far slower than is usual here.
    pub slow: u32,
    pub bytes: u64,
}

impl Health {
    pub(super) fn note(&mut self, answer: Answer, is_slow: bool) {
        self.answers = self.answers.saturating_add(1);
        self.bytes = self.bytes.saturating_add(answer.bytes);
        if answer.status >= 500 {
            self.errors = self.errors.saturating_add(1);
        } else if is_slow {
            self.slow = self.slow.saturating_add(1);
        }
    }

    /// What failed and what dragged.
    pub const fn troubles(self) -> u32 {
        self.errors.saturating_add(self.slow)
    }

    /// The bytes, in units of 2^20.
    pub fn megabytes(self) -> u32 {
        u32::try_from(self.bytes >> 20).unwrap_or(u32::MAX)
    }

    /// What is left when the answers to somebody are taken out.
    pub const fn without(self, somebody: Health) -> Health {
        Health {
            answers: self.answers.saturating_sub(somebody.answers),
            errors: self.errors.saturating_sub(somebody.errors),
            slow: self.slow.saturating_sub(somebody.slow),
            bytes: self.bytes.saturating_sub(somebody.bytes),
        }
    }
}

impl Fade for Health {
    fn with_share_of(&self, older: &Self, share: u32) -> Self {
        let sum = |a: u32, b: u32| {
            let part = u64::from(b) * u64::from(share) / 256;
            a.saturating_add(u32::try_from(part).unwrap_or(u32::MAX))
        };
        Health {
            answers: sum(self.answers, older.answers),
            errors: sum(self.errors, older.errors),
            slow: sum(self.slow, older.slow),
            bytes: self.bytes.saturating_add(older.bytes / 256 * u64::from(share)),
        }
    }
}

/// How long the app usually takes: the mean of the logarithm of its times, the last few hundred counting most.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Pace {
    answers: u32,
    mean_ln_ms: f32,
}

/// Answers before anything is called slow.
const LEARN_FIRST: u32 = 100;
/// So many times the usual is far slower; `ln(10)`.
const LN_FACTOR: f32 = std::f32::consts::LN_10;
/// Nothing shorter drags, however fast the app is.
const SLOW_MIN: Duration = Duration::from_millis(500);

impl Pace {
    /// Learns how long an answer took, and says whether that is far slower than usual.
    pub(super) fn note(&mut self, took: Duration) -> bool {
        let ln_ms = (took.as_secs_f32() * 1000.0).max(0.01).ln();
        let is_slow = self.answers >= LEARN_FIRST && took >= SLOW_MIN && ln_ms > self.mean_ln_ms + LN_FACTOR;
        self.answers = self.answers.saturating_add(1).min(256);
        #[expect(clippy::cast_precision_loss, reason = "at most 256")]
        let weight = 1.0 / self.answers as f32;
        self.mean_ln_ms += (ln_ms - self.mean_ln_ms) * weight;
        is_slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: ten times the usual, and half a second at least, is slow; before the usual is known nothing is.
    #[test]
    fn far_slower_than_usual_is_slow() {
        let mut pace = Pace::default();
        assert!(!pace.note(Duration::from_secs(60)));
        let mut pace = Pace::default();
        for _ in 0..200 {
            assert!(!pace.note(Duration::from_millis(100)));
        }
        assert!(!pace.clone().note(Duration::from_millis(990)));
        assert!(pace.note(Duration::from_millis(1100)));
        let mut fast = Pace::default();
        (0..200).for_each(|_| assert!(!fast.note(Duration::from_millis(1))));
        assert!(!fast.note(Duration::from_millis(490)));
    }
}
