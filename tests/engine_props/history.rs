//! Concurrent decisions equal some serial order: real histories of several threads, held against every order that
//! real time allows (Wing and Gong, "Testing and Verifying Concurrent Objects", 1993).

use std::collections::HashSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use proptest::prelude::*;
use weir::engine::{Binding, Engine, Ticket};
use weir::facts::Facts;
use weir::policy::WhoPart;
use weir::remedy::Verdict;

use crate::policy::{accounts, concurrency, everyone, get, keyed, limits, per_client, sliding};
use crate::seeded;

/// Principals that a request may charge: three clients, three accounts, everyone.
const CLIENTS: usize = 3;
const ACCOUNTS: [&str; 3] = ["acme", "bolt", "carol"];
const EVERYONE: usize = CLIENTS + ACCOUNTS.len();
const LONG: u64 = 1 << 40;

/// What one limit of each kind of principal allows.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    client: u64,
    account: u64,
    everyone: u64,
    in_flight: u64,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    client: usize,
    /// One or two of [`ACCOUNTS`], as bits.
    accounts: u8,
    /// Whether its ticket is kept to the end, or dropped at once as a step of its own.
    held: bool,
}

/// One step of one thread: when it began and ended by a common count, and what came of it.
#[derive(Clone, Copy, Debug)]
struct Step {
    began: u64,
    ended: u64,
    request: Request,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Asked { admitted: bool },
    Released,
}

/// What is used: of each principal's rate, and of everyone's places in flight.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Used {
    units: [u64; EVERYONE + 1],
    in_flight: u64,
}

impl Used {
    /// Applies a step; `false` if it could not have come out so.
    fn apply(&mut self, step: &Step, bounds: Bounds) -> bool {
        if step.what == What::Released {
            self.in_flight -= 1;
            return true;
        }
        let accounts = (0..ACCOUNTS.len()).filter(|at| step.request.accounts & 1 << at != 0);
        let mut charged: Vec<(usize, u64)> = accounts.map(|at| (CLIENTS + at, bounds.account)).collect();
        charged.extend([(step.request.client, bounds.client), (EVERYONE, bounds.everyone)]);
        let fits =
            charged.iter().all(|(at, most)| self.units[*at] < *most) && self.in_flight < bounds.in_flight;
        if fits {
            for (at, _) in charged {
                self.units[at] += 1;
            }
            self.in_flight += 1;
        }
        step.what == What::Asked { admitted: fits }
    }
}

/// Whether some order of the steps explains them all, in which none comes before one that had ended when it began.
fn is_serial(steps: &[Step], bounds: Bounds) -> bool {
    let mut seen = HashSet::new();
    let mut open = vec![(0_u64, Used::default())];
    while let Some((done, used)) = open.pop() {
        let left = || (0..steps.len()).filter(|at| done & 1 << at == 0);
        let Some(first_end) = left().map(|at| steps[at].ended).min() else { return true };
        for at in left().filter(|at| steps[*at].began <= first_end) {
            let mut next = used.clone();
            if next.apply(&steps[at], bounds) && seen.insert((done | 1 << at, next.clone())) {
                open.push((done | 1 << at, next));
            }
        }
    }
    false
}

/// Has each thread make its requests, and collects what happened.
fn history(engine: &Engine, binding: &Binding, threads: &[Vec<Request>]) -> (Vec<Step>, Vec<Ticket>) {
    let (start, count) = (Barrier::new(threads.len()), AtomicU64::new(0));
    let tick = || count.fetch_add(1, Ordering::SeqCst);
    let run = |requests: &[Request]| {
        let (mut steps, mut held) = (Vec::new(), Vec::new());
        start.wait();
        for &request in requests {
            let ids: Vec<_> = (0..ACCOUNTS.len())
                .filter(|at| request.accounts & 1 << at != 0)
                .map(|at| (ACCOUNTS[at], 0))
                .collect();
            let who = accounts(&ids);
            let client = u32::try_from(request.client).expect("a small number");
            let began = tick();
            let (decision, ticket) = engine.admit(binding, &Facts { who: &who, ..get(client, 0) });
            let admitted = decision.verdict == Verdict::Forward;
            steps.push(Step { began, ended: tick(), request, what: What::Asked { admitted } });
            if admitted && request.held {
                held.push(ticket);
            } else if admitted {
                let began = tick();
                drop(ticket);
                steps.push(Step { began, ended: tick(), request, what: What::Released });
            }
        }
        (steps, held)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = threads.iter().map(|requests| scope.spawn(|| run(requests))).collect();
        let (mut steps, mut held) = (Vec::new(), Vec::new());
        for thread in threads {
            let (its_steps, its_held) = thread.join().expect("no panic");
            steps.extend(its_steps);
            held.extend(its_held);
        }
        (steps, held)
    })
}

