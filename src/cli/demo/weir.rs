//! weir itself, as the demo starts it: the same proxy as `weir run`, on ports that the kernel picks.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use anyhow::Context as _;

use super::cast::Visitor;
use super::decision::{Decided, Fate};
use super::limits::LimitLabels;
use super::visitors::{Addresses, Browser};
use crate::admin;
use crate::cli::run::admin_of;
use crate::clock::Clock;
use crate::config;
use crate::engine::FindingFilter;
use crate::findings::report::FindingReport;
use crate::logs::access::{AccessLog, AccessRecord};
use crate::metrics::{Metrics, RequestDecision};
use crate::policy::{ListenAddress, Policy};
use crate::proxy::{Options, Proxy};
use crate::time::WallTime;

const CONFIG: &str = include_str!("demo.toml");
/// What stands in [`CONFIG`] for the app's address, which is known only when the app runs.
const APP_PLACEHOLDER: &str = "127.0.0.1:1";
/// Decisions that may wait for the next picture.
const DECISIONS_MAX: usize = 16 * 1024;

/// Findings that are told of.
const FINDINGS_MAX: usize = 100;

/// The running proxy and its stream of decisions.
#[derive(Debug)]
pub(super) struct Weir {
    address: SocketAddr,
    admin: SocketAddr,
    began: WallTime,
    decisions: Receiver<AccessRecord>,
    limits: LimitLabels,
    proxy: Arc<Proxy>,
}

impl Weir {
    /// Starts the proxy in front of `app`, on threads of its own, and the admin listener on this runtime.
    pub(super) fn start(app: SocketAddr, addresses: Addresses, clock: Clock) -> anyhow::Result<Self> {
        let policy = policy(app, addresses)?;
        let limits = LimitLabels::of(&policy);
        let metrics = Metrics::new();
        let (access_log, decisions) = AccessLog::to_channel(DECISIONS_MAX);
        let mut options = Options::new(clock, metrics.clone());
        options.access_log = Some(access_log);
        let proxy = Arc::new(Proxy::start(policy, options).context("cannot start weir")?);
        let address =
            proxy.addresses().first().and_then(ListenAddress::ip).context("weir listens nowhere")?;
        let admin = serve_admin(&proxy, metrics).context("cannot start the admin listener")?;
        Ok(Weir { address, admin, began: clock.wall(), decisions, limits, proxy })
    }

    /// Where clients are listened for.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where metrics, health and the running policy are.
    pub(super) fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The limits that it upholds.
    pub(super) fn limits(&self) -> &LimitLabels {
        &self.limits
    }

    /// What `/metrics` says of refusals that were made at least once.
    pub(super) async fn metrics(&self) -> anyhow::Result<Vec<String>> {
        let mut browser = Browser::new(Ipv4Addr::LOCALHOST, self.admin, "weir-demo", "text/plain");
        let exposition = browser.get("/metrics").await?.body;
        let exposition = String::from_utf8_lossy(&exposition);
        let of_refusals = ["decision=\"refused\"", "decision=\"over\""];
        let told = exposition
            .lines()
            .filter(|line| of_refusals.iter().any(|label| line.contains(label)) && !line.ends_with(" 0"));
        Ok(told.map(str::to_owned).collect())
    }

    /// What detectors found, the first finding first.
    pub(super) fn findings(&self) -> Vec<FindingReport> {
        let (proxy, book) = (&self.proxy, self.proxy.findings());
        let cases = proxy.engine().findings(&FindingFilter::default(), FINDINGS_MAX);
        cases.iter().rev().map(|case| book.report(case, &proxy.policy(), proxy.clock())).collect()
    }

    /// What was decided since this was last asked.
    pub(super) fn decisions(&self) -> Vec<Decided> {
        self.decisions.try_iter().map(|record| self.decided(&record)).collect()
    }

    fn decided(&self, record: &AccessRecord) -> Decided {
        let refusing = record.limit.as_deref().and_then(|name| self.limits.find(name));
        Decided {
            at: Duration::from_millis(record.at.unix_ms.saturating_sub(self.began.unix_ms)),
            visitor: Visitor::at(record.client),
            method: record.method.clone(),
            target: String::from_utf8_lossy(record.text.fields().target).into_owned(),
            status: record.status,
            fate: match (record.decision, refusing) {
                (RequestDecision::Refused, Some(limit)) => Fate::Refused(limit),
                (RequestDecision::Forwarded | RequestDecision::Cancelled, _) => Fate::Admitted,
                _ => Fate::Failed,
            },
        }
    }
}

fn policy(app: SocketAddr, addresses: Addresses) -> anyhow::Result<Policy> {
    let mut text = CONFIG.replace(APP_PLACEHOLDER, &app.to_string());
    if addresses == Addresses::Announced {
        text = text.replace("[listen]", "[listen]\ntrusted_proxies = [\"127.0.0.1/32\"]");
    }
    let loaded = config::from_str("demo.toml", &text, Path::new("."));
    Ok(loaded.map_err(|problems| anyhow::anyhow!("its own configuration is wrong: {problems:?}"))?.policy)
}

fn serve_admin(proxy: &Arc<Proxy>, metrics: Metrics) -> std::io::Result<SocketAddr> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    let listener = tokio::net::TcpListener::from_std(socket)?;
    tokio::spawn(admin::serve(listener, Arc::new(admin_of(proxy, metrics, None)), std::future::pending()));
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::ServerAddress;

    /// Promise: the demo's configuration is valid, sends requests to the sample site and nowhere else, and
    /// believes forwarded addresses only where visitors have none of their own.
    #[test]
    fn the_configuration_is_valid() {
        let app = SocketAddr::from((Ipv4Addr::LOCALHOST, 4321));
        for (addresses, is_trusted) in [(Addresses::Own, false), (Addresses::Announced, true)] {
            let policy = policy(app, addresses).unwrap();
            let servers: Vec<_> =
                policy.upstreams.iter().flat_map(|u| &u.servers).map(|s| &s.address).collect();
            assert_eq!(servers, [&ServerAddress::Ip(app)]);
            assert!(policy.without_effect.is_empty(), "{:?}", policy.without_effect);
            for listener in &policy.listen.proxy {
                assert!(listener.address.ip().unwrap().ip().is_loopback());
                assert_eq!(listener.trust.covers(Ipv4Addr::LOCALHOST.into()), is_trusted);
            }
        }
    }
}
