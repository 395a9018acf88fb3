//! Numbers of limits as people write them: units by what is counted, times, and what a bound allows.

use std::time::Duration;

use crate::config::units::{bytes_text, time_text};
use crate::engine::explain::report::BoundReport;

/// What a bound allows, in a phrase: `at most 100 in any 10s`.
pub(super) fn bound(bound: &BoundReport, cost: &str) -> String {
    let units = |units: u64| amount(units, cost);
    match bound {
        BoundReport::SlidingWindow { units: most, window } => {
            format!("at most {} in any {}", units(*most), time(*window))
        }
        BoundReport::Gcra { units: most, window, burst } => {
            format!("{} per {}, paced, {burst} at once", units(*most), time(*window))
        }
        BoundReport::Concurrency { requests } => format!("at most {requests} at once"),
        BoundReport::Quota { units: most, window: Some(window) } => {
            format!("at most {} in any {}, kept over restarts", units(*most), time(*window))
        }
        BoundReport::Quota { units: most, window: None } => {
            format!("at most {} in a calendar month", units(*most))
        }
    }
}

/// `100`, `2GiB`, `1.5s`: units of what is counted.
pub(super) fn amount(units: u64, cost: &str) -> String {
    match cost {
        "upstream-time" => time(Duration::from_micros(units).as_secs_f64()),
        "bytes" | "request-bytes" | "response-bytes" => bytes_text(units),
        _ => units.to_string(),
    }
}

/// A length of time: whole units where it has them, else rounded up to the next millisecond, or second from ten on.
pub(super) fn time(seconds: f64) -> String {
    let grain = if seconds >= 10.0 { 1.0 } else { 1000.0 };
    time_text(Duration::try_from_secs_f64((seconds * grain).ceil() / grain).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: amounts read as a configuration writes them.
    #[test]
    fn amounts_read_as_written() {
        assert_eq!(amount(100, "requests"), "100");
        assert_eq!(amount(2 << 30, "bytes"), "2GiB");
        assert_eq!(amount(1500, "response-bytes"), "1500B");
        assert_eq!(amount(120_000_000, "upstream-time"), "2min");
        assert_eq!(time(0.000_5), "1ms");
        assert_eq!(time(59.2), "1min");
        let rate = BoundReport::Gcra { units: 600, window: 60.0, burst: 50 };
        assert_eq!(bound(&rate, "requests"), "600 per 1min, paced, 50 at once");
        let quota = BoundReport::Quota { units: 1_000_000, window: None };
        assert_eq!(bound(&quota, "requests"), "at most 1000000 in a calendar month");
    }
}
