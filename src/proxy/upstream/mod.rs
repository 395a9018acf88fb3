//! The servers behind weir: who takes a request, over which connection, and when not.
//!
//! Shared by all workers. Called by `proxy::forward` for requests, by `proxy::worker` for health checks and
//! sweeps, and by `proxy` for reloads; knows nothing of clients, routes or limits.

pub mod balance;
pub mod budget;
pub mod check;
pub mod connect;
pub mod connection;
pub mod gate;
pub mod health;
pub mod http1;
pub mod pool;
pub mod secure;
pub mod server;

use std::sync::Arc;
use std::time::Duration;

use http_body::SizeHint;

use crate::engine::Busy;
use crate::metrics::UpstreamMetrics;
use crate::policy::{self, Priority};
use crate::time::Moment;

use super::proxy_protocol::Announced;
use super::tls::TlsError;
use budget::Budget;
use connect::ConnectError;
use connection::{Connection, Tunnel};
use gate::{Gate, GateError};
use secure::Connector;
use server::Server;

/// One upstream at run time.
#[derive(Debug)]
pub struct Upstream {
    pub rule: policy::Upstream,
    pub servers: Vec<Arc<Server>>,
    pub budget: Budget,
    capacity: Option<Arc<Gate>>,
}

/// Why a request got no connection.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    #[error("no server passes its health check")]
    NoHealthyServer,
    #[error("{0}")]
    Queue(#[from] GateError),
}

impl Upstream {
    /// Builds the run-time part of `rule`, taking over from `before` every server that stayed the same, and of one whose
    /// numbers changed who is in flight there.
    ///
    /// Errors: certificates for TLS that cannot be used.
    pub fn new(rule: &policy::Upstream, workers: usize, before: Option<&Upstream>) -> Result<Self, TlsError> {
        let tls = secure::config(rule)?;
        let servers = rule
            .servers
            .iter()
            .map(|s| {
                let old = before.and_then(|b| Some((b, b.servers.iter().find(|old| old.is_at(s))?)));
                Ok(match old {
                    Some((b, old))
                        if b.rule.idle_timeout == rule.idle_timeout
                            && b.rule.idle_connections_max == rule.idle_connections_max
                            && old.serves(s, rule.queue) =>
                    {
                        Arc::clone(old)
                    }
                    old => {
                        let tls = Connector::new(s, tls.as_ref())?;
                        Arc::new(Server::new(s, tls, rule, workers, old.map(|(_, old)| &**old)))
                    }
                })
            })
            .collect::<Result<Vec<Arc<Server>>, TlsError>>()?;
        if before.is_some_and(|b| b.rule.health_check != rule.health_check) {
            for server in &servers {
                server.health.forget_checks();
            }
        }
        Ok(Upstream {
            rule: rule.clone(),
            servers,
            budget: Budget::new(rule.retry),
            capacity: Gate::of(rule.capacity, rule.queue, before.and_then(|b| b.capacity.as_ref())),
        })
    }

    pub fn has_healthy_server(&self, now: Moment) -> bool {
        self.servers.iter().any(|s| s.health.is_healthy(now))
    }

    pub fn healthy_servers(&self, now: Moment) -> usize {
        self.servers.iter().filter(|s| s.health.is_healthy(now)).count()
    }

    /// Requests that wait for a place, here or at a server.
    pub fn waiting(&self) -> u32 {
        self.capacity.as_ref().map_or(0, |gate| gate.waiting())
            + self.servers.iter().map(|s| s.gate.waiting()).sum::<u32>()
    }

    /// When to come back, for whom there is no place or no server: once the queue will have been let in, or the first
    /// server is tried again. An estimate, of a second at least.
    pub fn retry_after(&self, now: Moment) -> Duration {
        const LEAST: Duration = Duration::from_secs(1);
        let wait = if self.has_healthy_server(now) {
            let gates = self.capacity.iter().chain(self.servers.iter().map(|server| &server.gate));
            gates.filter_map(|gate| gate.drained_in(now)).max()
        } else {
            self.servers.iter().filter_map(|server| server.health.back_in(now)).min()
        };
        wait.unwrap_or(LEAST).max(LEAST)
    }

