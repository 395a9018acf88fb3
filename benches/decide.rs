//! The time of one decision: by limits, by known clients, and beside governor's own keyed limiter.
//!
//! `cargo bench --bench decide` (a filter such as `-- 10_limits` after it). Clients are visited in a scattered
//! order, so that at a million of them nearly every look-up misses the processor's caches. Ten million under ten limits
//! take 7 GiB.

#[path = "../tests/engine_props/policy.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod policy;

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use http::StatusCode;
use policy::{everyone, gcra, get, limits, per_client, sliding};
use weir::detect::{self, Request, Spec};
use weir::engine::{Arrival, Binding, Engine};
use weir::facts::{Facts, Outcome};
use weir::policy::conduct::Detector;
use weir::policy::{ClauseId, Limit};
use weir::remedy::Mode;

/// The binary's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CLIENTS: [u32; 4] = [1_000, 100_000, 1_000_000, 10_000_000];
/// As much as ten million clients under ten limits take.
const MEMORY_BYTES: u64 = 10 << 30;
const SECOND: u64 = 1_000_000_000;
/// Between requests: a hundred thousand in a second.
const GAP: u64 = SECOND / 100_000;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
        .without_plots();
    targets = decisions, refusals, shared, contended, watch, governor
}
criterion_main!(benches);

/// Requests that are admitted, by clients well below their limits.
fn decisions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("admit");
    group.throughput(Throughput::Elements(1));
    for clients in CLIENTS {
        for count in [1, 4, 10] {
            // Criterion calls the closure for each sample; everybody is made known only once.
            let mut known = None;
            group.bench_function(format!("{count}_limits/{clients}_clients"), |b| {
                let arrivals = known.get_or_insert_with(|| Arrivals::new(clients, per_client_limits(count)));
                b.iter(|| arrivals.next());
            });
        }
        let mut known = None;
        group.bench_function(format!("1_gcra/{clients}_clients"), |b| {
            let limit = || vec![per_client("gcra", gcra(1_000_000, SECOND, 1000))];
            let arrivals = known.get_or_insert_with(|| Arrivals::new(clients, limit()));
            b.iter(|| arrivals.next());
        });
    }
    group.finish();
}

/// Requests that are refused: one client far above its limit.
fn refusals(criterion: &mut Criterion) {
    criterion.bench_function("refuse/1_limits", |b| {
        let mut arrivals = Arrivals::new(1, vec![per_client("a", sliding(100, 3600 * SECOND))]);
        b.iter(|| arrivals.next());
    });
}

/// A limit on everyone beside one per client: a second lock, and one cell that all requests meet.
fn shared(criterion: &mut Criterion) {
    criterion.bench_function("admit/with_everyone/10000_clients", |b| {
        let each = per_client("each", sliding(1000, SECOND));
        let mut arrivals = Arrivals::new(10_000, vec![each, everyone("all", sliding(10_000_000, SECOND))]);
        b.iter(|| arrivals.next());
    });
}

/// One cell that every request meets, on one core and on all: threads that do nothing else, and the time from one
/// decision to the next of any of them.
fn contended(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("everyone");
    group.throughput(Throughput::Elements(1));
    let all = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    for threads in [1, all] {
        group.bench_function(format!("sliding_window/{threads}_threads"), |b| {
            let engine = Engine::new(1 << 20);
            let binding = engine.bind(limits(vec![everyone("all", sliding(10_000_000, SECOND))]));
            let turn = AtomicU64::new(0);
            let decide = || {
                let at = turn.fetch_add(1, Ordering::Relaxed) * GAP;
                drop(black_box(engine.admit(&binding, &get(1, at))));
            };
            b.iter_custom(|iterations| on_threads(threads, iterations, decide));
        });
        group.bench_function(format!("governor_direct/{threads}_threads"), |b| {
            let limiter = RateLimiter::direct(Quota::per_second(1_000_000.try_into().expect("not zero")));
            let decide = || _ = black_box(limiter.check().is_ok());
            b.iter_custom(|iterations| on_threads(threads, iterations, decide));
        });
    }
    group.finish();
}

#[expect(clippy::disallowed_methods, reason = "what takes the time is on other threads")]
fn on_threads(threads: usize, iterations: u64, decide: impl Fn() + Sync) -> Duration {
    let each = iterations.div_ceil(threads as u64);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..each).for_each(|_| decide()));
        }
    });
    start.elapsed()
}

