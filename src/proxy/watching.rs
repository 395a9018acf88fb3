//! What detectors see of each request, and what becomes of what they find: a number, a line in the log, and news for
//! those who follow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use http::header::{HOST, HeaderName, REFERER, USER_AGENT};
use http::{Uri, request};
use tokio::time::{MissedTickBehavior, interval};

use super::exchange::Exchange;
use super::{Live, Shared, identify};
use crate::detect::{Kind, Request};
use crate::engine::{Arrival, Case, Fields, FindingEvent, FindingEvents, Text};
use crate::facts::{Account, Client, Facts};
use crate::finding::RequestId;
use crate::findings::report::FindingReport;
use crate::findings::stream::Change;
use crate::policy::{host, path};
use crate::remedy::Mode;
use crate::time::Moment;

/// How often findings are looked for that are over.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Lets detectors see a request, admitted or not, once its answer is known. Reads nothing where nobody looks, and little
/// of what is refused again and again.
pub(super) fn see(exchange: &mut Exchange, facts: &Facts<'_>, query: Option<&str>, is_refused: bool) {
    if !exchange.live.binding.reads_requests() {
        return;
    }
    let shared = Arc::clone(exchange.shared());
    let (engine, reader) = (&shared.engine, shared.engine.reader());
    let times = if is_refused { engine.echo(facts, query) } else { 1 };
    if times == 0 {
        return;
    }
    let field = |name: HeaderName| facts.headers.get(name).and_then(|value| value.to_str().ok());
    let request = Request { method: facts.method.as_str(), path: facts.path, query, referer: field(REFERER) };
    let mut sight = reader.read(&request);
    // It asks for pages to be left alone; what they are made of is fetched with them.
    sight.is_disallowed = matches!(sight.kind, Kind::Page | Kind::Call) && {
        let user_agent = || field(USER_AGENT).unwrap_or_default();
        shared.robots.forbids(facts.host, user_agent, facts.path, query)
    };
    let host = (!facts.host.is_empty()).then(|| reader.host(facts.host));
    let request_id = RequestId::new(exchange.request_id.as_bytes());
    let arrival = Arrival { times, ..Arrival::of(facts, sight, host, Some(request_id)).with_query(query) };
    let ticket = exchange.ticket.take().unwrap_or_default();
    exchange.ticket = Some(engine.watch(&exchange.live.binding, ticket, &arrival));
    exchange.keep_accounts(facts.who);
}

/// Lets detectors see a request that no route leads to, or whose host or path cannot be read: whoever looks for what is
/// not there looks there too.
pub(super) fn see_astray(exchange: &mut Exchange, parts: &request::Parts, target: &Uri) {
    let Some(address) = exchange.client.filter(|_| exchange.live.binding.reads_requests()) else { return };
    let who = identify::who(exchange, &parts.headers).unwrap_or_default();
    let shared = Arc::clone(exchange.shared());
    let (engine, policy) = (&shared.engine, Arc::clone(&exchange.live.policy));
    let field = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let host = field(HOST).and_then(|host| host::host(host).ok()).unwrap_or_default();
    let path = path::normalise(target.path(), &policy.paths, true);
    let path = path.as_deref().unwrap_or(target.path());
    let (query, referer) = (target.query(), field(REFERER));
    let request = Request { method: parts.method.as_str(), path, query, referer };
    let reader = engine.reader();
    let arrival = Arrival {
        at: exchange.started,
        address,
        client: Client::fold(address, policy.client.ipv4, policy.client.ipv6),
        who: &who,
        method: &parts.method,
        path,
        text: Text { query, host: &host, route: None, fields: Fields::All(&parts.headers) },
        sight: reader.read(&request),
        host: (!host.is_empty()).then(|| reader.host(&host)),
        request_id: Some(RequestId::new(exchange.request_id.as_bytes())),
        is_astray: true,
        times: 1,
    };
    let ticket = exchange.ticket.take().unwrap_or_default();
    exchange.ticket = Some(engine.watch(&exchange.live.binding, ticket, &arrival));
    exchange.keep_accounts(&who);
}

