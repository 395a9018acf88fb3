//! What an expression can name: facts of the request, numbers of its answer, and counters of whoever is judged.

use std::fmt;

use super::program::Scene;
use crate::window::Horizon;

/// How far back a counter looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// The one answer.
    Answer,
    /// An hour at most.
    Hour,
    Day,
    /// It fades over a month.
    Month,
}

/// A number that an expression can name.
#[derive(Clone, Copy)]
pub struct Counter {
    pub name: &'static str,
    /// What it counts, in a few words.
    pub about: &'static str,
    pub memory: Memory,
    /// Whether it counts arrivals, admitted or not: then what weir refuses counts too.
    pub is_demand: bool,
    /// Whether it is a share of a whole, in thousandths here and from 0 to 1 in an expression.
    pub is_share: bool,
    pub(super) read: fn(&Scene<'_>) -> u64,
}

impl PartialEq for Counter {
    /// Names are unique.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Counter({})", self.name)
    }
}

/// Every counter, in the order in which they are documented.
pub fn counters() -> impl Iterator<Item = &'static Counter> {
    ANSWER.iter().chain(RATES).chain(HOUR).chain(MONTH).chain(INTERVALS).chain(SHARES)
}

pub(super) fn counter(name: &str) -> Option<&'static Counter> {
    counters().find(|counter| counter.name == name)
}

/// Everything else that an expression can name, each with what it is.
pub const FACTS: [(&str, &str); 11] = [
    ("method", "text"),
    ("host", "text: lower case, without a port; \"\" where none is known"),
    ("path", "text: as routes see it, without the query"),
    ("query", "text: what follows the `?`; \"\" without one"),
    ("route", "text: the route's name; \"\" where none leads to the path"),
    ("user_agent", "text: the field as it came; \"\" without one"),
    ("referer", "text: the same"),
    ("account", "text: the id of a known account behind the request; \"\" without one"),
    ("plan", "text: that account's plan; \"\" without one"),
    ("client", "address: compared with addresses and networks"),
    ("headers", "the request's fields: `headers[\"x-tenant\"]`, or `\"x-tenant\" in headers`"),
];

pub(super) fn all() -> Vec<&'static str> {
    FACTS.iter().map(|(name, _)| *name).chain(counters().map(|counter| counter.name)).collect()
}

