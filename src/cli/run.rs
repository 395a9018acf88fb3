//! `weir run`: the proxy and its admin listener, until told to stop.

use std::io::{self, IsTerminal};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::Runtime;
use tokio::signal::unix::Signal;
use tokio::sync::Notify;

use super::diagnostics;
use super::reload::Reloader;
use super::signals::Signals;
use super::state::Keeper;
use super::{EXIT_BAD_USAGE, EXIT_FAILED, succession};
use crate::acme;
use crate::admin::{self, Admin, Followers, ModeSwitch, Readiness, Reload};
use crate::clock::Clock;
use crate::config::{self, Loaded};
use crate::logs;
use crate::logs::access::AccessLog;
use crate::metrics::Metrics;
use crate::proxy::listener::{Inherited, ListeningSocket};
use crate::proxy::{Options, Proxy};

/// How often refusals that are too old are looked for.
const FORGET_INTERVAL: Duration = Duration::from_secs(60);

/// Runs the configuration at `file` until SIGTERM or SIGINT.
pub fn run(file: &Path) -> ExitCode {
    let started = prepare().and_then(|(runtime, signals)| match config::load(file) {
        Ok(loaded) => start(file, loaded, &runtime, signals).map(|()| ExitCode::SUCCESS),
        Err(problems) => {
            eprint!("{}", diagnostics::render(&problems, io::stderr().is_terminal()));
            Ok(ExitCode::from(EXIT_BAD_USAGE))
        }
    });
    started.unwrap_or_else(|error| {
        eprintln!("weir: {error:#}");
        ExitCode::from(EXIT_FAILED)
    })
}

/// What comes first: the signals have their handlers before a large configuration is read and before anyone
/// is told that weir listens.
fn prepare() -> anyhow::Result<(Runtime, Signals)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let signals = {
        let _within = runtime.enter();
        Signals::install().context("cannot handle signals")?
    };
    Ok((runtime, signals))
}

fn start(file: &Path, loaded: Loaded, runtime: &Runtime, signals: Signals) -> anyhow::Result<()> {
    let Loaded { policy, warnings, files, fingerprint } = loaded;
    logs::init(&policy.log)?;
    diagnostics::log(&warnings);
    for part in &policy.without_effect {
        tracing::warn!(part = part.part, "without effect in this version: {}", part.consequence);
    }
    raise_file_limit();

    let (clock, metrics) = (Clock::start(), Metrics::new());
    let access_log = match &policy.log.access {
        Some(access) => {
            Some(AccessLog::start(access, metrics.clone()).context("cannot open the access log")?)
        }
        None => None,
    };
    let (keeper, engine, key) = Keeper::start(&policy, clock, metrics.clone())?;
    let inherited = Inherited::from_env().context("cannot take over the sockets of LISTEN_FDS")?;
    let mut inherited = inherited.with_files(succession::is_successor());
    let admin_socket = policy.listen.admin.map(|address| bind_admin(address, &mut inherited)).transpose()?;
    let mut options = Options::new(clock, metrics.clone());
    options.access_log.clone_from(&access_log);
    options.inherited = inherited;
    options.engine = Some(engine);
    options.identity_key = key.map(|key| key.identity);
    metrics.config_loaded(clock.wall());
    let certificates = acme::Keeper::start(&policy, options.issued.clone(), clock, metrics.clone());
    let proxy = Arc::new(Proxy::start(policy, options)?);
    announce(&proxy, admin_socket.as_ref());
    succession::relieve_predecessor();

    let Signals { mut stop, reload: hangup, reopen_logs: reopen, hand_over } = signals;
    let admin_copy = admin_socket.as_ref().map(TcpListener::try_clone).transpose()?;
    runtime.block_on(async {
        let reloader = Reloader::start(file, files, fingerprint, Arc::clone(&proxy), clock, metrics.clone());
        let reloader = Arc::new(reloader);
        let asked = Arc::clone(&reloader);
        let reload = Reload::by(move |by| asked.reload(&format!("asked by {by}")));
        let (succeeded, has_successor) = (Notify::new(), AtomicBool::new(false));
        let stopped = async {
            stop.received().await;
            if has_successor.load(Ordering::Relaxed) {
                succeeded.notify_one();
            }
            tracing::info!("stopping: no new work after drain_delay, what runs has drain_timeout to end");
            proxy.shut_down().await;
            proxy.findings().close();
            keeper.finish().await;
        };
        tokio::select! {
            result = serve_admin(admin_socket, &proxy, metrics, reload, succeeded.notified()) => result,
            () = stopped => Ok(()),
            () = keeper.run(&proxy) => Ok(()),
            () = certificates.run(&proxy) => Ok(()),
            () = reloader.run(hangup) => Ok(()),
            () = reopen_logs(reopen, access_log) => Ok(()),
            () = hand_over_when_asked(hand_over, &proxy, &keeper, admin_copy.as_ref(), &has_successor) => Ok(()),
            () = forget_refusals(&proxy) => Ok(()),
        }
    })
}

