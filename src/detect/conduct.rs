//! What is kept of the conduct of one principal.

use std::time::Duration;

use super::counters::{Counters, Tally as _};
use super::crowd::Turn;
use super::health::{self, Health};
use super::protocol::{Fault, Faults};
use super::sight::{Kind, MethodClass, Referer, Sight};
use super::site::{Met, Origin};
use super::spread::Spread;
use super::trail::{Page, Trail};
use crate::time::Moment;
use crate::window::{Aged, Horizon};

/// Slow crawlers need weeks of memory. Whoever did nothing for so long starts anew.
pub const MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);

/// Assets of pages that it had fetched, after which somebody is known to view pages.
const VIEWS_TO_MEET: u8 = 3;

/// The conduct of one principal over the last month. What only a second page view needs is allocated then.
#[derive(Clone, Debug)]
pub struct Conduct {
    pub first: Moment,
    pub last: Moment,
    /// Requests since `first`.
    pub requests: u32,
    lately: Aged<Counters>,
    /// The first page, as long as there is no second: a trail would hold nothing else.
    first_page: Option<Page>,
    pub trail: Option<Box<Trail>>,
    /// The app's answers, from the first on that failed, dragged or was large.
    health: Option<Box<Aged<Health>>>,
    /// A hash of the client that it came from first; an account or a session may come from many.
    from: u64,
    spread: Option<Box<Spread>>,
    /// What did not become a request, from the first on.
    faults: Option<Box<Faults>>,
    /// What it ever was.
    known_as: Met,
    /// Assets of pages that it had fetched, up to `VIEWS_TO_MEET`.
    views: u8,
    /// What it ever did.
    turns: Turn,
}

/// What is known of a principal for the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// For [`Site::meet`](super::Site::meet).
    pub met: Met,
    /// For [`Crowd::note`](super::Crowd::note).
    pub turn: Turn,
    /// What it had done before.
    pub known: Turn,
}

/// An answer that is large, and requests that are many: until then, bytes come to little.
const LARGE: u64 = 1 << 20;
const MANY: u32 = 256;

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 0: weir refused it. Then it says nothing of the app.
    pub status: u16,
    pub bytes: u64,
    /// How long the app took, where that is known.
    pub took: Option<Duration>,
    /// A login, as configured; whether it failed. Of one that weir refused, nobody knows.
    pub login: Option<bool>,
    /// How long a refusal by weir asked to stay away.
    pub told: Option<Duration>,
}

/// A request and its answer, as the site's own traffic explains them. [`Site::learn`](super::Site::learn) makes it.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    pub sight: &'a Sight,
    pub origin: Origin,
    pub answer: Answer,
    /// Whether the app took far longer than it usually does.
    pub is_slow: bool,
    pub at: Moment,
    /// A hash of the client that sent it; 0 where that is not known.
    pub from: u64,
    /// Whether weir answered because nothing is there that was asked for. That tells of the request, and not of how
    /// the app is.
    pub is_astray: bool,
    /// How many of the same it stands for, itself included. Only what weir refused is told together.
    pub times: u16,
}

impl Conduct {
    pub fn new(now: Moment) -> Self {
        Conduct {
            first: now,
            last: now,
            requests: 0,
            lately: Aged::default(),
            first_page: None,
            trail: None,
            health: None,
            from: 0,
            spread: None,
            faults: None,
            known_as: Met::default(),
            views: 0,
            turns: Turn::default(),
        }
    }

    /// The sums over the last month.
    pub fn lately(&self, now: Moment) -> Counters {
        self.lately.sum(MEMORY, now)
    }

    /// Pages and calls within a horizon.
    pub fn asked_in(&self, horizon: Horizon, now: Moment) -> u32 {
        let is_within = |page: Page| now.since(page.at) < horizon.length();
        match &self.trail {
            Some(trail) => trail.rate.count(horizon, now),
            None => self.first_page.is_some_and(is_within).into(),
        }
    }

    /// Clients that it came from within this hour of the clock, as far as more than one was seen.
    pub fn clients(&self, now: Moment) -> u32 {
        self.spread.as_ref().map_or(1, |spread| spread.clients(now))
    }

    /// The app's answers within an hour; `None`: none of them failed, dragged or was large, and they are few.
    pub fn health(&self, now: Moment) -> Option<Health> {
        self.health.as_ref().map(|health| health.sum(health::MEMORY, now))
    }

    /// Whether any of the app's answers is counted by the hour.
    pub(super) const fn has_health(&self) -> bool {
        self.health.is_some()
    }

    /// What did not become a request; `None`: everything did.
    pub fn faults(&self) -> Option<&Faults> {
        self.faults.as_deref()
    }

    /// Counts what did not become a request.
    pub fn note_fault(&mut self, fault: Fault, now: Moment) {
        if now.since(self.last) > MEMORY {
            *self = Conduct { known_as: self.known_as, turns: self.turns, ..Conduct::new(now) };
        }
        self.last = self.last.max(now);
        self.faults.get_or_insert_default().note(fault, now);
    }

    /// Bytes that it points to, the allocator's share included, roughly.
    pub fn heap_bytes(&self) -> u64 {
        let trail =
            self.trail.as_ref().map_or(0, |trail| size_of::<Trail>() as u64 + trail.heap_bytes() + 16);
        let health = self.health.as_ref().map_or(0, |_| size_of::<Aged<Health>>() as u64 + 16);
        let spread =
            self.spread.as_ref().map_or(0, |spread| size_of::<Spread>() as u64 + spread.heap_bytes() + 16);
        let faults = self.faults.as_ref().map_or(0, |_| size_of::<Faults>() as u64 + 16);
        trail + health + spread + faults
    }

