//! What the state takes of the process, beside what `state.memory` allows it, and who is remembered meanwhile.
//!
//! Each scenario runs in a process of its own, so that one does not reuse what another gave back. Sizes are resident
//! memory above that of the process before its first client; times are of the whole, divided by its decisions. The last
//! ones are governor's own keyed limiter, a map in shards (DashMap) without a bound.

use std::num::NonZeroU64;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use http::StatusCode;
use weir::engine::{Binding, Engine, StateStats, Ticket};
use weir::facts::{Origin, Outcome};
use weir::policy::{Bound, Cost, Limit, Period};
use weir::remedy::Verdict;
use weir::time::Moment;

use crate::policy::{gcra, get, limits, per_client, sliding};

const MIB: u64 = 1 << 20;
const QUARTER: u64 = 256 * MIB;
/// In nanoseconds.
const HOUR: u64 = 3600 * 1_000_000_000;

/// Name, memory, and what is played; that tells how many decisions it took.
type Scenario = (&'static str, u64, fn(&State) -> u64);

const SCENARIOS: &[Scenario] = &[
    ("1 key", 64 * MIB, |state| state.flood(1)),
    ("1,000 keys", 64 * MIB, |state| state.flood(1_000)),
    ("100,000 keys", 64 * MIB, |state| state.flood(100_000)),
    ("1,000,000 keys", 64 * MIB, |state| state.flood(1_000_000)),
    ("10,000,000 keys", 64 * MIB, |state| state.flood(10_000_000)),
    ("10,000,000 keys, all known", 2048 * MIB, |state| state.flood(10_000_000)),
    ("… each met again", 2048 * MIB, |state| {
        state.flood(10_000_000);
        state.again(10_000_000)
    }),
    ("300,000 clients of 100 requests each", 64 * MIB, |state| state.crowd(300_000, 100)),
    ("600,000 keys, then the clients, then keys again", 64 * MIB, |state| {
        state.flood(600_000);
        state.crowd(300_000, 100);
        state.flood(2_000_000);
        32_600_000
    }),
    ("2,000,000 clients that reach a limit of 10", 64 * MIB, |state| state.offenders(2_000_000)),
    ("100 offenders through 10,000,000 keys", 64 * MIB, |state| state.offenders_in_a_flood(100, 10_000_000)),
    ("the clients of 100 requests, on 4 threads", 64 * MIB, |state| {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| state.crowd(300_000, 100));
            }
        });
        4 * 30_000_000
    }),
    ("100,000 clients: 1 request", QUARTER, |state| state.fill(vec![sliding(100, HOUR)], 1)),
    ("… 40 requests of 100", QUARTER, |state| state.fill(vec![sliding(100, HOUR)], 40)),
    ("… 100 requests of 100", QUARTER, |state| state.fill(vec![sliding(100, HOUR)], 100)),
    ("… 128 requests of 1,000, one in each part", QUARTER, |state| {
        state.fill(vec![sliding(1000, HOUR)], 128)
    }),
    ("… 1 request under GCRA", QUARTER, |state| state.fill(vec![gcra(100, HOUR, 50)], 1)),
    ("… 1 request under a month's quota", QUARTER, |state| {
        let units = NonZeroU64::new(1000).expect("not zero");
        state.fill(vec![Bound::Quota { units, period: Period::Month }], 1)
    }),
    ("… 1 request under ten windows", QUARTER, |state| {
        state.fill((1..=10).map(|n| sliding(100 * n, HOUR)).collect(), 1)
    }),
    ("… 1 answer under a rate of bytes", QUARTER, |state| state.answers(1)),
    ("… 128 answers under a rate of bytes", QUARTER, |state| state.answers(128)),
];

