//! The life of connections, simulated: the real code between clients, weir and an app that are not real, on time that
//! is not real either, with faults out of a seed. What fails, fails again under the same seed.
//!
//! Time passes when nobody has anything to do ([`pass`]), so nothing is waited for in truth.
//!
//! | file | subject |
//! |---|---|
//! | [`network`] | connections in memory that lose, delay and cut |
//! | [`client`], [`app`] | who talks over them, and how badly |
//! | [`message`] | what they say, read strictly |
//!
//! `SIMULATIONS=100000 cargo test --release --lib simulation` plays more of them, `SIMULATION=seed` one.

mod app;
mod client;
mod message;
pub(super) mod network;

use std::cell::RefCell;
use std::collections::HashMap;
use std::env;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::{sleep as pass, timeout};

use super::arrival::Door;
use super::stream::Stream;
use super::{Options, Shared, outbox};
use crate::clock::Clock;
use crate::config;
use crate::metrics::Metrics;
use crate::policy::Policy;
use client::Request;
use message::Head;
use network::End;

const SIMULATIONS: u64 = 150;

/// All that a client may wait for is over by then.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Nothing is left of a connection by then, and no server is avoided any more.
const CALM: Duration = Duration::from_secs(900);
/// Clients that are let in at once by the limit of concurrency, and connections to the app.
const PLACES: usize = 3;

const CONFIG: &str = r#"
[listen]
proxy = "127.0.0.1:0"
workers = 1
[timeouts]
total = "10min"
[upstreams.app]
servers = [{ address = "127.0.0.1:1", max_connections = 3 }]
[state]
memory = "1MiB"
[detection]
robots = false
[[limits]]
name = "in-flight"
key = ["everyone"]
concurrency = 3
"#;

static POLICY: LazyLock<Policy> =
    LazyLock::new(|| config::from_str("weir.toml", CONFIG, Path::new(".")).unwrap().policy);

/// What happened in one simulation, for whoever takes part.
#[derive(Clone, Debug)]
struct World(Arc<Mutex<Events>>);

#[derive(Debug)]
struct Events {
    clock: Clock,
    /// How often the app was asked what.
    asked: HashMap<String, u32>,
    is_calm: bool,
}

impl World {
    fn new(clock: Clock) -> Self {
        World(Arc::new(Mutex::new(Events { clock, asked: HashMap::new(), is_calm: false })))
    }

    fn note(&self, whose: &str, what: &str) {
        let at = self.clock().now().as_nanos() / 1_000_000;
        TRACE.with_borrow_mut(|trace| trace.push(format!("{at} ms, {whose}: {what}")));
    }

    fn was_asked(&self, id: &str, head: &Head) {
        self.note(id, &format!("at the app: {}", head.first[0]));
        let mut events = self.0.lock();
        let times = events.asked.entry(id.to_owned()).or_default();
        *times += 1;
        assert!(*times == 1 || head.first[0] != "POST", "{id} was sent {times} times");
        assert!(*times <= 2, "{id} was sent {times} times");
    }

    fn has_asked(&self, id: &str) -> bool {
        self.0.lock().asked.contains_key(id)
    }

    fn clock(&self) -> Clock {
        self.0.lock().clock
    }

    fn is_calm(&self) -> bool {
        self.0.lock().is_calm
    }
}

thread_local! {
    /// What happened in the simulation that runs, in the order of its time.
    static TRACE: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static NETWORK: RefCell<Option<Network>> = const { RefCell::new(None) };
}

/// The way to the app.
struct Network {
    rng: Rng,
    world: World,
}

impl Network {
    /// How long connecting takes, and what comes of it.
    fn connect(&mut self) -> (Duration, io::Result<Stream>) {
        let (is_calm, clock) = (self.world.is_calm(), self.world.clock());
        let connect = if is_calm { network::sound_connection } else { network::connection };
        let (ours, theirs) = connect(&mut self.rng, clock);
        let delay = match self.rng.u8(..100) {
            _ if is_calm => 0,
            0..70 => 0,
            70..97 => self.rng.u64(..500),
            _ => 60_000,
        };
        if !is_calm && self.rng.u8(..100) < 5 {
            return (Duration::from_millis(delay), Err(io::ErrorKind::ConnectionRefused.into()));
        }
        tokio::spawn(app::serve(theirs, self.rng.fork(), self.world.clone()));
        (Duration::from_millis(delay), Ok(Stream::Simulated(ours)))
    }
}

