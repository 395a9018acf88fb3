//! The only file that reads a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::time::{Moment, WallTime};

/// The running process's clock: moments since it was started, and the wall time for people.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads clocks")]
    pub fn start() -> Self {
        Clock { origin: Instant::now() }
    }

    /// Monotonic; nanoseconds since [`Clock::start`].
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads clocks")]
    pub fn now(&self) -> Moment {
        Moment::from_nanos(crate::time::nanos(Instant::now().duration_since(self.origin)))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the file that reads clocks")]
    pub fn wall(&self) -> WallTime {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        WallTime { unix_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX) }
    }

    /// The runtime's instant for a moment, for timers.
    pub fn instant(&self, at: Moment) -> Instant {
        self.origin + std::time::Duration::from_nanos(at.as_nanos())
    }
}
