//! The switch for everything, as the operator has thrown it at run time.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::remedy::Mode;
use crate::time::Moment;

/// Another mode than the policy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModeOverride {
    pub mode: Mode,
    /// When the policy's own is back; `None`: when it is given back.
    pub until: Option<Moment>,
}

/// Holds an override, if there is one.
#[derive(Debug, Default)]
pub(super) struct Switch {
    /// Whether there may be one: all that is looked at otherwise.
    thrown: AtomicBool,
    to: Mutex<Option<ModeOverride>>,
}

impl Switch {
    pub(super) fn set(&self, to: Option<ModeOverride>) {
        let mut current = self.to.lock();
        *current = to;
        self.thrown.store(to.is_some(), Ordering::Release);
    }

    /// The override in force at `now`.
    pub(super) fn get(&self, now: Moment) -> Option<ModeOverride> {
        if !self.thrown.load(Ordering::Acquire) {
            return None;
        }
        self.to.lock().filter(|to| to.until.is_none_or(|until| now < until))
    }

    pub(super) fn mode(&self, now: Moment) -> Option<Mode> {
        self.get(now).map(|to| to.mode)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Promise: an override holds until its expiry, not longer, and can be taken back before.
    #[test]
    fn an_override_expires() {
        let (switch, start) = (Switch::default(), Moment::ORIGIN);
        assert_eq!(switch.mode(start), None);
        let until = start.after(Duration::from_secs(60));
        switch.set(Some(ModeOverride { mode: Mode::Shadow, until: Some(until) }));
        assert_eq!(switch.mode(start.after(Duration::from_secs(59))), Some(Mode::Shadow));
        assert_eq!(switch.mode(until), None);
        switch.set(Some(ModeOverride { mode: Mode::Off, until: None }));
        assert_eq!(switch.mode(until), Some(Mode::Off));
        switch.set(None);
        assert_eq!(switch.mode(until), None);
    }
}
