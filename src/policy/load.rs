//! Load as a measure: what an upstream can bear, and which share of it is unreasonable.

use std::num::NonZeroU32;
use std::time::Duration;

/// What an upstream can bear: requests in flight to all its servers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Capacity {
    /// Not known, and not bounded.
    #[default]
    Unbounded,
    Fixed(NonZeroU32),
    /// Found while running, from how the latency answers to the load: at least `min`, at most `max`.
    Adaptive {
        min: NonZeroU32,
        max: NonZeroU32,
    },
}

impl Capacity {
    /// More are never in flight.
    pub const fn most(self) -> Option<NonZeroU32> {
        match self {
            Capacity::Unbounded => None,
            Capacity::Fixed(requests) | Capacity::Adaptive { max: requests, .. } => Some(requests),
        }
    }
}

/// `[load]`, ready to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Accounts, the busiest, whose shares are exported for each upstream and resource.
    pub top: u32,
    /// `None`: no share is unreasonable.
    pub unreasonable: Option<Unreasonable>,
}

impl Default for Load {
    fn default() -> Self {
        Load { top: 20, unreasonable: None }
    }
}

/// When an account's share of an upstream is a finding of the clause on load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreasonable {
    /// More than this, in thousandths of the whole, 1 to 1000, and more than its fair share.
    pub share_permille: u32,
    pub over: LoadWindow,
    /// Only while the upstream is at least this busy, in thousandths of its capacity.
    pub when_utilisation_permille: u32,
}

/// The windows over which shares are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LoadWindow {
    Minute,
    TenMinutes,
    Hour,
}

impl LoadWindow {
    pub const ALL: [LoadWindow; 3] = [LoadWindow::Minute, LoadWindow::TenMinutes, LoadWindow::Hour];

    pub const fn length(self) -> Duration {
        match self {
            LoadWindow::Minute => Duration::from_secs(60),
            LoadWindow::TenMinutes => Duration::from_secs(600),
            LoadWindow::Hour => Duration::from_secs(3600),
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            LoadWindow::Minute => "1m",
            LoadWindow::TenMinutes => "10m",
            LoadWindow::Hour => "1h",
        }
    }
}