/// A connection to the app, in a simulation.
pub(super) async fn dial() -> Option<io::Result<Stream>> {
    let (delay, connected) = NETWORK.with_borrow_mut(|network| network.as_mut().map(Network::connect))?;
    pass(delay).await;
    Some(connected)
}

/// Plays one simulation, and tells what happened in it.
fn simulate(seed: u64) -> Vec<String> {
    TRACE.take();
    // What weir decides by lot.
    fastrand::seed(seed);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let clock = Clock::start();
        let (mut rng, world) = (Rng::with_seed(seed), World::new(clock));
        NETWORK.set(Some(Network { rng: rng.fork(), world: world.clone() }));
        tokio::spawn(outbox::send_each_turn());
        let shared = Arc::new(Shared::new(POLICY.clone(), &mut Options::new(clock, Metrics::new())).unwrap());
        let listener = Arc::new(shared.live.load().policy.listen.proxy[0].clone());
        let door = Door { listener, shared: Arc::clone(&shared), worker: 0 };
        let mut clients = JoinSet::new();
        for nth in 0..rng.u8(1..=6) {
            pass(Duration::from_millis(rng.u64(..2000))).await;
            let end = arrive(&door, network::connection(&mut rng, clock), nth);
            let client = client::play(end, format!("c{nth}"), rng.fork(), world.clone());
            clients.spawn(timeout(PATIENCE, client));
        }
        while let Some(played) = clients.join_next().await {
            let played = played.unwrap_or_else(|error| resume_unwind(error.into_panic()));
            played.expect("a client waits for longer than anything may take");
        }
        world.0.lock().is_calm = true;
        pass(CALM).await;
        books_are_closed(&shared);
        // Had a place been lost, somebody would be refused.
        let mut probes = JoinSet::new();
        for nth in 0..PLACES {
            let end = arrive(&door, network::sound_connection(&mut rng, clock), 0);
            let world = world.clone();
            probes
                .spawn(async move { client::ask(end, &Request::get(&format!("probe-{nth}")), &world).await });
        }
        for status in probes.join_all().await {
            assert!(matches!(status, Some(200 | 204)), "{status:?} once all is calm");
        }
        pass(CALM).await;
        books_are_closed(&shared);
        NETWORK.set(None);
    });
    TRACE.take()
}

/// Lets a client in by its end of a connection, and gives it the other one.
fn arrive(door: &Door, (ours, theirs): (End, End), nth: u8) -> End {
    door.arrive(Stream::Simulated(ours), SocketAddr::from((Ipv4Addr::new(192, 0, 2, nth), 4711)));
    theirs
}

fn books_are_closed(shared: &Shared) {
    assert_eq!(shared.room.open(), 0, "connections that nobody is left of");
    let metrics = shared.metrics.render();
    // Those that count what is there, and what must never be.
    let zeroes = [
        "connections_open",
        "requests_in_flight",
        "upstream_requests_in_flight",
        "upstream_queue_length",
        "panics_total",
    ];
    for name in zeroes {
        let mut series = metrics
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter(|line| line.split_once('_').is_some_and(|(_, line)| line.starts_with(name)));
        let first = series.next().unwrap_or_else(|| panic!("no metric {name}"));
        assert!(
            first.ends_with(" 0") && series.all(|line| line.ends_with(" 0")),
            "{first}, and nobody is there"
        );
    }
}

/// The seeds to play: one that is asked for, or so many.
fn seeds() -> std::ops::Range<u64> {
    let number = |name| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("SIMULATION") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIMULATIONS").unwrap_or(SIMULATIONS),
    }
}

/// Promise: whatever breaks between a client, weir and an app, a request whose head was read gets one whole answer, its
/// own, or its connection ends; none waits for ever; what is done twice is sent once; and when all is over, nothing is
/// held or counted that is not there.
#[test]
fn every_life_ends_well() {
    for seed in seeds() {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| simulate(seed))) {
            eprintln!("{}\nSIMULATION={seed} plays it again", TRACE.take().join("\n"));
            resume_unwind(panic);
        }
    }
}

/// Promise: a simulation that fails can be looked at: under the same seed, the same happens at the same time.
#[test]
fn the_same_seed_is_the_same_life() {
    for seed in seeds().take(10) {
        assert_eq!(simulate(seed), simulate(seed), "seed {seed}");
    }
}
