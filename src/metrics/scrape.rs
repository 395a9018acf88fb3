//! One scrape: every number under its name.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::definitions as def;
use super::exposition::{Exposition, seconds, whole};
use super::labels::{
    ConnectionRefusal, IdentityOutcome, QueueRejection, RequestDecision, StateFile, StatusClass, Timeout,
};
use super::policy::{LimitSeries, RouteSeries, Series, UpstreamCell, UpstreamMetrics};
use super::{EnforcementState, Shared, TrafficCell};
use super::{findings, load};
use crate::build_info;
use crate::engine::Resource;
use crate::policy::Priority;
use crate::remedy::Mode;

pub(super) fn render(shared: &Shared) -> String {
    let mut out = Exposition::default();
    process_wide(&mut out, shared);
    {
        let series = shared.series.lock();
        routes(&mut out, &series);
        limits(&mut out, &series);
        upstreams(&mut out, &series);
    }
    load::render(&mut out, &shared.load.lock());
    findings::render(&mut out, &shared.series.lock().findings, &shared.findings_open.lock());
    findings::watch(&mut out, *shared.watch.lock());
    state(&mut out, shared);
    operating_system(&mut out);
    out.text()
}

fn process_wide(out: &mut Exposition, shared: &Shared) {
    let read = |count: &AtomicU64| count.load(Relaxed);
    out.labelled(&def::BUILD_INFO, [(vec![build_info::VERSION, build_info::COMMIT], 1.0)]);
    out.single(&def::READY, read(&shared.ready));
    out.single(&def::CONNECTIONS, shared.traffic.total(TrafficCell::Connections as usize));
    out.single(&def::CONNECTIONS_OPEN, shared.traffic.level(TrafficCell::ConnectionsOpen as usize));
    out.labelled(
        &def::CONNECTIONS_REFUSED,
        ConnectionRefusal::ALL
            .map(|why| (vec![why.name()], whole(read(&shared.connections_refused[why as usize])))),
    );
    out.single(&def::ACCEPT_ERRORS, read(&shared.accept_errors));
    let faults = shared.faults.iter().filter_map(|f| Some((vec![*f.name.get()?], whole(read(&f.count)))));
    let other = std::iter::once((vec!["other"], whole(read(&shared.faults_other))));
    out.labelled(&def::PROTOCOL_FAULTS, faults.chain(other));
    out.labelled(
        &def::TIMEOUTS,
        Timeout::ALL.map(|which| (vec![which.name()], whole(read(&shared.timeouts[which as usize])))),
    );
    out.single(&def::PANICS, read(&shared.panics));
    out.single(&def::REQUESTS_IN_FLIGHT, shared.traffic.level(TrafficCell::RequestsInFlight as usize));
    let identities = |outcome| shared.traffic.total(TrafficCell::Identity as usize + outcome as usize);
    out.labelled(
        &def::IDENTITY,
        IdentityOutcome::ALL.map(|outcome| (vec![outcome.name()], whole(identities(outcome)))),
    );
    enforcement(out, *shared.enforcement.lock());
    certificates(out, shared);
    out.labelled(
        &def::CONFIG_RELOADS,
        [
            (vec!["ok"], whole(read(&shared.reloads_ok))),
            (vec!["failed"], whole(read(&shared.reloads_failed))),
        ],
    );
    out.labelled(&def::CONFIG_LOADED, [(vec![], whole(read(&shared.loaded_unix_ms)) / 1e3)]);
    out.single(&def::ACCESS_LOG_WRITTEN, read(&shared.access_log_written));
    out.single(&def::ACCESS_LOG_DROPPED, read(&shared.access_log_dropped));
}

