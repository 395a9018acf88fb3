//! The sliding window: at most N units in every window of length W, whatever the arrivals.
//!
//! The cell remembers when each unit was taken. Up to N = 128 the stamps are exact to 2^-30 of the window (a
//! nanosecond, up to two seconds). Above, a stamp is rounded up to the next multiple of W/128, so that a unit
//! comes back at most W/128 late and never early. Either way a full cell is a block of 512 bytes; one that counts
//! more than 2^24 units in a part of its window needs 1 KiB for that long.

mod log;

use std::num::NonZeroU64;
use std::time::Duration;

use self::log::{ENTRIES_MAX, Grid, Log, Shape};
use super::instant::{HORIZON, ORIGIN, from_unix, instant, moment, to_unix};
use super::memory::allocated;
use super::saved::SavedWindow;
use super::{Check, Status};
use crate::time::{Moment, WallTime, nanos};

/// At most `units` in every half-open window of length `window`: what was taken at `t` is back at `t + window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingRule {
    units: u64,
    /// Of a window of at least one nanosecond.
    grid: Grid,
    /// Whether every unit has a stamp of its own.
    stamps: bool,
}

impl SlidingRule {
    /// A window of nothing is taken as a nanosecond, one of more than 73 years as 73 years.
    pub fn new(units: NonZeroU64, window: Duration) -> Self {
        let (units, window) = (units.get(), nanos(window).clamp(1, HORIZON));
        SlidingRule { units, grid: Grid::of(window), stamps: units <= ENTRIES_MAX as u64 }
    }

    /// The same in whole parts of the window, whatever N: the window is rounded up to 128 ns.
    pub(super) fn in_parts(units: NonZeroU64, window: Duration) -> Self {
        let rule = SlidingRule::new(units, window);
        let window = rule.window().next_multiple_of(ENTRIES_MAX as u64);
        SlidingRule { grid: Grid::of(window), stamps: false, ..rule }
    }

    pub(super) const fn units(&self) -> u64 {
        self.units
    }

    pub(super) const fn window(&self) -> u64 {
        self.grid.window()
    }

    const fn shape(&self, used: u64) -> Shape {
        if self.stamps && used <= ENTRIES_MAX as u64 { Shape::Stamps } else { Shape::Parts }
    }
}

/// The units that were taken and are not back yet.
#[derive(Clone, Debug)]
pub struct SlidingCell(Width);

/// The numbers of nearly all cells fit 4 bytes.
#[derive(Clone, Debug)]
enum Width {
    Narrow(Log<u32>),
    Wide(Box<Log<u64>>),
}

/// Calls a method of the log, of whichever width it is.
macro_rules! log {
    ($cell:expr, $log:ident => $call:expr) => {
        match &$cell.0 {
            Width::Narrow($log) => $call,
            Width::Wide($log) => $call,
        }
    };
    (mut $cell:expr, $log:ident => $call:expr) => {
        match &mut $cell.0 {
            Width::Narrow($log) => $call,
            Width::Wide($log) => $call,
        }
    };
}

impl Default for SlidingCell {
    fn default() -> Self {
        SlidingCell(Width::Narrow(Log::new(Shape::Stamps, 1, 0)))
    }
}

impl SlidingCell {
    #[inline]
    pub fn check(&mut self, rule: &SlidingRule, cost: u64, now: Moment) -> Check {
        self.advance(rule, instant(now));
        if self.used().checked_add(cost).is_some_and(|used| used <= rule.units) {
            return Check::Within;
        }
        self.over(rule, cost, now)
    }

    /// What a check says of a cost that does not fit.
    #[cold]
    fn over(&self, rule: &SlidingRule, cost: u64, now: Moment) -> Check {
        let keep_max = rule.units.checked_sub(cost);
        let back = keep_max.and_then(|keep_max| self.back_at(self.used().saturating_sub(keep_max)));
        Check::Over { retry_after: back.map(|at| moment(at).since(now)) }
    }

    /// Whether a check by this rule leaves what the cell owns as it is: its window is the rule's.
    #[inline]
    pub fn keeps_blocks(&self, rule: &SlidingRule) -> bool {
        self.window() == rule.window()
    }