/// Closes findings that were not seen for a while, for as long as weir runs.
pub(super) async fn sweep(shared: Arc<Shared>) {
    let mut ticks = interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = shared.clock.now();
        shared.findings.forget_old(now);
        let events = shared.engine.sweep_findings(now);
        tell(&shared, &shared.live.load(), events, &[]);
    }
}

/// Counts, logs and passes on what became of findings. `accounts` are those behind the request that showed it.
pub(super) fn tell(shared: &Shared, live: &Live, events: FindingEvents, accounts: &[Account]) {
    for event in events {
        let (change, case) = match &event {
            FindingEvent::Opened(case) => (Change::Opened, case),
            FindingEvent::Sanctioned(case) => (Change::Sanctioned, case),
            FindingEvent::Closed(case) => (Change::Closed, case),
        };
        let Case { finding, mode, .. } = &**case;
        let is_it = |account: &&Account| account.principal == finding.principal;
        if let Some(account) = accounts.iter().find(is_it) {
            shared.findings.name(account.principal, &account.id);
        }
        if change == Change::Opened {
            live.metrics.finding(finding.behaviour, *mode);
        }
        let report = shared.findings.report(case, &live.policy, shared.clock);
        if shared.finding_lines.admit(shared.clock.now()) {
            log(change, &report, *mode);
        }
        shared.findings.tell(change, finding.behaviour, report, shared.clock.now());
    }
}

/// How many lines of the log may be about findings: of very many at once, each is still counted, listed and told to
/// those who follow, but not written down.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The second that is counted, from the start of the process.
    second: AtomicU64,
    written: AtomicU32,
    left_out: AtomicU32,
}

/// Lines in a second.
const LINES_MAX: u32 = 50;

impl Lines {
    /// Whether there is room for one more; says afterwards how many there were not. Threads that meet in the same
    /// moment may write a line more.
    fn admit(&self, now: Moment) -> bool {
        let second = now.as_nanos() / 1_000_000_000;
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.written.store(0, Ordering::Relaxed);
            let left_out = self.left_out.swap(0, Ordering::Relaxed);
            if left_out > 0 {
                tracing::warn!(
                    target: "weir::findings",
                    left_out,
                    "more changes of findings than are logged one by one; /api/v1/findings lists those that are open"
                );
            }
        }
        let admitted = self.written.fetch_add(1, Ordering::Relaxed) < LINES_MAX;
        if !admitted {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }
}

/// One line for each change: a warning where somebody is refused from now on.
fn log(change: Change, report: &FindingReport, mode: Mode) {
    let numbers: Vec<String> = report
        .evidence
        .iter()
        .map(|number| format!("{} {} of {}", number.counter, number.value, number.threshold))
        .collect();
    macro_rules! line {
        ($level:ident, $message:literal) => {
            tracing::$level!(
                target: "weir::findings",
                finding = report.id,
                detector = report.detector,
                rule = report.rule,
                clause = report.clause,
                principal_kind = report.principal.kind,
                principal = report.principal.id,
                addresses = report.addresses.join(" "),
                confidence = report.confidence,
                mode = report.mode,
                action = report.action,
                until = report.until,
                evidence = numbers.join(", "),
                requests = report.samples.join(" "),
                $message
            )
        };
    }
    match change {
        Change::Opened if mode == Mode::Enforce => line!(warn, "finding opened"),
        Change::Opened => line!(info, "finding opened"),
        Change::Sanctioned => line!(warn, "finding sanctioned: its principal is refused"),
        Change::Closed => line!(info, "finding closed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: however many findings change in a second, so many lines are written and no more; the next second has
    /// its own.
    #[test]
    fn lines_are_bounded() {
        let (lines, at) = (Lines::default(), |ms: u64| Moment::ORIGIN.after(Duration::from_millis(ms)));
        let written = |ms| (0..200).filter(|_| lines.admit(at(ms))).count();
        assert_eq!((written(5000), written(5999), written(6000)), (50, 0, 50));
        assert_eq!(lines.left_out.load(Ordering::Relaxed), 150);
    }
}
