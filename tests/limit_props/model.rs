//! Plain models of the other limits: every time and cost as it was, and nothing clever.

/// GCRA: each unit takes `interval` to come back, and `burst` of them fit at once.
#[derive(Clone, Debug)]
pub(crate) struct GcraModel {
    interval: u64,
    burst: u64,
    paid_off: u64,
}

impl GcraModel {
    pub(crate) fn new(units: u64, window: u64, burst: u64) -> Self {
        GcraModel { interval: window.div_ceil(units), burst, paid_off: 0 }
    }

    /// Units that are owed stay, a part of a nanosecond rounded up.
    pub(crate) fn change(&mut self, units: u64, window: u64, burst: u64, now: u64) {
        let (owed, old) = (self.paid_off.saturating_sub(now), self.interval);
        *self = GcraModel::new(units, window, burst);
        self.paid_off = now + (owed * self.interval).div_ceil(old);
    }

    pub(crate) fn admits(&mut self, cost: u64, now: u64) -> bool {
        let owed = self.paid_off.saturating_sub(now);
        let fits = owed + cost * self.interval <= self.burst * self.interval;
        if fits {
            self.paid_off = self.paid_off.max(now) + cost * self.interval;
        }
        fits
    }
}

/// A debt by window: each unit counts for a window from when it was spent. What does not fit is spent in the order
/// in which it came, as soon as units come back.
#[derive(Clone, Debug)]
pub(crate) struct WindowDebtModel {
    pub(crate) units: u64,
    pub(crate) window: u64,
    /// Time and units, of which those at the end may not have been spent yet.
    spent: Vec<(u64, u64)>,
    waiting: u64,
}

impl WindowDebtModel {
    pub(crate) fn new(units: u64, window: u64) -> Self {
        WindowDebtModel { units, window, spent: Vec::new(), waiting: 0 }
    }

    pub(crate) fn owed(&mut self, now: u64) -> u64 {
        while let Some(&(at, _)) = self.spent.first().filter(|(at, _)| at + self.window <= now) {
            self.spent.remove(0);
            self.spend_waiting(at + self.window);
        }
        self.spend_waiting(now);
        self.in_window() + self.waiting
    }

    /// What is back by the new numbers is back now, not earlier.
    pub(crate) fn change(&mut self, units: u64, window: u64, now: u64) {
        self.owed(now);
        (self.units, self.window) = (units, window);
        self.spent.retain(|(at, _)| at + window > now);
    }

    pub(crate) fn spend(&mut self, units: u64, now: u64) {
        self.owed(now);
        self.waiting += units;
        self.spend_waiting(now);
    }

    fn spend_waiting(&mut self, at: u64) {
        let some = self.waiting.min(self.units.saturating_sub(self.in_window()));
        if some > 0 {
            self.waiting -= some;
            self.spent.push((at, some));
        }
    }

    fn in_window(&self) -> u64 {
        self.spent.iter().map(|(_, units)| units).sum()
    }
}

/// An even debt, from its whole history: what is owed is the most that any suffix of the costs leaves, had the
/// bucket been empty before it.
#[derive(Clone, Debug)]
pub(crate) struct PacedDebtModel {
    pub(crate) units: u64,
    pub(crate) window: u64,
    spent: Vec<(u64, u64)>,
}

impl PacedDebtModel {
    pub(crate) fn new(units: u64, window: u64) -> Self {
        PacedDebtModel { units, window, spent: Vec::new() }
    }

    /// Units, a part of one counted as one.
    pub(crate) fn owed(&mut self, now: u64) -> u64 {
        let (mut sum, mut most) = (0_i128, 0_i128);
        for &(at, units) in self.spent.iter().rev() {
            sum += i128::from(units) * i128::from(self.window);
            most = most.max(sum - i128::from(now - at) * i128::from(self.units));
        }
        u64::try_from(most).expect("less than was spent").div_ceil(self.window)
    }

    pub(crate) fn spend(&mut self, units: u64, now: u64) {
        self.spent.push((now, units));
    }
}

/// Requests in flight, each with its start and what it reserved.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flights(Vec<(u64, u64)>);

impl Flights {
    pub(crate) fn begin(&mut self, at: u64, reserved: u64) {
        self.0.push((at, reserved));
    }

    /// One of them, if there is any.
    pub(crate) fn end(&mut self, which: usize) -> Option<(u64, u64)> {
        (!self.0.is_empty()).then(|| self.0.swap_remove(which % self.0.len()))
    }

    /// What they have cost, if each spends a unit in `unit` nanoseconds; none of them by time where that is 0.
    pub(crate) fn cost(&self, unit: u64, now: u64) -> u64 {
        let elapsed: u64 = self.0.iter().map(|(at, _)| now - at).sum();
        let reserved: u64 = self.0.iter().map(|(_, reserved)| reserved).sum();
        reserved + if unit == 0 { 0 } else { elapsed.div_ceil(unit) }
    }
}
