//! The time of one cell's step, without table, key or lock: a check and a charge, or a refusal.
//!
//! `cargo bench --bench cells`. Beside them, governor's own limiter of one key with a clock that stands in for
//! the caller's `now`: the same GCRA, its state in an atomic.

use std::hint::black_box;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use governor::clock::FakeRelativeClock;
use governor::{Quota, RateLimiter};
use weir::limit::{Cell, DebtRule, GcraRule, Rule, SlidingRule};
use weir::time::Moment;

const WINDOW: Duration = Duration::from_secs(10);
const WINDOW_NANOS: u64 = 10_000_000_000;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
        .without_plots();
    targets = admitted, refused, settled, governor
}
criterion_main!(benches);

/// Senders at 98 % of their limit, whose cells are full.
fn admitted(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cell/admit");
    for (name, rule, units) in rules() {
        group.bench_function(BenchmarkId::new(name, units), |b| {
            let mut sender = Sender::new(rule, WINDOW_NANOS * 100 / (98 * units));
            for _ in 0..2 * units {
                sender.send();
            }
            b.iter(|| sender.send());
        });
    }
    group.finish();
}

/// Senders at a hundred times their limit.
fn refused(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cell/refuse");
    for (name, rule, units) in rules() {
        group.bench_function(BenchmarkId::new(name, units), |b| {
            let mut sender = Sender::new(rule, WINDOW_NANOS / (100 * units));
            for _ in 0..200 * units {
                sender.send();
            }
            b.iter(|| sender.send());
        });
    }
    group.finish();
}

/// A request that is let in, counts in flight, and pays when it ends.
fn settled(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cell/settle");
    let gibibyte = NonZeroU64::MIN.saturating_add((1 << 30) - 1);
    let rules = [
        ("window_debt", Rule::WindowDebt(DebtRule::window(gibibyte, WINDOW))),
        ("paced_debt", Rule::PacedDebt(DebtRule::paced(gibibyte, WINDOW, gibibyte))),
    ];
    for (name, rule) in rules {
        group.bench_function(name, |b| {
            let (mut cell, mut now) = (Cell::new(&rule), 0);
            b.iter(|| {
                let began = Moment::from_nanos(now);
                now += 100_000;
                if black_box(cell.check(&rule, 0, began)).is_within() {
                    cell.charge(&rule, 0);
                    cell.settle(&rule, 0, 5000, began, Moment::from_nanos(now));
                }
            });
        });
    }
    group.finish();
}

fn governor(criterion: &mut Criterion) {
    criterion.bench_function("cell/admit/governor", |b| {
        let clock = FakeRelativeClock::default();
        let quota = Quota::per_second(NonZeroU32::MIN.saturating_add(99)).allow_burst(NonZeroU32::MIN);
        let limiter = RateLimiter::direct_with_clock(quota, clock.clone());
        b.iter(|| {
            clock.advance(Duration::from_millis(11));
            black_box(limiter.check().is_ok())
        });
    });
}

fn rules() -> impl Iterator<Item = (&'static str, Rule, u64)> {
    let units = |n| NonZeroU64::MIN.saturating_add(n - 1);
    let sliding = move |n| ("sliding", Rule::Sliding(SlidingRule::new(units(n), WINDOW)), n);
    let gcra = ("gcra", Rule::Gcra(GcraRule::new(units(1000), WINDOW, NonZeroU32::MIN)), 1000);
    [10, 100, 1000, 100_000].map(sliding).into_iter().chain([gcra])
}

/// Asks evenly, and takes what it is given.
struct Sender {
    rule: Rule,
    cell: Cell,
    gap: u64,
    now: u64,
}

impl Sender {
    fn new(rule: Rule, gap: u64) -> Self {
        Sender { cell: Cell::new(&rule), rule, gap, now: 0 }
    }

    fn send(&mut self) {
        self.now += self.gap;
        if black_box(self.cell.check(&self.rule, 1, Moment::from_nanos(self.now))).is_within() {
            self.cell.charge(&self.rule, 1);
        }
    }
}
