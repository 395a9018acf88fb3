//! What a cell says of itself agrees with what it does.

use std::time::Duration;

use proptest::prelude::*;
use weir::limit::{Cell, ConcurrencyRule, QuotaRule, Rule};
use weir::time::{Moment, WallTime};

use crate::{WINDOW, gap, gcra, paced_debt, seeded, sliding, units, window_debt};

fn rule() -> impl Strategy<Value = Rule> {
    (0..5, 1..300_u64, 1..30_u32).prop_map(|(kind, n, burst)| match kind {
        0 => sliding(n, WINDOW),
        1 => gcra(n, WINDOW, burst),
        2 => Rule::Quota(QuotaRule::month(units(n), WallTime { unix_ms: 1_795_507_200_000 })),
        3 => window_debt(n, WINDOW),
        _ => paced_debt(n, WINDOW, burst.into()),
    })
}

fn is_debt(rule: &Rule) -> bool {
    matches!(rule, Rule::WindowDebt(_) | Rule::PacedDebt(_))
}

proptest! {
    #![proptest_config(seeded(300))]

    /// Promise 6: what is said to remain would be admitted, and no more; after `reset_after` all is back and the
    /// cell is idle, a nanosecond earlier it is not; used and remaining make up the limit.
    #[test]
    fn status_is_true(rule in rule(), asks in prop::collection::vec((gap(), 0..9_u64), 1..150)) {
        let mut cell = Cell::new(&rule);
        let mut now = 0;
        for (gap, cost) in asks {
            now += gap;
            let at = Moment::from_nanos(now);
            if cell.check(&rule, cost, at).is_within() {
                cell.charge(&rule, if is_debt(&rule) { 0 } else { cost });
                cell.settle(&rule, 0, cost * 7, at, at);
            }
            let status = cell.status(&rule, at);
            prop_assert_eq!(status.remaining, status.limit.saturating_sub(status.used));
            prop_assert_eq!(cell.check(&rule, status.remaining, at).is_within(), !is_debt(&rule) || status.remaining > 0);
            if !is_debt(&rule) {
                prop_assert!(!cell.check(&rule, status.remaining + 1, at).is_within());
            }
            let reset_after = status.reset_after.expect("nothing is in flight");
            prop_assert_eq!(reset_after == Duration::ZERO, status.used == 0);
            let reset = at.after(reset_after);
            prop_assert!(cell.is_idle(reset));
            prop_assert_eq!(cell.clone().status(&rule, reset).used, 0);
            if status.used > 0 {
                let before = Moment::from_nanos(reset.as_nanos() - 1);
                prop_assert!(!cell.is_idle(before));
                prop_assert!(cell.clone().status(&rule, before).used > 0);
            }
        }
    }
}

/// Promise 6: places in flight are told, and no time by which they would be back.
#[test]
fn places_are_told() {
    let rule = Rule::Concurrency(ConcurrencyRule::new(3.try_into().expect("not zero")));
    let mut cell = Cell::new(&rule);
    cell.charge(&rule, 1);
    let status = cell.status(&rule, Moment::ORIGIN);
    assert_eq!((status.limit, status.used, status.remaining, status.reset_after), (3, 1, 2, None));
}
