//! The data path: from an accepted connection to the last byte of the response.
//!
//! Driven by `cli::run` and the demo through [`Proxy`]; it calls the engine, the policy, the metrics and the
//! access log, and never the admin listener. A request goes through these files in this order:
//!
//! | step | file | what happens |
//! |---|---|---|
//! | accept | [`listener`], [`worker`], `arrival`, [`room`] | one runtime per core, one socket each; whether there is room |
//! | shake hands | [`tls`], [`maybe_tls`] | where a listener speaks TLS |
//! | read | [`http1`], [`head`], [`http2`] | only heads with one reading pass; slow ones are ended |
//! | identify | [`serve`], [`forwarded`], `policy::path`, [`identify`], [`certificate`] | the believed client, one host, one path, one route; whose request it is |
//! | admit | `admit` → `engine` | findings in force and all limits in one decision; `delay`: a turn to wait for |
//! | watch | `watching` → `engine` | what detectors see of it; [`robots`]: what the app asks crawlers to leave alone |
//! | forward | [`forward`], [`upstream`] | a place, a server, a connection; one safe retry |
//! | stream | [`client_body`], [`request_body`], [`response_body`], `message`, [`upgrade`] | both ways, with backpressure |
//! | answer | [`refusal`], [`notices`], [`respond`] | weir's own words, when it has any |
//! | close the books | [`exchange`] | metrics, access log, the engine's `observe` |
//!
//! A shutdown is [`lifecycle`].

mod admit;
pub mod alarm;
mod arrival;
pub mod certificate;
pub mod client_body;
pub mod client_side;
pub mod connection;
mod delay;
pub mod exchange;
pub mod forward;
pub mod forwarded;
mod grpc;
#[doc(hidden)]
pub mod head;
pub mod headers;
pub mod http1;
pub mod http2;
pub mod identify;
pub mod interim;
pub mod lifecycle;
pub mod listener;
mod load_watch;
pub mod maybe_tls;
pub mod message;
pub mod notices;
mod outbox;
pub mod pace;
pub mod proxy_protocol;
mod recent;
pub mod refusal;
pub mod request_body;
pub mod request_id;
pub mod respond;
pub mod response_body;
pub mod robots;
pub mod room;
pub mod serve;
#[cfg(test)]
mod simulation;
mod socket_file;
pub mod stream;
pub mod tls;
pub mod upgrade;
pub mod upstream;
mod watching;
pub mod worker;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use http::HeaderMap;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::engine::recent::{Names, RecentRefusals};
use crate::engine::{Binding, Engine, FindingFilter};
use crate::facts::Who;
use crate::findings::Book;
use crate::identity::{Memory, Resolver, TooManyCredentials};
use crate::logs::access::AccessLog;
use crate::metrics::{Metrics, PolicyMetrics};
use crate::policy::conduct::Conduct;
use crate::policy::tls::Redirect;
use crate::policy::{ListenAddress, Listener, Policy, UpstreamId};
use crate::time::Moment;
use delay::Lines;
use lifecycle::{Lifecycle, Stage};
use listener::{Inherited, Listening, ListeningSocket};
use refusal::texts::LimitTexts;
use respond::cors::CorsFields;
use robots::RobotsFiles;
use room::Room;
use socket_file::SocketFile;
use tls::{Issued, ServerTls, Tickets, TlsError};
use upstream::Upstream;
use worker::Worker;

/// What the proxy is started with, besides its policy.
#[derive(Debug)]
pub struct Options {
    pub clock: Clock,
    pub metrics: Metrics,
    pub access_log: Option<AccessLog>,
    pub inherited: Inherited,
    /// One that knows something already; otherwise it is new.
    pub engine: Option<Engine>,
    /// For the names of credentials, where they are to mean something to the next process.
    pub identity_key: Option<[u8; 32]>,
    /// Certificates beside those of the policy.
    pub issued: Issued,
}

impl Options {
    pub fn new(clock: Clock, metrics: Metrics) -> Self {
        Options {
            clock,
            metrics,
            access_log: None,
            inherited: Inherited::default(),
            engine: None,
            identity_key: None,
            issued: Issued::default(),
        }
    }
}

