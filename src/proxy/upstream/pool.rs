//! Idle connections to one server, a list per worker, so that the usual take and give touch no other core.

use std::net::SocketAddr;
use std::time::Duration;

use parking_lot::Mutex;

use super::connection::Connection;
use crate::time::Moment;

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

    /// Of the connections that are for `whose` requests, the one that was used last, if one is still good.
    pub fn take(&self, worker: usize, whose: Option<SocketAddr>, now: Moment) -> Option<Connection> {
        let mut idle = self.per_worker.get(worker)?.lock();
        while let Some(at) = idle.iter().rposition(|idle| idle.connection.whose() == whose) {
            let Idle { connection, since } = idle.remove(at);
            if now.since(since) < self.timeout && connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    /// One from any other worker, for when no further connection may be opened.
    pub fn take_from_others(
        &self,
        worker: usize,
        whose: Option<SocketAddr>,
        now: Moment,
    ) -> Option<Connection> {
        let mut others = (0..self.per_worker.len()).filter(|other| *other != worker);
        others.find_map(|other| self.take(other, whose, now))
    }

    /// Closes the connection that has been idle for longest, to make room for another.
    pub fn close_oldest(&self, worker: usize) {
        if let Some(idle) = self.per_worker.get(worker) {
            let mut idle = idle.lock();
            if !idle.is_empty() {
                idle.remove(0);
            }
        }
    }

    pub fn give(&self, worker: usize, connection: Connection, now: Moment) {
        if let Some(idle) = self.per_worker.get(worker) {
            let mut idle = idle.lock();
            // One client's is of use to nobody else: the one that was used last is the likeliest to be used again.
            if idle.len() >= self.per_worker_max && connection.whose().is_some() && !idle.is_empty() {
                idle.remove(0);
            }
            if idle.len() < self.per_worker_max {
                idle.push(Idle { connection, since: now });
            }
        }
    }

    /// Closes what has been idle for too long; the server may have closed it already.
    pub fn sweep(&self, worker: usize, now: Moment) {
        if let Some(idle) = self.per_worker.get(worker) {
            idle.lock().retain(|i| now.since(i.since) < self.timeout && i.connection.is_quiet());
        }
    }
}
