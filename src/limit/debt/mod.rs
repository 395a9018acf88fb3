//! Costs known only afterwards, such as bytes and time: a request is let in while anything is left, counts while
//! it is in flight as far as its cost is known, and pays when it ends. What it spent above the limit is a debt:
//! it delays later requests, and is never forgiven.
//!
//! A [`Ledger`] says how what was spent comes back; all else is the same for each.

mod month;
mod paced;
mod window;

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

pub use month::{MonthDebt, MonthRule};
pub use paced::{PacedDebt, PacedRule};
pub use window::{WindowDebt, WindowRule};

use super::instant::{instant, moment};
use super::memory::allocated;
use super::{Check, Status};
use crate::time::{Moment, WallTime, nanos};

/// What was spent and is not back yet. Times are nanoseconds of `limit::instant`, and never go backwards.
pub trait Ledger: Default + Clone + fmt::Debug {
    type Rule: Copy + fmt::Debug + PartialEq + Eq;

    /// Units below which a request is let in: at least one.
    fn capacity(rule: &Self::Rule) -> u64;

    /// Moves to `at` and forgets what is back by then.
    fn advance(&mut self, rule: &Self::Rule, at: u64);

    /// Units that are not back, those above the limit too; a part of one counts as one.
    fn owed(&self, rule: &Self::Rule) -> u64;

    /// Spends more, as soon as there is room: at the next `advance`.
    fn owe(&mut self, units: u64);

    /// Units beyond what 64 bits hold are not told apart.
    fn spend(&mut self, rule: &Self::Rule, units: u64);

    /// When less than so many units are owed. `below` is at least one and at most what is owed.
    fn owed_below_at(&self, rule: &Self::Rule, below: u64) -> u64;

    /// When nothing is owed, under the rule it was last asked by.
    fn is_clear(&self, at: u64) -> bool;

    fn heap_bytes(&self) -> usize;
}

/// A ledger's rule, and what a request in flight is taken to have cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DebtRule<R> {
    ledger: R,
    /// Nanoseconds in which each request in flight spends a unit.
    accrual: Option<NonZeroU64>,
}

impl DebtRule<WindowRule> {
    /// At most `units` spent in every window, and what was in flight when they were. A unit comes back up to
    /// W/128 late; the window is rounded up to 128 ns.
    pub fn window(units: NonZeroU64, window: Duration) -> Self {
        DebtRule { ledger: WindowRule::new(units, window), accrual: None }
    }
}

impl DebtRule<PacedRule> {
    /// Units come back evenly, `units` in a window, to the exact fraction: from a unit in 73 years to 2^64 in a
    /// nanosecond. Requests are let in while less than `burst` is owed.
    pub fn paced(units: NonZeroU64, window: Duration, burst: NonZeroU64) -> Self {
        DebtRule { ledger: PacedRule::new(units, window, burst), accrual: None }
    }
}

impl DebtRule<MonthRule> {
    /// At most `units` in a calendar month (UTC), with moments counted from `origin`.
    pub fn month(units: NonZeroU64, origin: WallTime) -> Self {
        DebtRule { ledger: MonthRule::new(units, origin), accrual: None }
    }
}

impl<R> DebtRule<R> {
    /// Each request in flight spends one unit every `unit` of time.
    #[must_use]
    pub fn accruing(self, unit: Duration) -> Self {
        DebtRule { accrual: Some(NonZeroU64::new(nanos(unit)).unwrap_or(NonZeroU64::MIN)), ..self }
    }
}

/// What one principal has spent, and its requests that still spend.
#[derive(Clone, Debug, Default)]
pub struct DebtCell<L> {
    /// The time of the last check, as it was given: that of the charge after it.
    asked: u64,
    /// The latest time this cell was given.
    seen: u64,
    /// From the first charge.
    book: Option<Box<Book<L>>>,
}

#[derive(Clone, Debug, Default)]
struct Book<L> {
    ledger: L,
    flights: Flights,
}

impl<L: Ledger> DebtCell<L> {
    /// Whether anything is left, whatever the request will cost.
    pub fn check(&mut self, rule: &DebtRule<L::Rule>, now: Moment) -> Check {
        self.asked = instant(now);
        let capacity = L::capacity(&rule.ledger);
        let seen = self.advance(rule, now);
        let Some(book) = &self.book else { return Check::Within };
        let owed = book.ledger.owed(&rule.ledger);
        if owed.saturating_add(book.flights.cost(seen)) < capacity {
            return Check::Within;
        }
        // What is in flight ends when it ends; only what was spent has a time to wait for.
        let back = (owed >= capacity).then(|| book.ledger.owed_below_at(&rule.ledger, capacity));
        Check::Over { retry_after: back.map(|at| moment(at).since(now)) }
    }