/// One line that says where everything is, for people and for whoever started us on port 0.
fn announce(proxy: &Proxy, admin: Option<&TcpListener>) {
    let addresses: Vec<String> = proxy.addresses().iter().map(ToString::to_string).collect();
    let admin = admin.and_then(|socket| socket.local_addr().ok()).map(|address| address.to_string());
    tracing::info!(proxy = addresses.join(","), admin = admin.unwrap_or_default(), "listening");
}

fn bind_admin(address: SocketAddr, inherited: &mut Inherited) -> anyhow::Result<TcpListener> {
    let socket = match inherited.take(&address.into()) {
        Some(ListeningSocket::Tcp(socket)) => socket,
        _ => TcpListener::bind(address).with_context(|| format!("cannot listen on {address} (admin)"))?,
    };
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Serves until another process does; never ends.
async fn serve_admin(
    socket: Option<TcpListener>,
    proxy: &Arc<Proxy>,
    metrics: Metrics,
    reload: Reload,
    until: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let Some(socket) = socket else { return std::future::pending().await };
    let listener = tokio::net::TcpListener::from_std(socket)?;
    let admin = Arc::new(admin_of(proxy, metrics, Some(reload)));
    admin::serve(listener, admin, until).await;
    std::future::pending().await
}

/// What the admin listener may know of `proxy`; the two do not know each other.
pub(super) fn admin_of(proxy: &Arc<Proxy>, metrics: Metrics, reload: Option<Reload>) -> Admin {
    let (binding_of, who_of, ready_of) = (Arc::clone(proxy), Arc::clone(proxy), Arc::clone(proxy));
    Admin {
        clock: proxy.clock(),
        metrics,
        engine: proxy.engine().clone(),
        binding: Box::new(move || binding_of.binding()),
        identify: Box::new(move |headers| who_of.who(headers).ok()),
        refusals: Arc::clone(proxy.refusals()),
        findings: Arc::clone(proxy.findings()),
        followers: Followers::default(),
        switch: ModeSwitch::default(),
        reload,
        readiness: Box::new(move || {
            ready_of.measure();
            Readiness::unless(ready_of.reasons_unready())
        }),
    }
}

/// SIGUSR2 hands over to a successor. Never ends.
async fn hand_over_when_asked(
    mut requests: Signal,
    proxy: &Arc<Proxy>,
    keeper: &Keeper,
    admin: Option<&TcpListener>,
    has_successor: &AtomicBool,
) {
    while requests.recv().await.is_some() {
        let admin = admin.map(TcpListener::try_clone).transpose().ok().flatten();
        has_successor.store(true, Ordering::Relaxed);
        succession::hand_over(proxy, keeper, admin.map(OwnedFd::from)).await;
        has_successor.store(false, Ordering::Relaxed);
    }
    std::future::pending::<()>().await;
}

/// SIGUSR1 reopens the access log, after it was rotated away.
async fn reopen_logs(mut requests: Signal, access_log: Option<AccessLog>) {
    while requests.recv().await.is_some() {
        if let Some(log) = &access_log {
            log.reopen();
            tracing::info!("access log reopened");
        }
    }
    std::future::pending::<()>().await;
}

/// Erases what is remembered of refusals when its time is over, though nobody asks. Never ends.
async fn forget_refusals(proxy: &Proxy) {
    loop {
        tokio::time::sleep(FORGET_INTERVAL).await;
        proxy.refusals().forget_old(proxy.clock().now());
    }
}

/// As many open files as we may have: each client and each upstream connection is one.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%error, "the limit of open files stays as it was");
    }
}
