//! `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11), and the older `X-RateLimit-*`.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::jitter::Jitter;
use super::texts::{LimitTexts, Numbers, whole_seconds_up};
use crate::remedy::{LimitDetail, Mode};

pub const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
pub const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
pub const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What one response tells of the limits that its request met.
#[derive(Debug)]
pub struct RateLimitFields {
    policy: HeaderValue,
    available: HeaderValue,
    legacy: Option<Legacy>,
}

/// Of the most restrictive limit alone.
#[derive(Debug)]
struct Legacy {
    limit: u64,
    remaining: u64,
    /// In seconds from now.
    reset: Option<u64>,
}

/// One limit's part.
#[derive(Clone, Copy, Debug)]
struct Member<'a> {
    texts: &'a LimitTexts,
    numbers: &'a Numbers,
    over: bool,
    available: u64,
    /// Seconds within which no more than that is available.
    seconds: Option<u64>,
}

impl RateLimitFields {
    /// Of every limit that is enforced; `None` where none is.
    pub fn of(texts: &[LimitTexts], details: &[LimitDetail], legacy: bool, jitter: Jitter) -> Option<Self> {
        let mut members: SmallVec<[Member<'_>; 4]> = SmallVec::new();
        for detail in details.iter().filter(|detail| detail.mode == Mode::Enforce) {
            let Some(texts) = texts.get(usize::from(detail.limit.0)) else { continue };
            let member = Member::new(texts, detail, jitter);
            match members.last_mut().filter(|last| last.texts.id() == detail.limit) {
                // One name stands once: with two that are charged, for the one that has less.
                Some(last) if member.is_stricter_than(last) => *last = member,
                Some(_) => {}
                None => members.push(member),
            }
        }
        let strictest = members.iter().copied().reduce(|a, b| if b.is_stricter_than(&a) { b } else { a })?;
        let legacy = legacy.then_some(Legacy {
            limit: strictest.numbers.quota,
            remaining: strictest.available,
            reset: strictest.seconds,
        });
        Some(RateLimitFields { policy: policy(&members)?, available: available(&members)?, legacy })
    }

    /// Adds the fields. What the app says of limits of its own stays: these are further members of its lists, and of
    /// the older fields, which have no lists, the app's are kept.
    pub fn write(self, headers: &mut HeaderMap) {
        headers.append(RATELIMIT_POLICY, self.policy);
        headers.append(RATELIMIT, self.available);
        let Some(legacy) = self.legacy else { return };
        let theirs = [X_RATELIMIT_LIMIT, X_RATELIMIT_REMAINING, X_RATELIMIT_RESET];
        if theirs.iter().any(|name| headers.contains_key(name)) {
            return;
        }
        headers.insert(X_RATELIMIT_LIMIT, number_value(legacy.limit));
        headers.insert(X_RATELIMIT_REMAINING, number_value(legacy.remaining));
        if let Some(reset) = legacy.reset {
            headers.insert(X_RATELIMIT_RESET, number_value(reset));
        }
    }
}

impl<'a> Member<'a> {
    fn new(texts: &'a LimitTexts, detail: &LimitDetail, jitter: Jitter) -> Self {
        // What is over has room again for this request after its wait; what is not, is whole again after its reset.
        let time = if detail.within { detail.usage.reset_after } else { detail.retry_after };
        Member {
            texts,
            numbers: texts.numbers(detail.terms),
            over: !detail.within,
            available: texts.in_field_units(detail.usage.remaining),
            seconds: time.map(|time| whole_seconds_up(texts.estimate(detail, time, jitter))),
        }
    }

    /// Bytes of its member of `RateLimit`.
    fn available_len(&self) -> usize {
        let parameter = |number| b";r=".len() + decimal_len(number);
        self.texts.sf_name.len() + parameter(self.available) + self.seconds.map_or(0, parameter)
    }

    /// Over rather than within, then for longer, then with less of its quota left.
    fn is_stricter_than(&self, other: &Self) -> bool {
        if self.over != other.over {
            return self.over;
        }
        if self.over {
            return self.seconds > other.seconds;
        }
        let share = |a: &Self, b: &Self| u128::from(a.available) * u128::from(b.numbers.quota);
        share(self, other) < share(other, self)
    }
}

fn policy(members: &[Member<'_>]) -> Option<HeaderValue> {
    if let [one] = members {
        return Some(one.numbers.policy.clone());
    }
    let commas = members.len().saturating_sub(1);
    let mut list = Vec::with_capacity(members.iter().map(|m| m.numbers.policy.len()).sum::<usize>() + commas);
    for member in members {
        if !list.is_empty() {
            list.push(b',');
        }
        list.extend_from_slice(member.numbers.policy.as_bytes());
    }
    HeaderValue::try_from(list).ok()
}

fn available(members: &[Member<'_>]) -> Option<HeaderValue> {
    let commas = members.len().saturating_sub(1);
    let mut list = Vec::with_capacity(members.iter().map(Member::available_len).sum::<usize>() + commas);
    for member in members {
        if !list.is_empty() {
            list.push(b',');
        }
        list.extend_from_slice(member.texts.sf_name.as_bytes());
        list.extend_from_slice(b";r=");
        push_number(&mut list, member.available);
        if let Some(seconds) = member.seconds {
            list.extend_from_slice(b";t=");
            push_number(&mut list, seconds);
        }
    }
    HeaderValue::try_from(list).ok()
}

/// A number as the value of a field.
pub(in crate::proxy) fn number_value(number: u64) -> HeaderValue {
    let mut digits = Vec::with_capacity(decimal_len(number));
    push_number(&mut digits, number);
    // Digits are what any field can hold.
    HeaderValue::try_from(digits).unwrap_or(HeaderValue::from_static("0"))
}

/// In decimal, without the machinery of formatting.
pub(in crate::proxy) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let digits = decimal_len(number);
    out.resize(out.len() + digits, b'0');
    for digit in out.iter_mut().rev().take(digits) {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

/// How many digits a number has in decimal.
///
/// Buffers are made as long as what they will hold: of one with room to spare, `bytes` makes a shared buffer, which takes
/// another allocation.
pub(in crate::proxy) fn decimal_len(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: numbers are told as they are, from the least to the largest.
    #[test]
    fn numbers_are_told_in_decimal() {
        for (number, digits) in
            [(0, "0"), (7, "7"), (10, "10"), (1_000_305, "1000305"), (u64::MAX, "18446744073709551615")]
        {
            assert_eq!(number_value(number), digits);
            assert_eq!(decimal_len(number), digits.len());
        }
    }
}
