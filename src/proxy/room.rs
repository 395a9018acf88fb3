//! Room for clients: how many may be connected, in all and from one place, and how many may still be shaking hands.
//!
//! Counting is bounded by what is counted: a client is remembered while it is connected, so no flood of addresses can
//! grow the table beyond the connections that are let in. A drain waits here for the last to leave.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ahash::RandomState;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::facts::Client;
use crate::policy::ConnectionLimits;

/// Parts of the table, so that workers seldom wait for each other.
const SHARDS: usize = 16;

/// Who is connected, over all workers.
#[derive(Debug)]
pub struct Room {
    open: AtomicUsize,
    fewer: Notify,
    /// Without a bound of the operator's.
    open_max: usize,
    by_client: [Mutex<HashMap<Client, u32, RandomState>>; SHARDS],
    hash: RandomState,
    handshakes: Mutex<Handshakes>,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// As many as may are connected.
    All,
    /// As many as may are connected from there.
    Client,
}

impl Room {
    /// For a process that may have `files_max` files open: half of them are clients'.
    pub fn new(files_max: u64) -> Self {
        Room {
            open: AtomicUsize::new(0),
            fewer: Notify::new(),
            open_max: usize::try_from(files_max / 2).unwrap_or(usize::MAX).max(1),
            by_client: Default::default(),
            hash: RandomState::new(),
            handshakes: Mutex::default(),
        }
    }

    /// A seat for a connection of whomever; its client is named once it is known.
    pub fn enter(self: &Arc<Self>, limits: &ConnectionLimits) -> Result<Seat, Full> {
        let most = limits.max.and_then(|max| usize::try_from(max.get()).ok()).unwrap_or(self.open_max);
        let before = self.open.fetch_add(1, Ordering::AcqRel);
        let seat = Seat { room: Arc::clone(self), client: None };
        if before < most { Ok(seat) } else { Err(Full::All) }
    }

    /// Connections that have a seat.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Returns once every seat is given back.
    pub async fn none_left(&self) {
        loop {
            let fewer = self.fewer.notified();
            if self.open() == 0 {
                return;
            }
            fewer.await;
        }
    }

    /// A connection begins to shake hands. Where `most` do so already, the one that began first is displaced.
    pub fn begin_handshake(self: &Arc<Self>, most: NonZeroU32) -> Handshake {
        let displaced = Arc::new(Notify::new());
        let mut handshakes = self.handshakes.lock();
        let most = usize::try_from(most.get()).unwrap_or(usize::MAX);
        while handshakes.running.len() >= most {
            let Some((_, oldest)) = handshakes.running.pop_first() else { break };
            oldest.notify_one();
        }
        let id = handshakes.next;
        handshakes.next += 1;
        handshakes.running.insert(id, Arc::clone(&displaced));
        Handshake { room: Arc::clone(self), id, displaced }
    }

    fn shard(&self, client: Client) -> &Mutex<HashMap<Client, u32, RandomState>> {
        let at = self.hash.hash_one(client) % SHARDS as u64;
        // The remainder is an index whatever the hash.
        &self.by_client[usize::try_from(at).unwrap_or(0)]
    }
}

/// A connection's place in the room, given back on drop.
#[derive(Debug)]
pub struct Seat {
    room: Arc<Room>,
    client: Option<Client>,
}

impl Seat {
    /// Takes the seat as one of at most `most` of `client`.
    pub fn of(mut self, client: Client, most: Option<NonZeroU32>) -> Result<Self, Full> {
        {
            let mut counts = self.room.shard(client).lock();
            let count = counts.entry(client).or_default();
            if most.is_some_and(|most| *count >= most.get()) {
                return Err(Full::Client);
            }
            *count += 1;
        }
        self.client = Some(client);
        Ok(self)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(client) = self.client {
            let mut counts = self.room.shard(client).lock();
            if let Some(count) = counts.get_mut(&client) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    counts.remove(&client);
                }
            }
        }
        if self.room.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.room.fewer.notify_waiters();
        }
    }
}

#[derive(Debug, Default)]
struct Handshakes {
    next: u64,
    /// In the order in which they began.
    running: BTreeMap<u64, Arc<Notify>>,
}

/// A handshake in progress.
#[derive(Debug)]
pub struct Handshake {
    room: Arc<Room>,
    id: u64,
    displaced: Arc<Notify>,
}

