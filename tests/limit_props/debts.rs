//! Debts against their models: who is let in, what is owed, and that all of it is paid.

use std::time::Duration;

use proptest::prelude::*;
use weir::limit::{Cell, Check, DebtRule, Rule};
use weir::time::Moment;

use crate::model::{Flights, PacedDebtModel, WindowDebtModel};
use crate::{WINDOW, gap, paced_debt, seeded, units, window_debt};

/// What happens next: a request asks to be let in, or one ends.
#[derive(Clone, Copy, Debug)]
enum Step {
    Begin { reserved: u64 },
    End { which: usize, actual: u64 },
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let begin = prop_oneof![3 => Just(0_u64), 1 => 0..40_u64].prop_map(|reserved| Step::Begin { reserved });
    let actual = prop_oneof![5 => 0..40_u64, 2 => 0..400_u64, 1 => 0..3000_u64];
    let end = (any::<usize>(), actual).prop_map(|(which, actual)| Step::End { which, actual });
    prop::collection::vec((gap(), prop_oneof![3 => begin, 2 => end]), 1..200)
}

fn accruing(rule: Rule, unit: u64) -> Rule {
    match rule {
        Rule::WindowDebt(rule) if unit > 0 => Rule::WindowDebt(rule.accruing(Duration::from_nanos(unit))),
        Rule::PacedDebt(rule) if unit > 0 => Rule::PacedDebt(rule.accruing(Duration::from_nanos(unit))),
        _ => rule,
    }
}

/// A cell and its model, doing the same.
struct Pair<M> {
    cell: Cell,
    model: M,
    flights: Flights,
    unit: u64,
}

impl<M: Debt> Pair<M> {
    fn new(rule: &Rule, model: M, unit: u64) -> Self {
        Pair { cell: Cell::new(rule), model, flights: Flights::default(), unit }
    }

    /// What the cell and the model say of a request; the cell's word is done.
    fn begin(&mut self, rule: &Rule, reserved: u64, at: u64, below: u64) -> (bool, bool) {
        let owed = self.model.owed(at) + self.flights.cost(self.unit, at);
        let within = self.cell.check(rule, reserved, Moment::from_nanos(at)).is_within();
        if within {
            self.cell.charge(rule, reserved);
            self.flights.begin(at, reserved);
        }
        (within, owed < below)
    }

    fn end(&mut self, rule: &Rule, which: usize, actual: u64, at: u64) {
        let Some((started, reserved)) = self.flights.end(which) else { return };
        let (started, now) = (Moment::from_nanos(started), Moment::from_nanos(at));
        self.cell.settle(rule, reserved, actual, started, now);
        self.model.spend(actual, at);
    }
}

trait Debt {
    fn owed(&mut self, now: u64) -> u64;
    fn spend(&mut self, units: u64, now: u64);
}

impl Debt for WindowDebtModel {
    fn owed(&mut self, now: u64) -> u64 {
        WindowDebtModel::owed(self, now)
    }

    fn spend(&mut self, units: u64, now: u64) {
        WindowDebtModel::spend(self, units, now);
    }
}

impl Debt for PacedDebtModel {
    fn owed(&mut self, now: u64) -> u64 {
        PacedDebtModel::owed(self, now)
    }

    fn spend(&mut self, units: u64, now: u64) {
        PacedDebtModel::spend(self, units, now);
    }
}