/// A whole request of a known client: ten limits and every detector, from its arrival to its answer. And the part of
/// that which is not limits.
fn watch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("watch");
    group.throughput(Throughput::Elements(1));
    for clients in [10_000, 1_000_000] {
        for count in [0, 10] {
            let mut known = None;
            group.bench_function(format!("{count}_limits_all_detectors/{clients}_clients"), |b| {
                let arrivals =
                    known.get_or_insert_with(|| Arrivals::watched(clients, per_client_limits(count)));
                b.iter(|| arrivals.next_watched());
            });
        }
    }
    group.finish();
}

/// governor's own store, which is a map in shards (DashMap) without a bound, asked about one GCRA limit.
fn governor(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("governor_keyed");
    group.throughput(Throughput::Elements(1));
    for clients in CLIENTS {
        let quota = Quota::per_second(1_000_000.try_into().expect("not zero"));
        let limiter: DefaultKeyedRateLimiter<u128> = RateLimiter::keyed(quota);
        let mut turn = 0_u32;
        let mut next = || {
            turn = turn.wrapping_add(1);
            let key = get(scattered(turn, clients), 0).client.as_bits();
            black_box(limiter.check_key(&key).is_ok())
        };
        let mut are_known = false;
        group.bench_function(format!("1_limits/{clients}_clients"), |b| {
            for _ in 0..if are_known { 0 } else { 2 * clients } {
                next();
            }
            are_known = true;
            b.iter(&mut next);
        });
    }
    group.finish();
}

/// Limits of different lengths, none of which refuses these arrivals.
fn per_client_limits(count: u64) -> Vec<Limit> {
    (1..=count).map(|n| per_client(&n.to_string(), sliding(200 * n, n * SECOND))).collect()
}

/// Requests of many clients, evenly spaced.
struct Arrivals {
    engine: Engine,
    binding: Binding,
    clients: u32,
    turn: u32,
}

impl Arrivals {
    /// Every client is known already.
    fn new(clients: u32, limit: Vec<Limit>) -> Self {
        let engine = Engine::new(MEMORY_BYTES);
        let binding = engine.bind(limits(limit));
        let mut arrivals = Arrivals { engine, binding, clients, turn: 0 };
        for _ in 0..2 * clients {
            arrivals.next();
        }
        arrivals
    }

    /// The same with every detector on.
    fn watched(clients: u32, limit: Vec<Limit>) -> Self {
        let mut policy = policy::policy(limit);
        policy.conduct.detectors = detect::specs().iter().map(untuned).collect();
        let engine = Engine::new(4 << 30).watching(4 << 30);
        let binding = engine.bind(Arc::new(policy));
        let mut arrivals = Arrivals { engine, binding, clients, turn: 0 };
        // Three pages of everyone: a trail is begun with the second.
        for _ in 0..3 * clients {
            arrivals.next_watched();
        }
        arrivals
    }

    /// From its arrival to its answer; the bench has other pages than the warming.
    fn next_watched(&mut self) {
        const PAGES: [&str; 7] =
            ["/docs", "/style.css", "/a.png", "/app.js", "/docs/limits", "/b.png", "/c.png"];
        self.turn = self.turn.wrapping_add(1);
        let at = u64::from(self.turn) * GAP;
        let path = PAGES[self.turn as usize % PAGES.len()];
        let facts = Facts { path, ..get(scattered(self.turn, self.clients), at) };
        let (decision, ticket) = self.engine.admit(&self.binding, &facts);
        black_box(decision);
        let referer = Some("https://app.test/docs");
        let reader = self.engine.reader();
        let sight = reader.read(&Request { method: "GET", path, query: None, referer });
        let arrival = Arrival::of(&facts, sight, Some(reader.host(facts.host)), None);
        let ticket = self.engine.watch(&self.binding, ticket, &arrival);
        let outcome = Outcome { status: StatusCode::OK, ..Outcome::unreadable(facts.at) };
        black_box(self.engine.observe(&self.binding, ticket, &outcome));
    }

    fn next(&mut self) {
        self.turn = self.turn.wrapping_add(1);
        let at = u64::from(self.turn) * GAP;
        let facts = get(scattered(self.turn, self.clients), at);
        drop(black_box(self.engine.admit(&self.binding, &facts)));
    }
}

fn untuned(spec: &Spec) -> Detector {
    Detector {
        behaviour: spec.behaviour,
        clause: ClauseId(0),
        mode: Mode::Shadow,
        confidence: 0.8,
        answer: Default::default(),
        lasts: Duration::from_secs(600),
        exempt: Default::default(),
        thresholds: spec.knobs.iter().map(|knob| knob.default).collect(),
    }
}

/// Visits `0..clients` in an order without locality.
fn scattered(turn: u32, clients: u32) -> u32 {
    turn.wrapping_mul(2_654_435_761) % clients
}
