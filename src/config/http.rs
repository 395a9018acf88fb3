//! `[http]`, `[timeouts]`, `[shutdown]` and `[paths]`: how messages are read.

use std::num::NonZeroU64;
use std::time::Duration;

use super::place::At;
use super::reader::{Item, TableKind};
use super::units::{self, Amount};
use crate::policy::path::{Case, Parameters, TrailingSlash};

pub const HTTP: TableKind =
    TableKind { title: "[http]", keys: &["head_size", "header_count", "uri_size", "body_size"] };

pub const TIMEOUTS: TableKind = TableKind {
    title: "[timeouts]",
    keys: &[
        "handshake",
        "head_read",
        "idle",
        "body_progress",
        "body_rate_min",
        "connect",
        "first_byte",
        "total",
    ],
};

pub const SHUTDOWN: TableKind =
    TableKind { title: "[shutdown]", keys: &["drain_delay", "drain_timeout", "drain_tunnels"] };

pub const PATHS: TableKind = TableKind { title: "[paths]", keys: &["trailing_slash", "case", "parameters"] };

/// A bound that may be switched off by a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cap<T> {
    Unbounded,
    AtMost(T),
}

impl<T> Cap<T> {
    pub fn at_most(self) -> Option<T> {
        match self {
            Cap::Unbounded => None,
            Cap::AtMost(bound) => Some(bound),
        }
    }
}

/// `[http]` as written; sizes in bytes.
#[derive(Clone, Debug, Default)]
pub struct Http {
    pub head_size: Option<u64>,
    pub header_count: Option<u32>,
    pub uri_size: Option<At<u64>>,
    pub body_size: Option<Cap<u64>>,
}

/// `[timeouts]` as written.
#[derive(Clone, Debug, Default)]
pub struct Timeouts {
    pub handshake: Option<Duration>,
    pub head_read: Option<Duration>,
    pub idle: Option<Duration>,
    pub body_progress: Option<Duration>,
    /// Bytes a second.
    pub body_rate_min: Option<Cap<NonZeroU64>>,
    pub connect: Option<Duration>,
    pub first_byte: Option<Duration>,
    pub total: Option<Cap<Duration>>,
}

/// `[shutdown]` as written.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    pub drain_delay: Option<Duration>,
    pub drain_timeout: Option<Duration>,
    pub drain_tunnels: Option<At<Duration>>,
}

/// `[paths]` as written.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    pub trailing_slash: Option<TrailingSlash>,
    pub case: Option<Case>,
    pub parameters: Option<Parameters>,
}

/// hyper's read buffer cannot be smaller.
const HEAD_SIZE_MIN: u64 = 8 << 10;
/// hyper gives up at 408 KiB, which nothing here changes; below that the refusal is weir's own.
const HEAD_SIZE_MAX: u64 = 400 << 10;
const HEADER_COUNT_MAX: u64 = 10_000;
const URI_SIZE_MIN: u64 = 64;
/// What `http::Uri` can hold.
const URI_SIZE_MAX: u64 = 65_534;

const TIMEOUT_MIN: Duration = Duration::from_millis(1);
pub(super) const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
const DRAIN_MAX: Duration = Duration::from_secs(60 * 60);

pub(super) fn read_http(item: Item<'_>) -> Option<Http> {
    let table = item.table(&HTTP)?;
    Some(Http {
        head_size: table.read("head_size", |i| i.bytes(HEAD_SIZE_MIN..=HEAD_SIZE_MAX)),
        header_count: table.read("header_count", |i| i.whole(1..=HEADER_COUNT_MAX)),
        uri_size: table.read("uri_size", |i| i.bytes(URI_SIZE_MIN..=URI_SIZE_MAX).map(|n| i.at(n))),
        body_size: table.read("body_size", body_size),
    })
}

/// A size, or `"unlimited"`.
pub(super) fn body_size(item: Item<'_>) -> Option<Cap<u64>> {
    const EXPECTED: &str = "a size such as \"10MiB\", or \"unlimited\"";
    if !item.is_text() {
        return item.bytes(0..=u64::MAX).map(Cap::AtMost);
    }
    item.parse(EXPECTED, |text| match text {
        "unlimited" => Some(Cap::Unbounded),
        _ => units::bytes(text).map(Cap::AtMost),
    })
}

pub(super) fn read_timeouts(item: Item<'_>) -> Option<Timeouts> {
    let table = item.table(&TIMEOUTS)?;
    let time = |key| table.read(key, timeout);
    Some(Timeouts {
        handshake: time("handshake"),
        head_read: time("head_read"),
        idle: time("idle"),
        body_progress: time("body_progress"),
        body_rate_min: table.read("body_rate_min", body_rate),
        connect: time("connect"),
        first_byte: time("first_byte"),
        total: table.read("total", total),
    })
}

/// A time that may not be zero: nothing could ever be in time.
pub(super) fn timeout(item: Item<'_>) -> Option<Duration> {
    item.duration(TIMEOUT_MIN..=TIMEOUT_MAX)
}

/// `"100B/s"`, or `"none"`.
fn body_rate(item: Item<'_>) -> Option<Cap<NonZeroU64>> {
    const EXPECTED: &str = "a rate of at least a byte a second such as \"100B/s\", or \"none\"";
    item.parse(EXPECTED, |text| {
        if text == "none" {
            return Some(Cap::Unbounded);
        }
        let rate = units::rate(text).ok()?;
        let Amount::Bytes(bytes) = rate.amount else { return None };
        let per_second = u128::from(bytes.get()) * 1000 / rate.window.as_millis().max(1);
        NonZeroU64::new(u64::try_from(per_second).ok()?).map(Cap::AtMost)
    })
}

fn total(item: Item<'_>) -> Option<Cap<Duration>> {
    item.parse("a time such as \"5min\", or \"none\"", |text| match text {
        "none" => Some(Cap::Unbounded),
        _ => units::duration(text).filter(|time| (TIMEOUT_MIN..=TIMEOUT_MAX).contains(time)).map(Cap::AtMost),
    })
}

pub(super) fn read_shutdown(item: Item<'_>) -> Option<Shutdown> {
    let table = item.table(&SHUTDOWN)?;
    let time = |key| table.read(key, |i| i.duration(Duration::ZERO..=DRAIN_MAX));
    Some(Shutdown {
        drain_delay: time("drain_delay"),
        drain_timeout: time("drain_timeout"),
        drain_tunnels: table
            .read("drain_tunnels", |i| i.duration(Duration::ZERO..=DRAIN_MAX).map(|time| i.at(time))),
    })
}

pub(super) fn read_paths(item: Item<'_>) -> Option<Paths> {
    let table = item.table(&PATHS)?;
    Some(Paths {
        trailing_slash: table.read("trailing_slash", |i| {
            i.word(&[("ignore", TrailingSlash::Ignore), ("distinct", TrailingSlash::Distinct)])
        }),
        case: table
            .read("case", |i| i.word(&[("sensitive", Case::Sensitive), ("insensitive", Case::Insensitive)])),
        parameters: table
            .read("parameters", |i| i.word(&[("keep", Parameters::Keep), ("strip", Parameters::Strip)])),
    })
}
