//! Cells across a restart.

use proptest::prelude::*;
use weir::limit::{
    Cell, ConcurrencyRule, QuotaRule, Rule, SavedCell, SavedDebt, SavedGcra, SavedMonth, SavedPaced,
    SavedWindow,
};
use weir::time::{Moment, WallTime};

use crate::window_model::SlidingModel;
use crate::{WINDOW, gap, gcra, paced_debt, seeded, sliding, take, units, window_debt};

const MILLI: u64 = 1_000_000;

/// Of the first process: `date -u -d 2026-11-24T08:00:00 +%s`.
const ORIGIN: WallTime = WallTime { unix_ms: 1_795_507_200_000 };

fn arrivals() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((gap(), 0..9_u64), 1..200)
}

/// Written down and read again, in a process that begins so many milliseconds after the first.
fn restarted(cell: &Cell, after_ms: u64) -> Option<Cell> {
    let json = serde_json::to_string(&cell.save(ORIGIN)).expect("plain data");
    let saved: SavedCell = serde_json::from_str(&json).expect("what was written");
    Cell::restore(saved, WallTime { unix_ms: ORIGIN.unix_ms + after_ms })
}

proptest! {
    #![proptest_config(seeded(128))]

    /// Promise 3: a restart neither refills nor resets: the next process decides as the first would have. (Its
    /// windows are in milliseconds here, as processes begin at whole ones; N = 128 is the most with exact stamps.)
    #[test]
    fn exact_windows_outlive_a_restart(n in 1..=128_u64, first in arrivals(), pause in 0..20_000_u64, second in arrivals()) {
        let rule = sliding(n, WINDOW * MILLI / 10);
        let mut model = SlidingModel::new(n, WINDOW * MILLI / 10);
        let mut cell = Cell::new(&rule);
        let mut now = 0;
        for (gap, cost) in first {
            now += gap * MILLI / 10;
            if take(&mut cell, &rule, cost, now) {
                prop_assert!(model.fits(cost, now));
                model.charge(cost);
            }
        }
        let origin_ms = now.div_ceil(MILLI) + pause;
        let mut cell = restarted(&cell, origin_ms).unwrap_or_else(|| Cell::new(&rule));
        let mut now = origin_ms * MILLI;
        for (gap, cost) in second {
            now += gap * MILLI / 10;
            let fits = model.fits(cost, now);
            prop_assert_eq!(take(&mut cell, &rule, cost, now - origin_ms * MILLI), fits, "at {}", now);
            if fits {
                model.charge(cost);
            }
        }
    }

    /// Promise 3: the same for every kind, towards refusal: what the first process would refuse, the next one
    /// does too; and what was due to be back when the first had said so is back, a part of a window later where
    /// the stamps are coarse.
    #[test]
    fn every_kind_outlives_a_restart(kind in 0..5, n in 1..600_u64, first in arrivals(), pause in 0..20_000_u64, cost in 1..9_u64) {
        let window = WINDOW * MILLI / 10;
        let rule = match kind {
            0 => sliding(n, window),
            1 => gcra(n, window, 9),
            2 => window_debt(n, window),
            3 => paced_debt(n, window, 9),
            _ => Rule::Quota(QuotaRule::month(units(n), ORIGIN)),
        };
        let mut cell = Cell::new(&rule);
        let mut now = 0;
        for (gap, cost) in first {
            now += gap * MILLI / 10;
            let at = Moment::from_nanos(now);
            if cell.check(&rule, cost, at).is_within() {
                cell.charge(&rule, cost);
                cell.settle(&rule, cost, cost * 30, at, at);
            }
        }
        let origin_ms = now.div_ceil(MILLI) + pause;
        let origin = WallTime { unix_ms: ORIGIN.unix_ms + origin_ms };
        let next_rule = if kind == 4 { Rule::Quota(QuotaRule::month(units(n), origin)) } else { rule };
        let (later, zero) = (Moment::from_nanos(origin_ms * MILLI), Moment::ORIGIN);
        let mut next = restarted(&cell, origin_ms).unwrap_or_else(|| Cell::new(&next_rule));
        let next_status = next.status(&next_rule, zero);
        let status = cell.status(&rule, later);
        prop_assert!(next_status.used >= status.used, "{:?}, {:?}", next_status, status);
        prop_assert!(cell.check(&rule, cost, later).is_within() || !next.check(&next_rule, cost, zero).is_within());
        let reset = status.reset_after.expect("nothing is in flight");
        let back = Moment::ORIGIN.after(reset).as_nanos() + window / 128 + window / n.min(window) + 1;
        prop_assert!(next.is_idle(Moment::from_nanos(back)), "{:?}, {:?}", next_status, status);
    }

    /// Promise: a damaged or hostile snapshot is answered, never a panic, and no cell outgrows its bound.
    #[test]
    fn any_snapshot_is_read(
        kind in 0..6, numbers in prop::array::uniform4(any::<u64>()),
        entries in prop::collection::vec((any::<u64>(), any::<u64>()), 0..400), small: bool, n in 1..600_u64,
    ) {
        let [a, b, c, origin] = numbers;
        let shift = if small { 44 } else { 0 };
        let origin = WallTime { unix_ms: origin >> 24 };
        let near = origin.unix_ms.saturating_mul(MILLI);
        let entries = entries.into_iter().map(|(at, units)| (near.saturating_sub(at >> shift), units >> shift));
        let spent = SavedWindow { window_ns: a >> shift, entries: entries.collect() };
        let (rule, saved) = match kind {
            0 => (sliding(n, WINDOW), SavedCell::Sliding(spent)),
            1 => (gcra(n, WINDOW, 7), SavedCell::Gcra(SavedGcra { paid_off_unix_ns: a, interval_ns: b })),
            2 => (window_debt(n, WINDOW), SavedCell::WindowDebt(SavedDebt { spent, waiting: b, units: origin.unix_ms, at_unix_ns: c })),
            3 => {
                let saved = SavedPaced { owed: a, units: b, window_ns: c, at_unix_ns: near };
                (paced_debt(n, WINDOW, 7), SavedCell::PacedDebt(saved))
            }
            4 => {
                let saved = SavedMonth { month: (a & 0xffff_ffff) as u32, spent: b, waiting: c, units: a };
                (Rule::Quota(QuotaRule::month(units(n), origin)), SavedCell::Quota(saved))
            }
            _ => (gcra(n, WINDOW, 7), SavedCell::Nothing),
        };
        if let Some(mut cell) = Cell::restore(saved, origin) {
            for at in [0, 1, WINDOW, u64::MAX] {
                cell.is_idle(Moment::from_nanos(at));
                take(&mut cell, &rule, 1, at);
                prop_assert!(cell.heap_bytes() <= 1024 + 256, "{} bytes", cell.heap_bytes());
            }
        }
    }
}

/// Promise: requests in flight end with their process; what they have spent by then does not.
#[test]
fn what_is_in_flight_is_saved_as_spent() {
    let places = Rule::Concurrency(ConcurrencyRule::new(3.try_into().expect("not zero")));
    let mut cell = Cell::new(&places);
    cell.charge(&places, 1);
    assert_eq!(cell.save(ORIGIN), SavedCell::Nothing);

    let bytes = window_debt(100, 1 << 40);
    let mut cell = Cell::new(&bytes);
    assert!(cell.check(&bytes, 70, Moment::from_nanos(5)).is_within());
    cell.charge(&bytes, 70);
    let mut next = restarted(&cell, 1).expect("something to keep");
    assert_eq!(next.status(&bytes, Moment::ORIGIN).used, 70);
}
