//! Counters that many threads add to without sharing a cache line.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// A row of `N` counters, held once per stripe. A thread adds to its own stripe; a reader sums them all.
///
/// One shared atomic costs every core a cache miss per request, which at tens of counters a request is more
/// than the counting itself. Reads are not a snapshot: an addition in flight is seen in one cell and not yet
/// in another, and is in both at the next read.
#[derive(Debug)]
pub(super) struct Striped<const N: usize> {
    stripes: Box<[Stripe<N>]>,
}

/// Two cache lines, because the prefetcher fetches lines in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Stripe<const N: usize>([AtomicU64; N]);

/// How many stripes rows have: a power of two, at least the number of cores, and bounded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stripes(usize);

impl Stripes {
    const MAX: usize = 64;

    pub(super) fn per_core() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Stripes(cores.next_power_of_two().min(Self::MAX))
    }
}

impl<const N: usize> Striped<N> {
    pub(super) fn new(stripes: Stripes) -> Self {
        let empty = || Stripe(std::array::from_fn(|_| AtomicU64::new(0)));
        Striped { stripes: (0..stripes.0).map(|_| empty()).collect() }
    }

    /// Wraps, so that `sub` on another thread's stripe still cancels out in the sum.
    pub(super) fn add(&self, cell: usize, by: u64) {
        self.mine()[cell].fetch_add(by, Relaxed);
    }

    pub(super) fn sub(&self, cell: usize, by: u64) {
        self.mine()[cell].fetch_sub(by, Relaxed);
    }

    /// The row of this thread, for callers that add to several cells at once.
    pub(super) fn mine(&self) -> &[AtomicU64; N] {
        let at = THREAD.with(|number| *number) & (self.stripes.len() - 1);
        &self.stripes[at].0
    }

    /// The sum of a cell that only grows.
    pub(super) fn total(&self, cell: usize) -> u64 {
        self.stripes.iter().fold(0, |sum, stripe| sum.wrapping_add(stripe.0[cell].load(Relaxed)))
    }

    /// The sum of a cell that rises and falls. A fall that is read before its rise counts as zero.
    pub(super) fn level(&self, cell: usize) -> u64 {
        let sum = self.total(cell);
        if sum > u64::MAX / 2 { 0 } else { sum }
    }
}

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Numbers threads as they first count something, so that workers started together get stripes apart.
    static THREAD: usize = THREADS.fetch_add(1, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: no addition is lost, whichever threads count, and a rise on one thread cancels a fall on
    /// another.
    #[test]
    fn sums_over_threads() {
        let row = Striped::<2>::new(Stripes(4));
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        row.add(0, 1);
                        row.add(1, 1);
                    }
                });
            }
        });
        row.sub(1, 5999);
        assert_eq!(row.total(0), 6000);
        assert_eq!(row.level(1), 1);
        row.sub(1, 2);
        assert_eq!(row.level(1), 0);
    }
}