    /// How busy it is against its capacity; `None` if that is not known.
    pub fn busy(&self) -> Option<Busy> {
        self.capacity.as_ref().map(|gate| gate.busy())
    }

    /// Waits for a place within the upstream's capacity.
    pub async fn enter(self: &Arc<Self>, priority: Priority) -> Result<Place, GateError> {
        if let Some(capacity) = &self.capacity {
            capacity.enter(priority).await?;
        }
        Ok(Place(Arc::clone(self)))
    }

    /// Waits for a place at a server.
    pub async fn reserve(
        &self,
        tried: Option<&Arc<Server>>,
        worker: usize,
        priority: Priority,
        now: Moment,
    ) -> Result<Lease, LeaseError> {
        let server = Arc::clone(balance::pick(&self.servers, tried, now).ok_or(LeaseError::NoHealthyServer)?);
        server.gate.enter(priority).await?;
        server.begin_request();
        Ok(Lease { server, connection: None, worker })
    }

    /// Closes connections of this worker that have been idle for too long.
    pub fn sweep(&self, worker: usize, now: Moment) {
        for server in &self.servers {
            server.idle.sweep(worker, now);
        }
    }
}

/// One request's share of the upstream's capacity; given back on drop.
#[derive(Debug)]
pub struct Place(Arc<Upstream>);

impl Place {
    /// Learns how much the upstream bears from a request that was handed over at `began` and answered at `now`.
    pub fn answered(&self, began: Moment, now: Moment) {
        if let Some(capacity) = &self.0.capacity {
            capacity.answered(began, now);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(capacity) = &self.0.capacity {
            capacity.leave();
        }
    }
}

/// A place at one server and the connection used there; both are given back on drop.
#[derive(Debug)]
pub struct Lease {
    pub server: Arc<Server>,
    connection: Option<Connection>,
    worker: usize,
}

impl Lease {
    /// The connection to send on; none before [`Lease::reuse`] or [`Lease::connect`] found one.
    pub fn connection(&mut self) -> Option<&mut Connection> {
        self.connection.as_mut()
    }

    /// Whether all of the response has come.
    pub fn has_ended(&self) -> bool {
        self.connection.as_ref().is_none_or(|connection| connection.http1.has_ended())
    }

    /// How much of the response's body is still to come.
    pub fn size_hint(&self) -> SizeHint {
        self.connection.as_ref().map_or(SizeHint::with_exact(0), |connection| connection.http1.size_hint())
    }

    /// An idle connection if there is one: `announced`'s own, where the server is told whose it is.
    pub fn reuse(&mut self, announced: Option<Announced>, now: Moment) -> Option<&mut Connection> {
        let (idle, whose) = (&self.server.idle, announced.map(|announced| announced.source));
        let mut found = idle.take(self.worker, whose, now);
        if found.is_none() && self.server.is_fully_connected() {
            found = idle.take_from_others(self.worker, whose, now);
            if found.is_none() && whose.is_some() {
                idle.close_oldest(self.worker);
            }
        }
        self.connection = found;
        self.connection.as_mut()
    }

    pub async fn connect(
        &mut self,
        announced: Option<Announced>,
        within: Duration,
        counters: &Arc<UpstreamMetrics>,
    ) -> Result<&mut Connection, ConnectError> {
        let fresh = connect::connect(&self.server, announced, within, counters).await?;
        Ok(self.connection.insert(fresh))
    }

    /// Gives the connection back for the next request; for when the response has ended.
    pub fn recycle(&mut self, now: Moment) {
        if let Some(mut connection) = self.connection.take()
            && connection.http1.rest()
        {
            self.server.idle.give(self.worker, connection, now);
        }
    }

    /// Lets go of a connection that is not to be used again.
    pub fn discard(&mut self) {
        self.connection = None;
    }

    /// The connection, which is no longer HTTP.
    pub fn take_tunnel(&mut self) -> Option<Tunnel> {
        self.connection.take().map(Connection::into_tunnel)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.server.end_request();
    }
}
