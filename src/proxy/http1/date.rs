//! The `Date` of responses that have none (RFC 9110 §6.6.1), written once a second.

use std::cell::RefCell;
use std::time::{Duration, UNIX_EPOCH};

use crate::clock::Clock;
use crate::time::{Moment, WallTime};

thread_local! {
    static DATE: RefCell<Option<Written>> = const { RefCell::new(None) };
}

/// A date, and until when it is right. The wall clock is asked once a second: where it is set, dates follow within one.
#[derive(Debug)]
struct Written {
    clock: Clock,
    from: Moment,
    until: Moment,
    text: String,
}

/// Appends the time of `at`, which is now or was just before, in the form of RFC 9110 §5.6.7.
pub(super) fn write(at: Moment, clock: Clock, wire: &mut Vec<u8>) {
    DATE.with_borrow_mut(|date| {
        let written = match date {
            Some(written) if written.is_right(at, clock) => written,
            _ => date.insert(Written::new(at, clock, clock.wall())),
        };
        wire.extend_from_slice(written.text.as_bytes());
    });
}

impl Written {
    /// `at` and `wall` are the same time, by both clocks.
    fn new(at: Moment, clock: Clock, wall: WallTime) -> Self {
        let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(wall.unix_ms / 1000));
        let until = at.after(Duration::from_millis(1000 - wall.unix_ms % 1000));
        Written { clock, from: at, until, text }
    }

    fn is_right(&self, at: Moment, clock: Clock) -> bool {
        self.clock == clock && (self.from..self.until).contains(&at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: RFC 9110 §5.6.7: the fixed form, and each second its own.
    #[test]
    fn is_the_time() {
        let (clock, at) = (Clock::start(), |ms| Moment::ORIGIN.after(Duration::from_millis(ms)));
        let written = |unix_ms| Written::new(at(5000), clock, WallTime { unix_ms });
        for (unix_ms, expected, left) in [
            (784_111_777_000, "Sun, 06 Nov 1994 08:49:37 GMT", 1000),
            (784_111_777_999, "Sun, 06 Nov 1994 08:49:37 GMT", 1),
            (784_111_778_000, "Sun, 06 Nov 1994 08:49:38 GMT", 1000),
        ] {
            let written = written(unix_ms);
            assert_eq!(written.text, expected);
            for (ms, is_right) in [(4999, false), (5000, true), (5000 + left, false)] {
                assert_eq!(written.is_right(at(ms), clock), is_right);
            }
            assert!(!written.is_right(at(5000), Clock::start()));
        }
    }
}
