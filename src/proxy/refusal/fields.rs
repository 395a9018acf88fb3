//! `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11), and the older `X-RateLimit-*`.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::jitter::Jitter;
use super::texts::{LimitTexts, Numbers, whole_seconds_up};
use crate::proxy::message::fields::{decimal_len, push_number};
use crate::proxy::message::own_message::OwnMessage;
use crate::remedy::{LimitDetail, Mode};

pub const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
pub const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
pub const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The limits that a request met, for the response that is to tell of them.
#[derive(Debug)]
pub struct MetLimits {
    pub details: Box<[LimitDetail]>,
    pub legacy: bool,
    pub jitter: Jitter,
}

/// What one response tells of the limits that its request met.
#[derive(Debug)]
pub struct RateLimitFields<'a> {
    /// At least one.
    members: SmallVec<[Member<'a>; 4]>,
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

impl MetLimits {
    pub fn fields<'a>(&self, texts: &'a [LimitTexts]) -> Option<RateLimitFields<'a>> {
        RateLimitFields::of(texts, &self.details, self.legacy, self.jitter)
    }
}

impl<'a> RateLimitFields<'a> {
    /// Of every limit that is enforced; `None` where none is.
    pub fn of(
        texts: &'a [LimitTexts],
        details: &[LimitDetail],
        legacy: bool,
        jitter: Jitter,
    ) -> Option<Self> {
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
        Some(RateLimitFields { members, legacy })
    }

    /// Adds the fields to a response of the app. What that says of limits of its own stays: these are further members
    /// of its lists, and of the older fields, which have no lists, the app's are kept.
    pub fn write(self, headers: &mut HeaderMap) {
        // Digits and escaped names: there is nothing that a field cannot hold.
        if let Some(policy) = policy(&self.members) {
            headers.append(RATELIMIT_POLICY, policy);
        }
        let mut available = Vec::with_capacity(self.members.iter().map(Member::available_len).sum());
        write_available(&self.members, &mut available);
        if let Ok(available) = HeaderValue::try_from(available) {
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
    pub fn put(self, fields: &mut OwnMessage) {
        match self.members.as_slice() {
            [one] => fields.put(&RATELIMIT_POLICY, &one.numbers.policy),
            members => fields.put_with(&RATELIMIT_POLICY, |out| write_policy(members, out)),
        }
        fields.put_with(&RATELIMIT, |out| write_available(&self.members, out));
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

    /// Bytes of its member of `RateLimit`, and of the comma before it.
    fn available_len(&self) -> usize {
        let parameter = |number| b";r=".len() + decimal_len(number);
        1 + self.texts.sf_name.len() + parameter(self.available) + self.seconds.map_or(0, parameter)
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
    let mut list = Vec::with_capacity(members.iter().map(|m| m.numbers.policy.len() + 1).sum());
    write_policy(members, &mut list);
    HeaderValue::try_from(list).ok()
}

fn write_policy(members: &[Member<'_>], out: &mut Vec<u8>) {
    for (nth, member) in members.iter().enumerate() {
        if nth > 0 {
            out.push(b',');
        }
        out.extend_from_slice(member.numbers.policy.as_bytes());
    }
}

fn write_available(members: &[Member<'_>], out: &mut Vec<u8>) {
    for (nth, member) in members.iter().enumerate() {
        if nth > 0 {
            out.push(b',');
        }
        out.extend_from_slice(member.texts.sf_name.as_bytes());
        out.extend_from_slice(b";r=");
        push_number(out, member.available);
        if let Some(seconds) = member.seconds {
            out.extend_from_slice(b";t=");
            push_number(out, seconds);
        }
    }
}

fn number_value(number: u64) -> HeaderValue {
    let mut digits = Vec::with_capacity(decimal_len(number));
    push_number(&mut digits, number);
    // Digits are what any field can hold.
    HeaderValue::try_from(digits).unwrap_or(HeaderValue::from_static("0"))
}
