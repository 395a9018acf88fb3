//! Quotas by calendar month.

use std::time::Duration;

use proptest::prelude::*;
use weir::limit::{Cell, Check, DebtRule, QuotaRule, Rule};
use weir::time::{Moment, WallTime};

use crate::{seeded, take, units};

const DAY: u64 = 86_400_000_000_000;

/// `date -u -d 2026-11-24T08:00:00 +%s`, in milliseconds: 6 days and 16 hours before December.
const ORIGIN: WallTime = WallTime { unix_ms: 1_795_507_200_000 };
const TO_DECEMBER: u64 = 6 * DAY + 16 * (DAY / 24);

fn quota(n: u64) -> Rule {
    Rule::Quota(QuotaRule::month(units(n), ORIGIN))
}

/// Days from December 2026 to the beginning of each month, over the leap day of 2028.
fn month_begins(month: u64) -> u64 {
    const DAYS: [u64; 12] = [31, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30];
    let year = |month: u64| 2026 + month.div_ceil(12);
    let leap = |month: u64| u64::from(month % 12 == 2 && year(month) % 4 == 0);
    let days: u64 =
        (0..month).map(|month| DAYS[usize::try_from(month % 12).expect("small")] + leap(month)).sum();
    TO_DECEMBER + days * DAY
}

/// The month of a time, counted from December 2026; the one before it is none.
fn month(at: u64) -> Option<u64> {
    (0..100).take_while(|&month| month_begins(month) <= at).last()
}

fn arrivals() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let gap = prop_oneof![Just(0_u64), 0..DAY, 0..20 * DAY, Just(31 * DAY)];
    prop::collection::vec((gap, 0..9_u64), 1..200)
}

proptest! {
    #![proptest_config(seeded(64))]

    /// Promise: in each month of the calendar exactly what the model admits, and the wait ends with the month.
    #[test]
    fn quotas_are_by_calendar_month(n in 1..40_u64, arrivals in arrivals()) {
        let rule = quota(n);
        let mut cell = Cell::new(&rule);
        let (mut now, mut used) = (0, (None, 0));
        for (gap, cost) in arrivals {
            now = (now + gap).min(month_begins(90));
            if month(now) != used.0 {
                used = (month(now), 0);
            }
            let check = cell.check(&rule, cost, Moment::from_nanos(now));
            prop_assert_eq!(check.is_within(), used.1 + cost <= n, "at {}", now);
            if check.is_within() {
                cell.charge(&rule, cost);
                used.1 += cost;
            } else {
                let next = month_begins(month(now).map_or(0, |month| month + 1));
                let wait = (cost <= n).then(|| Duration::from_nanos(next - now));
                prop_assert_eq!(check, Check::Over { retry_after: wait });
            }
            prop_assert_eq!(cell.status(&rule, Moment::from_nanos(now)).used, used.1);
        }
    }
}

/// Promise: what was spent above a month's limit is a debt of the next months, and the wait says until when.
#[test]
fn months_pay_debts() {
    let rule = Rule::MonthDebt(DebtRule::month(units(100), ORIGIN));
    let mut cell = Cell::new(&rule);
    let at = Moment::from_nanos;
    assert!(cell.check(&rule, 0, at(0)).is_within());
    cell.charge(&rule, 0);
    cell.settle(&rule, 0, 350, at(0), at(0));
    // 100 each in November, December and January, and 50 in February.
    let over = |to: u64, now: u64| Check::Over { retry_after: Some(Duration::from_nanos(to - now)) };
    for now in [0, month_begins(0), month_begins(2) - 1] {
        assert_eq!(cell.check(&rule, 0, at(now)), over(month_begins(2), now));
    }
    assert_eq!(cell.status(&rule, at(month_begins(2))).remaining, 50);
    assert!(cell.clone().check(&rule, 0, at(month_begins(2))).is_within());
    assert!(!cell.is_idle(at(month_begins(3) - 1)) && cell.is_idle(at(month_begins(3))));
}

/// Promise 3: a lower quota takes effect at once, a raised one refills nothing.
#[test]
fn changed_quotas_refill_nothing() {
    let mut cell = Cell::new(&quota(10));
    assert!(take(&mut cell, &quota(10), 8, 0));
    assert!(!take(&mut cell, &quota(5), 1, 1));
    assert!(!take(&mut cell, &quota(20), 13, 2));
    assert!(take(&mut cell, &quota(20), 12, 3));
    assert!(take(&mut cell, &quota(5), 5, TO_DECEMBER));
}
