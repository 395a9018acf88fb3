//! All that weir says of one limit, written once per policy.

use std::fmt::Write as _;
use std::time::Duration;

use http::HeaderValue;
use serde::Serialize;

use super::jitter::Jitter;
use super::words;
use crate::clause::Clause;
use crate::facts::Principal;
use crate::policy::{Bound, Cost, Limit, LimitId, Period, Policy, TermsId, WhoPart};
use crate::remedy::LimitDetail;

/// The problem type for a limit that is used up (draft-ietf-httpapi-ratelimit-headers-11 §5.1).
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

/// The error of `Proxy-Status` for a request over a limit (RFC 9209 §2.3.20).
pub const OVER_LIMIT: &str = "http_request_denied";

/// An Integer of a structured field has at most 15 digits (RFC 9651 §3.3.1).
const SF_INTEGER_MAX: u64 = 999_999_999_999_999;

/// All that weir says of one limit.
#[derive(Debug)]
pub struct LimitTexts {
    id: LimitId,
    pub name: String,
    pub clause: Clause,
    /// Strangers use up the same budget: nobody can say when it has room again.
    shared: bool,
    unit: Unit,
    pub(super) problem: ProblemParts,
    /// The name as a String of a structured field, quotes included.
    pub(super) sf_name: String,
    own: Numbers,
    /// Those of plans and agreements, sorted.
    others: Box<[(TermsId, Numbers)]>,
}

/// The parts of the problem details object that only the limit determines.
#[derive(Debug)]
pub(super) struct ProblemParts {
    /// Up to the value of `detail`.
    pub(super) before_detail: String,
    /// From there to the first of `violated-policies`.
    pub(super) after_detail: String,
    /// The name as a JSON string.
    pub(super) name: String,
}

/// What a limit allows somebody, in every form in which it is told.
#[derive(Debug)]
pub struct Numbers {
    /// One sentence.
    pub detail: String,
    /// The same as a JSON string.
    pub(super) detail_json: String,
    /// As a member of the problem details object, with a comma before it.
    pub(super) quota_json: String,
    /// In units of the fields.
    pub(super) quota: u64,
    /// The limit's member of `RateLimit-Policy`.
    pub(super) policy: HeaderValue,
}

/// What the numbers of a limit count, as `RateLimit-Policy` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Requests,
    ConcurrentRequests,
    ContentBytes,
    /// Not in the draft's registry, which has no unit for time.
    UpstreamMilliseconds,
}

impl LimitTexts {
    /// The texts of every limit of a policy, by id.
    pub fn of(policy: &Policy) -> Vec<LimitTexts> {
        let ids = (0..=u16::MAX).map(LimitId);
        ids.zip(&policy.limits).map(|(id, limit)| LimitTexts::new(policy, id, limit)).collect()
    }

    fn new(policy: &Policy, id: LimitId, limit: &Limit) -> Self {
        let unit = Unit::of(limit);
        let sf_name = sf_string(&limit.name);
        let terms = (0..=u32::MAX).map(TermsId).zip(&policy.terms);
        let others = terms.filter_map(|(terms, theirs)| {
            let other = theirs.numbers_of(id)?;
            Some((terms, Numbers::new(limit, other.bound, unit, &sf_name)))
        });
        let clause = policy.clause(limit.clause).clone();
        LimitTexts {
            id,
            name: limit.name.clone(),
            problem: ProblemParts::new(limit, &clause),
            clause,
            shared: is_shared(limit),
            unit,
            own: Numbers::new(limit, limit.bound, unit, &sf_name),
            others: others.collect(),
            sf_name,
        }
    }

    pub fn id(&self) -> LimitId {
        self.id
    }

    /// What it allows somebody with these terms.
    pub fn numbers(&self, terms: TermsId) -> &Numbers {
        let found = self.others.binary_search_by_key(&terms, |(terms, _)| *terms).ok();
        found.and_then(|at| self.others.get(at)).map_or(&self.own, |(_, numbers)| numbers)
    }

