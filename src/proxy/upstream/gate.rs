//! A bound on what is in flight, with a bounded, timed queue in front of it, shared by all workers.
//!
//! Who has the higher priority is let in first, among equals who came first. When the queue is full, whoever comes
//! takes the place of the last in it of the lowest priority, if that is lower than its own.
//!
//! A reload changes its numbers, not who is in flight or waits.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::engine::Busy;
use crate::limit::AdaptiveLimit;
use crate::policy::load::Capacity;
use crate::policy::{Priority, Queue};
use crate::time::Moment;

/// Why nobody was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    #[error("every place is taken and the queue is full")]
    QueueFull,
    #[error("the queue is full, and another request with a higher priority came")]
    Displaced,
    #[error("no place came free in time")]
    TimedOut,
}

/// Lets at most so many in at once; the others wait.
#[derive(Debug)]
pub struct Gate {
    inside: Mutex<Inside>,
    is_adaptive: AtomicBool,
}

#[derive(Debug)]
struct Inside {
    places: Places,
    queue: Queue,
    taken: u32,
    /// By priority, from the lowest; each in order of arrival. Empty while a place is free.
    queues: [BTreeMap<u64, oneshot::Sender<Answer>>; Priority::ALL.len()],
    /// The number of the next that waits.
    next: u64,
    pace: Pace,
}

/// How fast places come free, measured while somebody asks.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    /// Since when `left` is counted.
    since: Moment,
    left: u32,
    /// Of the last period.
    per_second: Option<f64>,
}

/// A pace is that of at least this long, and of no longer than ten times that.
const PACE_PERIOD: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
enum Places {
    Fixed(u32),
    Adaptive(AdaptiveLimit),
}

type Answer = Result<(), GateError>;

impl Gate {
    pub fn new(places: NonZeroU32, queue: Queue) -> Self {
        Gate::with(Places::Fixed(places.get()), queue)
    }

    /// The gate of a capacity that is bounded: the one from `before`, with all who are in flight or wait, and with what
    /// it had found of a capacity that finds itself.
    pub fn of(capacity: Capacity, queue: Queue, before: Option<&Arc<Gate>>) -> Option<Arc<Self>> {
        let places = match capacity {
            Capacity::Unbounded => return None,
            Capacity::Fixed(places) => Places::Fixed(places.get()),
            Capacity::Adaptive { min, max } => Places::Adaptive(match before.map(|before| before.places()) {
                Some(Places::Adaptive(found)) => found.within(min, max),
                _ => AdaptiveLimit::new(min, max),
            }),
        };
        let Some(before) = before else { return Some(Arc::new(Gate::with(places, queue))) };
        before.change(places, queue);
        Some(Arc::clone(before))
    }

    /// The gate of a server: the one from `before` if there is one, with all who are in flight or wait.
    pub fn of_server(places: NonZeroU32, queue: Queue, before: Option<&Arc<Gate>>) -> Arc<Self> {
        let Some(before) = before else { return Arc::new(Gate::new(places, queue)) };
        before.change(Places::Fixed(places.get()), queue);
        Arc::clone(before)
    }

    fn with(places: Places, queue: Queue) -> Self {
        let is_adaptive = AtomicBool::new(matches!(places, Places::Adaptive(_)));
        let inside =
            Inside { places, queue, taken: 0, queues: Default::default(), next: 0, pace: Pace::default() };
        Gate { inside: Mutex::new(inside), is_adaptive }
    }

    /// Other numbers, from now on: fewer places let nobody in until enough have left, more do so at once.
    fn change(&self, places: Places, queue: Queue) {
        let mut inside = self.inside.lock();
        self.is_adaptive.store(matches!(places, Places::Adaptive(_)), Ordering::Relaxed);
        (inside.places, inside.queue) = (places, queue);
        inside.let_in();
    }

    /// Whether somebody would be let in at once.
    pub fn has_room(&self) -> bool {
        self.inside.lock().has_room()
    }

