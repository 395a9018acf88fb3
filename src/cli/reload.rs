//! Reloading: on SIGHUP, when one of the configuration's files changes, and when the admin listener is asked to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::signal::unix::Signal;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::diagnostics;
use crate::admin::ReloadReport;
use crate::clock::Clock;
use crate::config::{self, Loaded};
use crate::metrics::Metrics;
use crate::policy::{AccessTarget, Policy};
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
    ) -> Self {
        let changed = Arc::new(Notify::new());
        let notify = Arc::clone(&changed);
        let own_log = access_log_of(&proxy.policy());
        let watcher = notify::recommended_watcher(move |event| {
            if may_have_changed(&event, own_log.as_deref()) {
                notify.notify_one();
            }
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, "cannot watch the configuration for changes; reload with SIGHUP");
        }
        let mut watch = Watch { watcher: watcher.ok(), files: Vec::new(), fingerprint };
        watch.follow(files, fingerprint);
        // What changed since it was read at start.
        changed.notify_one();
        Reloader { file: file.to_owned(), proxy, clock, metrics, watch: Mutex::new(watch), changed }
    }

    /// Reloads whenever there is reason to: at each `hangup`, and when a file changes. Never ends.
    pub async fn run(&self, mut hangup: Signal) {
        loop {
            tokio::select! {
                Some(()) = hangup.recv() => drop(self.reload("SIGHUP")),
                () = self.changed.notified() => {
                    sleep(SETTLE).await;
                    if self.watch.lock().has_changed() {
                        drop(self.reload("a file changed"));
                    }
                }
            }
        }
    }

    /// Reads the configuration and puts it in force, or says what is wrong with it; in the log too.
    pub fn reload(&self, why: &str) -> ReloadReport {
        // Before reading: a change in between is then seen as one, and at worst read twice.
        let before = self.watch.lock().fingerprint_now();
        let report = match config::load(&self.file) {
            Ok(loaded) => self.put_in_force(why, loaded),
            Err(problems) => refused(diagnostics::render(&problems, false), diagnostics::to_json(&problems)),
        };
        if !report.reloaded {
            self.metrics.reload_failed();
            self.watch.lock().fingerprint = before;
            tracing::error!(
                why,
                problems = report.text,
                "the new configuration is refused; the one before it stays in force. `weir check {}` shows the same, \
                 and saving a good file reloads again",
                self.file.display()
            );
        }
        report
    }

    fn put_in_force(&self, why: &str, loaded: Loaded) -> ReloadReport {
        let Loaded { policy, warnings, files, fingerprint } = loaded;
        let fixed = fixed_parts(&self.proxy.policy(), &policy);
        if let Err(error) = self.proxy.reload(policy) {
            let diagnostic = json!([{ "severity": "error", "message": error.to_string() }]);
            return refused(format!("{error}\n"), diagnostic);
        }
        report_fixed(&fixed);
        diagnostics::log(&warnings);
        self.metrics.reload_succeeded(self.clock.wall());
        self.watch.lock().follow(files, fingerprint);
        tracing::info!(why, "configuration reloaded");
        ReloadReport {
            reloaded: true,
            needs_restart: fixed.into_iter().map(str::to_owned).collect(),
            diagnostics: list(diagnostics::to_json(&warnings)),
            text: diagnostics::render(&warnings, false),
        }
    }
}

fn refused(text: String, diagnostics: Value) -> ReloadReport {
    ReloadReport { reloaded: false, needs_restart: Vec::new(), diagnostics: list(diagnostics), text }
}

fn list(diagnostics: Value) -> Vec<Value> {
    match diagnostics {
        Value::Array(list) => list,
        other => vec![other],
    }
}

/// What a reload cannot change, and was changed; see [`Proxy::reload`].
fn fixed_parts(in_force: &Policy, read: &Policy) -> Vec<&'static str> {
    let fixed = [
        ("[listen]", in_force.listen != read.listen),
        ("[state]", in_force.state != read.state),
        ("[log]", in_force.log != read.log),
        ("[detection] memory_share", in_force.conduct.memory_permille != read.conduct.memory_permille),
    ];
    fixed.into_iter().filter(|(_, changed)| *changed).map(|(part, _)| part).collect()
}