/// What every connection of every worker reaches.
#[derive(Debug)]
pub struct Shared {
    pub clock: Clock,
    pub engine: Engine,
    pub metrics: Metrics,
    pub live: ArcSwap<Live>,
    pub lifecycle: Lifecycle,
    pub access_log: Option<AccessLog>,
    pub identity: Arc<Memory>,
    tickets: Tickets,
    issued: Issued,
    /// Of the first listener that speaks TLS.
    secure_port: Option<u16>,
    /// For whoever is asked why.
    pub refusals: Arc<RecentRefusals>,
    /// What was found, for whoever looks.
    pub findings: Arc<Book>,
    finding_lines: watching::Lines,
    pub robots: RobotsFiles,
    /// Over all workers: one that ends early would take along connections that another borrowed.
    pub room: Arc<Room>,
    /// Told after each reload.
    pub policy_changes: watch::Sender<()>,
}

impl Shared {
    /// All that is shared, before anybody serves.
    fn new(policy: Policy, options: &mut Options) -> io::Result<Self> {
        declare_faults(&options.metrics);
        let engine = options.engine.take().unwrap_or_else(|| {
            let engine = Engine::new(policy.memory_of_limits()).watching(policy.memory_of_conduct());
            engine.starting_at(options.clock.wall_at(Moment::ORIGIN))
        });
        let identity_key = options.identity_key.map_or_else(random_key, Ok)?;
        let identity = Arc::new(Memory::new(&identity_key));
        let tickets = Tickets::new()?;
        let tls = (&tickets, &options.issued);
        let live =
            Live::new(policy, &engine, &identity, &options.metrics, tls, None).map_err(io::Error::other)?;
        Ok(Shared {
            clock: options.clock,
            engine,
            metrics: options.metrics.clone(),
            live: ArcSwap::from_pointee(live),
            lifecycle: Lifecycle::new(),
            access_log: options.access_log.take(),
            identity,
            tickets,
            issued: std::mem::take(&mut options.issued),
            secure_port: None,
            refusals: Arc::default(),
            findings: Arc::default(),
            finding_lines: watching::Lines::default(),
            robots: RobotsFiles::default(),
            room: Arc::new(Room::new(files_max())),
            policy_changes: watch::Sender::new(()),
        })
    }

    /// The port to which plain requests are sent, if they are.
    fn redirect_port(&self, policy: &Policy) -> Option<u16> {
        match policy.tls.as_ref()?.redirect {
            Redirect::No => None,
            Redirect::ToListener => self.secure_port,
            Redirect::ToPort(port) => Some(port),
        }
    }
}

/// One policy and everything that was resolved for it; swapped whole by a reload. A request keeps the one it
/// began with.
#[derive(Debug)]
pub struct Live {
    pub policy: Arc<Policy>,
    pub binding: Arc<Binding>,
    /// For what is remembered of refusals.
    pub names: Names,
    pub resolver: Resolver,
    pub metrics: PolicyMetrics,
    pub upstreams: Vec<Arc<Upstream>>,
    /// By route, for the access log.
    pub route_names: Vec<Arc<str>>,
    /// By limit, for the access log.
    pub limit_names: Vec<Arc<str>>,
    /// By limit, for whoever meets it.
    pub limit_texts: Vec<LimitTexts>,
    pub cors: Option<CorsFields>,
    pub tls: Option<ServerTls>,
    /// Requests that wait for a limit.
    lines: Lines,
}

impl Live {
    fn new(
        policy: Policy,
        engine: &Engine,
        identity: &Arc<Memory>,
        metrics: &Metrics,
        (tickets, issued): (&Tickets, &Issued),
        before: Option<&Live>,
    ) -> Result<Self, TlsError> {
        let policy = Arc::new(policy);
        let tls = policy.tls.as_ref().map(|tls| ServerTls::new(tls, tickets, issued)).transpose()?;
        let workers = workers(&policy);
        let upstreams = policy
            .upstreams
            .iter()
            .map(|rule| {
                let same_name = |u: &&Arc<Upstream>| u.rule.name == rule.name;
                let before = before.and_then(|live| live.upstreams.iter().find(same_name));
                Ok(match before {
                    Some(unchanged) if unchanged.rule == *rule => Arc::clone(unchanged),
                    before => Arc::new(Upstream::new(rule, workers, before.map(Arc::as_ref))?),
                })
            })
            .collect::<Result<_, TlsError>>()?;
        Ok(Live {
            binding: Arc::new(engine.bind(Arc::clone(&policy))),
            names: Names::of(&policy),
            resolver: Resolver::new(&policy, Arc::clone(identity)),
            metrics: metrics.bind(&policy),
            upstreams,
            route_names: policy.routes.iter().map(|r| r.name.as_str().into()).collect(),
            limit_texts: LimitTexts::of(&policy),
            cors: CorsFields::of(&policy.responses),
            tls,
            lines: Lines::default(),
            limit_names: policy.limits.iter().map(|l| l.name.as_str().into()).collect(),
            policy,
        })
    }

