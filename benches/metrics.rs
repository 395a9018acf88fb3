//! What counting one request costs: on one thread, and while every other core counts the same route.

#[path = "../tests/engine_props/policy.rs"]
#[allow(dead_code, reason = "the engine's tests use more of these builders")]
mod policies;

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use http::StatusCode;
use weir::metrics::{Metrics, PolicyMetrics, RequestDecision};
use weir::policy::{LimitId, RouteId};
use weir::remedy::{LimitCheck, Mode};

fn request(metrics: &PolicyMetrics) {
    let (total, upstream) = (Duration::from_micros(1234), Some(Duration::from_micros(1200)));
    let decision = RequestDecision::Forwarded;
    metrics.request(black_box(Some(RouteId(0))), decision, StatusCode::OK, black_box(total), upstream);
}

fn metrics(c: &mut Criterion) {
    let limits = vec![policies::per_client("per-client", policies::sliding(5, 1))];
    let metrics = Metrics::new();
    let bound = metrics.bind(&policies::policy(limits));

    c.bench_function("request", |b| b.iter(|| request(&bound)));
    let check = LimitCheck { limit: LimitId(0), mode: Mode::Enforce, within: true };
    c.bench_function("limit_check", |b| b.iter(|| bound.limit_check(black_box(&check))));

    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 1..cores {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    request(&bound);
                }
            });
        }
        c.bench_function("request, contended", |b| b.iter(|| request(&bound)));
        stop.store(true, Relaxed);
    });

    c.bench_function("scrape", |b| b.iter(|| metrics.render()));
}

criterion_group!(benches, metrics);
criterion_main!(benches);
