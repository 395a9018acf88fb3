//! What the state takes of the process, beside what `state.memory` allows it, and who is remembered meanwhile.
//!
//! Each scenario runs in a process of its own, so that one does not reuse what another gave back. Sizes are resident
//! memory above that of the process before its first client.

use std::process::Command;
use std::time::Instant;
use std::{env, fs, thread};

use weir::engine::{Binding, Engine, StateStats};
use weir::remedy::Verdict;

use crate::policy::{get, limits, per_client, sliding};

const MIB: u64 = 1 << 20;
/// In nanoseconds.
const HOUR: u64 = 3600 * 1_000_000_000;

type Scenario = (&'static str, u64, fn(&State));

const SCENARIOS: &[Scenario] = &[
    ("1 key", 64 * MIB, |state| state.flood(1)),
    ("1,000 keys", 64 * MIB, |state| state.flood(1_000)),
    ("100,000 keys", 64 * MIB, |state| state.flood(100_000)),
    ("1,000,000 keys", 64 * MIB, |state| state.flood(1_000_000)),
    ("10,000,000 keys", 64 * MIB, |state| state.flood(10_000_000)),
    ("10,000,000 keys, all known", 2048 * MIB, |state| state.flood(10_000_000)),
    ("300,000 clients of 100 requests each", 64 * MIB, |state| state.crowd(300_000, 100)),
    ("600,000 keys, then the clients, then keys again", 64 * MIB, |state| {
        state.flood(600_000);
        state.crowd(300_000, 100);
        state.flood(2_000_000);
    }),
    ("2,000,000 clients that reach a limit of 10", 64 * MIB, |state| state.offenders(2_000_000)),
    ("100 offenders through 10,000,000 keys", 64 * MIB, |state| state.offenders_in_a_flood(100, 10_000_000)),
    ("the clients of 100 requests, on 4 threads", 64 * MIB, |state| {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| state.crowd(300_000, 100));
            }
        });
    }),
];

/// Runs one scenario where its number is given, and otherwise all of them, each in a process of its own.
pub(crate) fn main() {
    if let Some(number) = env::var("SCENARIO").ok().and_then(|number| number.parse::<usize>().ok()) {
        return run(SCENARIOS[number]);
    }
    println!(
        "{:50} {:>9} {:>9} {:>9} {:>10} {:>7}",
        "", "allowed", "counted", "resident", "principals", "B each"
    );
    for number in 0..SCENARIOS.len() {
        let this = env::current_exe().expect("a path");
        let status = Command::new(this).env("SCENARIO", number.to_string()).status().expect("a process");
        assert!(status.success());
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a scenario took is for whoever reads the table")]
fn run((name, memory_bytes, play): Scenario) {
    let state = State::new(memory_bytes);
    let (before, start) = (resident(), Instant::now());
    play(&state);
    let (took, after) = (start.elapsed(), resident());
    let stats = state.engine.stats();
    let StateStats { records, bytes, charged_to_networks, let_off, .. } = stats;
    let resident = after.saturating_sub(before);
    println!(
        "{name:50} {:>9} {:>9} {:>9} {records:>10} {:>7}   {:.1} s, held {}, to networks {charged_to_networks}, let off {let_off}",
        mib(memory_bytes),
        mib(bytes),
        mib(resident),
        resident / records.max(1),
        took.as_secs_f64(),
        mib(stats.bytes_held),
    );
}

fn mib(bytes: u64) -> String {
    format!("{}.{} MiB", bytes / MIB, bytes % MIB * 10 / MIB)
}

/// Resident memory of this process.
fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096
}

struct State {
    engine: Engine,
    binding: Binding,
}

impl State {
    fn new(memory_bytes: u64) -> Self {
        let engine = Engine::new(memory_bytes);
        let limit = vec![per_client("a", sliding(10, HOUR))];
        let binding = engine.bind(limits(limit));
        State { engine, binding }
    }

    fn admits(&self, client: u32, at: u64) -> bool {
        self.engine.admit(&self.binding, &get(client, at)).0.verdict == Verdict::Forward
    }

    /// One request each, of clients from the other end of the address range.
    fn flood(&self, keys: u32) {
        for key in 0..keys {
            assert!(self.admits((1 << 24) - 1 - key, 1), "a first request was refused");
        }
    }

    /// Clients with a stamp for each request, which are most of what they may use.
    fn crowd(&self, clients: u32, requests: u64) {
        let binding = self.engine.bind(limits(vec![per_client("a", sliding(128, HOUR))]));
        for at in 0..requests {
            for client in 0..clients {
                drop(self.engine.admit(&binding, &get(client, at * 1_000_000)));
            }
        }
    }

    /// Clients that ask until they are refused, and then once more, when all the others have been there.
    fn offenders(&self, clients: u32) {
        for client in 0..clients {
            // One that a network stands for may get less than its limit, never more.
            let admitted = (0..11).take_while(|&at| self.admits(client, at)).count();
            assert!((1..=10).contains(&admitted), "{admitted} admitted");
        }
        let more = (0..clients).filter(|&client| self.admits(client, 20)).count();
        assert_eq!(more, 0, "offenders got more than their limit");
    }

    fn offenders_in_a_flood(&self, offenders: u32, keys: u32) {
        for client in 0..offenders {
            while self.admits(client, 0) {}
        }
        for key in 0..keys {
            assert!(self.admits((1 << 24) - 1 - key, 1), "a first request was refused");
            assert!(key % 1000 > 0 || !self.admits(key / 1000 % offenders, 1), "one request too many");
        }
    }
}
