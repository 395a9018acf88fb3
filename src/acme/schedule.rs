//! When a certificate is asked for: pure, the time and the chance are arguments.

use std::time::Duration;

use crate::proxy::tls::Validity;
use crate::time::WallTime;

/// A number of thousandths, drawn by lot: many weirs that started at once do not ask at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lot(u64);

impl Lot {
    /// `thousandths`: at most 1000 count.
    pub(super) const fn new(thousandths: u64) -> Self {
        Lot(if thousandths < 1000 { thousandths } else { 1000 })
    }

    pub(super) fn draw() -> Self {
        Lot::new(fastrand::u64(..=1000))
    }

    /// This many thousandths of a time.
    fn of(self, ms: u64) -> u64 {
        ms / 1000 * self.0
    }
}

/// When to renew a certificate: with a third of its life left, or up to a thirtieth of it earlier. For one of 90 days that
/// is 30 to 33 days before its end.
pub(super) fn renewal(of: Validity, lot: Lot) -> WallTime {
    let life = of.not_after.unix_ms.saturating_sub(of.not_before.unix_ms);
    let left = life / 3 + lot.of(life / 30);
    WallTime { unix_ms: of.not_after.unix_ms.saturating_sub(left) }
}

/// After the first failure. Let's Encrypt takes five failures an hour for a name.
const FIRST: Duration = Duration::from_secs(5 * 60);
/// At most; twice as long after each failure until then.
const LONGEST: Duration = Duration::from_secs(6 * 60 * 60);

/// Whatever the authority asks for: somebody may have put right what was wrong.
const ASKED_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How long to wait after this many failures in a row, up to a tenth longer by lot; `asked`: what the authority asked
/// for, where it did.
pub(super) fn wait(failures: u32, asked: Option<Duration>, lot: Lot) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let wait = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    let tenth = u64::try_from(wait.as_millis() / 10).unwrap_or(u64::MAX);
    let wait = wait + Duration::from_millis(lot.of(tenth));
    asked.map_or(wait, |asked| wait.max(asked.min(ASKED_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60 * 1000;
    const NEVER_LATER: Lot = Lot::new(0);
    const FULLY: Lot = Lot::new(1000);

    fn validity(not_before: u64, not_after: u64) -> Validity {
        Validity { not_before: WallTime { unix_ms: not_before }, not_after: WallTime { unix_ms: not_after } }
    }

    /// Promise: a certificate is renewed with a third of its life left, by lot a thirtieth of it earlier, never later:
    /// 90 days, and six days as short-lived ones have.
    #[test]
    fn a_third_of_the_life_is_left() {
        let quarter = validity(10 * DAY, 100 * DAY);
        assert_eq!(renewal(quarter, NEVER_LATER).unix_ms, 70 * DAY);
        assert_eq!(renewal(quarter, FULLY).unix_ms, 67 * DAY);
        assert_eq!(renewal(quarter, Lot::new(500)).unix_ms, 67 * DAY + DAY * 3 / 2);
        assert_eq!(renewal(validity(0, 6 * DAY), NEVER_LATER).unix_ms, 4 * DAY);
    }

    /// Promise: of a certificate that makes no sense, the renewal is not after its end.
    #[test]
    fn nonsense_is_due() {
        assert_eq!(renewal(validity(9, 3), FULLY).unix_ms, 3, "ends before it begins");
    }

    /// Promise: failures wait for 5 minutes, then twice as long each time, six hours at most; in the first hour there are
    /// fewer tries than the five failures that Let's Encrypt allows.
    #[test]
    fn failures_wait_longer_and_longer() {
        let minutes = |failures| wait(failures, None, NEVER_LATER).as_secs() / 60;
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 8, 99].map(minutes), [5, 10, 20, 40, 80, 160, 320, 360, 360]);
        assert_eq!(minutes(0), 5);
        // At 0, 5, 15, 35 and 75 minutes.
        assert!((1..=4).map(minutes).sum::<u64>() > 60);
        assert_eq!(wait(1, None, FULLY), Duration::from_secs(330), "a tenth longer at most");
    }

    /// Promise: an authority that asks to be left alone for longer is, for a week at most; one that asks for less changes
    /// nothing.
    #[test]
    fn the_authority_may_ask_for_more() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        assert_eq!(wait(1, Some(hours(30)), NEVER_LATER), hours(30));
        assert_eq!(wait(1, Some(hours(9999)), NEVER_LATER), hours(7 * 24));
        assert_eq!(wait(1, Some(Duration::ZERO), NEVER_LATER), Duration::from_secs(300));
    }
}
