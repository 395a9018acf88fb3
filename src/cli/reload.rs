//! Reloading: on SIGHUP, and when one of the configuration's files changes.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use parking_lot::Mutex;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::diagnostics;
use crate::clock::Clock;
use crate::config::{self, Loaded};
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::proxy::Proxy;

/// Editors and deployments write a file in several steps; what they leave after this long is read.
const SETTLE: Duration = Duration::from_millis(200);

/// Reads the configuration anew when asked to, and puts it in force if it is good.
#[allow(missing_debug_implementations, reason = "a file watcher has none")]
pub struct Reloader {
    file: PathBuf,
    proxy: Arc<Proxy>,
    clock: Clock,
    metrics: Metrics,
    watch: Mutex<Watch>,
    changed: Arc<Notify>,
}

struct Watch {
    /// `None` where the system cannot watch files: SIGHUP still works.
    watcher: Option<RecommendedWatcher>,
    files: Vec<PathBuf>,
    /// Of the files' contents as last read.
    fingerprint: u64,
}

impl Reloader {
    pub fn start(
        file: &Path,
        files: Vec<PathBuf>,
        fingerprint: u64,
        proxy: Arc<Proxy>,
        clock: Clock,
        metrics: Metrics,
    ) -> io::Result<Self> {
        let changed = Arc::new(Notify::new());
        let notify = Arc::clone(&changed);
        let watcher = notify::recommended_watcher(move |_event| notify.notify_one());
        if let Err(error) = &watcher {
            tracing::warn!(%error, "cannot watch the configuration for changes; reload with SIGHUP");
        }
        let mut watch = Watch { watcher: watcher.ok(), files: Vec::new(), fingerprint };
        watch.follow(files, fingerprint);
        // What changed since it was read at start.
        changed.notify_one();
        Ok(Reloader { file: file.to_owned(), proxy, clock, metrics, watch: Mutex::new(watch), changed })
    }

    /// Reloads whenever there is reason to. Never ends but with an error of the signal handler.
    pub async fn run(&self) -> anyhow::Result<()> {
        let mut hangup = signal(SignalKind::hangup()).context("cannot handle SIGHUP")?;
        loop {
            tokio::select! {
                Some(()) = hangup.recv() => self.reload("SIGHUP"),
                () = self.changed.notified() => {
                    sleep(SETTLE).await;
                    if self.watch.lock().has_changed() {
                        self.reload("a file changed");
                    }
                }
            }
        }
    }

    fn reload(&self, why: &str) {
        // Before reading: a change in between is then seen as one, and at worst read twice.
        let before = self.watch.lock().fingerprint_now();
        match config::load(&self.file) {
            Ok(Loaded { policy, warnings, files, fingerprint }) => {
                report_fixed(&self.proxy.policy(), &policy);
                for warning in &warnings.list {
                    tracing::warn!("{}", warning.message);
                }
                self.proxy.reload(policy);
                self.metrics.reload_succeeded(self.clock.wall());
                self.watch.lock().follow(files, fingerprint);
                tracing::info!(why, "configuration reloaded");
            }
            Err(problems) => {
                self.metrics.reload_failed();
                self.watch.lock().fingerprint = before;
                tracing::error!(
                    why,
                    problems = diagnostics::render(&problems, false),
                    "the new configuration is refused; the one before it stays in force. `weir check {}` shows \
                     the same, and saving a good file reloads again",
                    self.file.display()
                );
            }
        }
    }
}

/// Says what a reload cannot change.
fn report_fixed(before: &Policy, after: &Policy) {
    let fixed = [
        ("listen", before.listen != after.listen),
        ("state.memory", before.state != after.state),
        ("log", before.log != after.log),
    ];
    for (part, changed) in fixed {
        if changed {
            tracing::warn!(part, "this part takes effect only after a restart");
        }
    }
}

impl Watch {
    /// Watches the directories of `files`: editors and config maps replace files instead of writing them.
    fn follow(&mut self, files: Vec<PathBuf>, fingerprint: u64) {
        let directories: BTreeSet<PathBuf> = files.iter().map(|file| directory_of(file)).collect();
        if let Some(watcher) = &mut self.watcher {
            for directory in &directories {
                // Watching the same directory twice is harmless; one that is gone cannot be watched.
                if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) {
                    tracing::warn!(
                        directory = %directory.display(), %error,
                        "cannot watch for changes; reload with SIGHUP"
                    );
                }
            }
        }
        self.files = files;
        self.fingerprint = fingerprint;
    }

    fn has_changed(&self) -> bool {
        self.fingerprint_now() != self.fingerprint
    }

    fn fingerprint_now(&self) -> u64 {
        config::fingerprint(&self.files)
    }
}

fn directory_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
