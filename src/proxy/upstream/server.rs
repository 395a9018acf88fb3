//! One server of an upstream: how busy it is, how healthy, and the idle connections to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::gate::Gate;
use super::health::Health;
use super::http2::session::Sessions;
use super::pool::IdleConnections;
use super::secure::Connector;
use crate::policy::{self, UpstreamProtocol};

#[derive(Debug)]
pub struct Server {
    rule: policy::Server,
    /// For the access log.
    name: Arc<str>,
    queue: policy::Queue,
    /// `None`: it is spoken to in clear.
    tls: Option<Connector>,
    pub health: Health,
    pub gate: Arc<Gate>,
    pub idle: IdleConnections,
    /// `None`: it is spoken to in HTTP/1.1.
    pub sessions: Option<Sessions>,
    in_flight: AtomicU32,
    open: Arc<AtomicU32>,
}

impl Server {
    /// `before` is the same server with other numbers, if a reload changed them.
    pub fn new(
        rule: &policy::Server,
        tls: Option<Connector>,
        upstream: &policy::Upstream,
        workers: usize,
        before: Option<&Server>,
    ) -> Self {
        Server {
            rule: rule.clone(),
            name: rule.name.as_str().into(),
            queue: upstream.queue,
            tls,
            health: Health::default(),
            gate: Gate::of_server(rule.connections_max, upstream.queue, before.map(|before| &before.gate)),
            idle: IdleConnections::new(workers, upstream.idle_connections_max, upstream.idle_timeout),
            sessions: (rule.protocol == UpstreamProtocol::Http2)
                .then(|| Sessions::new(workers, upstream.idle_connections_max, upstream.idle_timeout)),
            in_flight: AtomicU32::new(0),
            open: Arc::default(),
        }
    }

    /// Whether a reload may go on using this server, with its connections and what is known of its health.
    pub fn serves(&self, rule: &policy::Server, queue: policy::Queue) -> bool {
        self.rule == *rule && self.queue == queue
    }

    /// Whether it is the server that `rule` names, be its numbers others.
    pub fn is_at(&self, rule: &policy::Server) -> bool {
        self.rule.address == rule.address
    }

    pub fn name(&self) -> &str {
        &self.rule.name
    }

    pub fn name_shared(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    pub(super) fn tls(&self) -> Option<&Connector> {
        self.tls.as_ref()
    }

    pub fn rule(&self) -> &policy::Server {
        &self.rule
    }

    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether a further connection would exceed the maximum, idle ones included.
    pub fn is_fully_connected(&self) -> bool {
        self.open.load(Ordering::Relaxed) >= self.rule.connections_max.get()
    }

    pub(super) fn begin_request(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end_request(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.gate.leave();
    }

    /// Counts a connection as open until the guard is dropped.
    pub(super) fn count_open(&self) -> OpenGuard {
        self.open.fetch_add(1, Ordering::Relaxed);
        OpenGuard(Arc::clone(&self.open))
    }
}

/// One open connection. It keeps the number alive and not the server, which may hold the connection.
#[derive(Debug)]
pub(super) struct OpenGuard(Arc<AtomicU32>);

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
