//! Decisions on many threads equal some serial order.

use std::collections::HashMap;
use std::sync::Barrier;
use std::thread;

use weir::engine::{Binding, Engine};
use weir::facts::Client;
use weir::policy::Limit;

use crate::admits;
use crate::policy::{everyone, get, limits, per_client, sliding};

const THREADS: u32 = 8;

/// How many requests of each client all threads together got admitted. `client` names the client of each request.
fn hammer(limit: Vec<Limit>, requests: u32, client: impl Fn(u32) -> u32 + Sync) -> HashMap<Client, u32> {
    let engine = Engine::new(1 << 20);
    let binding: Binding = engine.bind(limits(limit));
    let start = Barrier::new(THREADS as usize);
    let mut admitted = HashMap::new();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    let facts = (0..requests).map(|request| get(client(request), u64::from(request)));
                    let admitted = facts.filter(|facts| admits(&engine, &binding, facts));
                    admitted.map(|facts| facts.client).collect::<Vec<_>>()
                })
            })
            .collect();
        for client in threads.into_iter().flat_map(|thread| thread.join().expect("no panic")) {
            *admitted.entry(client).or_default() += 1;
        }
    });
    admitted
}

/// Promise 1: eight threads that hammer one client's limit get exactly N through, and the same for everyone's.
#[test]
fn one_key_admits_exactly_n() {
    for limit in [per_client("a", sliding(1000, 1 << 40)), everyone("a", sliding(1000, 1 << 40))] {
        let admitted = hammer(vec![limit], 500, |_| 1);
        assert_eq!(admitted.values().sum::<u32>(), 1000);
    }
}

/// Promise: limits of two principals decide as one on any number of threads: neither more than one of them
/// allows, nor a refusal because of a place that was reserved and given back. Everyone's 700 are fewer than the
/// 16 × 50 of the clients, so exactly 700 pass, and no client passes more than 50.
#[test]
fn two_principals_decide_as_one() {
    let both = vec![per_client("each", sliding(50, 1 << 40)), everyone("all", sliding(700, 1 << 40))];
    let admitted = hammer(both, 400, |request| request % 16);
    assert_eq!(admitted.values().sum::<u32>(), 700);
    assert!(admitted.values().all(|&of_one| of_one <= 50));

    let both = vec![per_client("each", sliding(50, 1 << 40)), everyone("all", sliding(900, 1 << 40))];
    let admitted = hammer(both, 400, |request| request % 16);
    assert!(admitted.values().all(|&of_one| of_one == 50), "a refused request was charged to everyone");
}
