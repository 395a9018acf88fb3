//! The numbers of a limit as people say them: `100 requests in every 10 seconds`, `2 GiB in every hour`.
//!
//! Nothing is rounded up: what is said to be allowed is allowed.

use std::time::Duration;

use crate::policy::{Bound, Cost, Limit, Period};

/// What a limit allows, as one sentence for whoever is over it. It does not tell whether a plan or an agreement has
/// put the numbers in: that is between the account and the operator.
pub(super) fn sentence(limit: &Limit, bound: Bound) -> String {
    let (name, cost) = (&limit.name, limit.cost);
    match bound {
        Bound::SlidingWindow { units, window } => {
            format!(
                "The limit “{name}” is used up: at most {} in every {}.",
                amount(units.get(), cost),
                span(window)
            )
        }
        Bound::Gcra { units, window, burst } => format!(
            "The limit “{name}” is used up: {} per {}, spread evenly, at most {} at once.",
            amount(units.get(), cost),
            span(window),
            amount(burst.get().into(), cost)
        ),
        Bound::Concurrency { requests } => format!(
            "The limit “{name}” is used up: at most {} at the same time.",
            amount(requests.get().into(), Cost::Requests)
        ),
        Bound::Quota { units, period: Period::Rolling(window) } => {
            format!(
                "The quota “{name}” is used up: at most {} in {}.",
                amount(units.get(), cost),
                time(window)
            )
        }
        Bound::Quota { units, period: Period::Month } => {
            format!(
                "The quota “{name}” is used up: at most {} in a calendar month.",
                amount(units.get(), cost)
            )
        }
    }
}

fn amount(units: u64, cost: Cost) -> String {
    match cost {
        Cost::Requests => counted(units, "request"),
        Cost::RequestBytes => format!("{} of request bodies", bytes(units)),
        Cost::ResponseBytes => format!("{} of response bodies", bytes(units)),
        Cost::Bytes => format!("{} of bodies, sent and received,", bytes(units)),
        Cost::UpstreamTime => format!("{} of the site's time", time(Duration::from_micros(units))),
    }
}

/// `minute`, `10 seconds`: what follows “in every”.
fn span(window: Duration) -> String {
    match in_whole_units(window) {
        Some((1, unit)) => unit.to_owned(),
        Some((n, unit)) => counted(n, unit),
        None => time(window),
    }
}

/// `30 days`, `1 hour`.
fn time(time: Duration) -> String {
    match in_whole_units(time) {
        Some((n, unit)) => counted(n, unit),
        None => format!("{time:?}"),
    }
}

/// In the largest unit that leaves nothing over.
fn in_whole_units(time: Duration) -> Option<(u64, &'static str)> {
    let ms =
        u64::try_from(time.as_millis()).ok().filter(|ms| Duration::from_millis(*ms) == time && *ms > 0)?;
    let units =
        [("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1_000), ("millisecond", 1)];
    units.into_iter().find(|(_, unit)| ms.is_multiple_of(*unit)).map(|(name, unit)| (ms / unit, name))
}

/// As exact as it was written: in the largest unit, binary or decimal, that leaves nothing over.
fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 8] = [
        ("TiB", 1 << 40),
        ("TB", 1_000_000_000_000),
        ("GiB", 1 << 30),
        ("GB", 1_000_000_000),
        ("MiB", 1 << 20),
        ("MB", 1_000_000),
        ("KiB", 1 << 10),
        ("kB", 1_000),
    ];
    match UNITS.into_iter().find(|(_, unit)| count != 0 && count.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{} {name}", grouped(count / unit)),
        None => counted(count, "byte"),
    }
}

fn counted(n: u64, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{} {noun}s", grouped(n)) }
}

/// `1,000,000`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    use super::*;
    use crate::policy::{ClauseId, LimitKey, Match};

    fn said(cost: Cost, bound: Bound) -> String {
        let limit = Limit {
            name: "x".to_owned(),
            clause: ClauseId(0),
            key: LimitKey::default(),
            matches: Match::default(),
            bound,
            cost,
            over: Default::default(),
            mode: Default::default(),
            exempt: Default::default(),
        };
        let said = sentence(&limit, bound);
        said.split_once("is used up: ").unwrap().1.to_owned()
    }

    fn window(units: u64, seconds: u64) -> Bound {
        Bound::SlidingWindow { units: NonZeroU64::new(units).unwrap(), window: Duration::from_secs(seconds) }
    }

    /// Promise: every kind of number is told in the words in which people would write it, exactly.
    #[test]
    fn numbers_are_told_as_people_say_them() {
        let quota = |period| Bound::Quota { units: NonZeroU64::new(1_000_000).unwrap(), period };
        let month = Duration::from_secs(30 * 86_400);
        let (five, two) = (NonZeroU64::new(5).unwrap(), NonZeroU32::new(2).unwrap());
        let paced = Bound::Gcra { units: five, window: Duration::from_secs(60), burst: two };
        for (cost, bound, words) in [
            (Cost::Requests, window(100, 10), "at most 100 requests in every 10 seconds."),
            (Cost::Requests, window(1, 60), "at most 1 request in every minute."),
            (Cost::Requests, window(90, 90), "at most 90 requests in every 90 seconds."),
            (Cost::Requests, paced, "5 requests per minute, spread evenly, at most 2 requests at once."),
            (Cost::Requests, Bound::Concurrency { requests: two }, "at most 2 requests at the same time."),
            (Cost::Requests, quota(Period::Rolling(month)), "at most 1,000,000 requests in 30 days."),
            (Cost::Requests, quota(Period::Month), "at most 1,000,000 requests in a calendar month."),
            (Cost::ResponseBytes, window(2 << 30, 3600), "at most 2 GiB of response bodies in every hour."),
            (Cost::RequestBytes, window(10_000_000, 86_400), "at most 10 MB of request bodies in every day."),
            (
                Cost::Bytes,
                window(1_023, 1),
                "at most 1,023 bytes of bodies, sent and received, in every second.",
            ),
            (
                Cost::UpstreamTime,
                window(120_000_000, 60),
                "at most 2 minutes of the site's time in every minute.",
            ),
        ] {
            assert_eq!(said(cost, bound), words);
        }
    }
}
