//! Idle connections to one server, a list per worker, so that the usual take and give touch no other core.

use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use parking_lot::Mutex;

use crate::proxy::request_body::RequestBody;
use crate::time::Moment;

/// A connection to a server, ready for one more request.
pub type Connection = SendRequest<RequestBody>;

#[derive(Debug)]
pub struct IdleConnections {
    per_worker: Box<[Mutex<Vec<Idle>>]>,
    per_worker_max: usize,
    timeout: Duration,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Moment,
}

impl IdleConnections {
    pub fn new(workers: usize, per_worker_max: u32, timeout: Duration) -> Self {
        IdleConnections {
            per_worker: (0..workers).map(|_| Mutex::default()).collect(),
            per_worker_max: usize::try_from(per_worker_max).unwrap_or(usize::MAX),
            timeout,
        }
    }

    /// The connection that was used last, if one is still good.
    pub fn take(&self, worker: usize, now: Moment) -> Option<Connection> {
        let mut idle = self.per_worker.get(worker)?.lock();
        while let Some(Idle { connection, since }) = idle.pop() {
            if connection.is_ready() && now.since(since) < self.timeout {
                return Some(connection);
            }
        }
        None
    }

    /// One from any other worker, for when no further connection may be opened.
    pub fn take_from_others(&self, worker: usize, now: Moment) -> Option<Connection> {
        (0..self.per_worker.len()).filter(|other| *other != worker).find_map(|other| self.take(other, now))
    }

    pub fn give(&self, worker: usize, connection: Connection, now: Moment) {
        if let Some(idle) = self.per_worker.get(worker) {
            let mut idle = idle.lock();
            if idle.len() < self.per_worker_max {
                idle.push(Idle { connection, since: now });
            }
        }
    }

    /// Closes what has been idle for too long; the server may have closed it already.
    pub fn sweep(&self, worker: usize, now: Moment) {
        if let Some(idle) = self.per_worker.get(worker) {
            idle.lock().retain(|i| !i.connection.is_closed() && now.since(i.since) < self.timeout);
        }
    }
}