    pub fn upstream(&self, id: UpstreamId) -> &Arc<Upstream> {
        &self.upstreams[usize::from(id.0)]
    }
}

fn workers(policy: &Policy) -> usize {
    usize::try_from(policy.listen.workers.get()).unwrap_or(1)
}

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    addresses: Vec<ListenAddress>,
    /// Of each listener, for whoever listens next; closed when nobody listens any more.
    sockets: Mutex<Vec<ListeningSocket>>,
    /// Files of listeners; removed then.
    files: Mutex<Vec<SocketFile>>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

impl Proxy {
    /// Binds every listener and starts the workers.
    ///
    /// Errors: an address that cannot be bound (the message names it), certificates that cannot serve, no more
    /// threads, or no random number.
    pub fn start(policy: Policy, mut options: Options) -> io::Result<Proxy> {
        let mut shared = Shared::new(policy, &mut options)?;
        let live = shared.live.load_full();
        let workers = workers(&live.policy);
        let mut per_worker: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
        let (mut addresses, mut files, mut copies) = (Vec::new(), Vec::new(), Vec::new());
        for listener in &live.policy.listen.proxy {
            let listening = listen(listener, workers, &mut options.inherited)?;
            addresses.push(listening.address);
            files.extend(listening.file);
            let listener = Arc::new(listener.clone());
            for (at, socket) in listening.sockets.into_iter().enumerate() {
                copies.push(socket.try_clone()?);
                per_worker[at % workers].push((socket, Arc::clone(&listener)));
            }
        }
        let secure = live.policy.listen.proxy.iter().zip(&addresses).find(|(listener, _)| listener.tls);
        let secure_port = secure.and_then(|(_, address)| Some(address.ip()?.port()));
        for address in options.inherited.unclaimed() {
            tracing::warn!(
                address,
                "a socket that was handed over at start is closed: no listener has its address. Add the address \
                 to [listen], or take it out of the socket unit"
            );
        }
        shared.secure_port = secure_port;
        let shared = Arc::new(shared);
        let open = FindingFilter { is_open: Some(true), ..FindingFilter::default() };
        shared.findings.go_on_with(&shared.engine.findings(&open, usize::MAX), &shared.live.load().policy);
        let started: io::Result<Vec<_>> = per_worker
            .into_iter()
            .enumerate()
            .map(|(index, sockets)| Worker { index, shared: Arc::clone(&shared), sockets }.start())
            .collect();
        Ok(Proxy {
            shared,
            addresses,
            sockets: Mutex::new(copies),
            files: Mutex::new(files),
            workers: Mutex::new(started?),
        })
    }

    /// Where clients are listened for, in the order of the configuration, with the ports that were picked.
    pub fn addresses(&self) -> &[ListenAddress] {
        &self.addresses
    }

    /// The sockets that are listened on, for another process to listen on too.
    pub fn sockets(&self) -> io::Result<Vec<OwnedFd>> {
        self.sockets.lock().iter().map(|socket| socket.try_clone().map(OwnedFd::from)).collect()
    }

    /// Leaves the files of Unix sockets to a process that has taken the sockets.
    pub fn leave_files(&self) {
        self.files.lock().drain(..).for_each(SocketFile::leave);
    }

