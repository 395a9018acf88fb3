//! Waiting for what gives no event.

use std::time::{Duration, Instant};

/// How long any single wait may last before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Polls `condition` until it gives a value; fails the test, naming `what`, after [`PATIENCE`].
///
/// For conditions in another process that nobody announces, such as a gauge that returns to zero.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "the one place where tests poll; see the harness's own page")]
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain for: {what}");
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Waits as long as weir told a client to: for tests that it is right to do so, and for no other.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "the time that a client is told to wait is real time")]
pub(crate) fn wait_as_told(seconds: u64) {
    let told = Instant::now();
    eventually("the wait is over", || (told.elapsed() >= Duration::from_secs(seconds)).then_some(()));
}
