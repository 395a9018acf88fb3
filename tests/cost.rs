//! What a request costs whatever the machine: heap allocations and system calls, each with a bound that stands here.
//!
//! Both are those of a build without optimisations; with them there is no more of either. A bound that fails has its
//! cause in the change at hand; one that is far above what is counted is to be lowered.
//! `DHAT_FILE=allocations.json cargo test --test cost allocations` writes down where they are made, for dhat's viewer;
//! `-- --nocapture` shows what was counted.

#![cfg(feature = "proxy")]
#![expect(
    clippy::unwrap_used,
    reason = "clippy takes helpers for shipped code; in a test, a panic is how it fails"
)]

#[path = "cost/allocations.rs"]
mod allocations;
#[path = "cost/calls.rs"]
mod calls;
#[path = "cost/load.rs"]
mod load;

use std::sync::Mutex;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// One of these tests at a time: what the others allocate would be counted.
static ALONE: Mutex<()> = Mutex::new(());

struct Case {
    name: &'static str,
    /// Beyond the listener and the app.
    config: &'static str,
    status: u16,
    /// Of a request at most, on a connection that is kept.
    allocations: f64,
    /// Of a request at most, one after the other on one connection.
    calls: f64,
    /// The same, where sixteen come at once and share what can be shared.
    calls_at_once: f64,
}

const CASES: [Case; 3] = [
    Case {
        name: "admitted, without limits and detectors",
        config: "[enforcement]\nmode = \"off\"\n",
        status: 200,
        allocations: 5.3,
        calls: 6.5,
        calls_at_once: 4.5,
    },
    Case {
        name: "admitted, ten limits and every detector",
        config: TEN_LIMITS,
        status: 200,
        allocations: 8.3,
        calls: 6.5,
        calls_at_once: 4.5,
    },
    Case {
        name: "refused, with every detector",
        config: "[[limits]]\nname = \"none\"\nkey = [\"client\"]\nrate = \"1/30d\"\n",
        status: 429,
        // Its id, its account, the limits' numbers, and the answer.
        allocations: 4.2,
        calls: 3.3,
        calls_at_once: 2.4,
    },
];

/// None of which is ever reached.
const TEN_LIMITS: &str = r#"
[[limits]]
name = "per-client"
key = ["client"]
rate = "1M/10s"
[[limits]]
name = "per-client-and-minute"
key = ["client"]
rate = "10M/min"
[[limits]]
name = "paced"
key = ["client"]
rate = "1M/s"
algorithm = "gcra"
burst = 1000
[[limits]]
name = "per-route"
key = ["route"]
rate = "1M/s"
[[limits]]
name = "per-client-and-route"
key = ["client", "route"]
rate = "1M/s"
[[limits]]
name = "articles"
match = { path = "/articles/{id}" }
key = ["client"]
rate = "1M/s"
[[limits]]
name = "in-flight"
key = ["client"]
concurrency = 1000
[[limits]]
name = "per-day"
key = ["client"]
quota = "100M/1d"
[[limits]]
name = "bytes"
key = ["client"]
rate = "100GiB/h"
cost = "response-bytes"
[[limits]]
name = "upstream-time"
key = ["client"]
rate = "100000s/min"
cost = "upstream-time"
"#;

fn config(case: &Case) -> String {
    let app = load::start_app();
    let rest = case.config;
    format!(
        "[listen]\nproxy = \"127.0.0.1:0\"\nworkers = 1\n[upstreams.app]\nservers = [\"{app}\"]\n\
         [log]\nformat = \"json\"\n[detection]\nrobots = false\n{rest}"
    )
}

/// Promise: no change makes weir allocate more for a request without being seen.
///
/// What is left:
///
/// | made for | admitted | beside that, with limits and detectors | refused |
/// |---|---|---|---|
/// | the exchange, as large as a small page | 1 | | 1 |
/// | the request's id, and sharing it with the head that goes on | 2 | | 1 |
/// | the map of fields, which a head that goes on takes along | 2 | | |
/// | what detectors keep of the request until its answer is known | | 1 | 1 |
/// | places in limits of concurrency, and in that of all that was charged beyond what is inline | | 2 | |
/// | the checks that the refusal tells | | | 1 |
/// | its fields, and one of their texts | | | 2 |
/// | its page for browsers, and sharing it | | | 3 |
/// | a buffer to read into, one for several heads | 0.2 | | |
#[test]
fn allocations_are_bounded() {
    let _alone = ALONE.lock();
    let _counting = allocations::begin();
    let mut above = Vec::new();
    for case in &CASES {
        let count = allocations::per_request(&config(case), case.status);
        println!("{}: {count:.2} allocations", case.name);
        if count > case.allocations {
            above.push(format!("{}: {count:.2} allocations, {} at most", case.name, case.allocations));
        }
    }
    assert!(above.is_empty(), "{above:#?}");
}

/// Promise: no change makes weir ask the system more for a request without being seen. Skipped where there is no
/// strace.
#[test]
fn system_calls_are_bounded() {
    let _alone = ALONE.lock();
    let mut above = Vec::new();
    for case in &CASES {
        for (connections, most) in [(1, case.calls), (16, case.calls_at_once)] {
            let Some(calls) = calls::per_request(&config(case), case.status, connections) else {
                eprintln!("SKIPPED: strace is missing, or may trace nobody here");
                return;
            };
            let text = format!(
                "{}, {connections} at once: {:.2} calls ({})",
                case.name,
                calls.all(),
                calls.by_name()
            );
            println!("{text}");
            if calls.all() > most {
                above.push(format!("{text}, {most} at most"));
            }
        }
    }
    assert!(above.is_empty(), "{above:#?}");
}
