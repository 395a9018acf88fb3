//! Sliding windows and GCRA against their models, under arrivals that look for an edge.

use proptest::prelude::*;
use weir::limit::{Cell, Check};
use weir::time::Moment;

use crate::model::GcraModel;
use crate::window_model::{SlidingModel, worst_window};
use crate::{WINDOW, gap, gcra, seeded, sliding, take};

fn arrivals() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((gap(), prop_oneof![4 => Just(1_u64), 1 => 0..9_u64]), 1..300)
}

proptest! {
    #![proptest_config(seeded(128))]

    /// Promise 1, up to 128 units: exactly the decisions of the model, whatever the arrivals and weights.
    #[test]
    fn small_sliding_windows_are_exact(units in 1..=128_u64, arrivals in arrivals()) {
        let (rule, mut model) = (sliding(units, WINDOW), SlidingModel::new(units, WINDOW));
        let mut cell = Cell::new(&rule);
        let mut now = 0;
        for (gap, cost) in arrivals {
            now += gap;
            let fits = model.fits(cost, now);
            prop_assert_eq!(take(&mut cell, &rule, cost, now), fits, "at {} for {}", now, cost);
            if fits {
                model.charge(cost);
            }
        }
    }

    /// Promise 1, above 128 units: no window holds more than N, and nothing is refused that would fit in a
    /// window longer by W/128.
    #[test]
    fn large_sliding_windows_err_to_refusal_by_a_part(units in 129..600_u64, arrivals in arrivals()) {
        let (rule, mut model) = (sliding(units, WINDOW), SlidingModel::new(units, WINDOW));
        let mut cell = Cell::new(&rule);
        let mut now = 0;
        for (gap, cost) in arrivals {
            now += gap;
            let cost = cost * 9;
            let fits = model.fits(cost, now);
            let admitted = take(&mut cell, &rule, cost, now);
            prop_assert!(fits || !admitted, "admitted too much at {}", now);
            prop_assert!(admitted || model.used_since(WINDOW + WINDOW / 128) + cost > units, "refused at {}", now);
            if admitted {
                model.charge(cost);
            }
        }
    }

    /// Promise 1: a cell is bounded: at most 128 entries of 4 bytes, whatever the arrivals.
    #[test]
    fn cells_are_bounded(units in 1..600_u64, changed in 1..600_u64, arrivals in arrivals()) {
        let mut cell = Cell::new(&sliding(units, WINDOW));
        let mut now = 0;
        for (turn, (gap, cost)) in arrivals.into_iter().enumerate() {
            now += gap;
            let units = if turn < 150 { units } else { changed };
            take(&mut cell, &sliding(units, WINDOW), cost, now);
            prop_assert!(cell.heap_bytes() <= 512, "{} bytes", cell.heap_bytes());
        }
    }

    /// Promise 3: changed numbers take effect at once and refill nothing, in either direction.
    #[test]
    fn changed_numbers_refill_nothing(
        turns in prop::collection::vec((1..=128_u64, arrivals()), 1..5),
    ) {
        let mut cell = Cell::new(&sliding(1, WINDOW));
        let mut model = SlidingModel::new(1, WINDOW);
        let mut now = 0;
        for (units, arrivals) in turns {
            model.units = units;
            let rule = sliding(units, WINDOW);
            for (gap, cost) in arrivals {
                now += gap;
                let fits = model.fits(cost, now);
                prop_assert_eq!(take(&mut cell, &rule, cost, now), fits, "at {}", now);
                if fits {
                    model.charge(cost);
                }
            }
        }
    }

    /// Promise 3: the same when N crosses 128 and W shrinks, where stamps change their grain: never too much.
    #[test]
    fn a_changed_grain_never_admits_too_much(
        turns in prop::collection::vec((1..600_u64, arrivals()), 1..5),
    ) {
        let mut cell = Cell::new(&sliding(1, WINDOW));
        let mut model = SlidingModel::new(1, WINDOW);
        let (mut now, mut window) = (0, WINDOW);
        for (units, arrivals) in turns {
            (model.units, model.window) = (units, window);
            let rule = sliding(units, window);
            for (gap, cost) in arrivals {
                now += gap;
                let fits = model.fits(cost * 5, now);
                let admitted = take(&mut cell, &rule, cost * 5, now);
                prop_assert!(fits || !admitted, "admitted too much at {}", now);
                if admitted {
                    model.charge(cost * 5);
                }
            }
            window = window * 2 / 3;
        }
    }

    /// Promise: time that stands still, jumps or runs backwards never lets more than N into a window of the
    /// time that the cell has seen.
    #[test]
    fn time_may_run_backwards(units in 1..40_u64, times in prop::collection::vec(0..3 * WINDOW, 1..300)) {
        let (rule, mut model) = (sliding(units, WINDOW), SlidingModel::new(units, WINDOW));
        let mut cell = Cell::new(&rule);
        for now in times {
            let fits = model.fits(1, now);
            prop_assert_eq!(take(&mut cell, &rule, 1, now), fits);
            if fits {
                model.charge(1);
            }
        }
    }

    /// Promise: a retry after the told wait succeeds, a nanosecond earlier it does not, if nobody else uses the
    /// key. A cost above the whole limit is told no wait.
    #[test]
    fn the_wait_is_exact(
        units in 1..300_u64, burst in 1..20_u32, is_gcra: bool, arrivals in arrivals(),
    ) {
        let rule = if is_gcra { gcra(units, WINDOW, burst) } else { sliding(units, WINDOW) };
        let most = if is_gcra { u64::from(burst) } else { units };
        let mut cell = Cell::new(&rule);
        let mut now = 0;
        for (gap, cost) in arrivals {
            now += gap;
            let Check::Over { retry_after } = cell.check(&rule, cost, Moment::from_nanos(now)) else {
                cell.charge(&rule, cost);
                continue;
            };
            let Some(wait) = retry_after else {
                prop_assert!(cost > most);
                continue;
            };
            let again = Moment::from_nanos(now).after(wait);
            let before = Moment::from_nanos(again.as_nanos() - 1);
            prop_assert!(!cell.clone().check(&rule, cost, before).is_within());
            prop_assert!(cell.clone().check(&rule, cost, again).is_within());
        }
    }

    /// Promise 1: GCRA decides as its model, and admits at most N + burst in any window.
    #[test]
    fn gcra_is_its_model(units in 1..200_u64, burst in 1..20_u32, arrivals in arrivals()) {
        let rule = gcra(units, WINDOW, burst);
        let (mut cell, mut model) = (Cell::new(&rule), GcraModel::new(units, WINDOW, u64::from(burst)));
        let (mut now, mut admitted) = (0, Vec::new());
        for (gap, cost) in arrivals {
            now += gap;
            let fits = model.admits(cost, now);
            prop_assert_eq!(take(&mut cell, &rule, cost, now), fits, "at {}", now);
            if fits {
                admitted.push((now, cost));
            }
        }
        prop_assert!(worst_window(&admitted, WINDOW) <= units + u64::from(burst));
    }

    /// Promise 3: when the numbers of a GCRA limit change, what is owed in units stays: as its model, in any order
    /// of faster, slower, more and less burst.
    #[test]
    fn gcra_keeps_its_debt_in_units(
        turns in prop::collection::vec((1..200_u64, 0..3_u64, 1..20_u32, arrivals()), 1..5),
    ) {
        let mut cell = Cell::new(&gcra(1, WINDOW, 1));
        let mut model = GcraModel::new(1, WINDOW, 1);
        let mut now = 0;
        for (units, scale, burst, arrivals) in turns {
            let window = (WINDOW / 2) << scale;
            let rule = gcra(units, window, burst);
            for (turn, (gap, cost)) in arrivals.into_iter().enumerate() {
                now += gap;
                let cost = cost.max(1);
                if turn == 0 {
                    model.change(units, window, burst.into(), now);
                }
                prop_assert_eq!(take(&mut cell, &rule, cost, now), model.admits(cost, now), "at {}", now);
            }
        }
    }

    /// Promise 3: when the grain of the stamps changes, all units are back no earlier than they would be, and at
    /// most two grains later.
    #[test]
    fn a_changed_grain_moves_nothing_forward(
        before in 1..300_u64, after in 1..300_u64, scale in 0..3_u64, arrivals in arrivals(),
    ) {
        let (old, window) = (sliding(before, WINDOW), (WINDOW / 2) << scale);
        let new = sliding(after, window);
        let mut cell = Cell::new(&old);
        let (mut now, mut newest) = (0, None);
        for (gap, cost) in arrivals {
            now += gap;
            let admitted = take(&mut cell, &old, cost, now) && cost > 0;
            newest = if admitted { Some(now) } else { newest };
        }
        let back = newest.map_or(now, |at| (at + window).max(now));
        let told = now + u64::try_from(cell.status(&new, Moment::from_nanos(now)).reset_after
            .expect("units come back").as_nanos()).expect("a few windows");
        prop_assert!((back..=back + WINDOW / 128 + window / 128).contains(&told), "{} for {}", told, back);
    }
}
