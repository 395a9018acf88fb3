//! What a client is told of the limits that it met: in the fields of a response, and in words where it is refused.
//!
//! Everything that does not change from one response to the next is written once per policy, in [`texts`]; a flood
//! is refused with little more than copies.

pub mod fields;
pub mod jitter;
pub mod texts;
mod words;

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use crate::policy::TermsId;
use crate::remedy::{LimitDetail, Mode};
use fields::RateLimitFields;
use jitter::Jitter;
use texts::{LimitTexts, Numbers};

/// One request that is refused because of its limits.
#[derive(Debug)]
pub struct Refused {
    /// The limit that asks for the longest wait.
    limit: Arc<LimitTexts>,
    /// Whose numbers it had.
    terms: TermsId,
    /// The others that are over, in file order.
    others: SmallVec<[Arc<LimitTexts>; 2]>,
    pub retry_after: Option<Duration>,
    pub fields: Option<RateLimitFields>,
}

/// What of `[responses]` a refusal heeds.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub fields: bool,
    pub legacy: bool,
}

impl Refused {
    /// The refusal by everything that is enforced and over, `limit` first.
    pub fn new(
        limit: &Arc<LimitTexts>,
        texts: &[Arc<LimitTexts>],
        details: &[LimitDetail],
        told: Told,
        jitter: Jitter,
    ) -> Self {
        let over = || details.iter().filter(|detail| detail.mode == Mode::Enforce && !detail.within);
        let of_limit = over().filter(|detail| detail.limit == limit.id());
        let strictest = of_limit.max_by_key(|detail| detail.retry_after);
        let mut others: SmallVec<[Arc<LimitTexts>; 2]> = SmallVec::new();
        let mut retry_after = None;
        for detail in over() {
            let Some(its) = texts.get(usize::from(detail.limit.0)) else { continue };
            let wait = detail.retry_after.map(|wait| its.estimate(detail, wait, jitter));
            retry_after = retry_after.max(wait);
            if its.id() != limit.id() && others.last().is_none_or(|last| last.id() != its.id()) {
                others.push(Arc::clone(its));
            }
        }
        Refused {
            limit: Arc::clone(limit),
            terms: strictest.map(|detail| detail.terms).unwrap_or_default(),
            others,
            retry_after,
            fields: told.fields.then(|| RateLimitFields::of(texts, details, told.legacy, jitter)).flatten(),
        }
    }

    pub fn limit(&self) -> &LimitTexts {
        &self.limit
    }

    /// What the limit allows this client.
    pub fn numbers(&self) -> &Numbers {
        self.limit.numbers(self.terms)
    }

    /// The problem details object up to the members that differ from one answer to the next, without its closing
    /// brace, and with room for `more` bytes.
    pub fn problem(&self, more: usize) -> Vec<u8> {
        let (limit, numbers) = (&self.limit.problem, self.numbers());
        let others: usize = self.others.iter().map(|other| other.problem.name.len() + 1).sum();
        let fixed = limit.before_detail.len() + limit.after_detail.len() + limit.name.len();
        let mut body =
            Vec::with_capacity(fixed + numbers.detail_json.len() + numbers.quota_json.len() + others + more);
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