    /// Forgets what was counted, but not which pages were fetched: they may still lead on to others.
    pub fn start_over(&mut self, now: Moment) {
        let trail = self.trail.take().map(|trail| Box::new(trail.start_over()));
        let Conduct { known_as, turns, first_page, .. } = *self;
        *self = Conduct { first_page, trail, known_as, turns, ..Conduct::new(now) };
    }

    /// Whether it is somebody who looks at pages, as far as it ever showed.
    pub const fn has_settled(&self) -> bool {
        self.turns.has(Turn::SETTLED)
    }

    /// Counts a request and its answer. Returns what is now known of it for the first time.
    pub fn note(&mut self, event: &Event<'_>) -> News {
        let (known, reached) = (self.turns, self.known_as.reader);
        let met = self.count(event);
        let was_led = self.known_as.reader && !reached;
        // Whoever was refused at once had no occasion to show anything.
        let is_first = self.requests == 1 && known.is_nothing() && event.answer.status != 0;
        self.turns = known.and(Turn::shown_by(event, is_first, was_led));
        News { met, turn: self.turns.since(known), known }
    }

    fn count(&mut self, event: &Event<'_>) -> Met {
        let Event { sight, answer, at: now, .. } = *event;
        if now.since(self.last) > MEMORY {
            *self = Conduct { known_as: self.known_as, turns: self.turns, ..Conduct::new(now) };
        }
        let known_as = self.known_as;
        self.requests = self.requests.saturating_add(event.times.into());
        self.last = self.last.max(now);
        self.note_client(event);
        if answer.status == 0 {
            self.note_demand(event);
            return Met::default();
        }
        self.note_health(event);
        let lately = self.lately.current(MEMORY, now);
        lately.odd.add(sight.method == MethodClass::Odd);
        lately.attacks.add(sight.signature.is_some());
        let is_own = matches!(event.origin, Origin::Own(_));
        lately.forged.add(is_own && matches!(sight.referer, Referer::Page { is_forged: true, .. }));
        match sight.kind {
            Kind::Asset => self.note_asset(event),
            Kind::RobotsTxt => lately.robots.add(true),
            Kind::Icon => {}
            Kind::Page | Kind::Call => {
                lately.note_page(event);
                self.note_page(Page::of(event));
            }
        }
        self.known_as.first_since(known_as)
    }

    /// Counts a page or a call. What a trail will have to know of the first is kept here.
    fn note_page(&mut self, page: Page) {
        let lately = self.lately.current(MEMORY, page.at);
        match (&mut self.trail, self.first_page) {
            (None, None) => {
                Trail::default().note(lately, &page);
                self.first_page = Some(page);
            }
            (trail, first) => trail.get_or_insert_with(|| Trail::begin(first)).note(lately, &page),
        }
        self.known_as.wanderer |= lately.distinct >= 2;
        self.known_as.reader |= lately.reached > 0;
    }

    fn note_asset(&mut self, event: &Event<'_>) {
        let Event { sight, origin, answer, at, .. } = *event;
        let lately = self.lately.current(MEMORY, at);
        lately.assets.add(true);
        lately.bare_assets.add(origin == Origin::None);
        if let Origin::Own(page) = origin {
            lately.led_assets.add(true);
            let is_known = match &self.trail {
                Some(trail) => trail.knows(page),
                None => self.first_page.is_some_and(|first| first.target == page),
            };
            self.views = self.views.saturating_add(u8::from(is_known)).min(VIEWS_TO_MEET);
            self.known_as.viewer |= self.views == VIEWS_TO_MEET;
        }
        // A broken page asks for assets that are missing, and says that it does.
        if (400..500).contains(&answer.status) && origin == Origin::None {
            lately.failed.add(true);
            // Of the first request of all there is nothing to tell it from.
            let first = self.first_page;
            let is_new = self.requests == 1
                || self.trail.get_or_insert_with(|| Trail::begin(first)).failed.insert(sight.target);
            lately.failed_distinct.add(is_new);
        }
    }

    /// A request that weir answered itself is demand and nothing else: no evidence of what the app has or bears.
    fn note_demand(&mut self, event: &Event<'_>) {
        let Event { sight, answer, at, times, .. } = *event;
        if answer.login.is_some() {
            self.lately.current(MEMORY, at).logins_refused.add_all(times);
        }
        if matches!(sight.kind, Kind::Page | Kind::Call) {
            self.note_page(Page::of(event));
        }
    }

    fn note_client(&mut self, event: &Event<'_>) {
        if self.from == 0 {
            self.from = event.from;
        }
        if self.spread.is_some() || self.from != event.from {
            let first = self.from;
            self.spread
                .get_or_insert_with(|| Box::new(Spread::of(first, event.at)))
                .note(event.from, event.at);
        }
    }

    fn note_health(&mut self, event: &Event<'_>) {
        let Event { answer, is_slow, at, is_astray, .. } = *event;
        let is_remarkable = answer.status >= 500 || is_slow || answer.bytes >= LARGE || self.requests >= MANY;
        if is_astray || answer.status == 0 || !(is_remarkable || self.health.is_some()) {
            return;
        }
        let before = self.requests.saturating_sub(1);
        let health = self.health.get_or_insert_with(|| {
            // What went well until now was not counted by the hour: as if it had all been within this one.
            let mut health = Aged::<Health>::default();
            health.current(health::MEMORY, at).answers = before;
            Box::new(health)
        });
        health.current(health::MEMORY, at).note(answer, is_slow);
    }
}
