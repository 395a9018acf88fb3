//! Numbers and times at the edge of what 64 bits hold.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use proptest::prelude::*;
use weir::limit::{Cell, ConcurrencyRule, DebtRule, GcraRule, QuotaRule, Rule, SlidingRule};
use weir::time::{Moment, WallTime};

use crate::window_model::SlidingModel;
use crate::{gap, seeded, sliding, take};

/// The most that a cell may hold: 1 KiB of entries, and its own numbers beside them.
const HEAP_BYTES_MAX: usize = 1024 + 256;

fn number() -> impl Strategy<Value = u64> {
    let edge =
        prop::sample::select(vec![0, 1, 127, 128, 1 << 8, 1 << 24, 1 << 32, 1 << 56, 1 << 61, u64::MAX]);
    let edge = (edge, 0..3_u64).prop_map(|(edge, off)| edge.wrapping_add(off).wrapping_sub(1));
    prop_oneof![3 => edge, 1 => any::<u64>(), 1 => 0..1000_u64]
}

fn rule() -> impl Strategy<Value = Rule> {
    (0..8, number(), number(), number()).prop_map(|(kind, n, window, more)| {
        let small = |n| NonZeroU32::new(u32::try_from(n).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU64::new(more).unwrap_or(NonZeroU64::MIN);
        let units = NonZeroU64::new(n).unwrap_or(NonZeroU64::MIN);
        let origin = WallTime { unix_ms: more };
        let (window, unit) = (Duration::from_nanos(window), Duration::from_nanos(more));
        match kind {
            0 => Rule::Sliding(SlidingRule::new(units, window)),
            1 => Rule::Gcra(GcraRule::new(units, window, small(more))),
            2 => Rule::Concurrency(ConcurrencyRule::new(small(n))),
            3 => Rule::Quota(QuotaRule::month(units, origin)),
            4 => Rule::WindowDebt(DebtRule::window(units, window)),
            5 => Rule::WindowDebt(DebtRule::window(units, window).accruing(unit)),
            6 => Rule::PacedDebt(DebtRule::paced(units, window, burst).accruing(unit)),
            _ => Rule::MonthDebt(DebtRule::month(units, origin)),
        }
    })
}

proptest! {
    #![proptest_config(seeded(1000))]

    /// Promise: whatever the rules, costs and times, a cell answers, stays within its bound, and adds up.
    #[test]
    fn nothing_overflows(
        steps in prop::collection::vec((rule(), prop::collection::vec((number(), number(), any::<bool>()), 1..12)), 1..4),
    ) {
        let mut cell: Option<Cell> = None;
        for (rule, asks) in steps {
            let cell = cell.get_or_insert_with(|| Cell::new(&rule));
            for (at, cost, forced) in asks {
                let now = Moment::from_nanos(at);
                if cell.check(&rule, cost, now).is_within() || forced {
                    cell.charge(&rule, cost);
                    if forced {
                        cell.release();
                        cell.settle(&rule, cost, at, Moment::from_nanos(cost), now);
                    }
                }
                let status = cell.status(&rule, now);
                prop_assert_eq!(status.remaining, status.limit.saturating_sub(status.used));
                prop_assert!(cell.heap_bytes() <= HEAP_BYTES_MAX, "{} bytes", cell.heap_bytes());
                let origin = WallTime { unix_ms: at };
                let saved = cell.save(origin);
                if let Some(mut cell) = Cell::restore(saved, origin) {
                    cell.check(&rule, cost, now);
                    cell.status(&rule, now);
                }
                cell.is_idle(now);
            }
        }
    }
}

proptest! {
    #![proptest_config(seeded(50))]

    /// Promise 1: the same where counts need more than 32 bits, up to 2^63 units: never more than N in a window,
    /// and no more memory than a kibibyte.
    #[test]
    fn large_counts_are_counted(
        n in 1_u64 << 20..1 << 63,
        asks in prop::collection::vec((gap(), 0.0..1.0_f64), 1..300),
    ) {
        let window = crate::WINDOW;
        let (rule, mut model) = (sliding(n, window), SlidingModel::new(n, window));
        let mut cell = Cell::new(&rule);
        let mut now = 0;
        for (gap, share) in asks {
            now += gap;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
                reason = "any number will do")]
            let cost = (n as f64 / 8.0 * share) as u64;
            let fits = model.fits(cost, now);
            let admitted = take(&mut cell, &rule, cost, now);
            prop_assert!(fits || !admitted, "admitted too much at {}", now);
            prop_assert!(admitted || model.used_since(window + window / 128) + cost > n, "refused at {}", now);
            prop_assert!(cell.heap_bytes() <= HEAP_BYTES_MAX, "{} bytes", cell.heap_bytes());
            if admitted {
                model.charge(cost);
            }
        }
    }
}

/// Promise: time that stands still at the end of all that can be told apart gives nothing back.
#[test]
fn the_end_of_time_refills_nothing() {
    let rules = [sliding(5, 10), crate::window_debt(5, 128), crate::paced_debt(5, 10, 5)];
    for rule in &rules {
        let mut cell = Cell::new(rule);
        let end = Moment::from_nanos(u64::MAX);
        for _ in 0..5 {
            assert!(cell.check(rule, 1, end).is_within());
            cell.charge(rule, 1);
        }
        for _ in 0..100 {
            assert!(!cell.check(rule, 1, end).is_within());
        }
    }
}