    /// Takes a place, to be given back with [`Gate::leave`] exactly once.
    pub async fn enter(&self, priority: Priority) -> Result<(), GateError> {
        let Some(mut turn) = self.enter_or_queue(priority)? else { return Ok(()) };
        match timeout(turn.patience, &mut turn.answer).await {
            Ok(Ok(answer)) => answer,
            // Nobody drops the other end without an answer; if somebody did, there is no place.
            Ok(Err(_)) => Err(GateError::QueueFull),
            Err(_elapsed) => Err(GateError::TimedOut),
        }
    }

    pub fn leave(&self) {
        let mut inside = self.inside.lock();
        inside.taken = inside.taken.saturating_sub(1);
        inside.pace.left = inside.pace.left.saturating_add(1);
        inside.let_in();
    }

    /// Learns from a request that was handed over at `began` and answered at `now`, where the capacity finds itself.
    pub fn answered(&self, began: Moment, now: Moment) {
        if !self.is_adaptive.load(Ordering::Relaxed) {
            return;
        }
        let mut inside = self.inside.lock();
        let taken = inside.taken;
        if let Places::Adaptive(limit) = &mut inside.places {
            limit.answered(began, now, taken);
        }
        inside.let_in();
    }

    pub fn busy(&self) -> Busy {
        let inside = self.inside.lock();
        let capacity = match &inside.places {
            Places::Fixed(places) => *places,
            // Not what it is halved to for a moment.
            Places::Adaptive(limit) => limit.estimate(),
        };
        Busy { in_flight: inside.taken, capacity }
    }

    /// When all who wait now will have been let in, at the pace at which places came free lately; no later than the
    /// last of them gives up. `None` until somebody has asked for a second.
    pub fn drained_in(&self, now: Moment) -> Option<Duration> {
        let mut inside = self.inside.lock();
        let per_second = inside.pace.at(now).filter(|pace| *pace > 0.0)?;
        let waiting = u32::try_from(inside.waiting()).unwrap_or(u32::MAX);
        let seconds = f64::from(waiting.saturating_add(1)) / per_second;
        Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).min(inside.queue.timeout))
    }

    pub fn waiting(&self) -> u32 {
        u32::try_from(self.inside.lock().waiting()).unwrap_or(u32::MAX)
    }

    fn places(&self) -> Places {
        self.inside.lock().places.clone()
    }

    /// A place at once, or a turn to wait for.
    fn enter_or_queue(&self, priority: Priority) -> Result<Option<Turn<'_>>, GateError> {
        let mut inside = self.inside.lock();
        if inside.has_room() {
            inside.taken += 1;
            return Ok(None);
        }
        let is_full = inside.waiting() >= usize::try_from(inside.queue.length_max).unwrap_or(usize::MAX);
        if is_full && !inside.displace(priority) {
            return Err(GateError::QueueFull);
        }
        let (tell, answer) = oneshot::channel();
        let number = inside.next;
        inside.next += 1;
        inside.queues[priority as usize].insert(number, tell);
        Ok(Some(Turn { gate: self, priority, number, patience: inside.queue.timeout, answer }))
    }
}

impl Pace {
    fn at(&mut self, now: Moment) -> Option<f64> {
        let passed = now.since(self.since);
        if passed >= PACE_PERIOD {
            // What was counted over a long calm says nothing of now.
            let lately = passed <= 10 * PACE_PERIOD;
            let per_second = lately.then(|| f64::from(self.left) / passed.as_secs_f64());
            *self = Pace { since: now, left: 0, per_second };
        }
        self.per_second
    }
}

impl Inside {
    fn has_room(&self) -> bool {
        let places = match &self.places {
            Places::Fixed(places) => *places,
            Places::Adaptive(limit) => limit.limit(),
        };
        self.taken < places
    }

    fn waiting(&self) -> usize {
        self.queues.iter().map(BTreeMap::len).sum()
    }

    fn let_in(&mut self) {
        while self.has_room() {
            let Some((_, next)) = self.queues.iter_mut().rev().find_map(BTreeMap::pop_first) else { return };
            if next.send(Ok(())).is_ok() {
                self.taken += 1;
            }
        }
    }

