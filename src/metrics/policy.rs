//! What is counted per route, limit and upstream: the series of one policy.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::StatusCode;

use super::definitions::{DURATION_BOUNDS, OVERHEAD_BOUNDS};
use super::exposition::Counted;
use super::findings::{self, AllFindingSeries, Counters};
use super::labels::{QueueRejection, RequestDecision, StatusClass};
use super::striped::{Striped, Stripes};
use crate::clause::Behaviour;
use crate::engine::Resource;
use crate::policy::{LimitId, Over, Policy, Priority, RouteId, UpstreamId};
use crate::remedy::{LimitCheck, Mode};
use crate::time::nanos;

/// Counters of one policy's routes, limits and upstreams, by their ids. Cheap to clone; clones count together.
///
/// Counting takes no lock and formats nothing. Ids must be of the policy that was bound.
#[derive(Clone, Debug)]
pub struct PolicyMetrics {
    routes: Arc<[Arc<RouteSeries>]>,
    unrouted: Arc<RouteSeries>,
    limits: Arc<[Arc<LimitSeries>]>,
    upstreams: Arc<[Arc<UpstreamMetrics>]>,
    findings: Counters,
}

impl PolicyMetrics {
    /// Counts a request that ended. `total` is the whole of it, `upstream` what it waited for the upstream.
    pub fn request(
        &self,
        route: Option<RouteId>,
        decision: RequestDecision,
        status: StatusCode,
        total: Duration,
        upstream: Option<Duration>,
    ) {
        let series = route.and_then(|id| self.routes.get(usize::from(id.0))).unwrap_or(&self.unrouted);
        series.count(decision, StatusClass::of(status), nanos(total), upstream.map_or(0, nanos));
    }

    /// Counts what a limit said of a request. A limit that is off says nothing.
    pub fn limit_check(&self, check: &LimitCheck) {
        let Some(mode) = LimitSeries::MODES.iter().position(|mode| *mode == check.mode) else { return };
        if let Some(series) = self.limits.get(usize::from(check.limit.0)) {
            series.row.add(LimitSeries::cell(mode, check.within), 1);
        }
    }

    /// A request is made to wait for a limit. Ends with [`limit_wait_ended`](Self::limit_wait_ended), whatever happens.
    pub fn limit_wait_began(&self, limit: LimitId) {
        if let Some(series) = self.limits.get(usize::from(limit.0)) {
            series.row.add(LimitSeries::QUEUE, 1);
            series.row.add(LimitSeries::DELAYED, 1);
        }
    }

    pub fn limit_wait_ended(&self, limit: LimitId, waited: Duration) {
        if let Some(series) = self.limits.get(usize::from(limit.0)) {
            let ns = nanos(waited);
            series.row.sub(LimitSeries::QUEUE, 1);
            series.row.add(LimitSeries::DELAY_AT + bucket(&DURATION_BOUNDS, ns), 1);
            series.row.add(LimitSeries::DELAY_SUM, ns);
        }
    }

    /// Somebody was found, in the mode in force.
    pub fn finding(&self, behaviour: Behaviour, mode: Mode) {
        self.findings.count(behaviour, mode);
    }

    /// A request was refused because somebody was found.
    pub fn finding_refusal(&self, behaviour: Behaviour) {
        self.findings.count_refusal(behaviour);
    }

    pub fn upstream(&self, id: UpstreamId) -> &Arc<UpstreamMetrics> {
        &self.upstreams[usize::from(id.0)]
    }
}

/// One upstream's counters.
#[derive(Debug)]
pub struct UpstreamMetrics {
    row: Striped<{ UpstreamCell::COUNT }>,
    servers: AtomicU64,
    servers_healthy: AtomicU64,
    queue_length: AtomicU64,
    /// By resource. Rare, and so one counter for all cores.
    load_findings: [AtomicU64; Resource::ALL.len()],
}