    #[inline]
    pub fn charge(&mut self, rule: &SlidingRule, cost: u64) {
        if cost == 0 {
            return;
        }
        let shape = rule.shape(self.used().saturating_add(cost));
        match &mut self.0 {
            // By far the usual case.
            Width::Narrow(log) if log.shape() == shape => {
                if log.add(&rule.grid, cost).is_err() {
                    self.reshape_and_charge(rule, shape, cost);
                }
            }
            _ => self.reshape_and_charge(rule, shape, cost),
        }
    }

    /// Takes units that do not fit into the log as it is.
    fn reshape_and_charge(&mut self, rule: &SlidingRule, shape: Shape, cost: u64) {
        match &mut self.0 {
            Width::Wide(log) if log.used() > 0 => log.add_or_merge(&rule.grid, cost),
            Width::Wide(log) => {
                self.0 = Width::Narrow(Log::new(shape, log.window(), log.seen()));
                self.charge(rule, cost);
            }
            Width::Narrow(log) => {
                if log.shape() != shape {
                    // Parts may not fit as stamps: they stay parts then.
                    *log = Log::of(log.entries(), shape, log.window(), log.seen())
                        .unwrap_or_else(|_| log.clone());
                }
                if log.add(&rule.grid, cost).is_err() {
                    self.cut_wide(rule.window());
                    log!(mut self, log => log.add_or_merge(&rule.grid, cost));
                }
            }
        }
    }

    pub fn status(&mut self, rule: &SlidingRule, now: Moment) -> Status {
        self.advance(rule, instant(now));
        let reset = (self.used() > 0).then(|| moment(self.all_back_at()).since(now));
        Status::new(rule.units, self.used(), Some(reset.unwrap_or_default()))
    }

    /// After a check.
    #[inline]
    pub fn is_half_used(&self, rule: &SlidingRule) -> bool {
        self.used() > rule.units / 2
    }

    pub fn is_idle(&self, now: Moment) -> bool {
        self.used() == 0 || self.all_back_at() <= instant(now)
    }

