//! The only file that reads a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::time::Instant as RuntimeInstant;

use crate::time::{Moment, WallTime};

/// The running process's clock: moments since it was started, and the wall time for people. Moments are the runtime's:
/// where a test has its time stand still, so does the proxy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    origin: Instant,
    origin_unix_ms: u64,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads clocks")]
    pub fn start() -> Self {
        Clock { origin: RuntimeInstant::now().into_std(), origin_unix_ms: unix_ms() }
    }

    /// Monotonic; nanoseconds since [`Clock::start`].
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads clocks")]
    pub fn now(&self) -> Moment {
        Moment::from_nanos(crate::time::nanos(RuntimeInstant::now().into_std().duration_since(self.origin)))
    }

    pub fn wall(&self) -> WallTime {
        WallTime { unix_ms: unix_ms() }
    }

    /// The wall time of a moment, reckoned from the start without asking the system again: off by whatever the
    /// wall clock was adjusted since. Good enough to sort by, not to tell people the time.
    pub fn wall_at(&self, at: Moment) -> WallTime {
        WallTime { unix_ms: self.origin_unix_ms.saturating_add(at.as_nanos() / 1_000_000) }
    }

    /// The runtime's instant for a moment, for timers.
    pub fn instant(&self, at: Moment) -> Instant {
        self.origin + std::time::Duration::from_nanos(at.as_nanos())
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the file that reads clocks")]
fn unix_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}