    pub fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.shared.live.load().policy)
    }

    /// The policy in force, joined to the engine.
    pub fn binding(&self) -> Arc<Binding> {
        Arc::clone(&self.shared.live.load().binding)
    }

    /// Everyone behind a request with these headers, as the policy in force knows them.
    pub fn who(&self, headers: &HeaderMap) -> Result<Who, TooManyCredentials> {
        let live = self.shared.live.load();
        live.resolver.resolve(headers, None, self.shared.clock.wall()).map(|resolved| resolved.who)
    }

    /// Told after each reload.
    pub fn policy_changes(&self) -> watch::Receiver<()> {
        self.shared.policy_changes.subscribe()
    }

    /// Whether it takes no new work any more.
    pub fn is_stopping(&self) -> bool {
        self.shared.lifecycle.stage() != Stage::Running
    }

    pub fn clock(&self) -> Clock {
        self.shared.clock
    }

    /// What was refused lately.
    pub fn refusals(&self) -> &Arc<RecentRefusals> {
        &self.shared.refusals
    }

    /// What was found.
    pub fn findings(&self) -> &Arc<Book> {
        &self.shared.findings
    }

    /// Puts a new policy in force, whole, for every request that begins from now on. Nothing is dropped: not a
    /// connection, not a counter.
    ///
    /// What is fixed at start stays as it was: `listen`, `state`, the share of conduct in it, and `log`. A client's
    /// connection keeps the bounds on heads and the times of its own (`head_read`, `idle`, `body_progress`) with which it was opened.
    ///
    /// Errors: certificates that cannot serve; then nothing has changed.
    pub fn reload(&self, policy: Policy) -> Result<(), TlsError> {
        let shared = &self.shared;
        let before = shared.live.load_full();
        let Policy { listen, conduct, state, log, tls, .. } = before.policy.as_ref().clone();
        let conduct = Conduct { memory_permille: conduct.memory_permille, ..policy.conduct.clone() };
        // A listener that speaks TLS cannot stop doing so before a restart.
        let tls = policy.tls.or(tls.filter(|_| listen.proxy.iter().any(|listener| listener.tls)));
        let policy = Policy { listen, conduct, state, log, tls, ..policy };
        let Shared { engine, identity, metrics, tickets, issued, .. } = shared.as_ref();
        let live = Live::new(policy, engine, identity, metrics, (tickets, issued), Some(&before))?;
        shared.live.store(Arc::new(live));
        shared.policy_changes.send_replace(());
        Ok(())
    }

    /// Why no new work should be sent here; empty while ready.
    pub fn reasons_unready(&self) -> Vec<String> {
        let (live, now) = (self.shared.live.load(), self.shared.clock.now());
        let mut reasons = Vec::new();
        if self.shared.lifecycle.stage() != Stage::Running {
            reasons.push("shutting down".to_owned());
        }
        if !live.upstreams.iter().any(|u| u.has_healthy_server(now)) {
            reasons.push("no upstream has a healthy server".to_owned());
        }
        reasons
    }

    /// Brings the metrics up to date that are measured rather than counted.
    pub fn measure(&self) {
        let (live, now) = (self.shared.live.load(), self.shared.clock.now());
        for (at, upstream) in (0..).zip(&live.upstreams) {
            let counters = live.metrics.upstream(UpstreamId(at));
            counters.set_servers_healthy(upstream.healthy_servers(now));
            counters.set_queue_length(upstream.waiting());
        }
        self.shared.metrics.set_certificates(live.tls.as_ref().map(ServerTls::expires).unwrap_or_default());
        self.shared.metrics.set_load(load_watch::snapshot(&self.shared, &live, now));
        self.shared.metrics.set_watch(self.shared.findings.open(), self.shared.engine.watch_stats());
    }

    /// Stops without failing a request whose head was read: unready for `drain_delay`, then listeners close and
    /// connections end with their next response, for at most `drain_timeout`.
    pub async fn shut_down(&self) {
        let rule = self.policy().shutdown;
        self.shared.lifecycle.advance(Stage::Leaving);
        tokio::time::sleep(rule.drain_delay).await;
        // First, so that nobody is left in the queue of a socket that is closed.
        self.files.lock().clear();
        self.sockets.lock().clear();
        self.shared.lifecycle.advance(Stage::Draining);
        let workers = std::mem::take(&mut *self.workers.lock());
        let joined = tokio::task::spawn_blocking(move || {
            workers.into_iter().map(JoinHandle::join).filter(Result::is_err).count()
        });
        tokio::pin!(joined);
        if timeout(rule.drain_timeout, &mut joined).await.is_err() {
            tracing::warn!("drain_timeout is over; connections that are still open are dropped");
            self.shared.lifecycle.advance(Stage::Stopped);
            // Every worker waits for this stage; joining them now takes moments.
            let _ = joined.await;
        }
    }
}

/// Every kind of fault is on the scrape from the start: a rate needs a zero to rise from.
fn declare_faults(metrics: &Metrics) {
    let faults = head::Fault::ALL.map(head::Fault::name).into_iter().chain([
        connection::HANDSHAKE_FAULT,
        arrival::PROXY_FAULT,
        http2::CALM_FAULT,
        http2::PROTOCOL_FAULT,
    ]);
    metrics.declare_protocol_faults(faults);
}

/// How many files the process may have open.
fn files_max() -> u64 {
    use rustix::process::{Resource, getrlimit};
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// For the names of credentials, which mean nothing outside this process.
fn random_key() -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    Ok(key)
}

fn listen(listener: &Listener, workers: usize, inherited: &mut Inherited) -> io::Result<Listening> {
    listener::listen(&listener.address, workers, inherited).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {}: {error}", listener.address))
    })
}
