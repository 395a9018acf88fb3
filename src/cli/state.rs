//! The state's keeper: puts it back at start, saves it at intervals and at the end, and says when it is too small.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{MissedTickBehavior, interval};

use crate::clock::Clock;
use crate::engine::{Engine, Extent, StateStats};
use crate::metrics::{Metrics, StateFile};
use crate::policy::{Bound, Policy};
use crate::proxy::Proxy;
use crate::store::{Key, Store};
use crate::time::Moment;

/// What a crash can cost of a quota.
const INTERVAL: Duration = Duration::from_secs(5);
/// What counts for less is only saved when weir stops.
const LONG: Duration = Duration::from_secs(3600);

/// Keeps the state of one engine.
#[derive(Debug)]
pub(super) struct Keeper {
    engine: Engine,
    clock: Clock,
    metrics: Metrics,
    /// None where nothing is to outlive the process.
    store: Option<Store>,
    /// Another process saves in its place.
    retired: AtomicBool,
}

impl Keeper {
    /// An engine for this policy, with what an earlier process knew, and the key that it shared with it.
    pub(super) fn start(
        policy: &Policy,
        clock: Clock,
        metrics: Metrics,
    ) -> anyhow::Result<(Self, Engine, Option<Key>)> {
        let memory_bytes = policy.memory_of_limits();
        let (store, key) = match &policy.state.path {
            None => (None, None),
            Some(path) => {
                let opened = Store::open(path);
                let (store, key) =
                    opened.with_context(|| format!("cannot keep state at {}", path.display()))?;
                (Some(store), Some(key))
            }
        };
        let engine = match &key {
            None => Engine::new(memory_bytes),
            Some(key) => Engine::with_key(memory_bytes, key.engine),
        };
        let engine = engine.watching(policy.memory_of_conduct()).starting_at(clock.wall_at(Moment::ORIGIN));
        let keeper =
            Keeper { engine: engine.clone(), clock, metrics, store, retired: AtomicBool::new(false) };
        keeper.load();
        Ok((keeper, engine, key))
    }

    fn load(&self) {
        let Some(store) = &self.store else { return };
        match store.load(&self.engine, self.clock.now()) {
            Ok(None) => tracing::info!("no state was saved before: every counter starts at zero"),
            Ok(Some(principals)) => {
                self.metrics.state_file(StateFile::Restored);
                tracing::info!(principals, "counters go on from where they were");
            }
            Err(error) => {
                self.metrics.state_file(StateFile::Refused);
                tracing::warn!(
                    %error,
                    "the saved state is not used: every counter starts at zero, quotas too. The next save replaces it"
                );
            }
        }
    }

    /// Saves what is long-lived every five seconds, and warns once of each way in which the state is too small.
    pub(super) async fn run(&self, proxy: &Arc<Proxy>) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let mut warned = Warned::default();
        loop {
            ticks.tick().await;
            if is_long_lived(&proxy.policy()) {
                self.save(Extent::LongLived).await;
            }
            warned.warn(self.engine.stats());
        }
    }

    /// Saves all there is, and nothing after it: another process takes it up.
    pub(super) async fn retire(&self) {
        self.save(Extent::Everything).await;
        self.retired.store(true, Ordering::Relaxed);
    }

    /// There is no such process after all.
    pub(super) fn resume(&self) {
        self.retired.store(false, Ordering::Relaxed);
    }

    /// Saves all there is, after the last request.
    pub(super) async fn finish(&self) {
        self.save(Extent::Everything).await;
    }

    async fn save(&self, extent: Extent) {
        let Some(store) = self.store.clone().filter(|_| !self.retired.load(Ordering::Relaxed)) else {
            return;
        };
        let (engine, now) = (self.engine.clone(), self.clock.now());
        let saved = tokio::task::spawn_blocking(move || store.save(&engine, extent, now)).await;
        match saved.map_err(std::io::Error::other).flatten() {
            Ok(bytes) => {
                self.metrics.state_file(StateFile::Saved);
                tracing::debug!(bytes, "state saved");
            }
            Err(error) => {
                self.metrics.state_file(StateFile::NotSaved);
                tracing::warn!(%error, "the state cannot be saved: a restart would go back to the last that was");
            }
        }
    }
}

/// What was warned of already.
#[derive(Debug, Default)]
struct Warned {
    charged_to_networks: bool,
    let_off: bool,
}

impl Warned {
    fn warn(&mut self, stats: StateStats) {
        if stats.charged_to_networks > 0 && !std::mem::replace(&mut self.charged_to_networks, true) {
            tracing::warn!(
                held_bytes = stats.bytes_held,
                "clients over their limits fill their share of state.memory: further ones are charged to their network"
            );
        }
        if stats.let_off > 0 && !std::mem::replace(&mut self.let_off, true) {
            tracing::warn!(
                "state.memory has no more room for clients over their limits, nor for their networks: the oldest are \
                 let off"
            );
        }
    }
}

/// Whether anything has to be saved before weir stops.
fn is_long_lived(policy: &Policy) -> bool {
    let of_terms = policy.terms.iter().flat_map(|terms| &terms.overrides).map(|over| over.bound);
    policy.limits.iter().map(|limit| limit.bound).chain(of_terms).any(|bound| match bound {
        Bound::Quota { .. } => true,
        Bound::SlidingWindow { window, .. } | Bound::Gcra { window, .. } => window >= LONG,
        Bound::Concurrency { .. } => false,
    })
}
