//! A bound on what is in flight, with a bounded, timed queue in front of it, shared by all workers.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::policy::Queue;

/// Why nobody was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    #[error("every place is taken and the queue is full")]
    QueueFull,
    #[error("no place came free in time")]
    TimedOut,
}

/// Lets at most `places` in at once; the others wait in order of arrival.
#[derive(Debug)]
pub struct Gate {
    places: Semaphore,
    waiting: AtomicU32,
    queue: Queue,
}

impl Gate {
    pub fn new(places: NonZeroU32, queue: Queue) -> Self {
        let places = usize::try_from(places.get()).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Gate { places: Semaphore::new(places), waiting: AtomicU32::new(0), queue }
    }

    /// Whether somebody would be let in at once.
    pub fn has_room(&self) -> bool {
        self.places.available_permits() > 0
    }

    /// Takes a place, to be given back with [`Gate::leave`] exactly once.
    pub async fn enter(&self) -> Result<(), GateError> {
        if let Ok(place) = self.places.try_acquire() {
            place.forget();
            return Ok(());
        }
        let _waiting = Waiting::join(&self.waiting, self.queue.length_max)?;
        match timeout(self.queue.timeout, self.places.acquire()).await {
            Ok(Ok(place)) => {
                place.forget();
                Ok(())
            }
            // The semaphore is never closed; were it, nobody would be let in.
            Ok(Err(_closed)) => Err(GateError::QueueFull),
            Err(_elapsed) => Err(GateError::TimedOut),
        }
    }

    pub fn leave(&self) {
        self.places.add_permits(1);
    }

    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// A stay in the queue; a client that vanishes while waiting leaves it too.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn join(count: &'a AtomicU32, max: u32) -> Result<Self, GateError> {
        count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < max).then_some(n + 1))
            .map(|_| Waiting(count))
            .map_err(|_| GateError::QueueFull)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn gate(places: u32, length_max: u32) -> Gate {
        let queue = Queue { length_max, timeout: Duration::from_secs(1) };
        Gate::new(NonZeroU32::new(places).unwrap(), queue)
    }

    /// Promise: never more in flight than places, the queue is bounded, and a place given back goes to
    /// whoever waited first.
    #[tokio::test(start_paused = true)]
    async fn bounds_places_and_queue() {
        let gate = gate(1, 1);
        gate.enter().await.unwrap();
        let mut second = Box::pin(gate.enter());
        tokio::select! {
            biased;
            _ = &mut second => panic!("let in beyond its places"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(gate.enter().await, Err(GateError::QueueFull));
        gate.leave();
        assert_eq!(second.await, Ok(()));
    }

    /// Promise: nobody waits longer than the queue's timeout, and who gave up no longer takes up the queue.
    #[tokio::test(start_paused = true)]
    async fn waits_no_longer_than_told() {
        let gate = gate(1, 1);
        gate.enter().await.unwrap();
        assert_eq!(gate.enter().await, Err(GateError::TimedOut));
        assert_eq!(gate.waiting(), 0);
    }
}