fn requests() -> impl Strategy<Value = Vec<Vec<Request>>> {
    let request = (0..CLIENTS, prop::sample::select(vec![1_u8, 2, 4, 3, 5, 6]), any::<bool>())
        .prop_map(|(client, accounts, held)| Request { client, accounts, held });
    prop::collection::vec(prop::collection::vec(request, 1..6), 2..5)
}

fn bounds() -> impl Strategy<Value = Bounds> {
    (1..6_u64, 1..6_u64, 1..12_u64, 1..6_u64).prop_map(|(client, account, everyone, in_flight)| Bounds {
        client,
        account,
        everyone,
        in_flight,
    })
}

proptest! {
    #![proptest_config(seeded(400))]

    /// Promise: decisions on any number of threads, over several records each, equal some serial order that agrees with
    /// real time: no more than each limit allows, and no refusal from a charge that was taken back. Afterwards each
    /// record holds exactly what was forwarded.
    #[test]
    fn decisions_are_linearizable(threads in requests(), bounds in bounds()) {
        let engine = Engine::new(1 << 20);
        let in_flight = u32::try_from(bounds.in_flight).expect("a small number");
        let binding = engine.bind(limits(vec![
            keyed("account", &[WhoPart::Account], sliding(bounds.account, LONG)),
            per_client("client", sliding(bounds.client, LONG)),
            everyone("everyone", sliding(bounds.everyone, LONG)),
            everyone("places", concurrency(in_flight)),
        ]));
        let (steps, held) = history(&engine, &binding, &threads);
        prop_assert!(is_serial(&steps, bounds), "{:?}: {:#?}", bounds, steps);
        drop(held);
        let admitted = || steps.iter().filter(|step| step.what == What::Asked { admitted: true });
        for (name, key, most, forwards) in [
            ("everyone", None, bounds.everyone, admitted().count()),
            ("client", Some(WhoPart::Client), bounds.client, admitted().filter(|s| s.request.client == 0).count()),
        ] {
            let only = engine.bind(limits(vec![keyed(name, key.as_slice(), sliding(most, LONG))]));
            let left = (0..100).take_while(|_| crate::admits(&engine, &only, &get(0, 0))).count();
            prop_assert_eq!(left + forwards, usize::try_from(most).expect("a small number"), "{}", name);
        }
    }
}

/// Promise: the checker itself tells a history that no order explains: one place, two admitted without a release.
#[test]
fn the_checker_can_fail() {
    let bounds = Bounds { client: 9, account: 9, everyone: 9, in_flight: 1 };
    let request = Request { client: 0, accounts: 1, held: true };
    let step = |began, ended, what| Step { began, ended, request, what };
    let (yes, no) = (What::Asked { admitted: true }, What::Asked { admitted: false });
    assert!(!is_serial(&[step(0, 3, yes), step(1, 2, yes)], bounds));
    assert!(is_serial(&[step(0, 3, no), step(1, 2, yes)], bounds), "the second came first");
    assert!(!is_serial(&[step(0, 1, no), step(2, 3, yes)], bounds), "nothing was in flight");
    assert!(is_serial(&[step(0, 1, yes), step(2, 4, What::Released), step(3, 5, yes)], bounds));
}
