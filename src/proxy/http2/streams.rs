//! What the requests of one HTTP/2 connection wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::metrics::Timeout;
use crate::policy::Timeouts;
use crate::proxy::client_side::ClientSide;
use crate::time::Moment;

/// No time at all.
const NEVER: u64 = u64::MAX;

/// So many requests a client may give up before they are answered, and as many more as it let come to their end.
const ABANDONED_MAX: u64 = 100;

/// The requests in progress on one connection.
#[derive(Debug)]
pub struct Streams {
    open: Mutex<Open>,
    begun: AtomicU64,
    /// Told when the client gives up too many.
    flood: Notify,
}

#[derive(Debug)]
struct Open {
    /// At most as many as may be open at once.
    list: Vec<Arc<Watched>>,
    idle_since: Moment,
    /// Ended before the client had its whole answer.
    abandoned: u64,
    completed: u64,
}

/// One request in progress. Its drop is its end.
#[derive(Debug)]
pub struct Stream {
    of: Arc<Streams>,
    watched: Arc<Watched>,
    clock: Clock,
}

#[derive(Debug)]
struct Watched {
    side: Arc<ClientSide>,
    /// Since when the client could take more than it does.
    offered_since: AtomicU64,
    completed: AtomicBool,
}

/// How a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Well,
    /// Nothing has been in progress for as long as may be.
    Idle,
    /// A client takes nothing of what is there for it, or has not taken all of it in time.
    Stalled(Timeout),
}

impl Streams {
    pub fn new(now: Moment) -> Self {
        let open = Open { list: Vec::new(), idle_since: now, abandoned: 0, completed: 0 };
        Streams { open: Mutex::new(open), begun: AtomicU64::new(0), flood: Notify::new() }
    }

    pub fn begin(self: &Arc<Self>, side: Arc<ClientSide>, clock: Clock) -> Stream {
        let watched = Arc::new(Watched {
            side,
            offered_since: AtomicU64::new(NEVER),
            completed: AtomicBool::new(false),
        });
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.open.lock().list.push(Arc::clone(&watched));
        Stream { of: Arc::clone(self), watched, clock }
    }

    /// Requests so far.
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Returns when the client has given up more requests than anybody has reason to (CVE-2023-44487).
    pub async fn flooded(&self) {
        self.flood.notified().await;
    }

    pub fn state(&self, now: Moment, timeouts: &Timeouts) -> State {
        let open = self.open.lock();
        if open.list.is_empty() {
            let idle = now.since(open.idle_since) >= timeouts.idle;
            return if idle { State::Idle } else { State::Well };
        }
        let stalled = open.list.iter().find_map(|watched| watched.stalled(now, timeouts));
        stalled.map_or(State::Well, State::Stalled)
    }
}

impl Watched {
    fn stalled(&self, now: Moment, timeouts: &Timeouts) -> Option<Timeout> {
        let since = self.offered_since.load(Ordering::Relaxed);
        if since == NEVER {
            return None;
        }
        if self.side.deadline().is_some_and(|deadline| now >= deadline) {
            return Some(Timeout::Total);
        }
        let silent = now.since(Moment::from_nanos(since)) >= timeouts.body_progress;
        silent.then_some(Timeout::BodyProgress)
    }
}

impl Stream {
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// There is something that the client can take from `now` on.
    pub fn offer(&self, now: Moment) {
        self.watched.offered_since.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// The client has, or could have, its whole answer.
    pub fn complete(&self) {
        self.watched.completed.store(true, Ordering::Relaxed);
    }

    /// There is nothing for the client at the moment: it is the app's turn.
    pub fn withdraw(&self) {
        self.watched.offered_since.store(NEVER, Ordering::Relaxed);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut open = self.of.open.lock();
        if let Some(at) = open.list.iter().position(|watched| Arc::ptr_eq(watched, &self.watched)) {
            open.list.swap_remove(at);
        }
        open.idle_since = self.clock.now();
        if self.watched.completed.load(Ordering::Relaxed) {
            open.completed += 1;
        } else {
            open.abandoned += 1;
            if open.abandoned > ABANDONED_MAX + open.completed {
                self.of.flood.notify_one();
            }
        }
    }
}