proptest! {
    #![proptest_config(seeded(128))]

    /// Promise 1: in whole parts of a window, exactly what the model lets in and owes, whatever requests cost.
    #[test]
    fn window_debts_are_their_model(n in 1..300_u64, unit in prop_oneof![Just(0_u64), 1..500_u64], steps in steps()) {
        let rule = accruing(window_debt(n, WINDOW), unit);
        let mut pair = Pair::new(&rule, WindowDebtModel::new(n, WINDOW), unit);
        let mut now = 0;
        for (gap, step) in steps {
            now += gap / 100 * 100;
            match step {
                Step::Begin { reserved } => {
                    let (cell, model) = pair.begin(&rule, reserved, now, n);
                    prop_assert_eq!(cell, model, "at {}", now);
                }
                Step::End { which, actual } => pair.end(&rule, which, actual, now),
            }
            let owed = pair.model.owed(now) + pair.flights.cost(unit, now);
            prop_assert_eq!(pair.cell.status(&rule, Moment::from_nanos(now)).used, owed, "at {}", now);
        }
    }

    /// Promise 1: at any times, nobody is let in whom the model refuses, and nobody refused who would be let in
    /// if units came back W/128 later.
    #[test]
    fn window_debts_err_to_refusal_by_a_part(n in 1..300_u64, steps in steps()) {
        let rule = window_debt(n, WINDOW);
        let mut pair = Pair::new(&rule, WindowDebtModel::new(n, WINDOW), 0);
        let mut late = WindowDebtModel::new(n, WINDOW + WINDOW / 128);
        let mut now = 0;
        for (gap, step) in steps {
            now += gap;
            match step {
                Step::Begin { reserved } => {
                    let in_flight = pair.flights.cost(0, now);
                    let (cell, model) = pair.begin(&rule, reserved, now, n);
                    prop_assert!(model || !cell, "let in at {}", now);
                    prop_assert!(cell || late.owed(now) + in_flight >= n, "refused at {}", now);
                }
                Step::End { which, actual } => {
                    let flights = pair.flights.clone();
                    pair.end(&rule, which, actual, now);
                    if flights.clone().end(which).is_some() {
                        late.spend(actual, now);
                    }
                }
            }
        }
    }

    /// Promise 1: exactly what the model of its whole history lets in and owes.
    #[test]
    fn paced_debts_are_their_model(
        n in 1..300_u64, burst in 1..60_u64, unit in prop_oneof![Just(0_u64), 1..500_u64], steps in steps(),
    ) {
        let rule = accruing(paced_debt(n, WINDOW, burst), unit);
        let mut pair = Pair::new(&rule, PacedDebtModel::new(n, WINDOW), unit);
        let mut now = 0;
        for (gap, step) in steps {
            now += gap;
            match step {
                Step::Begin { reserved } => {
                    let (cell, model) = pair.begin(&rule, reserved, now, burst);
                    prop_assert_eq!(cell, model, "at {}", now);
                }
                Step::End { which, actual } => pair.end(&rule, which, actual, now),
            }
            let owed = pair.model.owed(now) + pair.flights.cost(unit, now);
            prop_assert_eq!(pair.cell.status(&rule, Moment::from_nanos(now)).used, owed, "at {}", now);
        }
    }

    /// Promise 1: by what was really spent: at every admission, what was spent in the window before it and what
    /// was in flight then is below N, so no window holds more than N and what was in flight at the crossing.
    #[test]
    fn no_window_holds_more_than_n_and_what_was_in_flight(n in 1..300_u64, steps in steps()) {
        let rule = window_debt(n, WINDOW);
        let mut pair = Pair::new(&rule, WindowDebtModel::new(n, WINDOW), 0);
        let (mut now, mut spent) = (0, Vec::new());
        for (gap, step) in steps {
            now += gap;
            match step {
                Step::Begin { reserved } => {
                    let recent = spent.iter().filter(|(at, _)| at + WINDOW > now);
                    let recent: u64 = recent.map(|(_, units)| units).sum();
                    let in_flight = pair.flights.cost(0, now);
                    let (within, _) = pair.begin(&rule, reserved, now, n);
                    prop_assert!(!within || recent + in_flight < n, "let in at {}", now);
                }
                Step::End { which, actual } => {
                    let was_in_flight = pair.flights.clone().end(which).is_some();
                    pair.end(&rule, which, actual, now);
                    if was_in_flight {
                        spent.push((now, actual));
                    }
                }
            }
        }
    }

    /// Promise: the wait that a debtor is told is exact: then it is let in, a nanosecond earlier it is not.
    #[test]
    fn the_wait_is_exact(n in 1..300_u64, burst in 1..60_u64, is_paced: bool, steps in steps(), lowered in 1..300_u64) {
        let rule = |n| if is_paced { paced_debt(n, WINDOW, burst) } else { window_debt(n, WINDOW) };
        let mut cell = Cell::new(&rule(n));
        let mut now = 0;
        for (turn, (gap, step)) in steps.into_iter().enumerate() {
            now += gap;
            let rule = rule(if turn < 50 { n } else { lowered });
            let at = Moment::from_nanos(now);
            match (cell.check(&rule, 0, at), step) {
                (Check::Within, Step::End { actual, .. }) => {
                    cell.charge(&rule, 0);
                    cell.settle(&rule, 0, actual, at, at);
                }
                (Check::Within, Step::Begin { .. }) => {}
                (Check::Over { retry_after }, _) => {
                    let again = at.after(retry_after.expect("nothing is in flight"));
                    let before = Moment::from_nanos(again.as_nanos() - 1);
                    prop_assert!(!cell.clone().check(&rule, 0, before).is_within(), "at {}", before.as_nanos());
                    prop_assert!(cell.clone().check(&rule, 0, again).is_within(), "at {}", again.as_nanos());
                }
            }
        }
    }

    /// Promise 3: changed numbers take effect at once and forgive nothing: the cell owes as its model does.
    #[test]
    fn changed_numbers_keep_the_debt(
        is_paced: bool,
        turns in prop::collection::vec((1..300_u64, 0..3_u64, steps()), 1..5),
    ) {
        let rule = |n, window| if is_paced { paced_debt(n, window, n) } else { window_debt(n, window) };
        let mut cell = Cell::new(&rule(1, WINDOW));
        let mut model = WindowDebtModel::new(1, WINDOW);
        // In units divided by the window.
        let (mut now, mut level) = (0, 0_u64);
        for (n, scale, steps) in turns {
            let window = (WINDOW / 2) << scale;
            let rule = rule(n, window);
            for (gap, step) in steps {
                let gap = gap / 200 * 200;
                now += gap;
                let at = Moment::from_nanos(now);
                // Until now it was the limit before.
                level = level.saturating_sub(gap * model.units);
                level = (level * window).div_ceil(model.window);
                model.change(n, window, now);
                let owed = if is_paced { level.div_ceil(window) } else { model.owed(now) };
                prop_assert_eq!(cell.check(&rule, 0, at).is_within(), owed < n, "at {}", now);
                prop_assert_eq!(cell.status(&rule, at).used, owed);
                if let Step::End { actual, .. } = step {
                    cell.settle(&rule, 0, actual, at, at);
                    level += actual * window;
                    model.spend(actual, now);
                }
            }
        }
    }
}

