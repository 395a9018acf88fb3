//! Metrics for Prometheus: what is counted, how cheaply, and the text that a scrape gets.
//!
//! All metrics are declared in [`definitions`]. There is no global registry: a [`Metrics`] is made at start and
//! handed to whoever counts. Counting takes no lock, allocates nothing and formats nothing; names meet numbers
//! only when somebody scrapes.

pub mod definitions;
mod exposition;
mod findings;
mod labels;
mod load;
mod policy;
mod scrape;
mod striped;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;

pub use self::labels::{
    ConnectionRefusal, IdentityOutcome, QueueRejection, RequestDecision, StateFile, Timeout,
};
pub use self::load::{LoadSnapshot, UpstreamSnapshot};
pub use self::policy::{PolicyMetrics, UpstreamMetrics};

use self::policy::Series;
use self::striped::{Striped, Stripes};
use crate::clause::Behaviour;
use crate::engine::{StateStats, WatchStats};
use crate::policy::Policy;
use crate::remedy::Mode;
use crate::time::WallTime;

/// All counters of a running weir. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    traffic: Striped<{ TrafficCell::COUNT }>,
    faults: [Fault; FAULTS_MAX],
    faults_other: AtomicU64,
    timeouts: [AtomicU64; Timeout::ALL.len()],
    connections_refused: [AtomicU64; ConnectionRefusal::ALL.len()],
    accept_errors: AtomicU64,
    panics: AtomicU64,
    reloads_ok: AtomicU64,
    reloads_failed: AtomicU64,
    /// Until when each certificate is good.
    certificates: Mutex<Vec<(Arc<str>, WallTime)>>,
    acme_issued: AtomicU64,
    acme_failed: AtomicU64,
    loaded_unix_ms: AtomicU64,
    access_log_written: AtomicU64,
    access_log_dropped: AtomicU64,
    ready: AtomicU64,
    state: Mutex<StateStats>,
    state_files: [AtomicU64; StateFile::ALL.len()],
    enforcement: Mutex<EnforcementState>,
    load: Mutex<LoadSnapshot>,
    /// By behaviour.
    findings_open: Mutex<Vec<(Behaviour, u64)>>,
    watch: Mutex<WatchStats>,
    series: Mutex<Series>,
}

/// What every connection or request counts: where each number is in the row.
#[derive(Clone, Copy, Debug)]
enum TrafficCell {
    Connections,
    ConnectionsOpen,
    RequestsInFlight,
    /// The first of one for each [`IdentityOutcome`].
    Identity,
}

impl TrafficCell {
    const COUNT: usize = TrafficCell::Identity as usize + IdentityOutcome::ALL.len();
}

/// The switch for everything, as of the last scrape.
#[derive(Clone, Copy, Debug, Default)]
struct EnforcementState {
    mode: Mode,
    override_expires: Option<Duration>,
}

/// More kinds of protocol fault than these are counted together, as `other`.
const FAULTS_MAX: usize = 64;

/// A kind of protocol fault, named by the first that occurs.
#[derive(Debug, Default)]
struct Fault {
    name: OnceLock<&'static str>,
    count: AtomicU64,
}

impl Metrics {
    pub fn new() -> Self {
        let stripes = Stripes::per_core();
        Metrics {
            shared: Arc::new(Shared {
                traffic: Striped::new(stripes),
                faults: std::array::from_fn(|_| Fault::default()),
                faults_other: Default::default(),
                timeouts: Default::default(),
                connections_refused: Default::default(),
                accept_errors: Default::default(),
                panics: Default::default(),
                reloads_ok: Default::default(),
                reloads_failed: Default::default(),
                certificates: Default::default(),
                acme_issued: Default::default(),
                acme_failed: Default::default(),
                loaded_unix_ms: Default::default(),
                access_log_written: Default::default(),
                access_log_dropped: Default::default(),
                ready: Default::default(),
                state: Default::default(),
                state_files: Default::default(),
                enforcement: Default::default(),
                load: Default::default(),
                findings_open: Default::default(),
                watch: Default::default(),
                series: Mutex::new(Series::new(stripes)),
            }),
        }
    }

    /// Resolves the counters of `policy`'s routes, limits and upstreams.
    ///
    /// After a reload, what keeps its name counts on; what is gone disappears from the next scrape.
    pub fn bind(&self, policy: &Policy) -> PolicyMetrics {
        self.shared.series.lock().bind(policy)
    }

    /// Everything counted so far, in Prometheus's text exposition format 0.0.4.
    pub fn render(&self) -> String {
        scrape::render(&self.shared)
    }

    /// Ends with [`connection_closed`](Self::connection_closed), whatever happens.
    pub fn connection_opened(&self) {
        self.shared.traffic.add(TrafficCell::Connections as usize, 1);
        self.shared.traffic.add(TrafficCell::ConnectionsOpen as usize, 1);
    }

