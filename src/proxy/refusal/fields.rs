//! `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11), and the older `X-RateLimit-*`.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::jitter::Jitter;
use super::texts::{LimitTexts, Numbers, whole_seconds_up};
use crate::proxy::message::fields::{decimal_len, push_number};
use crate::proxy::message::own_fields::OwnFields;
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
    available: Vec<u8>,
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
        Some(RateLimitFields { policy: policy(&members)?, available: available(&members), legacy })
    }

    /// Adds the fields to a response of the app. What that says of limits of its own stays: these are further members
    /// of its lists, and of the older fields, which have no lists, the app's are kept.
    pub fn write(self, headers: &mut HeaderMap) {
        headers.append(RATELIMIT_POLICY, self.policy);
        // Digits and an escaped name: there is nothing that a field cannot hold.
        if let Ok(available) = HeaderValue::try_from(self.available) {
            headers.append(RATELIMIT, available);
        }
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

    /// Adds the fields to a response of weir's own.
    pub fn put(self, fields: &mut OwnFields) {
        fields.put(&RATELIMIT_POLICY, &self.policy);
        fields.put_bytes(&RATELIMIT, &self.available);
        let Some(legacy) = self.legacy else { return };
        fields.put_number(&X_RATELIMIT_LIMIT, legacy.limit);
        fields.put_number(&X_RATELIMIT_REMAINING, legacy.remaining);
        if let Some(reset) = legacy.reset {
            fields.put_number(&X_RATELIMIT_RESET, reset);
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

fn available(members: &[Member<'_>]) -> Vec<u8> {
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
    list
}

fn number_value(number: u64) -> HeaderValue {
    let mut digits = Vec::with_capacity(decimal_len(number));
    push_number(&mut digits, number);
    // Digits are what any field can hold.
    HeaderValue::try_from(digits).unwrap_or(HeaderValue::from_static("0"))
}