/// Promise: what exceeds the limit is never forgiven: a request that costs ten times N blocks for ten windows, to
/// the nanosecond, whether time passes in one step or in many.
#[test]
fn a_single_request_of_ten_times_n_blocks_for_ten_windows() {
    let (rule, zero) = (window_debt(200, WINDOW), Moment::ORIGIN);
    let mut cell = Cell::new(&rule);
    assert!(cell.check(&rule, 0, zero).is_within());
    cell.charge(&rule, 0);
    cell.settle(&rule, 0, 2000, zero, zero);
    let over = Check::Over { retry_after: Some(Duration::from_nanos(10 * WINDOW)) };
    assert_eq!(cell.check(&rule, 0, zero), over);
    for step in [1, 77, WINDOW, 3 * WINDOW, 10 * WINDOW - 1] {
        let mut cell = cell.clone();
        for at in (0..10 * WINDOW).step_by(usize::try_from(step).expect("small")).map(Moment::from_nanos) {
            assert!(!cell.check(&rule, 0, at).is_within());
            assert!(!cell.is_idle(at));
        }
        assert!(cell.check(&rule, 0, Moment::from_nanos(10 * WINDOW)).is_within());
        assert!(cell.is_idle(Moment::from_nanos(10 * WINDOW)));
    }
}

/// Promise: a debt of more windows than could be counted one by one is paid off at once when they have passed.
#[test]
fn enormous_debts_take_no_time_to_pay() {
    let rule = window_debt(3, 128);
    let mut cell = Cell::new(&rule);
    let (zero, late) = (Moment::ORIGIN, 1 << 60);
    cell.settle(&rule, 0, 3 * (late / 128), zero, zero);
    assert!(!cell.check(&rule, 0, Moment::from_nanos(late - 1)).is_within());
    assert!(cell.check(&rule, 0, Moment::from_nanos(late)).is_within());
}

/// Promise: rates that no nanosecond per unit can express are exact: 2^40 units a second, and one in 30 days.
#[test]
fn extreme_rates_are_exact() {
    let (second, month) = (1_000_000_000, 30 * 86_400_000_000_000);
    let (zero, at) = (Moment::ORIGIN, Moment::from_nanos);
    let fast = paced_debt(1 << 40, second, 1 << 20);
    let mut cell = Cell::new(&fast);
    cell.settle(&fast, 0, (1 << 40) + (1 << 20), zero, zero);
    // What is owed above 2^20 - 1 takes a second and the thousandth of a nanosecond.
    assert!(!cell.check(&fast, 0, at(second)).is_within());
    assert!(cell.check(&fast, 0, at(second + 1)).is_within());
    let slow = paced_debt(1, month, 1);
    let mut cell = Cell::new(&slow);
    cell.settle(&slow, 0, 2, zero, zero);
    assert!(!cell.check(&slow, 0, at(2 * month - 1)).is_within());
    assert!(cell.check(&slow, 0, at(2 * month)).is_within());
}

/// Promise: time spent upstream counts while it is being spent: three requests that wait use a limit of 30 in
/// ten units of time, and what they really took replaces that when they end.
#[test]
fn time_in_flight_counts_as_it_passes() {
    let at = Moment::from_nanos;
    let rule = DebtRule::window(units(30), Duration::from_nanos(1 << 20)).accruing(Duration::from_nanos(100));
    let rule = Rule::WindowDebt(rule);
    let mut cell = Cell::new(&rule);
    for _ in 0..3 {
        assert!(cell.check(&rule, 0, at(5000)).is_within());
        cell.charge(&rule, 0);
    }
    assert!(cell.check(&rule, 0, at(5900)).is_within());
    assert_eq!(cell.check(&rule, 0, at(6000)), Check::Over { retry_after: None });
    for _ in 0..3 {
        cell.settle(&rule, 0, 4, at(5000), at(6000));
    }
    assert_eq!(cell.status(&rule, at(6000)).used, 12);
    assert!(cell.check(&rule, 0, at(6000)).is_within());
}
