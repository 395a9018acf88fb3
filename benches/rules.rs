//! The time of one evaluation of a rule: what is asked of the request, and of the counters once its answer is known.
//!
//! `cargo bench --bench rules`. Without the look-up of whoever is judged, which is made once for all rules and detectors.

use std::hint::black_box;
use std::net::IpAddr;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use http::HeaderMap;
use weir::detect::{Answer, Conduct, Event, Reader, Request, Seen, Site};
use weir::rule::{Asked, Program, Scene};
use weir::time::Moment;

/// The binary's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(50)
        .without_plots();
    targets = evaluations
}
criterion_main!(benches);

/// Each is left open by the request, so that its counters are read; all but the last are false of them.
const EXPRESSIONS: [(&str, &str); 4] = [
    ("one_number", "asked_10m > 100"),
    ("plan_and_number", r#"plan == "free" && asked_10m > 100"#),
    (
        "ten_terms",
        r#"method == "GET" && path.startsWith("/api/") && !path.endsWith(".json") && user_agent.contains("python")
           && !(client in ["192.0.2.0/24", "2001:db8::/32"]) && !("x-partner" in headers)
           && (asked_10s > 50 || asked_1h > 2000 || failed * 5 > calls) && bytes_1h > 1000000"#,
    ),
    ("true", r#"plan == "free" && asked_10m >= 1 && status == 200"#),
];

fn evaluations(criterion: &mut Criterion) {
    let at = Moment::ORIGIN.after(Duration::from_secs(100 * 24 * 3600));
    let (reader, mut site) = (Reader::new(1), Site::default());
    let request = Request { method: "GET", path: "/api/v1/items/17", query: Some("page=3"), referer: None };
    let (sight, host) = (reader.read(&request), reader.host("app.test"));
    let answer = Answer { status: 200, bytes: 2000, took: None, login: None, told: None };
    let mut conduct = Conduct::new(at);
    let mut note = |after_ms: u64| {
        let at = at.after(Duration::from_millis(after_ms));
        let event = site.learn(&sight, Some(host), answer, at);
        conduct.note(&event);
        event
    };
    for n in 0..40 {
        note(n * 100);
    }
    let event: Event<'_> = note(4000);
    let signs = site.signs(event.at);
    let seen = Seen { conduct: &conduct, lately: conduct.lately(event.at), site: &signs, now: event.at };
    let scene = Scene { seen: &seen, event: &event };
    let headers = HeaderMap::new();
    let asked = Asked {
        method: "GET",
        host: "app.test",
        path: "/api/v1/items/17",
        query: "page=3",
        route: "api",
        user_agent: "python-requests/2.32",
        referer: "",
        accounts: &[("acme", "free")],
        address: IpAddr::from([198, 51, 100, 7]),
        headers: &headers,
    };
    let mut group = criterion.benchmark_group("rule");
    for (name, text) in EXPRESSIONS {
        let program = Program::compile(text).expect("a sound expression");
        assert!(
            program
                .ask(&asked)
                .is_some_and(|answers| program.holds(answers, &scene).is_some() == (name == "true"))
        );
        group.bench_function(name, |b| {
            b.iter(|| {
                let answers = black_box(&program).ask(black_box(&asked))?;
                program.holds(answers, black_box(&scene))
            });
        });
    }
    group.finish();
}
