//! One thread, one runtime, one share of every listener.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime;
use tokio::task::yield_now;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::Shared;
use super::arrival::Door;
use super::lifecycle::Stage;
use super::listener::{Acceptor, ListeningSocket};
use super::upstream::check;
use super::{load_watch, outbox, robots, watching};
use crate::policy::Listener;

/// How often idle upstream connections are looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Connections that are accepted one after the other before those that are open have their turn.
const ACCEPTS_AT_ONCE: u32 = 16;

/// After accepting failed for want of descriptors or memory, existing connections have this long to end some.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A worker that was not started yet.
#[derive(Debug)]
pub struct Worker {
    pub index: usize,
    pub shared: Arc<Shared>,
    pub sockets: Vec<(ListeningSocket, Arc<Listener>)>,
}

impl Worker {
    /// Starts the thread. It ends once the lifecycle is stopped, or draining and out of connections.
    pub fn start(self) -> io::Result<JoinHandle<()>> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let acceptors = {
            let _inside = runtime.enter();
            let acceptors =
                self.sockets.into_iter().map(|(socket, listener)| Ok((socket.into_acceptor()?, listener)));
            acceptors.collect::<io::Result<Vec<_>>>()?
        };
        let (index, shared) = (self.index, self.shared);
        std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
            runtime.block_on(run(index, shared, acceptors));
        })
    }
}

async fn run(index: usize, shared: Arc<Shared>, acceptors: Vec<(Acceptor, Arc<Listener>)>) {
    tokio::spawn(outbox::send_each_turn());
    tokio::spawn(sweep(index, Arc::clone(&shared)));
    if index == 0 {
        tokio::spawn(check_health(Arc::clone(&shared)));
        tokio::spawn(load_watch::watch(Arc::clone(&shared)));
        tokio::spawn(watching::sweep(Arc::clone(&shared)));
        tokio::spawn(robots::keep(Arc::clone(&shared)));
    }
    let mut accepting = tokio::task::JoinSet::new();
    for (acceptor, listener) in acceptors {
        let door = Door { listener, shared: Arc::clone(&shared), worker: index };
        accepting.spawn(Entrance { acceptor, door }.keep());
    }
    while accepting.join_next().await.is_some() {}
    tokio::select! {
        () = shared.room.none_left() => {}
        () = shared.lifecycle.reached(Stage::Stopped) => {}
    }
}

/// One listening socket of one worker.
struct Entrance {
    acceptor: Acceptor,
    door: Door,
}

impl Entrance {
    /// Accepts until weir drains, then takes what the kernel already holds, and closes.
    async fn keep(self) {
        let shared = Arc::clone(&self.door.shared);
        let draining = shared.lifecycle.reached(Stage::Draining);
        tokio::pin!(draining);
        for accepts in 1_u32.. {
            if accepts % ACCEPTS_AT_ONCE == 0 {
                yield_now().await;
            }
            tokio::select! {
                biased;
                () = &mut draining => break,
                accepted = self.acceptor.accept() => match accepted {
                    Ok((stream, peer)) => self.door.arrive(stream, peer),
                    Err(error) => self.pause(&error).await,
                },
            }
        }
        if let Err(error) = self.empty() {
            tracing::warn!(%error, "the accept queue could not be emptied");
        }
    }

    /// Lets in whoever the kernel has accepted already; closing the socket would reset them.
    fn empty(self) -> io::Result<()> {
        let socket = self.acceptor.into_socket()?;
        loop {
            match socket.accept() {
                Ok((stream, peer)) => self.door.arrive(stream, peer),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn pause(&self, error: &io::Error) {
        self.door.shared.metrics.accept_failed();
        if is_of_one_connection(error) {
            return;
        }
        tracing::warn!(
            %error,
            "cannot accept connections; those that are open go on. Raise the limit of open files (ulimit -n, \
             LimitNOFILE) if this stays"
        );
        sleep(ACCEPT_PAUSE).await;
    }
}

/// The client was gone before it was let in: no reason to pause.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

async fn sweep(worker: usize, shared: Arc<Shared>) {
    let mut ticks = interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = shared.clock.now();
        for upstream in &shared.live.load().upstreams {
            upstream.sweep(worker, now);
        }
    }
}

/// Runs the health checks of the policy in force, and those of the next once it changes.
async fn check_health(shared: Arc<Shared>) {
    let mut changes = shared.policy_changes.subscribe();
    loop {
        let checks = check::start(&shared.live.load().upstreams);
        if changes.changed().await.is_err() {
            return;
        }
        drop(checks);
    }
}
