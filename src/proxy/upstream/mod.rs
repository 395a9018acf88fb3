//! The servers behind weir: who takes a request, over which connection, and when not.
//!
//! Shared by all workers. Called by `proxy::forward` for requests, by `proxy::worker` for health checks and
//! sweeps, and by `proxy` for reloads; knows nothing of clients, routes or limits.

pub mod balance;
pub mod budget;
pub mod carrier;
pub mod check;
pub mod connect;
pub mod connection;
pub mod fault;
pub mod gate;
pub mod health;
pub mod http1;
pub mod http2;
pub mod pool;
pub mod secure;
pub mod server;

use std::net::SocketAddr;
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
use carrier::Carrier;
use connect::ConnectError;
use connection::{Connection, Tunnel};
use gate::{Gate, GateError};
use http2::call::Call;
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
        Ok(Lease { server, carrier: None, worker })
    }

    /// Closes connections of this worker that have been idle for too long.
    pub fn sweep(&self, worker: usize, now: Moment) {
        for server in &self.servers {
            server.idle.sweep(worker, now);
            if let Some(sessions) = &server.sessions {
                sessions.sweep(worker, now);
            }
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

/// A place at one server and what carries the request there; both are given back on drop.
#[derive(Debug)]
pub struct Lease {
    pub server: Arc<Server>,
    carrier: Option<Carrier>,
    worker: usize,
}

impl Lease {
    /// What to send on; none before [`Lease::reuse`] or [`Lease::connect`] found it.
    pub fn carrier(&mut self) -> Option<&mut Carrier> {
        self.carrier.as_mut()
    }

    /// Whether all of the response has come.
    pub fn has_ended(&self) -> bool {
        self.carrier.as_ref().is_none_or(Carrier::has_ended)
    }

    /// How much of the response's body is still to come.
    pub fn size_hint(&self) -> SizeHint {
        self.carrier.as_ref().map_or(SizeHint::with_exact(0), Carrier::size_hint)
    }

    /// Takes an idle connection, or a place on one, if there is any: `announced`'s own, where the server is told whose
    /// it is. Whether there was.
    pub fn reuse(&mut self, announced: Option<Announced>, now: Moment) -> bool {
        let whose = announced.map(|announced| announced.source);
        self.carrier = match &self.server.sessions {
            None => self.idle_connection(whose, now).map(Carrier::Http1),
            Some(sessions) => {
                let mut seat = sessions.enter(self.worker, whose);
                if seat.is_none() && self.server.is_fully_connected() {
                    seat = sessions.enter_others(self.worker, whose);
                }
                seat.map(|seat| Carrier::Http2(Box::new(Call::new(seat))))
            }
        };
        self.carrier.is_some()
    }

    fn idle_connection(&self, whose: Option<SocketAddr>, now: Moment) -> Option<Connection> {
        let idle = &self.server.idle;
        let mut found = idle.take(self.worker, whose, now);
        if found.is_none() && self.server.is_fully_connected() {
            found = idle.take_from_others(self.worker, whose, now);
            if found.is_none() && whose.is_some() {
                idle.close_oldest(self.worker);
            }
        }
        found
    }

    /// Opens a connection. In HTTP/2 one that another request opens meanwhile may serve as well.
    pub async fn connect(
        &mut self,
        announced: Option<Announced>,
        within: Duration,
        counters: &Arc<UpstreamMetrics>,
    ) -> Result<(), ConnectError> {
        let server = &self.server;
        self.carrier = Some(match &server.sessions {
            None => Carrier::Http1(connect::connect(server, announced, within, counters).await?),
            Some(sessions) => {
                let seat = connect::join(server, sessions, self.worker, announced, within, counters).await?;
                Carrier::Http2(Box::new(Call::new(seat)))
            }
        });
        Ok(())
    }

    /// Gives the connection back for the next request; for when the response has ended.
    pub fn recycle(&mut self, now: Moment) {
        if let Some(Carrier::Http1(mut connection)) = self.carrier.take()
            && connection.http1.rest()
        {
            self.server.idle.give(self.worker, connection, now);
        }
    }

    /// Lets go of what is not to be used again. `silent`: no answer came in time, and so none may come to others.
    pub fn discard(&mut self, silent: bool) {
        if let Some(Carrier::Http2(call)) = self.carrier.take()
            && silent
        {
            call.suspect();
        }
    }

    /// The connection, which is no longer HTTP.
    pub fn take_tunnel(&mut self) -> Option<Tunnel> {
        match self.carrier.take()? {
            Carrier::Http1(connection) => Some(connection.into_tunnel()),
            Carrier::Http2(_) => None,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.server.end_request();
    }
}