    /// A request begins, at the time of the check just before. It counts as `reserved` units until it is settled.
    pub fn charge(&mut self, rule: &DebtRule<L::Rule>, reserved: u64) {
        let book = self.book.get_or_insert_with(|| {
            let mut book = Box::<Book<L>>::default();
            book.ledger.advance(&rule.ledger, self.seen);
            book
        });
        book.flights.accrual = rule.accrual;
        book.flights.begin(reserved, self.asked);
    }

    /// It has ended, or was cancelled: `actual` is what it really used. `reserved` and `started` are those of its
    /// charge and of the check before that.
    pub fn settle(
        &mut self,
        rule: &DebtRule<L::Rule>,
        reserved: u64,
        actual: u64,
        started: Moment,
        now: Moment,
    ) {
        if self.book.is_none() && actual > 0 {
            self.book = Some(Box::default());
        }
        self.advance(rule, now);
        if let Some(book) = &mut self.book {
            book.flights.end(reserved, instant(started));
            book.ledger.spend(&rule.ledger, actual);
        }
    }

    pub fn status(&mut self, rule: &DebtRule<L::Rule>, now: Moment) -> Status {
        let (seen, capacity) = (self.advance(rule, now), L::capacity(&rule.ledger));
        let Some(book) = &self.book else { return Status::new(capacity, 0, Some(Duration::ZERO)) };
        let owed = book.ledger.owed(&rule.ledger);
        let reset = match owed {
            0 => Duration::ZERO,
            _ => moment(book.ledger.owed_below_at(&rule.ledger, 1)).since(now),
        };
        let used = owed.saturating_add(book.flights.cost(seen));
        Status::new(capacity, used, book.flights.is_none().then_some(reset))
    }

    pub fn is_idle(&self, now: Moment) -> bool {
        let is_idle = |book: &Book<L>| book.flights.is_none() && book.ledger.is_clear(instant(now));
        self.book.as_deref().is_none_or(is_idle)
    }

    pub fn heap_bytes(&self) -> usize {
        let of_book = |book: &Book<L>| allocated(size_of::<Book<L>>()) + book.ledger.heap_bytes();
        self.book.as_deref().map_or(0, of_book)
    }

    /// The ledger as if all that is in flight had ended at the latest time seen, at what it cost by then.
    pub(super) fn as_settled(&self) -> Option<L> {
        let book = self.book.as_deref()?;
        let mut ledger = book.ledger.clone();
        ledger.owe(book.flights.cost(self.seen));
        Some(ledger)
    }

    pub(super) fn restored(ledger: L) -> Self {
        DebtCell { book: Some(Box::new(Book { ledger, flights: Flights::default() })), ..DebtCell::default() }
    }

    fn advance(&mut self, rule: &DebtRule<L::Rule>, now: Moment) -> u64 {
        self.seen = self.seen.max(instant(now));
        if let Some(book) = &mut self.book {
            book.ledger.advance(&rule.ledger, self.seen);
        }
        self.seen
    }
}

/// Requests that have begun and not ended.
#[derive(Clone, Copy, Debug, Default)]
struct Flights {
    requests: u32,
    /// Of all of them.
    reserved: u128,
    /// The sum of the times at which they began.
    started: u128,
    /// That of the rule by which the last of them was charged.
    accrual: Option<NonZeroU64>,
}

impl Flights {
    const fn is_none(&self) -> bool {
        self.requests == 0
    }

    fn begin(&mut self, reserved: u64, at: u64) {
        self.requests = self.requests.saturating_add(1);
        self.reserved += u128::from(reserved);
        self.started += u128::from(at);
    }

    fn end(&mut self, reserved: u64, started: u64) {
        self.requests = self.requests.saturating_sub(1);
        if self.is_none() {
            *self = Flights::default();
        } else {
            self.reserved = self.reserved.saturating_sub(u128::from(reserved));
            self.started = self.started.saturating_sub(u128::from(started));
        }
    }

    /// Units that they have cost by `at`, as far as is known.
    fn cost(&self, at: u64) -> u64 {
        let elapsed = (u128::from(self.requests) * u128::from(at)).saturating_sub(self.started);
        let accrued = self.accrual.map_or(0, |unit| elapsed.div_ceil(u128::from(unit.get())));
        u64::try_from(accrued + self.reserved).unwrap_or(u64::MAX)
    }
}
