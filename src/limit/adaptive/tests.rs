//! The limiter in front of a simulated server: so many requests at once at full speed, the others in its queue.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

const MS: u64 = 1_000_000;
const S: u64 = 1000 * MS;

fn seeded(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(0x6b6e_6565),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn limiter(min: u32, max: u32) -> AdaptiveLimit {
    AdaptiveLimit::new(NonZeroU32::new(min).unwrap(), NonZeroU32::new(max).unwrap())
}

/// A server that works on `workers` requests at once, first come, first served, each for about `service_ns`. Its
/// knee is `workers`: with more in flight, the latency rises and nothing else.
struct Server {
    workers: usize,
    service_ns: u64,
    /// Of those in work: when it ends, when it was handed over.
    working: BinaryHeap<Reverse<(u64, u64)>>,
    queue: VecDeque<u64>,
    random: generator::Random,
}

/// A small generator, so that the same seed gives the same run.
mod generator {
    /// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    pub(super) struct Random(pub(super) u64);

    impl Random {
        pub(super) fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }
    }
}

impl Server {
    fn new(workers: usize, service_ns: u64, seed: u64) -> Self {
        Server {
            workers,
            service_ns,
            working: BinaryHeap::new(),
            queue: VecDeque::new(),
            random: generator::Random(seed),
        }
    }

    fn in_flight(&self) -> u32 {
        u32::try_from(self.working.len() + self.queue.len()).unwrap()
    }

    fn send(&mut self, now: u64) {
        if self.working.len() < self.workers {
            self.work(now, now);
        } else {
            self.queue.push_back(now);
        }
    }

    /// Between three and five quarters of the service time.
    fn work(&mut self, now: u64, sent: u64) {
        let spread = self.random.next() % (self.service_ns / 2);
        self.working.push(Reverse((now + self.service_ns * 3 / 4 + spread, sent)));
    }

    fn next_end(&self) -> Option<u64> {
        self.working.peek().map(|Reverse((end, _))| *end)
    }

    /// Ends the request that is due next; gives when it was sent.
    fn end(&mut self) -> u64 {
        let Reverse((now, sent)) = self.working.pop().unwrap();
        if let Some(waiting) = self.queue.pop_front() {
            self.work(now, waiting);
        }
        sent
    }
}

/// Whoever would send at any time is waiting already: as many are in flight as the limit allows, until `until`.
fn saturate(limiter: &mut AdaptiveLimit, server: &mut Server, mut now: u64, until: u64) -> u64 {
    while now < until {
        while server.in_flight() < limiter.limit() {
            server.send(now);
        }
        now = server.next_end().unwrap();
        let in_flight = server.in_flight();
        let sent = server.end();
        limiter.answered(Moment::from_nanos(sent), Moment::from_nanos(now), in_flight);
    }
    now
}

/// Requests that come in bursts of `size`, one every `every_ns`; those above the limit are not sent.
fn bursts(limiter: &mut AdaptiveLimit, server: &mut Server, from: u64, until: u64, size: u32, every_ns: u64) {
    let mut next_burst = from;
    while next_burst < until {
        if let Some(now) = server.next_end().filter(|end| *end <= next_burst) {
            let in_flight = server.in_flight();
            let sent = server.end();
            limiter.answered(Moment::from_nanos(sent), Moment::from_nanos(now), in_flight);
        } else {
            let room = limiter.limit().saturating_sub(server.in_flight());
            (0..size.min(room)).for_each(|_| server.send(next_burst));
            next_burst += every_ns;
        }
    }
}

proptest! {
    #![proptest_config(seeded(12))]

    /// Promise: under load without end the limit comes to rest near the knee: never so low that the server idles, and
    /// not above 2.2 times the knee (or 24, where the knee is lower than that explains), for minutes on end.
    #[test]
    fn rests_near_the_knee(knee in 8..200_usize, service_ms in 5..200_u64, seed in any::<u64>()) {
        let (mut limiter, mut server) = (limiter(4, 1000), Server::new(knee, service_ms * MS, seed));
        let mut now = saturate(&mut limiter, &mut server, 0, 60 * S);
        let knee = u32::try_from(knee).unwrap();
        for _ in 0..10 {
            now = saturate(&mut limiter, &mut server, now, now + 10 * S);
            let found = limiter.estimate();
            prop_assert!(found >= knee, "{found} for a knee of {knee} after {} s", now / S);
            prop_assert!(found <= (knee * 22 / 10).max(24), "{found} for a knee of {knee} after {} s", now / S);
        }
    }

    /// Promise: when the server becomes four times slower for a while, or loses three quarters of its workers, the
    /// limit is near the knee again within two minutes of its recovery.
    #[test]
    fn recovers_from_a_bad_while(knee in 16..120_usize, workers_lost in any::<bool>(), seed in any::<u64>()) {
        let (mut limiter, mut server) = (limiter(4, 1000), Server::new(knee, 20 * MS, seed));
        let now = saturate(&mut limiter, &mut server, 0, 60 * S);
        if workers_lost { server.workers /= 4 } else { server.service_ns *= 4 }
        let now = saturate(&mut limiter, &mut server, now, now + 60 * S);
        (server.workers, server.service_ns) = (knee, 20 * MS);
        let waiting: Vec<u64> = server.queue.drain(..).collect();
        for sent in waiting {
            server.work(now, sent);
        }
        saturate(&mut limiter, &mut server, now, now + 120 * S);
        let (found, knee) = (limiter.estimate(), u32::try_from(knee).unwrap());
        prop_assert!(found >= knee && found <= (knee * 22 / 10).max(24), "{found} for a knee of {knee}");
    }

    /// Promise: a server that has become slower for good, and bears as many as before, keeps about its limit.
    #[test]
    fn slower_is_not_overloaded(knee in 16..120_usize, seed in any::<u64>()) {
        let (mut limiter, mut server) = (limiter(4, 1000), Server::new(knee, 10 * MS, seed));
        let now = saturate(&mut limiter, &mut server, 0, 60 * S);
        server.service_ns *= 3;
        saturate(&mut limiter, &mut server, now, now + 180 * S);
        let (found, knee) = (limiter.estimate(), u32::try_from(knee).unwrap());
        prop_assert!(found >= knee && found <= (knee * 22 / 10).max(24), "{found} for a knee of {knee}");
    }

    /// Promise: light load in bursts that the server bears does not make the limit collapse: it is never lower than
    /// where it began.
    #[test]
    fn light_bursts_cost_nothing(size in 1..16_u32, every_ms in 20..2000_u64, seed in any::<u64>()) {
        let (mut limiter, mut server) = (limiter(4, 1000), Server::new(16, 10 * MS, seed));
        for minute in 0..10 {
            let from = minute * 60 * S;
            bursts(&mut limiter, &mut server, from, from + 60 * S, size, every_ms * MS);
            prop_assert!(limiter.estimate() >= FIRST, "{} after {} minutes", limiter.estimate(), minute + 1);
        }
    }

    /// Promise: whatever is answered when, the limit stays within its bounds.
    #[test]
    fn stays_within_its_bounds(
        (min, max) in (1..50_u32, 1..50_u32),
        answers in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u32>()), 0..400),
    ) {
        let mut limiter = limiter(min, max);
        for (began, now, in_flight) in answers {
            limiter.answered(Moment::from_nanos(began), Moment::from_nanos(now), in_flight);
            prop_assert!((min..=max.max(min)).contains(&limiter.limit()));
        }
    }
}