/// Where each number is in an upstream's row.
#[derive(Clone, Copy, Debug)]
pub(super) enum UpstreamCell {
    Requests,
    WaitNanos,
    InFlight,
    Opened,
    Reused,
    Closed,
    Failed,
    TlsFailed,
    Retries,
    Ejections,
    RejectedFull,
    RejectedTimeout,
    RejectedDisplaced,
    ShedBatch,
    ShedNormal,
    ShedHigh,
}

impl UpstreamCell {
    const COUNT: usize = UpstreamCell::ShedHigh as usize + 1;

    const fn rejected(why: QueueRejection) -> Self {
        match why {
            QueueRejection::Full => UpstreamCell::RejectedFull,
            QueueRejection::Timeout => UpstreamCell::RejectedTimeout,
            QueueRejection::Displaced => UpstreamCell::RejectedDisplaced,
        }
    }

    const fn shed(priority: Priority) -> Self {
        match priority {
            Priority::Batch => UpstreamCell::ShedBatch,
            Priority::Normal => UpstreamCell::ShedNormal,
            Priority::High => UpstreamCell::ShedHigh,
        }
    }
}

impl UpstreamMetrics {
    /// A request is handed to a server. Ends with [`request_ended`](Self::request_ended), whatever happens.
    pub fn request_started(&self) {
        self.add(UpstreamCell::InFlight, 1);
    }

    /// `waited`: time spent waiting for the server, never for the client.
    pub fn request_ended(&self, waited: Duration) {
        self.row.sub(UpstreamCell::InFlight as usize, 1);
        self.add(UpstreamCell::Requests, 1);
        self.add(UpstreamCell::WaitNanos, nanos(waited));
    }

    pub fn connection_opened(&self) {
        self.add(UpstreamCell::Opened, 1);
    }

    /// An idle connection of the pool serves another request.
    pub fn connection_reused(&self) {
        self.add(UpstreamCell::Reused, 1);
    }

    pub fn connection_closed(&self) {
        self.add(UpstreamCell::Closed, 1);
    }

    /// A connection could not be made.
    pub fn connection_failed(&self) {
        self.add(UpstreamCell::Failed, 1);
    }

    /// Of those that could not be made, one that failed at TLS.
    pub fn handshake_failed(&self) {
        self.add(UpstreamCell::TlsFailed, 1);
    }

    pub fn retried(&self) {
        self.add(UpstreamCell::Retries, 1);
    }

    pub fn ejected(&self) {
        self.add(UpstreamCell::Ejections, 1);
    }

    /// A request of this priority got no place.
    pub fn queue_rejected(&self, why: QueueRejection, priority: Priority) {
        self.add(UpstreamCell::rejected(why), 1);
        self.add(UpstreamCell::shed(priority), 1);
    }