    /// How long to wait, as it is told: as it is where nobody else uses the budget, else lengthened.
    pub(super) fn estimate(&self, detail: &LimitDetail, wait: Duration, jitter: Jitter) -> Duration {
        let shared = self.shared || detail.principal == Principal::EVERYONE;
        if shared { jitter.lengthen(wait) } else { wait }
    }

    /// A number of the limit's own units in units of the fields; nothing is rounded up.
    pub(super) fn in_field_units(&self, units: u64) -> u64 {
        self.unit.told(units)
    }
}

/// Whether strangers share one budget. A client, an account or a session is one party, alone or with others.
fn is_shared(limit: &Limit) -> bool {
    let one_party = |part: &WhoPart| matches!(part, WhoPart::Client | WhoPart::Account | WhoPart::Session);
    !limit.key.who.iter().any(one_party)
}

impl Numbers {
    fn new(limit: &Limit, bound: Bound, unit: Unit, sf_name: &str) -> Self {
        let detail = words::sentence(limit, bound);
        let (units, window, burst) = match bound {
            Bound::SlidingWindow { units, window }
            | Bound::Quota { units, period: Period::Rolling(window) } => (units.get(), Some(window), None),
            Bound::Gcra { units, window, burst } => (units.get(), Some(window), Some(burst.get())),
            Bound::Concurrency { requests } => (u64::from(requests.get()), None, None),
            // Months differ in length; how long this one lasts is told beside what is left.
            Bound::Quota { units, period: Period::Month } => (units.get(), None, None),
        };
        let (quota, seconds) = (unit.told(units), window.map(whole_seconds_up));
        let mut policy = format!("{sf_name};q={quota}");
        let mut quota_json = format!(",\"quota\":{{\"units\":{quota},\"unit\":\"{}\"", unit.name());
        // Writing to a string cannot fail.
        if unit != Unit::Requests {
            let _ = write!(policy, ";qu=\"{}\"", unit.name());
        }
        if let Some(seconds) = seconds {
            let _ = write!(policy, ";w={seconds}");
        }
        if let Some(window) = window {
            let _ = write!(quota_json, ",\"window_seconds\":{}", window.as_secs_f64());
        }
        if let Some(burst) = burst {
            let burst = unit.told(burst.into());
            let _ = write!(policy, ";weir-burst={burst}");
            let _ = write!(quota_json, ",\"burst\":{burst}");
        }
        quota_json.push('}');
        Numbers {
            detail_json: json(&detail),
            detail,
            quota_json,
            quota,
            // Digits and an escaped name: there is nothing that a field cannot hold.
            policy: HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("\"limit\"")),
        }
    }
}

impl Unit {
    fn of(limit: &Limit) -> Self {
        match (limit.bound, limit.cost) {
            (Bound::Concurrency { .. }, _) => Unit::ConcurrentRequests,
            (_, Cost::Requests) => Unit::Requests,
            (_, Cost::RequestBytes | Cost::ResponseBytes | Cost::Bytes) => Unit::ContentBytes,
            (_, Cost::UpstreamTime) => Unit::UpstreamMilliseconds,
        }
    }

    /// As in the registry of quota units (draft-ietf-httpapi-ratelimit-headers-11 §3.1.2).
    const fn name(self) -> &'static str {
        match self {
            Unit::Requests => "requests",
            Unit::ConcurrentRequests => "concurrent-requests",
            Unit::ContentBytes => "content-bytes",
            Unit::UpstreamMilliseconds => "weir-upstream-milliseconds",
        }
    }

    fn told(self, units: u64) -> u64 {
        let units = if self == Unit::UpstreamMilliseconds { units / 1_000 } else { units };
        units.min(SF_INTEGER_MAX)
    }
}

