//! The switch for everything, as the operator has thrown it at run time.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::remedy::Mode;
use crate::time::Moment;

/// Another mode than the policy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModeOverride {
    pub mode: Mode,
    /// When the policy's own is back; `None`: when it is given back.
    pub until: Option<Moment>,
}

/// Holds an override, if there is one. Every decision asks, so it is one word: zero, or the mode's place in
/// [`Mode::ALL`] plus one, and above these two bits the end in nanoseconds. All ones for none: 146 years.
#[derive(Debug, Default)]
pub(super) struct Switch(AtomicU64);

const MODE_BITS: u32 = 2;
const NO_END: u64 = u64::MAX >> MODE_BITS;

impl Switch {
    pub(super) fn set(&self, to: Option<ModeOverride>) {
        let word = to.map_or(0, |ModeOverride { mode, until }| {
            let end = until.map_or(NO_END, |until| until.as_nanos().min(NO_END));
            end << MODE_BITS | (1..).zip(Mode::ALL).find(|(_, it)| *it == mode).map_or(0, |(place, _)| place)
        });
        self.0.store(word, Ordering::Release);
    }

    /// The override in force at `now`.
    pub(super) fn get(&self, now: Moment) -> Option<ModeOverride> {
        let word = self.0.load(Ordering::Acquire);
        let place = (word & ((1 << MODE_BITS) - 1)) as usize;
        let mode = *Mode::ALL.get(place.checked_sub(1)?)?;
        let end = word >> MODE_BITS;
        let until = (end != NO_END).then(|| Moment::from_nanos(end));
        until.is_none_or(|until| now < until).then_some(ModeOverride { mode, until })
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
        let for_a_minute = Some(ModeOverride { mode: Mode::Shadow, until: Some(until) });
        switch.set(for_a_minute);
        assert_eq!(switch.get(start.after(Duration::from_secs(59))), for_a_minute);
        assert_eq!(switch.mode(until), None);
        let for_good = Some(ModeOverride { mode: Mode::Off, until: None });
        switch.set(for_good);
        assert_eq!(switch.get(until), for_good);
        switch.set(None);
        assert_eq!(switch.mode(until), None);
    }
}
