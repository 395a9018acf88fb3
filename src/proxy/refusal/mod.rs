//! What a client is told of the limits that it met: in the fields of a response, and in words where it is refused.
//!
//! Everything that does not change from one response to the next is written once per policy, in [`texts`]; a flood
//! is refused with little more than copies.

pub mod fields;
pub mod jitter;
pub mod texts;
mod words;

use std::time::Duration;

use smallvec::SmallVec;

use crate::policy::LimitId;
use crate::remedy::{LimitDetail, Mode};
use fields::RateLimitFields;
use jitter::Jitter;
use texts::{LimitTexts, Numbers};

/// A request that is over its limits, before that is put into words.
#[derive(Debug)]
pub struct Over {
    /// The limit that asks for the longest wait.
    pub limit: LimitId,
    pub details: Box<[LimitDetail]>,
    pub told: Told,
    pub jitter: Jitter,
}

/// What of `[responses]` a refusal heeds.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub fields: bool,
    pub legacy: bool,
}

/// The same in the words of its limits.
#[derive(Debug)]
pub struct Refused<'a> {
    pub limit: &'a LimitTexts,
    /// What the limit allows this client.
    pub numbers: &'a Numbers,
    /// The others that are over, in file order.
    others: SmallVec<[&'a LimitTexts; 2]>,
    pub retry_after: Option<Duration>,
}

impl Over {
    /// `texts` are those of the policy that decided: there is one for each limit.
    pub fn in_words<'a>(&self, texts: &'a [LimitTexts]) -> Option<Refused<'a>> {
        let limit = texts.get(usize::from(self.limit.0))?;
        let over = || self.details.iter().filter(|detail| detail.mode == Mode::Enforce && !detail.within);
        let of_limit = over().filter(|detail| detail.limit == limit.id());
        let strictest = of_limit.max_by_key(|detail| detail.retry_after);
        let mut others: SmallVec<[&LimitTexts; 2]> = SmallVec::new();
        let mut retry_after = None;
        for detail in over() {
            let Some(its) = texts.get(usize::from(detail.limit.0)) else { continue };
            let wait = detail.retry_after.map(|wait| its.estimate(detail, wait, self.jitter));
            retry_after = retry_after.max(wait);
            if its.id() != limit.id() && others.last().is_none_or(|last| last.id() != its.id()) {
                others.push(its);
            }
        }
        let terms = strictest.map(|detail| detail.terms).unwrap_or_default();
        Some(Refused { limit, numbers: limit.numbers(terms), others, retry_after })
    }

    /// The fields about limits, where they are wanted.
    pub fn fields<'a>(&self, texts: &'a [LimitTexts]) -> Option<RateLimitFields<'a>> {
        let Told { fields, legacy } = self.told;
        if fields { RateLimitFields::of(texts, &self.details, legacy, self.jitter) } else { None }
    }
}

impl Refused<'_> {
    /// The problem details object up to the members that differ from one answer to the next, without its closing
    /// brace, and with room for exactly `more` bytes.
    pub fn problem(&self, more: usize) -> Vec<u8> {
        let (limit, numbers) = (&self.limit.problem, self.numbers);
        let others: usize = self.others.iter().map(|other| other.problem.name.len() + 1).sum();
        let fixed = limit.before_detail.len() + limit.after_detail.len() + limit.name.len() + 1;
        let words = numbers.detail_json.len() + numbers.quota_json.len();
        let mut body = Vec::with_capacity(fixed + words + others + more);
        for part in [&limit.before_detail, &numbers.detail_json, &limit.after_detail, &limit.name] {
            body.extend_from_slice(part.as_bytes());
        }
        for other in &self.others {
            body.push(b',');
            body.extend_from_slice(other.problem.name.as_bytes());
        }
        body.push(b']');
        body.extend_from_slice(numbers.quota_json.as_bytes());
        body
    }
}