    /// Sends away the last of the lowest priority that is below `priority`.
    fn displace(&mut self, priority: Priority) -> bool {
        let lower = &mut self.queues[..priority as usize];
        let Some((_, last)) = lower.iter_mut().find_map(BTreeMap::pop_last) else { return false };
        // Whoever waits for it takes itself out of the queue before it goes.
        let _ = last.send(Err(GateError::Displaced));
        true
    }
}

/// A stay in the queue; a client that vanishes while waiting leaves it too.
struct Turn<'a> {
    gate: &'a Gate,
    priority: Priority,
    number: u64,
    patience: Duration,
    answer: oneshot::Receiver<Answer>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let left = self.gate.inside.lock().queues[self.priority as usize].remove(&self.number);
        // Answers are given under the lock: who is no longer queued has one, taken or not.
        if left.is_none() && matches!(self.answer.try_recv(), Ok(Ok(()))) {
            self.gate.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;
    use Priority::{Batch, High, Normal};

    fn gate(places: u32, length_max: u32) -> Gate {
        let queue = Queue { length_max, timeout: Duration::from_secs(1) };
        Gate::new(NonZeroU32::new(places).unwrap(), queue)
    }

    /// Begins to wait.
    macro_rules! wait {
        ($waiting:expr) => {
            tokio::select! {
                biased;
                _ = &mut $waiting => panic!("let in beyond its places"),
                () = ready(()) => {}
            }
        };
    }

    /// Promise: never more in flight than places, the queue is bounded, and a place given back goes to
    /// whoever waited first.
    #[tokio::test(start_paused = true)]
    async fn bounds_places_and_queue() {
        let gate = gate(1, 1);
        gate.enter(Normal).await.unwrap();
        let mut second = Box::pin(gate.enter(Normal));
        wait!(second);
        assert_eq!(gate.enter(Normal).await, Err(GateError::QueueFull));
        gate.leave();
        assert_eq!(second.await, Ok(()));
        assert_eq!(gate.busy(), Busy { in_flight: 1, capacity: 1 });
    }

    /// Promise: nobody waits longer than the queue's timeout, and who gave up no longer takes up the queue.
    #[tokio::test(start_paused = true)]
    async fn waits_no_longer_than_told() {
        let gate = gate(1, 1);
        gate.enter(Normal).await.unwrap();
        assert_eq!(gate.enter(Normal).await, Err(GateError::TimedOut));
        assert_eq!(gate.waiting(), 0);
    }

    /// Promise: the higher priority is let in first, among equals who came first.
    #[tokio::test(start_paused = true)]
    async fn lets_the_higher_priority_in_first() {
        let gate = gate(1, 8);
        gate.enter(Normal).await.unwrap();
        let order = Mutex::new(Vec::new());
        let visits =
            [(Batch, 0), (Normal, 1), (High, 2), (Normal, 3), (High, 4)].map(|(priority, number)| {
                let (gate, order) = (&gate, &order);
                async move {
                    gate.enter(priority).await.unwrap();
                    order.lock().push(number);
                    gate.leave();
                }
            });
        let [first, second, third, fourth, fifth] = visits;
        let go = async { gate.leave() };
        tokio::join!(biased; first, second, third, fourth, fifth, go);
        assert_eq!(*order.lock(), [2, 4, 1, 3, 0]);
        assert_eq!(gate.busy().in_flight, 0);
    }

    /// Promise: what is shed when the queue is full is of the lowest priority, and of that the last; nobody makes
    /// room for an equal.
    #[tokio::test(start_paused = true)]
    async fn sheds_the_lowest_priority_first() {
        let gate = gate(1, 3);
        gate.enter(Normal).await.unwrap();
        let mut first = Box::pin(gate.enter(Batch));
        let mut second = Box::pin(gate.enter(Batch));
        let mut third = Box::pin(gate.enter(Normal));
        wait!(first);
        wait!(second);
        wait!(third);
        assert_eq!(gate.enter(Batch).await, Err(GateError::QueueFull));
        let mut high = Box::pin(gate.enter(High));
        wait!(high);
        assert_eq!(second.await, Err(GateError::Displaced));
        let mut normal = Box::pin(gate.enter(Normal));
        wait!(normal);
        assert_eq!(first.await, Err(GateError::Displaced));
        assert_eq!(gate.enter(Normal).await, Err(GateError::QueueFull), "a normal one displaces no other");
        assert_eq!(gate.waiting(), 3);
    }

    /// Promise: a client that vanishes, waiting or already let in, takes no place along.
    #[tokio::test(start_paused = true)]
    async fn who_vanishes_gives_up_the_place() {
        let gate = gate(1, 2);
        gate.enter(Normal).await.unwrap();
        let (mut waiting, mut let_in) = (Box::pin(gate.enter(Batch)), Box::pin(gate.enter(High)));
        wait!(waiting);
        wait!(let_in);
        drop(waiting);
        assert_eq!(gate.waiting(), 1);
        gate.leave();
        assert_eq!(gate.busy().in_flight, 1, "the place is another's, who does not know it yet");
        drop(let_in);
        assert_eq!(gate.busy().in_flight, 0);
    }

    /// Promise 3: a reload keeps who is in flight and who waits: with fewer places nobody is let in until enough have left,
    /// with more whoever waits is let in at once.
    #[tokio::test(start_paused = true)]
    async fn a_reload_keeps_who_is_in_flight() {
        let queue = Queue { length_max: 9, timeout: Duration::from_secs(1) };
        let of = |places: u32, before: Option<&Arc<Gate>>| {
            Gate::of(Capacity::Fixed(NonZeroU32::new(places).unwrap()), queue, before).unwrap()
        };
        let before = of(2, None);
        before.enter(Normal).await.unwrap();
        before.enter(Normal).await.unwrap();
        let fewer = of(1, Some(&before));
        let mut waiting = Box::pin(fewer.enter(Normal));
        wait!(waiting);
        // Whoever came in before the reload leaves by the gate as it is now.
        before.leave();
        wait!(waiting);
        let more = of(2, Some(&fewer));
        assert_eq!(waiting.await, Ok(()));
        assert_eq!(more.busy(), Busy { in_flight: 2, capacity: 2 });
    }

    /// Promise: who is turned away is told when the queue will have been let in, at the pace of the last seconds: with two
    /// leaving in a second and three waiting, the fourth would have its turn after two seconds.
    #[tokio::test(start_paused = true)]
    async fn a_full_queue_says_when_it_will_be_empty() {
        let gate = gate(1, 9);
        let at = |ms: u64| Moment::from_nanos(ms * 1_000_000);
        gate.enter(Normal).await.unwrap();
        assert_eq!(gate.drained_in(at(60_000)), None, "nobody asked before");
        for _ in 0..2 {
            gate.leave();
            gate.enter(Normal).await.unwrap();
        }
        let mut waiting = (0..3).map(|_| Box::pin(gate.enter(Normal))).collect::<Vec<_>>();
        for mut one in &mut waiting {
            wait!(one);
        }
        // The last of them gives up after a second.
        assert_eq!(gate.drained_in(at(61_000)), Some(Duration::from_secs(1)));
        gate.change(Places::Fixed(1), Queue { length_max: 9, timeout: Duration::from_secs(60) });
        assert_eq!(gate.drained_in(at(61_000)), Some(Duration::from_secs(2)));
    }

    /// Promise: a capacity that finds itself lets those in who wait when it has grown.
    #[tokio::test(start_paused = true)]
    async fn a_grown_capacity_lets_in_who_waits() {
        let one = NonZeroU32::MIN;
        let (max, queue) =
            (NonZeroU32::new(64).unwrap(), Queue { length_max: 9, timeout: Duration::from_secs(1) });
        let gate = Gate::of(Capacity::Adaptive { min: one, max }, queue, None).unwrap();
        for _ in 0..gate.busy().capacity {
            gate.enter(Normal).await.unwrap();
        }
        let mut waiting = Box::pin(gate.enter(Normal));
        wait!(waiting);
        for round in 1..50_u64 {
            for _ in 0..10 {
                let now = Moment::from_nanos(round * 200_000_000);
                gate.answered(Moment::from_nanos(now.as_nanos() - 5_000_000), now);
            }
        }
        assert_eq!(waiting.await, Ok(()));
    }
}
