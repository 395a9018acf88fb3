//! Many threads at once.

use std::sync::Arc;

use weir::clause::Behaviour;
use weir::engine::{Arrival, Engine, FindingEvent, Ticket};
use weir::facts::{Facts, Outcome};
use weir::remedy::Mode;
use weir::time::Moment;

use super::policy::get;
use super::stage::{MEMORY, detector, login, watching};

/// Promise: however many threads see a principal at once, nothing is lost and nothing is found twice: eight threads
/// that share a hundred failing logins of each client open one finding of each, which has counted them all.
#[test]
fn threads_find_once() {
    let engine = Engine::with_key(MEMORY, [7; 16]).watching(MEMORY);
    let policy = watching(vec![detector(Behaviour::Stuffing, Mode::Shadow)], Vec::new());
    let binding = engine.bind(Arc::new(policy));
    let failing = |client: u32, at: u64| {
        let step = login(client, 401);
        let facts = Facts { method: step.method, path: step.path, ..get(client, at) };
        let request = weir::detect::Request { method: "POST", path: step.path, query: None, referer: None };
        let arrival = Arrival::of(&facts, engine.reader().read(&request), None, None);
        let ticket = engine.watch(&binding, Ticket::default(), &arrival);
        let outcome =
            Outcome { status: http::StatusCode::UNAUTHORIZED, ..Outcome::unreadable(Moment::from_nanos(at)) };
        engine.observe(&binding, ticket, &outcome)
    };
    let opened: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let events = (0..100_u64).flat_map(|n| {
                        let at = 1_000_000_000 + n;
                        (0..8).flat_map(|client| failing(client, at)).collect::<Vec<_>>()
                    });
                    events.filter(|event| matches!(event, FindingEvent::Opened(_))).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!(opened, 8);
    let found = engine.findings(&Default::default(), 100);
    assert!(found.iter().all(|case| case.finding.requests == 800), "{found:?}");
}
