//! Requests in flight.

use std::num::NonZeroU32;

use super::{Check, Status};

/// At most this many requests at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConcurrencyRule {
    requests: NonZeroU32,
}

impl ConcurrencyRule {
    pub const fn new(requests: NonZeroU32) -> Self {
        ConcurrencyRule { requests }
    }
}

/// How many requests are in flight. Each charge is released exactly once, by the ticket that holds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConcurrencyCell {
    in_flight: u32,
}

impl ConcurrencyCell {
    pub fn check(self, rule: &ConcurrencyRule) -> Check {
        if self.in_flight < rule.requests.get() { Check::Within } else { Check::Over { retry_after: None } }
    }

    pub fn status(self, rule: &ConcurrencyRule) -> Status {
        Status::new(rule.requests.get().into(), self.in_flight.into(), None)
    }

    pub fn charge(&mut self) {
        self.in_flight = self.in_flight.saturating_add(1);
    }

    pub fn release(&mut self) {
        debug_assert!(self.in_flight > 0, "released what was not held");
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub const fn is_idle(self) -> bool {
        self.in_flight == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: a place is taken until it is released, and a lowered bound counts those already in flight.
    #[test]
    fn places_come_back_when_released() {
        let (two, one) =
            (ConcurrencyRule::new(NonZeroU32::MIN.saturating_add(1)), ConcurrencyRule::new(NonZeroU32::MIN));
        let mut cell = ConcurrencyCell::default();
        cell.charge();
        assert!(cell.check(&two).is_within());
        assert_eq!(cell.check(&one), Check::Over { retry_after: None });
        cell.charge();
        assert!(!cell.check(&two).is_within());
        cell.release();
        assert!(cell.check(&two).is_within());
        cell.release();
        assert!(cell.is_idle());
    }
}