    /// An account began to take an unreasonable share.
    pub fn load_finding(&self, of: Resource) {
        self.load_findings[of as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn load_findings(&self, of: Resource) -> u64 {
        self.load_findings[of as usize].load(Relaxed)
    }

    /// How many requests wait for a place now.
    pub fn set_queue_length(&self, count: u32) {
        self.queue_length.store(u64::from(count), Relaxed);
    }

    pub fn set_servers_healthy(&self, count: usize) {
        self.servers_healthy.store(count as u64, Relaxed);
    }

    pub(super) fn total(&self, cell: UpstreamCell) -> u64 {
        self.row.total(cell as usize)
    }

    pub(super) fn level(&self, cell: UpstreamCell) -> u64 {
        self.row.level(cell as usize)
    }

    pub(super) fn queue_rejections(&self, why: QueueRejection) -> u64 {
        self.total(UpstreamCell::rejected(why))
    }

    pub(super) fn shed(&self, priority: Priority) -> u64 {
        self.total(UpstreamCell::shed(priority))
    }

    pub(super) fn servers(&self) -> u64 {
        self.servers.load(Relaxed)
    }

    pub(super) fn queue_length(&self) -> u64 {
        self.queue_length.load(Relaxed)
    }

    pub(super) fn servers_healthy(&self) -> u64 {
        self.servers_healthy.load(Relaxed)
    }

    fn add(&self, cell: UpstreamCell, by: u64) {
        self.row.add(cell as usize, by);
    }

    fn new(stripes: Stripes) -> Self {
        UpstreamMetrics {
            row: Striped::new(stripes),
            servers: AtomicU64::new(0),
            servers_healthy: AtomicU64::new(0),
            queue_length: AtomicU64::new(0),
            load_findings: Default::default(),
        }
    }

    /// New servers count as healthy until something says otherwise, as the balancer sees them.
    fn set_servers(&self, count: usize) {
        if self.servers.swap(count as u64, Relaxed) != count as u64 {
            self.set_servers_healthy(count);
        }
    }
}

/// Every series that exists, by name: what a scrape shows. Series of a name that stays continue over a reload.
#[derive(Debug)]
pub(super) struct Series {
    stripes: Stripes,
    /// For requests that no route matched, or whose path was never known.
    pub(super) unrouted: Arc<RouteSeries>,
    pub(super) routes: BTreeMap<String, Arc<RouteSeries>>,
    pub(super) limits: BTreeMap<String, Arc<LimitSeries>>,
    pub(super) upstreams: BTreeMap<String, Arc<UpstreamMetrics>>,
    pub(super) findings: AllFindingSeries,
}

impl Series {
    pub(super) fn new(stripes: Stripes) -> Self {
        Series {
            stripes,
            unrouted: Arc::new(RouteSeries(Striped::new(stripes))),
            routes: BTreeMap::new(),
            limits: BTreeMap::new(),
            upstreams: BTreeMap::new(),
            findings: AllFindingSeries::new(),
        }
    }

    /// Makes `policy`'s names the ones that exist.
    ///
    /// Requests still in flight under an older policy count on; where their route is gone, unseen.
    pub(super) fn bind(&mut self, policy: &Policy) -> PolicyMetrics {
        let stripes = self.stripes;
        let routes = policy.routes.iter().map(|route| route.name.as_str());
        let limits = policy.limits.iter().map(|limit| limit.name.as_str());
        let upstreams = policy.upstreams.iter().map(|upstream| upstream.name.as_str());
        let bound = PolicyMetrics {
            routes: rebind(&mut self.routes, routes, || RouteSeries(Striped::new(stripes))),
            unrouted: Arc::clone(&self.unrouted),
            limits: rebind(&mut self.limits, limits, || LimitSeries::new(stripes)),
            upstreams: rebind(&mut self.upstreams, upstreams, || UpstreamMetrics::new(stripes)),
            findings: findings::bind(&mut self.findings, policy),
        };
        for (metrics, upstream) in bound.upstreams.iter().zip(&policy.upstreams) {
            metrics.set_servers(upstream.servers.len());
        }
        for (series, limit) in bound.limits.iter().zip(&policy.limits) {
            series.delays.store(matches!(limit.over, Over::Delay { .. }), Relaxed);
        }
        bound
    }
}

/// Keeps what `names` still names, drops the rest, makes what is new; returns them in the order of `names`.
fn rebind<'a, T>(
    series: &mut BTreeMap<String, Arc<T>>,
    names: impl Iterator<Item = &'a str>,
    make: impl Fn() -> T,
) -> Arc<[Arc<T>]> {
    let mut old = std::mem::take(series);
    names
        .map(|name| {
            let kept = series.entry(name.to_owned());
            Arc::clone(kept.or_insert_with(|| old.remove(name).unwrap_or_else(|| Arc::new(make()))))
        })
        .collect()
}

/// One route's row: requests by decision and class, then the two histograms, each with its sum last.
#[derive(Debug)]
pub(super) struct RouteSeries(Striped<ROUTE_CELLS>);

const DURATION_AT: usize = RequestDecision::ALL.len() * StatusClass::COUNT;
const DURATION_SUM: usize = DURATION_AT + DURATION_BOUNDS.len() + 1;
const OVERHEAD_AT: usize = DURATION_SUM + 1;
const OVERHEAD_SUM: usize = OVERHEAD_AT + OVERHEAD_BOUNDS.len() + 1;
const ROUTE_CELLS: usize = OVERHEAD_SUM + 1;

impl RouteSeries {
    fn count(&self, decision: RequestDecision, class: StatusClass, total_ns: u64, upstream_ns: u64) {
        let row = self.0.mine();
        row[Self::request_cell(decision, class.index())].fetch_add(1, Relaxed);
        if decision == RequestDecision::Forwarded {
            row[DURATION_AT + bucket(&DURATION_BOUNDS, total_ns)].fetch_add(1, Relaxed);
            row[DURATION_SUM].fetch_add(total_ns, Relaxed);
        }
        if decision != RequestDecision::Cancelled {
            let overhead_ns = total_ns.saturating_sub(upstream_ns);
            row[OVERHEAD_AT + bucket(&OVERHEAD_BOUNDS, overhead_ns)].fetch_add(1, Relaxed);
            row[OVERHEAD_SUM].fetch_add(overhead_ns, Relaxed);
        }
    }