type Peer = (&'static str, fn(&Governor) -> u64);

/// The same of governor.
const PEERS: &[Peer] = &[
    ("governor: 10,000,000 keys", |governor| governor.meet(10_000_000)),
    ("governor: … each met again", |governor| {
        governor.meet(10_000_000);
        governor.meet(10_000_000)
    }),
];

/// Runs one scenario where its number is given, and otherwise all of them, each in a process of its own.
pub(crate) fn main() {
    if let Some(number) = env::var("SCENARIO").ok().and_then(|number| number.parse::<usize>().ok()) {
        return match number.checked_sub(SCENARIOS.len()) {
            None => run(SCENARIOS[number]),
            Some(number) => run_peer(PEERS[number]),
        };
    }
    println!(
        "{:50} {:>9} {:>9} {:>9} {:>10} {:>7} {:>7}",
        "", "allowed", "counted", "resident", "principals", "B each", "ns each"
    );
    for number in 0..SCENARIOS.len() + PEERS.len() {
        let this = env::current_exe().expect("a path");
        let status = Command::new(this).env("SCENARIO", number.to_string()).status().expect("a process");
        assert!(status.success());
    }
}

fn run((name, memory_bytes, play): Scenario) {
    let state = State::new(memory_bytes);
    let (taken, nanos) = measured(|| play(&state));
    let stats = state.engine.stats();
    let StateStats { records, bytes, charged_to_networks, let_off, .. } = stats;
    println!(
        "{name:50} {:>9} {:>9} {:>9} {records:>10} {:>7} {nanos:>7}   held {}, to networks {charged_to_networks}, let off {let_off}",
        mib(memory_bytes),
        mib(bytes),
        mib(taken),
        taken / records.max(1),
        mib(stats.bytes_held),
    );
}

fn run_peer((name, play): Peer) {
    let governor = Governor::new();
    let (taken, nanos) = measured(|| play(&governor));
    let keys = governor.0.len() as u64;
    let each = taken / keys.max(1);
    println!("{name:50} {:>9} {:>9} {:>9} {keys:>10} {each:>7} {nanos:>7}", "-", "-", mib(taken));
}

/// Resident memory that something takes, and nanoseconds for each of its decisions.
#[expect(clippy::disallowed_methods, reason = "how long a scenario took is for whoever reads the table")]
fn measured(play: impl FnOnce() -> u64) -> (u64, u128) {
    let (before, start) = (resident(), Instant::now());
    let decisions = play();
    let took = start.elapsed();
    (resident().saturating_sub(before), took.as_nanos() / u128::from(decisions.max(1)))
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
    fn flood(&self, keys: u32) -> u64 {
        for key in 0..keys {
            assert!(self.admits((1 << 24) - 1 - key, 1), "a first request was refused");
        }
        keys.into()
    }

    /// Another request of each, in an order without locality.
    fn again(&self, keys: u32) -> u64 {
        for turn in 0..keys {
            assert!(self.admits((1 << 24) - 1 - scattered(turn, keys), 2), "a second request was refused");
        }
        2 * u64::from(keys)
    }

    /// Clients with a stamp for each request, which are most of what they may use.
    fn crowd(&self, clients: u32, requests: u64) -> u64 {
        let binding = self.engine.bind(limits(vec![per_client("a", sliding(128, HOUR))]));
        for at in 0..requests {
            for client in 0..clients {
                drop(self.engine.admit(&binding, &get(client, at * 1_000_000)));
            }
        }
        u64::from(clients) * requests
    }

    /// A hundred thousand clients that ask so often, evenly over an hour.
    fn fill(&self, bounds: Vec<Bound>, requests: u64) -> u64 {
        let named = bounds.into_iter().zip(0..).map(|(bound, n)| per_client(&n.to_string(), bound));
        self.ask(named.collect(), requests, |_, _, _| ())
    }

    /// The same, with answers of a megabyte.
    fn answers(&self, requests: u64) -> u64 {
        let mut limit = per_client("bytes", sliding(10_000_000_000, HOUR));
        limit.cost = Cost::ResponseBytes;
        self.ask(vec![limit], requests, |binding, ticket, at| {
            let outcome = Outcome {
                at,
                origin: Origin::App,
                status: StatusCode::OK,
                request_bytes: 0,
                response_bytes: 1_000_000,
                upstream_time: Duration::ZERO,
            };
            self.engine.observe(binding, ticket, &outcome);
        })
    }

    fn ask(&self, asked: Vec<Limit>, requests: u64, end: impl Fn(&Binding, Ticket, Moment)) -> u64 {
        const CLIENTS: u32 = 100_000;
        let binding = self.engine.bind(limits(asked));
        for request in 0..requests {
            for client in 0..CLIENTS {
                let facts = get(client, request * (HOUR / requests));
                end(&binding, self.engine.admit(&binding, &facts).1, facts.at);
            }
        }
        u64::from(CLIENTS) * requests
    }

    /// Clients that ask until they are refused, and then once more, when all the others have been there.
    fn offenders(&self, clients: u32) -> u64 {
        let mut decisions = u64::from(clients);
        for client in 0..clients {
            // One that a network stands for may get less than its limit, never more.
            let admitted = (0..11).take_while(|&at| self.admits(client, at)).count();
            assert!((1..=10).contains(&admitted), "{admitted} admitted");
            decisions += admitted as u64 + 1;
        }
        let more = (0..clients).filter(|&client| self.admits(client, 20)).count();
        assert_eq!(more, 0, "offenders got more than their limit");
        decisions
    }

    fn offenders_in_a_flood(&self, offenders: u32, keys: u32) -> u64 {
        for client in 0..offenders {
            while self.admits(client, 0) {}
        }
        for key in 0..keys {
            assert!(self.admits((1 << 24) - 1 - key, 1), "a first request was refused");
            assert!(key % 1000 > 0 || !self.admits(key / 1000 % offenders, 1), "one request too many");
        }
        11 * u64::from(offenders) + u64::from(keys) / 1000 * 1001
    }
}

/// governor's own limiter of many keys.
struct Governor(DefaultKeyedRateLimiter<u128>);

impl Governor {
    fn new() -> Self {
        Governor(RateLimiter::keyed(Quota::per_hour(10.try_into().expect("not zero"))))
    }

    /// A request each, in an order without locality. How many decisions there were so far, if all were met as often.
    fn meet(&self, keys: u32) -> u64 {
        let known = self.0.len() as u64;
        for turn in 0..keys {
            let key = get(scattered(turn, keys), 1).client.as_bits();
            assert!(self.0.check_key(&key).is_ok(), "a request was refused");
        }
        known + u64::from(keys)
    }
}

/// Visits `0..keys` in an order without locality, each once where `keys` is no multiple of a prime near 2^31.
fn scattered(turn: u32, keys: u32) -> u32 {
    u32::try_from(u64::from(turn) * 2_147_483_647 % u64::from(keys)).unwrap_or_default()
}