fn certificates(out: &mut Exposition, shared: &Shared) {
    let certificates = shared.certificates.lock();
    let expires = certificates.iter().map(|(name, at)| (vec![&**name], whole(at.unix_ms) / 1e3));
    out.labelled(&def::CERTIFICATE_EXPIRES, expires);
    let [issued, failed] = [&shared.acme_issued, &shared.acme_failed].map(|count| whole(count.load(Relaxed)));
    out.labelled(&def::ACME_ORDERS, [(vec!["issued"], issued), (vec!["failed"], failed)]);
}

fn enforcement(out: &mut Exposition, state: EnforcementState) {
    let in_force = |mode| if mode == state.mode { 1.0 } else { 0.0 };
    out.labelled(&def::ENFORCEMENT_MODE, Mode::ALL.map(|mode| (vec![mode.name()], in_force(mode))));
    let expires = match state.override_expires {
        Some(Duration::MAX) => f64::INFINITY,
        expires => expires.unwrap_or_default().as_secs_f64(),
    };
    out.labelled(&def::MODE_OVERRIDE_EXPIRES, [(vec![], expires)]);
}

fn routes(out: &mut Exposition, series: &Series) {
    let named = || named_routes(series);
    out.labelled(&def::REQUESTS, named().flat_map(|(name, route)| requests(name, route)));
    out.histogram(&def::REQUEST_DURATION, named().map(|(name, route)| (name, route.duration())));
    out.histogram(&def::REQUEST_OVERHEAD, named().map(|(name, route)| (name, route.overhead())));
}

fn named_routes(series: &Series) -> impl Iterator<Item = (&str, &RouteSeries)> {
    let routes = series.routes.iter().map(|(name, route)| (name.as_str(), &**route));
    std::iter::once(("", &*series.unrouted)).chain(routes)
}

/// The combinations that occurred, and the usual ones from the start: a counter that appears with its first
/// event hides that event from `rate()`.
fn requests<'a>(name: &'a str, route: &'a RouteSeries) -> impl Iterator<Item = (Vec<&'a str>, f64)> {
    RequestDecision::ALL.into_iter().flat_map(move |decision| {
        StatusClass::NAMES.into_iter().enumerate().filter_map(move |(class, class_name)| {
            let count = route.requests(decision, class);
            let shown = count > 0 || is_usual(decision, class_name, name);
            shown.then(|| (vec![name, decision.name(), class_name], whole(count)))
        })
    })
}

fn is_usual(decision: RequestDecision, class: &str, route: &str) -> bool {
    match decision {
        RequestDecision::NoRoute | RequestDecision::Malformed => route.is_empty() && class == "4xx",
        _ if route.is_empty() => false,
        RequestDecision::Forwarded => class != "1xx",
        RequestDecision::Refused => class == "4xx",
        RequestDecision::Failed => class == "5xx",
        RequestDecision::Suspended
        | RequestDecision::Redirected
        | RequestDecision::Proven
        | RequestDecision::Cancelled => false,
    }
}

fn limits(out: &mut Exposition, series: &Series) {
    let decisions = series.limits.iter().flat_map(|(name, limit)| {
        LimitSeries::MODES.into_iter().enumerate().flat_map(move |(at, mode)| {
            [(true, "within"), (false, "over")].map(|(within, decision)| {
                (vec![name.as_str(), mode.name(), decision], whole(limit.decisions(at, within)))
            })
        })
    });
    out.labelled(&def::LIMIT_DECISIONS, decisions);
    let delaying = || series.limits.iter().filter(|(_, limit)| limit.delays());
    let each = |read: fn(&LimitSeries) -> u64| {
        delaying().map(move |(name, limit)| (vec![name.as_str()], whole(read(limit))))
    };
    out.labelled(&def::LIMIT_DELAYED, each(LimitSeries::delayed));
    out.histogram(&def::LIMIT_DELAY, delaying().map(|(name, limit)| (name.as_str(), limit.delay())));
    out.labelled(&def::LIMIT_QUEUE, each(LimitSeries::queue_length));
}

