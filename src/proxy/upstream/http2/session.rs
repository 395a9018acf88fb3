//! Connections of HTTP/2 to one server: each belongs to the worker that opened it, and carries many requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use parking_lot::Mutex;
use tokio::sync;

use super::{Driver, STREAMS_MAX};
use crate::time::Moment;

/// One connection.
#[derive(Debug)]
pub struct Session {
    send: SendRequest<Bytes>,
    /// The client that the server was told of, and whose alone it is.
    whose: Option<SocketAddr>,
    pub(super) is_secure: bool,
    /// Requests in progress.
    open: AtomicU32,
    begun: AtomicU64,
    /// It takes no further requests: the server has said so, did not answer in time, or is gone.
    retired: AtomicBool,
}

/// A request's place on a connection, until it is dropped.
#[derive(Debug)]
pub struct Seat(Arc<Session>);

impl Session {
    /// Begins to drive the connection on this worker; `until_its_end` is dropped when it is over.
    pub fn start(
        (send, driver): (SendRequest<Bytes>, Driver),
        whose: Option<SocketAddr>,
        is_secure: bool,
        until_its_end: impl Send + 'static,
    ) -> Arc<Self> {
        let session = Arc::new(Session {
            send,
            whose,
            is_secure,
            open: AtomicU32::new(0),
            begun: AtomicU64::new(0),
            retired: AtomicBool::new(false),
        });
        // The connection ends when nobody holds the session any more, and so the task must not.
        let weak = Arc::downgrade(&session);
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "HTTP/2 connection to a server ended");
            }
            if let Some(session) = weak.upgrade() {
                session.retire();
            }
            drop(until_its_end);
        });
        session
    }

    /// A place for another request, if there is one.
    pub fn enter(self: &Arc<Self>) -> Option<Seat> {
        let most = u32::try_from(self.send.current_max_send_streams().min(STREAMS_MAX)).unwrap_or(u32::MAX);
        if self.is_retired() || self.open.load(Ordering::Relaxed) >= most {
            return None;
        }
        // A GOAWAY is known here before the connection ends.
        let ready = self.send().poll_ready(&mut Context::from_waker(Waker::noop()));
        if matches!(ready, std::task::Poll::Ready(Err(_))) {
            self.retire();
            return None;
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        Some(Seat(Arc::clone(self)))
    }

    /// Gives it no further requests; it ends when those in progress have.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    pub(super) fn send(&self) -> SendRequest<Bytes> {
        self.send.clone()
    }
}

impl Seat {
    pub fn session(&self) -> &Session {
        &self.0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The connections to one server, a list for each worker.
#[derive(Debug)]
pub struct Sessions {
    per_worker: Box<[OfWorker]>,
    idle_max: usize,
    idle_timeout: Duration,
}

#[derive(Debug, Default)]
struct OfWorker {
    list: Mutex<Vec<Listed>>,
    /// Held by whoever opens a connection, so that all who need one wait for the same.
    opening: sync::Mutex<()>,
}

#[derive(Debug)]
struct Listed {
    session: Arc<Session>,
    /// How many requests had begun when it was last seen at work, and when that was.
    begun: u64,
    since: Option<Moment>,
}

impl Sessions {
    pub fn new(workers: usize, idle_max: u32, idle_timeout: Duration) -> Self {
        let idle_max = usize::try_from(idle_max).unwrap_or(usize::MAX);
        Sessions { per_worker: (0..workers).map(|_| OfWorker::default()).collect(), idle_max, idle_timeout }
    }

    /// A place on a connection for `whose` requests: one of this worker's, the oldest first, so that the others come to
    /// rest.
    pub fn enter(&self, worker: usize, whose: Option<SocketAddr>) -> Option<Seat> {
        let mut list = self.per_worker.get(worker)?.list.lock();
        list.retain(|listed| !listed.session.is_retired());
        list.iter().filter(|listed| listed.session.whose == whose).find_map(|listed| listed.session.enter())
    }

    /// The same of any other worker's, for when no further connection may be opened.
    pub fn enter_others(&self, worker: usize, whose: Option<SocketAddr>) -> Option<Seat> {
        (0..self.per_worker.len()).filter(|other| *other != worker).find_map(|other| self.enter(other, whose))
    }

    /// Waits for a turn to open a connection. Whoever held it before may have opened one with room for this request.
    pub async fn turn_to_open(&self, worker: usize) -> Option<sync::MutexGuard<'_, ()>> {
        Some(self.per_worker.get(worker)?.opening.lock().await)
    }

    pub fn add(&self, worker: usize, session: Arc<Session>) {
        if let Some(of_worker) = self.per_worker.get(worker) {
            of_worker.list.lock().push(Listed { session, begun: 0, since: None });
        }
    }

    /// Closes connections without requests: those that have been so for too long, and more than may be kept.
    pub fn sweep(&self, worker: usize, now: Moment) {
        let Some(of_worker) = self.per_worker.get(worker) else { return };
        let mut idle = 0;
        of_worker.list.lock().retain_mut(|listed| {
            let begun = listed.session.begun.load(Ordering::Relaxed);
            if begun != listed.begun || listed.session.open.load(Ordering::Relaxed) > 0 {
                (listed.begun, listed.since) = (begun, Some(now));
                return !listed.session.is_retired();
            }
            idle += 1;
            let since = *listed.since.get_or_insert(now);
            let stays = idle <= self.idle_max && now.since(since) < self.idle_timeout;
            stays && !listed.session.is_retired()
        });
    }
}
