//! Whether weir is taking work, emptying itself, or done.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

/// How far a shutdown has come. Only ever moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Running,
    /// Reported unready; everything is still served as before, so that load balancers can turn away.
    Leaving,
    /// Listeners are closed; every response closes its connection.
    Draining,
    /// What is still open is dropped.
    Stopped,
}

/// The process's stage, read on every request and awaited by every accept loop.
#[derive(Debug)]
pub struct Lifecycle {
    /// The same as in `changes`, for a read without a lock.
    stage: AtomicU8,
    changes: watch::Sender<Stage>,
}

impl Lifecycle {
    pub fn new() -> Self {
        Lifecycle { stage: AtomicU8::new(Stage::Running as u8), changes: watch::Sender::new(Stage::Running) }
    }

    pub fn advance(&self, to: Stage) {
        self.stage.fetch_max(to as u8, Ordering::Release);
        self.changes.send_if_modified(|now| {
            let moved = to > *now;
            if moved {
                *now = to;
            }
            moved
        });
    }

    pub fn is_draining(&self) -> bool {
        self.stage.load(Ordering::Acquire) >= Stage::Draining as u8
    }

    pub fn stage(&self) -> Stage {
        *self.changes.borrow()
    }

    /// Returns once `stage` is reached; at once when it already was.
    pub async fn reached(&self, stage: Stage) {
        let mut changes = self.changes.subscribe();
        // An error means that the sender is gone, and with it the process's will to go on.
        let _ = changes.wait_for(|now| *now >= stage).await;
    }

    /// Returns some time after weir began to drain, at most `spread`, and each time another: what ends then does not come
    /// back all at once.
    pub async fn turn_to_leave(&self, spread: impl FnOnce() -> Duration) {
        self.reached(Stage::Draining).await;
        sleep(spread().mul_f64(fastrand::f64())).await;
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}