const fn counted(
    name: &'static str,
    memory: Memory,
    is_demand: bool,
    about: &'static str,
    read: fn(&Scene<'_>) -> u64,
) -> Counter {
    Counter { name, about, memory, is_demand, is_share: false, read }
}

const fn share(name: &'static str, about: &'static str, read: fn(&Scene<'_>) -> u64) -> Counter {
    Counter { name, about, memory: Memory::Month, is_demand: false, is_share: true, read }
}

const ANSWER: &[Counter] = &[
    counted(
        "status",
        Memory::Answer,
        false,
        "the answer's status; 0 where weir refused the request",
        |scene| scene.event.answer.status.into(),
    ),
    counted("bytes", Memory::Answer, false, "the answer's length", |scene| scene.event.answer.bytes),
    counted("took_ms", Memory::Answer, false, "how long the app took; 0 where that is not known", |scene| {
        let took = scene.event.answer.took.unwrap_or_default();
        u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
    }),
];

/// Reads the pages and calls of a horizon.
macro_rules! asked {
    ($name:literal, $horizon:ident, $memory:ident, $about:literal) => {
        counted($name, Memory::$memory, true, concat!("pages and calls within ", $about), |scene| {
            scene.seen.conduct.asked_in(Horizon::$horizon, scene.seen.now).into()
        })
    };
}

const RATES: &[Counter] = &[
    asked!("asked_10s", TenSeconds, Hour, "ten seconds"),
    asked!("asked_1m", Minute, Hour, "a minute"),
    asked!("asked_10m", TenMinutes, Hour, "ten minutes"),
    asked!("asked_1h", Hour, Hour, "an hour"),
    asked!("asked_24h", Day, Day, "a day"),
];

/// Reads the app's answers within an hour.
macro_rules! answers {
    ($name:literal, $field:ident, $about:literal) => {
        counted($name, Memory::Hour, false, $about, |scene| scene.health().$field.into())
    };
}

const HOUR: &[Counter] = &[
    answers!(
        "answers_1h",
        answers,
        "the app's answers within an hour, once one of them failed, dragged or was large, or they are many"
    ),
    answers!("errors_1h", errors, "of those, the ones with a status of 500 or above"),
    answers!("slow_1h", slow, "of those, the ones that took far longer than is usual for the site"),
    answers!(
        "bytes_1h",
        bytes,
        "the length of those together; small ones before the first large one are left out"
    ),
    counted(
        "clients_1h",
        Memory::Hour,
        true,
        "clients that it came from within this hour of the clock",
        |scene| scene.seen.conduct.clients(scene.seen.now).into(),
    ),
];

/// Reads a sum over the last month.
macro_rules! lately {
    ($name:ident, $demand:literal, $about:literal) => {
        counted(stringify!($name), Memory::Month, $demand, $about, |scene| scene.seen.lately.$name.into())
    };
}

const MONTH: &[Counter] = &[
    counted("requests", Memory::Month, true, "all requests since it was first seen", |scene| {
        scene.seen.conduct.requests.into()
    }),
    counted("known_for_s", Memory::Month, true, "seconds since it was first seen", |scene| {
        scene.seen.now.since(scene.seen.conduct.first).as_secs()
    }),
    lately!(pages, false, "what people look at"),
    lately!(calls, false, "calls of the site's API"),
    lately!(assets, false, "what pages are made of: styles, scripts, images, fonts"),
    lately!(distinct, false, "distinct targets among pages and calls"),
    lately!(unreferred, false, "pages without a Referer"),
    lately!(reached, false, "pages whose Referer is a page that it had fetched"),
    lately!(impossible, false, "pages whose Referer is a page of the site that it never fetched"),
    lately!(forged, false, "requests with a Referer that no browser writes"),
    lately!(not_modified, false, "pages and calls answered with 304"),
    lately!(failed, false, "pages and calls answered with 4xx that no page led to, 429 left out"),
    lately!(failed_distinct, false, "distinct targets among those"),
    lately!(odd, false, "requests with a method that neither browsers nor APIs use, and unreadable ones"),
    lately!(attacks, false, "requests that are known attacks"),
    lately!(logins, false, "logins that the app answered"),
    lately!(logins_failed, false, "of those, the ones that failed"),
    lately!(logins_refused, true, "logins that weir refused"),
    lately!(repeats, true, "the same target as just before, where that had failed or been refused"),
    lately!(with_id, false, "pages and calls with a number or another id in their target"),
    lately!(missed_ids, false, "of those, the ones answered with 403, 404 or 410"),
    lately!(neighbours, false, "ids that went on in small steps as the two before them did"),
    lately!(robots, false, "requests for robots.txt"),
    lately!(disallowed, false, "pages that robots.txt asks to leave alone"),
    lately!(traps, false, "pages that nobody is led to, as `[detection] traps` has them"),
    counted("in_a_row", Memory::Month, false, "ids that went on from the one before, up to now", |scene| {
        scene.seen.conduct.trail.as_ref().map_or(0, |trail| trail.run.into())
    }),
];

/// Reads what is known of the times between pages and calls.
macro_rules! interval {
    ($name:literal, $read:ident, $about:literal) => {
        counted($name, Memory::Month, true, $about, |scene| {
            scene.seen.conduct.trail.as_ref().map_or(0, |trail| trail.intervals.$read().into())
        })
    };
}

const INTERVALS: &[Counter] = &[
    interval!(
        "intervals",
        count,
        "times between pages and calls that were less than an hour; those of the last thousand"
    ),
    interval!("interval_mean_ms", mean_ms, "the mean of those"),
    interval!(
        "interval_deviation_ms",
        deviation_ms,
        "their standard deviation: small where a clock is at work"
    ),
];

const SHARES: &[Counter] = &[
    share("share_assets", "of all that it fetched, assets", |scene| {
        let lately = scene.seen.lately;
        permille(lately.assets.into(), u64::from(lately.assets) + u64::from(lately.asked()))
    }),
    share("share_unreferred", "of its pages, those without a Referer", |scene| {
        permille(scene.seen.lately.unreferred.into(), scene.seen.lately.pages.into())
    }),
    share("share_failed", "of its pages and calls, those in `failed`", |scene| {
        permille(scene.seen.lately.failed.into(), scene.seen.lately.asked().into())
    }),
    share("share_distinct", "of its pages and calls, those in `distinct`", |scene| {
        permille(scene.seen.lately.distinct.into(), scene.seen.lately.asked().into())
    }),
    share("share_logins_failed", "of its logins, those that failed", |scene| {
        permille(scene.seen.lately.logins_failed.into(), scene.seen.lately.logins.into())
    }),
];

/// Of nothing, nothing.
fn permille(part: u64, whole: u64) -> u64 {
    (part * 1000).checked_div(whole).unwrap_or(0).min(1000)
}
