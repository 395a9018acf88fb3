//! What an admitted request holds until it ends.

use std::sync::Arc;
use std::time::Duration;

use super::load::Seats;
use super::names::SlotKey;
use super::table::Table;
use super::watch::Watched;
use crate::facts::{Outcome, Principal};
use crate::limit::Rule;
use crate::policy::Cost;
use crate::time::{Moment, nanos};

/// Of upstream time. A finer one would need cells of twice the size.
const NANOS_PER_UNIT: u64 = 1_000;

/// What an admitted request holds until it ends. Dropping it releases the same, once: of a cost that is known only
/// afterwards, what was reserved is then taken for what was spent.
///
/// A request that nothing counts as in flight holds nothing, and its ticket costs nothing.
#[derive(Debug, Default)]
#[must_use]
pub struct Ticket {
    held: Option<Box<Held>>,
    /// Where it counts as load on its upstream.
    load: Seats,
    /// For how long a refusal asks to stay away.
    told: Option<Duration>,
    watched: Option<Box<Watched>>,
}

#[derive(Debug)]
struct Held {
    table: Arc<Table>,
    places: Places,
}

/// The cells in which a request counts as in flight; most requests have none, and then nothing is allocated.
pub(super) type Places = Vec<Place>;

/// One cell in which a request counts as in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) principal: Principal,
    pub(super) slot: SlotKey,
    pub(super) rule: Rule,
    pub(super) cost: Cost,
    pub(super) reserved: u64,
    pub(super) since: Moment,
}

impl Ticket {
    pub(super) fn new(table: &Arc<Table>, places: Places) -> Self {
        let held = (!places.is_empty()).then(|| Box::new(Held { table: Arc::clone(table), places }));
        Ticket { held, load: Seats::default(), told: None, watched: None }
    }

    /// The same, counted as load as well.
    pub(super) fn loading(self, load: Seats) -> Self {
        let mut ticket = self;
        ticket.load = load;
        ticket
    }

    /// The same, of a request that is refused.
    pub(super) fn telling(self, told: Option<Duration>) -> Self {
        let mut ticket = self;
        ticket.told = told;
        ticket
    }

    /// The same, seen by detectors.
    pub(super) fn watched(self, watched: Watched) -> Self {
        let mut ticket = self;
        ticket.watched = Some(Box::new(watched));
        ticket
    }

    /// Ends the request with what it has cost. What detectors are to see of it, and for how long it was refused.
    pub(super) fn settle(mut self, outcome: &Outcome) -> Option<(Box<Watched>, Option<Duration>)> {
        std::mem::take(&mut self.load).settle(outcome);
        if let Some(held) = self.held.take() {
            held.end(|place| (place.cost_of(outcome), outcome.at));
        }
        self.watched.take().map(|watched| (watched, self.told))
    }
}

impl Held {
    fn end(&self, spent: impl Fn(&Place) -> (u64, Moment)) {
        for place in &self.places {
            let (spent, at) = spent(place);
            self.table.revisit(place.principal, at, |record| record.release(place, spent, at));
        }
    }
}

impl Place {
    fn cost_of(&self, outcome: &Outcome) -> u64 {
        match self.cost {
            Cost::Requests => 1,
            Cost::RequestBytes => outcome.request_bytes,
            Cost::ResponseBytes => outcome.response_bytes,
            Cost::Bytes => outcome.request_bytes.saturating_add(outcome.response_bytes),
            Cost::UpstreamTime => nanos(outcome.upstream_time).div_ceil(NANOS_PER_UNIT),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            held.end(|place| (place.reserved, place.since));
        }
    }
}