    /// `class` is an index into [`StatusClass::NAMES`].
    pub(super) fn requests(&self, decision: RequestDecision, class: usize) -> u64 {
        self.0.total(Self::request_cell(decision, class))
    }

    pub(super) fn duration(&self) -> Counted<'static> {
        self.histogram(&DURATION_BOUNDS, DURATION_AT, DURATION_SUM)
    }

    pub(super) fn overhead(&self) -> Counted<'static> {
        self.histogram(&OVERHEAD_BOUNDS, OVERHEAD_AT, OVERHEAD_SUM)
    }

    fn histogram(&self, bounds_ns: &'static [u64], first: usize, sum: usize) -> Counted<'static> {
        let counts = (first..sum).map(|cell| self.0.total(cell)).collect();
        Counted { bounds_ns, counts, sum_ns: self.0.total(sum) }
    }

    const fn request_cell(decision: RequestDecision, class: usize) -> usize {
        decision as usize * StatusClass::COUNT + class
    }
}

/// The first bucket whose bound is not below `value`; the one above them all when there is none.
fn bucket<const N: usize>(bounds: &[u64; N], value: u64) -> usize {
    bounds.partition_point(|bound| *bound < value)
}

/// One limit's row: within and over, for each mode in which it decides; then those that wait for it, and how long they
/// did, with the sum last.
#[derive(Debug)]
pub(super) struct LimitSeries {
    row: Striped<{ LimitSeries::DELAY_SUM + 1 }>,
    /// Whether requests can wait for it.
    delays: AtomicBool,
}

impl LimitSeries {
    pub(super) const MODES: [Mode; 2] = [Mode::Enforce, Mode::Shadow];
    const DELAYED: usize = 2 * Self::MODES.len();
    const QUEUE: usize = Self::DELAYED + 1;
    const DELAY_AT: usize = Self::QUEUE + 1;
    const DELAY_SUM: usize = Self::DELAY_AT + DURATION_BOUNDS.len() + 1;

    fn new(stripes: Stripes) -> Self {
        LimitSeries { row: Striped::new(stripes), delays: AtomicBool::new(false) }
    }

    pub(super) fn delays(&self) -> bool {
        self.delays.load(Relaxed)
    }

    pub(super) fn delayed(&self) -> u64 {
        self.row.total(Self::DELAYED)
    }

    pub(super) fn queue_length(&self) -> u64 {
        self.row.level(Self::QUEUE)
    }

    pub(super) fn delay(&self) -> Counted<'static> {
        let counts = (Self::DELAY_AT..Self::DELAY_SUM).map(|cell| self.row.total(cell)).collect();
        Counted { bounds_ns: &DURATION_BOUNDS, counts, sum_ns: self.row.total(Self::DELAY_SUM) }
    }

    /// `mode` is an index into [`LimitSeries::MODES`].
    pub(super) fn decisions(&self, mode: usize, within: bool) -> u64 {
        self.row.total(Self::cell(mode, within))
    }

    const fn cell(mode: usize, within: bool) -> usize {
        mode * 2 + within as usize
    }
}