fn report_fixed(parts: &[&'static str]) {
    for part in parts {
        tracing::warn!(part, "{part} is not what it was at start; the change takes effect after a restart");
    }
}

/// Whether a file of the configuration may hold something else after this.
///
/// That a file was opened and read is an event too, and so is each write of an access log that lies beside the
/// configuration: what we do ourselves must not wake us for ever.
fn may_have_changed(event: &notify::Result<notify::Event>, own_log: Option<&Path>) -> bool {
    // Events may have been lost.
    let Ok(event) = event else { return true };
    let writes = match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    };
    let of_log = |path: &PathBuf| own_log.is_some_and(|log| is_same_place(path, log));
    writes && (event.paths.is_empty() || !event.paths.iter().all(of_log))
}

/// Fixed at start, as all of `[log]`.
fn access_log_of(policy: &Policy) -> Option<PathBuf> {
    match &policy.log.access.as_ref()?.target {
        AccessTarget::File(path) => Some(path.clone()),
        AccessTarget::Stdout => None,
    }
}

/// Whether two paths name the same entry of the same directory, `./x` and `x` for example.
fn is_same_place(one: &Path, other: &Path) -> bool {
    one.file_name() == other.file_name() && directory_of(one) == directory_of(other)
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc;

    use notify::Event;
    use notify::event::{CreateKind, DataChange, MetadataKind, ModifyKind, RemoveKind, RenameMode};

    use super::*;

    /// Promise: whatever writes, replaces, renames or removes a file, or lets us read it at last, is noticed;
    /// so are events that were lost. What weir writes into its own log beside it is no change.
    #[test]
    fn every_kind_of_change_is_noticed() {
        for kind in [
            EventKind::Create(CreateKind::File),
            EventKind::Modify(ModifyKind::Data(DataChange::Any)),
            EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)),
            EventKind::Modify(ModifyKind::Name(RenameMode::To)),
            EventKind::Remove(RemoveKind::File),
            EventKind::Access(AccessKind::Close(AccessMode::Write)),
            EventKind::Other,
        ] {
            let own_log = Some(Path::new("access.log"));
            assert!(may_have_changed(&Ok(Event::new(kind)), own_log), "{kind:?}");
            assert!(
                may_have_changed(&Ok(Event::new(kind).add_path("./weir.toml".into())), own_log),
                "{kind:?}"
            );
            assert!(
                !may_have_changed(&Ok(Event::new(kind).add_path("./access.log".into())), own_log),
                "{kind:?}"
            );
        }
        assert!(may_have_changed(&Err(notify::Error::generic("overflow")), None));
    }

    /// Promise: a configuration that nobody changes is not read again; our own reading does not count as a
    /// change, nor does our own log. The first thing that a real watcher lets through is the write that comes after it.
    #[test]
    fn reading_is_no_change() {
        let directory = tempfile::tempdir().unwrap();
        let [read, log, written] =
            ["read.toml", "access.log", "written.toml"].map(|name| directory.path().join(name));
        fs::write(&read, "version = 1").unwrap();
        let (own_log, (sender, noticed)) = (log.clone(), mpsc::channel());
        let mut watcher = notify::recommended_watcher(move |event| {
            if may_have_changed(&event, Some(&log)) {
                // Fails only once the test is over.
                let _ = sender.send(event);
            }
        })
        .unwrap();
        watcher.watch(directory.path(), RecursiveMode::NonRecursive).unwrap();
        for _ in 0..3 {
            config::fingerprint(std::slice::from_ref(&read));
            fs::write(&own_log, "a line").unwrap();
        }
        fs::write(&written, "version = 1").unwrap();
        let first = noticed.recv_timeout(Duration::from_secs(30)).unwrap().unwrap();
        assert_eq!(first.paths, [written]);
    }
}