    #[inline]
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Width::Narrow(log) if log.is_inline() => 0,
            Width::Narrow(log) => allocated(log.block_bytes()),
            Width::Wide(log) => allocated(size_of::<Log<u64>>()) + allocated(log.block_bytes()),
        }
    }

    /// Moves to `at`, never backwards, and forgets what is back.
    #[inline]
    pub(super) fn advance(&mut self, rule: &SlidingRule, at: u64) {
        if self.window() != rule.window() {
            self.rewindow(rule.window());
        }
        log!(mut self, log => log.advance(&rule.grid, at));
    }

    pub(super) fn used(&self) -> u64 {
        log!(self, log => log.used())
    }

    pub(super) fn seen(&self) -> u64 {
        log!(self, log => log.seen())
    }

    /// When everything is back; meaningless in an unused cell.
    pub(super) fn all_back_at(&self) -> u64 {
        log!(self, log => log.newest_stamp() + log.window())
    }

    /// When so many units are back, of those that are away.
    pub(super) fn back_at(&self, units: u64) -> Option<u64> {
        fn nth(mut entries: impl Iterator<Item = (u64, u64)>, mut units: u64) -> Option<u64> {
            entries.find_map(|(stamp, some)| {
                units = units.saturating_sub(some);
                (units == 0).then_some(stamp)
            })
        }
        log!(self, log => nth(log.entries(), units).map(|stamp| stamp + log.window()))
    }

    /// See [`Log::skip_windows`].
    pub(super) fn skip_windows(&mut self, windows: u64) {
        log!(mut self, log => log.skip_windows(windows));
    }

    pub(super) fn save(&self, origin: WallTime) -> SavedWindow {
        let unix = |(stamp, units)| (to_unix(stamp, origin), units);
        log!(self, log => SavedWindow {
            window_ns: log.window(),
            entries: log.entries().map(unix).collect(),
        })
    }

    /// What is not back yet.
    pub(super) fn restore(saved: SavedWindow, origin: WallTime) -> Option<Self> {
        let cell = SlidingCell::restored(saved, origin, ORIGIN, &[Shape::Stamps, Shape::Parts]);
        (cell.used() > 0).then_some(cell)
    }

    /// What was not back at `seen`.
    pub(super) fn restore_in_parts(saved: SavedWindow, origin: WallTime, seen: u64) -> Self {
        SlidingCell::restored(saved, origin, seen, &[Shape::Parts])
    }

    /// In the first shape that it fits.
    fn restored(saved: SavedWindow, origin: WallTime, seen: u64, shapes: &[Shape]) -> Self {
        let SavedWindow { window_ns, mut entries } = saved;
        let window = window_ns.clamp(1, HORIZON);
        entries.sort_unstable();
        let entries = entries.into_iter().map(|(unix_ns, units)| (from_unix(unix_ns, origin), units));
        let narrow = shapes.iter().find_map(|&shape| Log::of(entries.clone(), shape, window, seen).ok());
        SlidingCell(match narrow {
            Some(log) => Width::Narrow(log),
            None => Width::Wide(Box::new(Log::of_or_merge(entries, Shape::Parts, window, seen))),
        })
    }

    pub(super) fn window(&self) -> u64 {
        log!(self, log => log.window())
    }

    /// A reload changed the window.
    fn rewindow(&mut self, window: u64) {
        let narrow = match &self.0 {
            Width::Narrow(log) => Log::of(log.entries(), log.shape(), window, log.seen()).ok(),
            Width::Wide(_) => None,
        };
        match narrow {
            Some(log) => self.0 = Width::Narrow(log),
            None => self.cut_wide(window),
        }
    }

    fn cut_wide(&mut self, window: u64) {
        let wide = log!(self, log => Log::of_or_merge(log.entries(), Shape::Parts, window, log.seen()));
        self.0 = Width::Wide(Box::new(wide));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(units: u64, window: u64) -> SlidingRule {
        SlidingRule::new(NonZeroU64::new(units).unwrap(), Duration::from_nanos(window))
    }

    fn take(cell: &mut SlidingCell, rule: &SlidingRule, cost: u64, at: u64) -> Check {
        let check = cell.check(rule, cost, Moment::from_nanos(at));
        if check.is_within() {
            cell.charge(rule, cost);
        }
        check
    }

    fn wait(ns: u64) -> Check {
        Check::Over { retry_after: Some(Duration::from_nanos(ns)) }
    }

    /// Promise: a window is half open: what was taken at `t` is back at `t + W`, not before.
    #[test]
    fn units_come_back_one_by_one() {
        let (rule, mut cell) = (rule(2, 100), SlidingCell::default());
        assert_eq!(take(&mut cell, &rule, 1, 10), Check::Within);
        assert_eq!(take(&mut cell, &rule, 1, 60), Check::Within);
        assert_eq!(take(&mut cell, &rule, 1, 109), wait(1));
        assert_eq!(take(&mut cell, &rule, 2, 109), wait(51));
        assert_eq!(take(&mut cell, &rule, 1, 110), Check::Within);
        assert_eq!(take(&mut cell, &rule, 3, 110), Check::Over { retry_after: None });
    }

    /// Promise: a client that asks once costs no allocation.
    #[test]
    fn one_request_allocates_nothing() {
        let (rule, mut cell) = (rule(1000, 100), SlidingCell::default());
        take(&mut cell, &rule, 1, 10);
        assert_eq!(cell.heap_bytes(), 0);
    }

    /// Promise: a window made longer by a reload counts what the cell still knows, and the cell is not idle
    /// before that is back.
    #[test]
    fn a_longer_window_counts_at_once() {
        let (short, long, mut cell) = (rule(1, 100), rule(1, 1000), SlidingCell::default());
        take(&mut cell, &short, 1, 10);
        assert_eq!(take(&mut cell, &long, 1, 510), wait(500));
        assert!(!cell.is_idle(Moment::from_nanos(1009)));
        assert!(cell.is_idle(Moment::from_nanos(1010)));
    }

    /// Promise: times and numbers at the edge of 64 bits are answered, never a panic, and never a free unit.
    #[test]
    fn extremes_do_not_overflow() {
        for rule in [rule(u64::MAX, u64::MAX), rule(1, u64::MAX), rule(u64::MAX, 0)] {
            let mut cell = SlidingCell::default();
            for at in [0, u64::MAX - 1, u64::MAX, 7] {
                for cost in [0, 1, u64::MAX] {
                    take(&mut cell, &rule, cost, at);
                }
            }
        }
    }
}