fn upstreams(out: &mut Exposition, series: &Series) {
    let mut each = |definition: &def::Definition, read: &dyn Fn(&UpstreamMetrics) -> f64| {
        out.labelled(definition, series.upstreams.iter().map(|(name, one)| (vec![name.as_str()], read(one))));
    };
    let total = |cell| move |one: &UpstreamMetrics| whole(one.total(cell));
    let level = |cell| move |one: &UpstreamMetrics| whole(one.level(cell));

    each(&def::UPSTREAM_REQUESTS, &total(UpstreamCell::Requests));
    each(&def::UPSTREAM_SECONDS, &|one| seconds(one.total(UpstreamCell::WaitNanos)));
    each(&def::UPSTREAM_IN_FLIGHT, &level(UpstreamCell::InFlight));
    each(&def::UPSTREAM_CONNECTIONS_OPENED, &total(UpstreamCell::Opened));
    each(&def::UPSTREAM_CONNECTIONS_REUSED, &total(UpstreamCell::Reused));
    each(&def::UPSTREAM_CONNECTIONS_CLOSED, &total(UpstreamCell::Closed));
    each(&def::UPSTREAM_CONNECTIONS_FAILED, &total(UpstreamCell::Failed));
    each(&def::UPSTREAM_HANDSHAKES_FAILED, &total(UpstreamCell::TlsFailed));
    each(&def::UPSTREAM_RETRIES, &total(UpstreamCell::Retries));
    each(&def::UPSTREAM_EJECTIONS, &total(UpstreamCell::Ejections));
    each(&def::UPSTREAM_QUEUE, &|one| whole(one.queue_length()));
    each(&def::UPSTREAM_SERVERS, &|one| whole(one.servers()));
    each(&def::UPSTREAM_SERVERS_HEALTHY, &|one| whole(one.servers_healthy()));

    let rejected = series.upstreams.iter().flat_map(|(name, one)| {
        QueueRejection::ALL.map(|why| (vec![name.as_str(), why.name()], whole(one.queue_rejections(why))))
    });
    out.labelled(&def::UPSTREAM_QUEUE_REJECTED, rejected);
    let shed = series.upstreams.iter().flat_map(|(name, one)| {
        Priority::ALL.map(|priority| (vec![name.as_str(), priority.name()], whole(one.shed(priority))))
    });
    out.labelled(&def::UPSTREAM_SHED, shed);
    let findings = series.upstreams.iter().flat_map(|(name, one)| {
        Resource::ALL
            .map(|resource| (vec![name.as_str(), resource.name()], whole(one.load_findings(resource))))
    });
    out.labelled(&def::LOAD_FINDINGS, findings);
}

fn state(out: &mut Exposition, shared: &Shared) {
    let stats = *shared.state.lock();
    out.single(&def::STATE_RECORDS, stats.records);
    out.single(&def::STATE_BYTES, stats.bytes);
    out.single(&def::STATE_BYTES_MAX, stats.bytes_max);
    out.single(&def::STATE_EVICTIONS, stats.evictions);
    out.single(&def::STATE_HELD_BYTES, stats.bytes_held);
    let lookups = [("hit", stats.hits), ("miss", stats.misses)];
    out.labelled(&def::STATE_LOOKUPS, lookups.map(|(result, count)| (vec![result], whole(count))));
    out.single(&def::STATE_CHARGED_TO_NETWORKS, stats.charged_to_networks);
    out.single(&def::STATE_LET_OFF, stats.let_off);
    let files = StateFile::ALL
        .map(|what| (vec![what.name()], whole(shared.state_files[what as usize].load(Relaxed))));
    out.labelled(&def::STATE_FILES, files);
}

/// CPU, memory and file descriptors of this process, as Prometheus clients name them everywhere.
fn operating_system(out: &mut Exposition) {
    #[cfg(target_os = "linux")]
    {
        use prometheus::core::Collector;
        use prometheus::process_collector::ProcessCollector;

        out.foreign(ProcessCollector::for_self().collect());
    }
}
