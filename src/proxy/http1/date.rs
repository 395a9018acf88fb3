//! The `Date` of responses that have none (RFC 9110 §6.6.1), written once a second.

use std::cell::RefCell;
use std::time::{Duration, UNIX_EPOCH};

use crate::time::WallTime;

thread_local! {
    static DATE: RefCell<Option<Written>> = const { RefCell::new(None) };
}

#[derive(Debug)]
struct Written {
    second: u64,
    text: String,
}

/// Appends the time of `at`, in the form of RFC 9110 §5.6.7.
pub(super) fn write(at: WallTime, wire: &mut Vec<u8>) {
    let second = at.unix_ms / 1000;
    DATE.with_borrow_mut(|date| {
        let written = match date {
            Some(written) if written.second == second => written,
            _ => {
                let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
                date.insert(Written { second, text })
            }
        };
        wire.extend_from_slice(written.text.as_bytes());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: RFC 9110 §5.6.7: the fixed form, and each second its own.
    #[test]
    fn is_the_time() {
        for (unix_ms, expected) in [
            (784_111_777_000, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_777_999, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_778_000, "Sun, 06 Nov 1994 08:49:38 GMT"),
            (784_111_777_000, "Sun, 06 Nov 1994 08:49:37 GMT"),
        ] {
            let mut wire = Vec::new();
            write(WallTime { unix_ms }, &mut wire);
            assert_eq!(wire, expected.as_bytes());
        }
    }
}
