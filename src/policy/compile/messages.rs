//! How messages are read: sizes, times, shutdown and the folding of paths.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::config::http::{self as written, Cap};
use crate::config::units::time_text;
use crate::config::{Diagnostic, Problems};
use crate::policy::path::PathRules;
use crate::policy::{HttpLimits, Shutdown, Timeouts};

const HEAD_SIZE: u64 = 64 << 10;
const URI_SIZE: u64 = 8 << 10;
const HEADER_COUNT: u32 = 100;
/// Bytes a second: less than the worst line that people still use.
pub(super) const BODY_RATE_MIN: NonZeroU64 = NonZeroU64::MIN.saturating_add(99);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
const TOTAL: Duration = Duration::from_secs(60 * 60);

pub(super) fn http(http: &written::Http, problems: &Problems) -> HttpLimits {
    let head = http.head_size.unwrap_or(HEAD_SIZE);
    let uri = http.uri_size.as_ref().map_or(URI_SIZE.min(head), |size| size.value);
    if let Some(size) = &http.uri_size
        && size.value > head
    {
        problems.add(
            Diagnostic::error(size.place, "`uri_size` is larger than `head_size`, which holds the URI")
                .expected(format!("at most {head} bytes")),
        );
    }
    HttpLimits {
        head_bytes_max: usize::try_from(head).unwrap_or(usize::MAX),
        header_count_max: http.header_count.unwrap_or(HEADER_COUNT) as usize,
        uri_bytes_max: usize::try_from(uri).unwrap_or(usize::MAX),
        body_bytes_max: http.body_size.and_then(Cap::at_most),
    }
}

pub(super) fn timeouts(timeouts: &written::Timeouts) -> Timeouts {
    let or = |written: Option<Duration>, seconds| written.unwrap_or(Duration::from_secs(seconds));
    Timeouts {
        handshake: or(timeouts.handshake, 10),
        head_read: or(timeouts.head_read, 10),
        idle: or(timeouts.idle, 75),
        body_progress: or(timeouts.body_progress, 30),
        body_rate_min: timeouts.body_rate_min.unwrap_or(Cap::AtMost(BODY_RATE_MIN)).at_most(),
        connect: or(timeouts.connect, 3),
        first_byte: or(timeouts.first_byte, 60),
        // What takes longer by nature says so with `stream`.
        total: timeouts.total.unwrap_or(Cap::AtMost(TOTAL)).at_most(),
    }
}

pub(super) fn shutdown(shutdown: &written::Shutdown, problems: &Problems) -> Shutdown {
    let drain_timeout = shutdown.drain_timeout.unwrap_or(DRAIN_TIMEOUT);
    if let Some(tunnels) = &shutdown.drain_tunnels
        && tunnels.value > drain_timeout
    {
        let most = time_text(drain_timeout);
        problems.add(
            Diagnostic::error(
                tunnels.place,
                "`drain_tunnels` is longer than `drain_timeout`, which ends all",
            )
            .expected(format!("at most {most}")),
        );
    }
    Shutdown {
        // A restart by hand should not wait; whoever has a load balancer in front knows its interval.
        drain_delay: shutdown.drain_delay.unwrap_or(Duration::ZERO),
        drain_timeout,
        // A little before everything is cut.
        drain_tunnels: shutdown.drain_tunnels.as_ref().map_or(drain_timeout * 9 / 10, |time| time.value),
    }
}

pub(super) fn paths(paths: &written::Paths) -> PathRules {
    PathRules {
        trailing_slash: paths.trailing_slash.unwrap_or_default(),
        case: paths.case.unwrap_or_default(),
        parameters: paths.parameters.unwrap_or_default(),
    }
}
