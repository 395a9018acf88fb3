//! How many requests an upstream bears at once, found from how its latency answers to the load.
//!
//! A gradient limiter in the manner of Gradient2 of Netflix's concurrency-limits and of Envoy's adaptive concurrency
//! filter. Once a round (at least [`ROUND`] and [`SAMPLES_MIN`] answers) the round's median latency is held against
//! that of the upstream at ease:
//!
//! ```text
//! gradient = clamp(TOLERANCE × at ease / now, ½, 1)
//! limit    ← limit + SMOOTHING × (gradient × limit + √limit − limit),   within min and max
//! ```
//!
//! Below the knee the latency is flat, the gradient is 1, and the limit grows by its root; above it requests queue
//! inside the upstream, and the limit comes to rest where the latency is about 1.6 times that at ease. The median,
//! because a few slow requests among many say nothing of the load.
//!
//! What the latency at ease is has to be measured again and again, or an upstream that has become slower would be
//! taken for one that is overloaded. A round in which at most half of the limit was in flight measures it for
//! nothing. Without any for [`EASE_AGE`], the limit is halved for as long as such a round takes: half of where it
//! came to rest is below the knee. (Envoy goes down to a few; half is enough, and the requests above it find room in
//! the queue in front of the upstream.)

use std::num::NonZeroU32;
use std::time::Duration;

use crate::time::Moment;

/// How often the limit is set anew, if there are answers enough.
const ROUND: Duration = Duration::from_millis(100);
/// Answers of which a median says something.
const SAMPLES_MIN: usize = 10;
/// Answers of one round that are looked at; the rest of a busy round is like them.
const SAMPLES_MAX: usize = 64;
/// A round with fewer answers than are needed is thrown away after this long: they are of different times.
const ROUND_MAX: Duration = Duration::from_secs(10);
/// How old the latency at ease may be.
const EASE_AGE: Duration = Duration::from_secs(30);
/// The longest that the limit stays halved.
const PROBE_MAX: Duration = Duration::from_secs(2);
/// Latency above that at ease which is no sign of a queue.
const TOLERANCE: f64 = 1.5;
const SMOOTHING: f64 = 0.2;
/// Where the search begins.
const FIRST: u32 = 20;

/// A limit on requests in flight that finds itself.
#[derive(Clone, Debug)]
pub struct AdaptiveLimit {
    min: u32,
    max: u32,
    /// Between `min` and `max`.
    estimate: f64,
    round: Round,
    /// The upstream's latency while it has nothing to queue, in nanoseconds, and when it was measured.
    at_ease: Option<(u64, Moment)>,
    /// While the limit is halved.
    probe: Option<Probe>,
}

#[derive(Clone, Debug)]
struct Round {
    began: Moment,
    latencies_ns: Vec<u64>,
    in_flight_max: u32,
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    /// Requests that began before this still shared the upstream with those before the probe.
    from: Moment,
    until: Moment,
}

impl AdaptiveLimit {
    /// Between `min` and `max`; a `max` below `min` counts as `min`.
    pub fn new(min: NonZeroU32, max: NonZeroU32) -> Self {
        let (min, max) = (min.get(), max.get().max(min.get()));
        AdaptiveLimit {
            min,
            max,
            estimate: f64::from(FIRST.clamp(min, max)),
            round: Round::beginning(Moment::ORIGIN),
            at_ease: None,
            probe: None,
        }
    }

    /// The same limit with other bounds.
    pub fn within(&self, min: NonZeroU32, max: NonZeroU32) -> Self {
        let (min, max) = (min.get(), max.get().max(min.get()));
        let estimate = self.estimate.clamp(f64::from(min), f64::from(max));
        AdaptiveLimit { min, max, estimate, ..self.clone() }
    }

    /// Requests that may be in flight now.
    pub fn limit(&self) -> u32 {
        match self.probe {
            Some(_) => (self.estimate() / 2).max(self.min),
            None => self.estimate(),
        }
    }

    /// The limit, were it not halved for a while.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between min and max")]
    pub fn estimate(&self) -> u32 {
        self.estimate as u32
    }

    /// Learns from a request that was handed to the upstream at `began`, was answered at `now`, and was one of
    /// `in_flight` then. Not from those that failed, which are quick where the upstream is at its worst.
    pub fn answered(&mut self, began: Moment, now: Moment, in_flight: u32) {
        if self.probe.is_some_and(|probe| began < probe.from) {
            self.end_late_probe(now);
            return;
        }
        self.round.add(began, now, in_flight);
        if self.round.is_over(now) {
            let round = std::mem::replace(&mut self.round, Round::beginning(now));
            self.learn(round, now);
        }
        self.end_late_probe(now);
    }

    fn learn(&mut self, mut round: Round, now: Moment) {
        let Some(latency) = round.median() else { return };
        let probed = self.probe.take().is_some();
        if probed || round.in_flight_max <= self.estimate() / 2 {
            self.at_ease = Some((latency, now));
            return;
        }
        // The first measure is of whatever there is; the next is due at once.
        let (at_ease, measured) = *self.at_ease.get_or_insert((latency, Moment::ORIGIN));
        if latency < at_ease {
            self.at_ease = Some((latency, measured));
        }
        let gradient = (TOLERANCE * as_f64(at_ease) / as_f64(latency.max(1))).clamp(0.5, 1.0);
        let next = gradient * self.estimate + self.estimate.sqrt();
        let estimate = self.estimate + SMOOTHING * (next - self.estimate);
        self.estimate = estimate.clamp(f64::from(self.min), f64::from(self.max));
        if now.since(measured) >= EASE_AGE && self.estimate() > self.min {
            let drained = now.after(Duration::from_nanos(latency));
            let patience = PROBE_MAX.max(Duration::from_nanos(latency).saturating_mul(4));
            self.probe = Some(Probe { from: drained, until: now.after(patience) });
            self.round = Round::beginning(now);
        }
    }

    /// A probe that has seen too little by its end is given up, and what was known stays until the next.
    fn end_late_probe(&mut self, now: Moment) {
        if self.probe.is_some_and(|probe| now >= probe.until) {
            self.probe = None;
            self.round = Round::beginning(now);
            self.at_ease = self.at_ease.map(|(latency, _)| (latency, now));
        }
    }
}

impl Round {
    fn beginning(now: Moment) -> Self {
        Round { began: now, latencies_ns: Vec::with_capacity(SAMPLES_MAX), in_flight_max: 0 }
    }

    fn add(&mut self, began: Moment, now: Moment, in_flight: u32) {
        if now.since(self.began) > ROUND_MAX {
            *self = Round::beginning(now);
        }
        self.in_flight_max = self.in_flight_max.max(in_flight);
        if self.latencies_ns.len() < SAMPLES_MAX {
            self.latencies_ns.push(crate::time::nanos(now.since(began)));
        }
    }

    fn is_over(&self, now: Moment) -> bool {
        now.since(self.began) >= ROUND && self.latencies_ns.len() >= SAMPLES_MIN
    }

    fn median(&mut self) -> Option<u64> {
        let middle = self.latencies_ns.len() / 2;
        let latencies = self.latencies_ns.as_mut_slice();
        (middle < latencies.len()).then(|| *latencies.select_nth_unstable(middle).1)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio needs no more than 53 bits")]
fn as_f64(nanos: u64) -> f64 {
    nanos as f64
}

#[cfg(test)]
mod tests;