impl ProblemParts {
    fn new(limit: &Limit, clause: &Clause) -> Self {
        #[derive(Serialize)]
        struct ProblemClause<'a> {
            id: &'a str,
            title: &'a str,
            text: &'a str,
        }
        let name = json(&limit.name);
        let clause = json(&ProblemClause { id: &clause.id, title: &clause.title, text: &clause.text });
        ProblemParts {
            before_detail: format!(
                "{{\"type\":\"{QUOTA_EXCEEDED}\",\"title\":\"Quota Exceeded\",\"status\":429,\"detail\":"
            ),
            after_detail: format!(
                ",\"answered_by\":\"weir\",\"error\":\"{OVER_LIMIT}\",\"limit\":{name},\"clause\":{clause},\
                 \"violated-policies\":["
            ),
            name,
        }
    }
}

/// Rounded up, so that waiting that long is enough, and keeping to a rate over that long is allowed.
pub fn whole_seconds_up(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

fn json(value: &(impl Serialize + ?Sized)) -> String {
    // Strings only: this cannot fail.
    serde_json::to_string(value).unwrap_or_default()
}

/// A String of a structured field (RFC 9651 §3.3.3); what is not ASCII is percent-encoded.
fn sf_string(text: &str) -> String {
    let mut string = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => string.extend(['\\', char::from(byte)]),
            b' '..=b'~' => string.push(char::from(byte)),
            // Writing to a string cannot fail.
            _ => drop(write!(string, "%{byte:02X}")),
        }
    }
    string.push('"');
    string
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    use super::*;
    use crate::policy::{ClauseId, Exempt, LimitKey, Match, Over};
    use crate::remedy::Mode;

    /// Promise: any name that a limit can have is a String of a structured field.
    #[test]
    fn names_are_structured_strings() {
        assert_eq!(sf_string("per-client"), r#""per-client""#);
        assert_eq!(sf_string(r#"a "b" \c"#), r#""a \"b\" \\c""#);
        assert_eq!(sf_string("für"), r#""f%C3%BCr""#);
    }

    /// Promise: what a limit counts is told in the units of the draft's registry, time in milliseconds; windows in
    /// whole seconds, a month of the calendar in none.
    #[test]
    fn numbers_are_told_in_the_units_of_the_draft() {
        let units = |n| NonZeroU64::new(n).unwrap();
        let told = |cost, bound| {
            let limit = Limit {
                name: "x".to_owned(),
                clause: ClauseId(0),
                key: LimitKey::default(),
                matches: Match::default(),
                bound,
                cost,
                over: Over::default(),
                mode: Mode::default(),
                exempt: Exempt::default(),
            };
            Numbers::new(&limit, bound, Unit::of(&limit), "\"x\"").policy
        };
        let minute = Duration::from_secs(60);
        let window = |n| Bound::SlidingWindow { units: units(n), window: minute };
        let half = Bound::SlidingWindow { units: units(5), window: Duration::from_millis(1500) };
        let month = Bound::Quota { units: units(1000), period: Period::Month };
        for (cost, bound, policy) in [
            (Cost::Requests, half, "\"x\";q=5;w=2"),
            (Cost::Bytes, window(2 << 20), "\"x\";q=2097152;qu=\"content-bytes\";w=60"),
            (
                Cost::UpstreamTime,
                window(120_000_000),
                "\"x\";q=120000;qu=\"weir-upstream-milliseconds\";w=60",
            ),
            (Cost::Requests, month, "\"x\";q=1000"),
            (
                Cost::Requests,
                Bound::Concurrency { requests: NonZeroU32::MIN },
                "\"x\";q=1;qu=\"concurrent-requests\"",
            ),
            (Cost::Bytes, window(u64::MAX), "\"x\";q=999999999999999;qu=\"content-bytes\";w=60"),
        ] {
            assert_eq!(told(cost, bound), policy);
        }
    }

    /// Promise: a time that is told in whole seconds is never too short.
    #[test]
    fn seconds_round_up() {
        assert_eq!(whole_seconds_up(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds_up(Duration::from_secs(2)), 2);
        assert_eq!(whole_seconds_up(Duration::from_nanos(2_000_000_001)), 3);
    }
}
