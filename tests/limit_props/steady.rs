//! Senders just below their limit, and those that wait for it.

use proptest::prelude::*;
use weir::limit::{Cell, Check};
use weir::time::Moment;

use crate::{seeded, sliding, take};

const SECOND: u64 = 1_000_000_000;
const WINDOW: u64 = 10 * SECOND;

/// Sends for a window and a quarter at 98 % of `n`, each request later than even by up to `jitter`.
fn sends_at_98_percent(n: u64, jitter: u64) {
    let rule = sliding(n, WINDOW);
    let mut cell = Cell::new(&rule);
    let mut random = 0x77_65_69_72_u64;
    for turn in 0..n + n / 4 + 3 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let late = (random >> 33) % (jitter + 1);
        let even = u128::from(turn) * u128::from(WINDOW) * 100 / (98 * u128::from(n));
        let at = u64::try_from(even).expect("a few windows") + late;
        assert!(take(&mut cell, &rule, 1, at), "{n}: refused request {turn} at {at}");
    }
}

/// Promise 1: a steady sender at 98 % of N is never refused. Jitter is up to an interval, or a hundredth of the
/// window where that is less: with more, some window would hold more than N.
#[test]
fn a_steady_sender_is_never_refused() {
    for n in (1..=1000).chain([10_000, 1_000_000]) {
        sends_at_98_percent(n, 0);
        sends_at_98_percent(n, (WINDOW * 100 / (98 * n)).min(WINDOW / 100));
    }
}

proptest! {
    #![proptest_config(seeded(256))]

    /// Promise 1: after a burst, units are back as soon as the window allows: to the grain of the stamps up to
    /// N = 128, within W/128 above.
    #[test]
    fn after_a_burst_units_are_back_in_time(
        n in prop_oneof![1..=128_u64, 129..=1000_u64, Just(1_000_000_u64)],
        at in 0..100 * SECOND,
        before in 0..100 * SECOND,
    ) {
        let rule = sliding(n, WINDOW);
        let mut cell = Cell::new(&rule);
        prop_assert!(take(&mut cell, &rule, 1, at));
        let at = at + WINDOW * 2 + before;
        prop_assert!(take(&mut cell, &rule, n, at));
        let Check::Over { retry_after } = cell.check(&rule, n, Moment::from_nanos(at)) else {
            return Err(TestCaseError::fail("more than N"));
        };
        let wait = retry_after.expect("N fit again").as_nanos();
        let late = u128::from(if n <= 128 { WINDOW >> 30 } else { WINDOW / 128 });
        prop_assert!((u128::from(WINDOW)..=u128::from(WINDOW) + late).contains(&wait), "{} ns", wait);
    }
}