/// Why a handshake came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeEnd {
    TimedOut,
    /// Too many others began after it.
    Displaced,
}

impl Handshake {
    /// What `future` gives, unless it takes longer than `time` or its turn is needed by another.
    pub async fn within<F: Future>(self, time: Duration, future: F) -> Result<F::Output, HandshakeEnd> {
        tokio::select! {
            biased;
            output = timeout(time, future) => output.map_err(|_elapsed| HandshakeEnd::TimedOut),
            () = self.displaced.notified() => Err(HandshakeEnd::Displaced),
        }
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.room.handshakes.lock().running.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const MANY: NonZeroU32 = NonZeroU32::new(1000).unwrap();
    const TWO: NonZeroU32 = NonZeroU32::new(2).unwrap();

    fn client(last: u8) -> Client {
        Client::fold(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 32, 64)
    }

    fn limits(max: Option<NonZeroU32>) -> ConnectionLimits {
        ConnectionLimits { max, ..ConnectionLimits::default() }
    }

    /// Promise: no more are let in than may be, whoever they are, and a seat given back is one for the next.
    #[test]
    fn all_together_are_bounded() {
        let room = Arc::new(Room::new(1000));
        let seats = [room.enter(&limits(Some(TWO))).unwrap(), room.enter(&limits(Some(TWO))).unwrap()];
        assert_eq!(room.enter(&limits(Some(TWO))).unwrap_err(), Full::All);
        assert_eq!(room.open(), 2, "who was refused has no seat");
        drop(seats);
        assert!(room.enter(&limits(Some(TWO))).is_ok());
    }

    /// Promise: without a bound of the operator's, half of the files are left for servers.
    #[test]
    fn files_bound_what_nobody_bounds() {
        let room = Arc::new(Room::new(5));
        let _seats = [room.enter(&limits(None)).unwrap(), room.enter(&limits(None)).unwrap()];
        assert_eq!(room.enter(&limits(None)).unwrap_err(), Full::All);
    }

    /// Promise: one client's connections are bounded and are nobody else's; who has left is not remembered.
    #[test]
    fn each_client_is_bounded_by_itself() {
        let room = Arc::new(Room::new(1000));
        let enter = |last, most| room.enter(&limits(Some(MANY))).unwrap().of(client(last), most);
        let seats = [enter(1, Some(TWO)).unwrap(), enter(1, Some(TWO)).unwrap()];
        assert_eq!(enter(1, Some(TWO)).unwrap_err(), Full::Client);
        let others = [enter(2, Some(TWO)).unwrap(), enter(1, None).unwrap()];
        assert_eq!(room.open(), 4);
        drop((seats, others));
        assert_eq!(room.open(), 0);
        assert!(room.by_client.iter().all(|shard| shard.lock().is_empty()));
    }

    /// Promise: a flood of handshakes displaces those that have waited longest, and no others.
    #[tokio::test]
    async fn the_oldest_handshake_gives_way() {
        let room = Arc::new(Room::new(1000));
        let [first, second] = [room.begin_handshake(TWO), room.begin_handshake(TWO)];
        let third = room.begin_handshake(TWO);
        let hour = Duration::from_secs(3600);
        assert_eq!(first.within(hour, pending::<()>()).await, Err(HandshakeEnd::Displaced));
        assert_eq!(second.within(hour, async { 2 }).await, Ok(2));
        assert_eq!(third.within(hour, async { 3 }).await, Ok(3));
        assert!(room.handshakes.lock().running.is_empty());
    }

    /// Promise: a handshake has an end, whoever forgets it.
    #[tokio::test(start_paused = true)]
    async fn handshakes_have_a_deadline() {
        let room = Arc::new(Room::new(1000));
        let late = room.begin_handshake(TWO).within(Duration::from_secs(10), pending::<()>());
        assert_eq!(late.await, Err(HandshakeEnd::TimedOut));
    }

    /// Promise: a drain sees the last one leave.
    #[tokio::test]
    async fn a_drain_waits_for_the_last() {
        let room = Arc::new(Room::new(1000));
        room.none_left().await;
        let seat = room.enter(&limits(None)).unwrap();
        let waiting = tokio::spawn({
            let room = Arc::clone(&room);
            async move { room.none_left().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(seat);
        waiting.await.unwrap();
    }
}
