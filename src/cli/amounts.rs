//! Limits in words: what they count and how much, in the units in which they are written.

use std::time::Duration;

use crate::config::units::{bytes_text, time_text};
use crate::policy::{Bound, Cost, Period};

/// `at most 100 in any 10s`, `2GiB of response bytes per 1h, paced, …`.
pub(super) fn bound(bound: Bound, cost: Cost) -> String {
    let of = match cost {
        Cost::Requests => "",
        Cost::RequestBytes => " of request bodies",
        Cost::ResponseBytes => " of response bodies",
        Cost::Bytes => " of bodies both ways",
        Cost::UpstreamTime => " of upstream time",
    };
    let amount = |units: u64| format!("{}{of}", amount(units, cost));
    match bound {
        Bound::SlidingWindow { units, window } | Bound::Quota { units, period: Period::Rolling(window) } => {
            format!("at most {} in any {}", amount(units.get()), time_text(window))
        }
        Bound::Gcra { units, window, burst } if cost == Cost::Requests => {
            format!("{} per {}, paced, {burst} at once", amount(units.get()), time_text(window))
        }
        Bound::Gcra { units, window, .. } => {
            format!("{} per {}, paced", amount(units.get()), time_text(window))
        }
        Bound::Concurrency { requests } => format!("at most {requests} at once"),
        Bound::Quota { units, period: Period::Month } => {
            format!("at most {} in a calendar month", amount(units.get()))
        }
    }
}

/// Units of a cost: `100`, `2GiB`, `120s`.
pub(super) fn amount(units: u64, cost: Cost) -> String {
    match cost {
        Cost::Requests => units.to_string(),
        Cost::RequestBytes | Cost::ResponseBytes | Cost::Bytes => bytes_text(units),
        Cost::UpstreamTime => time_text(Duration::from_micros(units)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: what a limit allows is told in the unit in which it was written.
    #[test]
    fn amounts_have_their_unit() {
        let window = Duration::from_secs(3600);
        let sliding = |units: u64| Bound::SlidingWindow { units: units.try_into().unwrap(), window };
        assert_eq!(bound(sliding(100), Cost::Requests), "at most 100 in any 1h");
        assert_eq!(bound(sliding(2 << 30), Cost::ResponseBytes), "at most 2GiB of response bodies in any 1h");
        assert_eq!(
            bound(sliding(120_000_000), Cost::UpstreamTime),
            "at most 2min of upstream time in any 1h"
        );
    }
}
