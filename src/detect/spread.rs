//! From how many clients somebody comes.

use crate::time::Moment;
use crate::window::Distinct;

const HOUR_NANOS: u64 = 3600 * 1_000_000_000;

/// The clients of an account, a session or a fingerprint, by hash, within an hour of the clock.
#[derive(Clone, Debug, Default)]
pub(super) struct Spread {
    hour: u64,
    seen: Distinct<32>,
    clients: u32,
}

impl Spread {
    /// With one client so far.
    pub(super) fn of(client: u64, now: Moment) -> Self {
        let mut spread = Spread::default();
        spread.note(client, now);
        spread
    }

    pub(super) fn note(&mut self, client: u64, now: Moment) {
        let hour = now.as_nanos() / HOUR_NANOS;
        if hour > self.hour {
            *self = Spread { hour, ..Spread::default() };
        }
        self.clients = self.clients.saturating_add(self.seen.insert(client));
    }

    /// How many there were in the hour of `now`.
    pub(super) fn clients(&self, now: Moment) -> u32 {
        if now.as_nanos() / HOUR_NANOS > self.hour { 1 } else { self.clients }
    }

    pub(super) fn heap_bytes(&self) -> u64 {
        self.seen.heap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: each client counts once within an hour of the clock, and the next hour begins anew.
    #[test]
    fn an_hour_of_clients() {
        let at = |seconds: u64| Moment::from_nanos(seconds * 1_000_000_000);
        let mut spread = Spread::of(1, at(7200));
        for client in [1, 2, 3, 2] {
            spread.note(client, at(7300));
        }
        assert_eq!((spread.clients(at(10_799)), spread.clients(at(10_800))), (3, 1));
        spread.note(9, at(10_900));
        assert_eq!(spread.clients(at(10_900)), 1);
    }
}
