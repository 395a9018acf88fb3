//! Where somebody went: what only a second page view needs.

use std::time::Duration;

use super::conduct::Event;
use super::counters::{Counters, Tally as _};
use super::sight::{Kind, MethodClass};
use super::site::Origin;
use crate::time::Moment;
use crate::window::{Distinct, Horizons, Intervals, Recent};

/// Steps between ids that are neighbours.
const STEP_MAX: u64 = 4;
/// Nobody who looks at an error asks for the same again so soon.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Pages and calls, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    /// Targets that were fetched.
    fetched: Distinct<32>,
    pub(super) failed: Recent<16>,
    pub templates: Recent<16>,
    pub rate: Horizons,
    pub intervals: Intervals,
    last: Last,
    /// How many ids went on from the ones before, up to now.
    pub run: u16,
    /// How often the same was fetched in a row, up to now.
    pub same: u16,
}

/// The request before.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    target: u64,
    at: Moment,
    /// Turned away, or failed through no fault of the request.
    is_unavailable: bool,
    /// Answered with 4xx.
    is_wrong: bool,
    /// When the refusal is over, if it was one and said so.
    welcome_from: Option<Moment>,
    id: u64,
    /// Whether the last step from id to id went up.
    is_up: bool,
}

/// What a trail is told of a request for a page, or of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    pub(super) target: u64,
    template: u64,
    id: Option<u64>,
    is_call: bool,
    is_get: bool,
    origin: Origin,
    /// As in [`Answer`](super::Answer).
    status: u16,
    /// When the refusal is over, if it is one and said so.
    welcome_from: Option<Moment>,
    pub(super) at: Moment,
    /// How many of the same it stands for, itself included.
    times: u16,
}

impl Page {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let Event { sight, origin, answer, at, times, .. } = *event;
        Page {
            target: sight.target,
            template: sight.template,
            id: sight.id,
            is_call: sight.kind == Kind::Call,
            is_get: sight.method == MethodClass::Get,
            origin,
            status: answer.status,
            welcome_from: answer.told.map(|told| at.after(told)),
            at,
            times,
        }
    }
}

impl Trail {
    /// With what is known of the only page so far.
    pub(super) fn begin(first: Option<Page>) -> Box<Self> {
        let mut trail = Box::<Trail>::default();
        if let Some(page) = first {
            trail.note(&mut Counters::default(), &page);
        }
        trail
    }

    /// With nothing but what was fetched.
    pub(super) fn start_over(self) -> Self {
        Trail { fetched: self.fetched, ..Trail::default() }
    }

    /// Whether a target is among the last that were fetched.
    pub fn knows(&self, target: u64) -> bool {
        self.fetched.recent().contains(target)
    }

    pub(super) fn heap_bytes(&self) -> u64 {
        self.fetched.heap_bytes()
    }

    /// Counts a page or a call.
    pub(super) fn note(&mut self, lately: &mut Counters, page: &Page) {
        self.rate.add(page.times, page.at);
        if self.last.at != Moment::ORIGIN {
            self.intervals.add(page.at.since(self.last.at) / u32::from(page.times.max(1)));
        }
        if page.status != 0 {
            self.note_answer(lately, page);
        }
        self.note_repeat(lately, page);
    }

    /// The app's answer.
    fn note_answer(&mut self, lately: &mut Counters, page: &Page) {
        self.templates.insert(page.template);
        let is_led = matches!(page.origin, Origin::Own(from) if self.knows(from));
        if (400..500).contains(&page.status) && page.status != 429 && !is_led {
            lately.failed.add(true);
            lately.failed_distinct.add(self.failed.insert(page.target));
        }
        if !page.is_call {
            self.note_origin(lately, page);
        }
        let new = self.fetched.insert(page.target);
        lately.distinct = lately.distinct.saturating_add(u16::try_from(new).unwrap_or(u16::MAX));
        lately.jumps.add(new > 0 && !page.is_call && page.origin == Origin::None);
        if let Some(id) = page.id {
            self.note_id(lately, id);
        }
    }

    /// What led to a page.
    fn note_origin(&self, lately: &mut Counters, page: &Page) {
        match page.origin {
            Origin::None => lately.unreferred.add(true),
            Origin::External => {}
            Origin::Own(from) if from == page.target => lately.selfs.add(true),
            Origin::Own(from) if self.knows(from) => lately.reached.add(true),
            // What was forgotten may have been fetched, and what a script sends may name an address that it made up.
            Origin::Own(_) => {
                lately.impossible.add(page.is_get && !self.fetched.recent().has_overflowed());
            }
        }
    }

    fn note_id(&mut self, lately: &mut Counters, id: u64) {
        let is_near = (1..=STEP_MAX).contains(&id.abs_diff(self.last.id));
        let is_up = id > self.last.id;
        self.run = match (is_near, is_up == self.last.is_up) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => self.run.saturating_add(1),
        };
        lately.neighbours.add(self.run >= 2);
        (self.last.id, self.last.is_up) = (id, is_up);
    }

    fn note_repeat(&mut self, lately: &mut Counters, page: &Page) {
        let is_same = self.last.target == page.target;
        // What is sent to one address may be something else each time; what is fetched from it is not.
        self.same = if is_same && page.is_get { self.same.saturating_add(page.times) } else { 1 };
        // Who stays away for as long as a refusal asked to is polite, however often that happens.
        let is_polite = self.last.welcome_from.is_some_and(|from| page.at >= from);
        let is_in_vain =
            self.last.is_unavailable || (self.last.is_wrong && page.at.since(self.last.at) < AT_ONCE);
        if is_same && is_in_vain && !is_polite {
            lately.repeats.add_all(page.times);
        }
        self.last = Last {
            target: page.target,
            at: page.at,
            is_unavailable: page.status == 0 || page.status == 429 || page.status >= 500,
            is_wrong: (400..500).contains(&page.status),
            welcome_from: page.welcome_from,
            ..self.last
        };
    }
}