    pub fn connection_closed(&self) {
        self.shared.traffic.sub(TrafficCell::ConnectionsOpen as usize, 1);
    }

    /// A head was read. Ends with [`request_ended`](Self::request_ended), whatever happens.
    pub fn request_started(&self) {
        self.shared.traffic.add(TrafficCell::RequestsInFlight as usize, 1);
    }

    pub fn request_ended(&self) {
        self.shared.traffic.sub(TrafficCell::RequestsInFlight as usize, 1);
    }

    /// A request's credentials were looked at.
    pub fn identity(&self, outcome: IdentityOutcome) {
        self.shared.traffic.add(TrafficCell::Identity as usize + outcome as usize, 1);
    }

    /// Shows these kinds of protocol fault with 0 from the start.
    pub fn declare_protocol_faults(&self, names: impl IntoIterator<Item = &'static str>) {
        for name in names {
            self.shared.fault(name);
        }
    }

    /// Counts a message that was refused for what it is. `name` comes from a closed list in the source.
    pub fn protocol_fault(&self, name: &'static str) {
        self.shared.fault(name).fetch_add(1, Relaxed);
    }

    pub fn timeout(&self, which: Timeout) {
        self.shared.timeouts[which as usize].fetch_add(1, Relaxed);
    }

    /// A request ended by a panic.
    pub fn panicked(&self) {
        self.shared.panics.fetch_add(1, Relaxed);
    }

    /// A connection was closed before its first request.
    pub fn connection_refused(&self, why: ConnectionRefusal) {
        self.shared.connections_refused[why as usize].fetch_add(1, Relaxed);
    }

    pub fn accept_failed(&self) {
        self.shared.accept_errors.fetch_add(1, Relaxed);
    }

    /// A configuration came into force at start: sets its time without counting a reload.
    pub fn config_loaded(&self, at: WallTime) {
        self.shared.loaded_unix_ms.store(at.unix_ms, Relaxed);
    }

    /// A new configuration came into force in place of another.
    pub fn reload_succeeded(&self, at: WallTime) {
        self.config_loaded(at);
        self.shared.reloads_ok.fetch_add(1, Relaxed);
    }

    /// A configuration was refused; the one before it stays in force.
    pub fn reload_failed(&self) {
        self.shared.reloads_failed.fetch_add(1, Relaxed);
    }

    /// A certificate was asked of an authority.
    pub fn acme_order(&self, issued: bool) {
        let counted = if issued { &self.shared.acme_issued } else { &self.shared.acme_failed };
        counted.fetch_add(1, Relaxed);
    }

    /// Until when each certificate that clients are shown is good, as of now.
    pub fn set_certificates(&self, expires: Vec<(Arc<str>, WallTime)>) {
        *self.shared.certificates.lock() = expires;
    }

    pub fn access_log_written(&self, lines: u64) {
        self.shared.access_log_written.fetch_add(lines, Relaxed);
    }

    pub fn access_log_dropped(&self, lines: u64) {
        self.shared.access_log_dropped.fetch_add(lines, Relaxed);
    }

    pub fn set_ready(&self, ready: bool) {
        self.shared.ready.store(u64::from(ready), Relaxed);
    }

    pub fn state_file(&self, what: StateFile) {
        self.shared.state_files[what as usize].fetch_add(1, Relaxed);
    }

    /// The mode in force, and how long it overrides the configuration's: `None`, not at all; [`Duration::MAX`], for
    /// nobody knows how long.
    pub fn set_enforcement(&self, mode: Mode, override_expires: Option<Duration>) {
        *self.shared.enforcement.lock() = EnforcementState { mode, override_expires };
    }

    /// How busy the upstreams are and by whom, as of now.
    pub fn set_load(&self, load: LoadSnapshot) {
        *self.shared.load.lock() = load;
    }

    /// How many findings of each behaviour are open, and how full the memory of conduct is, as of now.
    pub fn set_watch(&self, findings_open: Vec<(Behaviour, u64)>, stats: WatchStats) {
        *self.shared.findings_open.lock() = findings_open;
        *self.shared.watch.lock() = stats;
    }

    /// How full the engine's state is, as of now.
    pub fn set_state(&self, stats: StateStats) {
        *self.shared.state.lock() = stats;
    }
}

impl Shared {
    /// The counter of this kind of fault, which takes the next free place when it is new.
    fn fault(&self, name: &'static str) -> &AtomicU64 {
        let fault = self.faults.iter().find(|fault| *fault.name.get_or_init(|| name) == name);
        fault.map_or(&self.faults_other, |fault| &fault.count)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
