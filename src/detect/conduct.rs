//! What is kept of the conduct of one principal.

use std::time::Duration;

use super::health::{self, Health};
use super::sight::{Kind, MethodClass, Sight};
use super::site::Origin;
use crate::time::Moment;
use crate::window::{Aged, Fade, Horizon, Horizons, Recent};

/// Slow crawlers need weeks of memory.
pub const MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);
/// Whoever did nothing for so long starts anew.
const IDLE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The conduct of one principal over the last month. What only a second page view needs is allocated then.
#[derive(Clone, Debug)]
pub struct Conduct {
    pub first: Moment,
    pub last: Moment,
    /// Requests since `first`.
    pub requests: u32,
    lately: Aged<Counters>,
    /// The only page so far: a trail is begun with the second.
    first_page: Option<Page>,
    pub trail: Option<Box<Trail>>,
    /// The app's answers, from the first on that failed or dragged.
    health: Option<Box<Aged<Health>>>,
    /// Whether it was ever led from one page to another.
    pub has_reached: bool,
}

/// What was asked for and how it went, in numbers. Each stops at 65,535.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub pages: u16,
    pub assets: u16,
    /// Assets that a page of the site led to, as browsers say.
    pub led_assets: u16,
    /// Pages without a Referer.
    pub unreferred: u16,
    /// Pages whose Referer is another page that this principal had fetched.
    pub reached: u16,
    /// Pages whose Referer is a page of the site that it never fetched.
    pub impossible: u16,
    /// Distinct targets among the pages, as far as the trail remembers.
    pub distinct: u16,
    /// Of those, the ones that came without a Referer of the site.
    pub jumps: u16,
    /// Pages answered 200 with something to look at: such a page owes its assets.
    pub owing: u16,
    pub not_modified: u16,
    /// Pages answered with 4xx.
    pub failed: u16,
    /// Distinct targets among those.
    pub failed_distinct: u16,
    pub odd: u16,
    /// Requests that are known attacks.
    pub attacks: u16,
    pub logins: u16,
    pub logins_failed: u16,
    /// Logins that weir refused: they count as tried, and nobody knows how they would have gone.
    pub logins_refused: u16,
    /// The same target as just before, where that was turned away or failed.
    pub repeats: u16,
    /// Ids that follow the one before by at most a few.
    pub neighbours: u16,
    /// Pages in a template that holds ids.
    pub with_id: u16,
    /// Requests for robots.txt.
    pub robots: u16,
    /// Pages that robots.txt asks crawlers to leave alone.
    pub disallowed: u16,
    /// Pages that nobody is ever led to.
    pub traps: u16,
}

/// What only somebody who stays is asked for.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    /// Targets of pages that were fetched.
    pub fetched: Recent<32>,
    pub failed: Recent<16>,
    pub templates: Recent<16>,
    pub rate: Horizons,
    last_target: u64,
    last_id: u64,
    last_turned_away: bool,
    /// When the last refusal is over, where it said so.
    welcome_from: Option<Moment>,
    /// The longest run of neighbouring ids.
    pub run: u16,
}

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
            has_reached: false,
        }
    }

    /// The sums over the last month.
    pub fn lately(&self, now: Moment) -> Counters {
        self.lately.sum(MEMORY, now)
    }

    /// Pages within a horizon.
    pub fn pages_in(&self, horizon: Horizon, now: Moment) -> u32 {
        self.trail.as_ref().map_or(0, |trail| trail.rate.count(horizon, now))
    }

    /// The app's answers within an hour; `None`: none of them failed or dragged.
    pub fn health(&self, now: Moment) -> Option<Health> {
        self.health.as_ref().map(|health| health.sum(health::MEMORY, now))
    }

    /// Bytes that it points to, the allocator's share included, roughly.
    pub fn heap_bytes(&self) -> u64 {
        let trail = self.trail.as_ref().map_or(0, |_| size_of::<Trail>() + 16);
        let health = self.health.as_ref().map_or(0, |_| size_of::<Aged<Health>>() + 16);
        (trail + health) as u64
    }

    /// Forgets what was counted, but not which pages were fetched: they may still lead on to others.
    pub fn start_over(&mut self, now: Moment) {
        let trail =
            self.trail.take().map(|trail| Box::new(Trail { fetched: trail.fetched, ..Trail::default() }));
        let (has_reached, first_page) = (self.has_reached, self.first_page);
        *self = Conduct { first_page, trail, has_reached, ..Conduct::new(now) };
    }

    /// Counts a request and its answer.
    pub fn note(&mut self, event: &Event<'_>) {
        let Event { sight, origin, answer, at: now, .. } = *event;
        if now.since(self.last) > IDLE {
            *self = Conduct { has_reached: self.has_reached, ..Conduct::new(now) };
        }
        self.requests = self.requests.saturating_add(1);
        self.last = self.last.max(now);
        if answer.status == 0 {
            return self.note_demand(event);
        }
        self.note_health(event);
        let lately = self.lately.current(MEMORY, now);
        add(&mut lately.odd, sight.method == MethodClass::Odd);
        add(&mut lately.attacks, sight.signature.is_some());
        if sight.kind == Kind::Asset {
            add(&mut lately.assets, true);
            let is_led = matches!(origin, Origin::Own(_));
            add(&mut lately.led_assets, is_led);
            // A broken page asks for assets that are missing, and says that it does.
            if (400..500).contains(&answer.status) && origin == Origin::None {
                add(&mut lately.failed, true);
                // Of the first request of all there is nothing to tell it from.
                let is_new = self.requests == 1
                    || self
                        .trail
                        .get_or_insert_with(|| Trail::begin(self.first_page))
                        .failed
                        .insert(sight.target);
                add(&mut lately.failed_distinct, is_new);
            }
            return;
        }
        if matches!(sight.kind, Kind::RobotsTxt | Kind::Icon) {
            add(&mut lately.robots, sight.kind == Kind::RobotsTxt);
            return;
        }
        add(&mut lately.pages, true);
        add(&mut lately.disallowed, sight.is_disallowed);
        add(&mut lately.traps, sight.is_trap);
        add(&mut lately.with_id, sight.id.is_some());
        add(&mut lately.owing, answer.status == 200 && sight.method == MethodClass::Get);
        add(&mut lately.not_modified, answer.status == 304);
        add(&mut lately.failed, (400..500).contains(&answer.status) && answer.status != 429);
        if let Some(failed) = answer.login {
            add(&mut lately.logins, true);
            add(&mut lately.logins_failed, failed);
        }
        self.note_page(Page::of(event));
    }

    /// Counts a page. What a trail will have to know of the first is kept here.
    fn note_page(&mut self, page: Page) {
        let lately = self.lately.current(MEMORY, page.at);
        match (&mut self.trail, self.first_page) {
            (None, None) => {
                Trail::default().note(lately, &page);
                self.first_page = Some(page);
            }
            (trail, first) => trail.get_or_insert_with(|| Trail::begin(first)).note(lately, &page),
        }
        self.has_reached |= lately.reached > 0;
    }

    /// A request that weir answered itself is demand and nothing else: no evidence of what the app has or bears.
    fn note_demand(&mut self, event: &Event<'_>) {
        let Event { sight, answer, at, .. } = *event;
        let lately = self.lately.current(MEMORY, at);
        add(&mut lately.logins_refused, answer.login.is_some());
        if sight.kind == Kind::Page {
            self.note_page(Page::of(event));
        }
    }

    fn note_health(&mut self, event: &Event<'_>) {
        let Event { answer, is_slow, at, .. } = *event;
        let is_trouble = answer.status >= 500 || is_slow;
        if answer.status == 0 || !(is_trouble || self.health.is_some()) {
            return;
        }
        let before = self.requests.saturating_sub(1);
        let health = self.health.get_or_insert_with(|| {
            // What went well until now was not counted by the hour: as if it had all been within this one.
            let mut health = Aged::<Health>::default();
            health.current(health::MEMORY, at).answers = before;
            Box::new(health)
        });
        health.current(health::MEMORY, at).note(answer.status, is_slow);
    }
}

impl Trail {
    /// With what is known of the only page so far.
    fn begin(first: Option<Page>) -> Box<Self> {
        let mut trail = Box::<Trail>::default();
        if let Some(page) = first {
            trail.note(&mut Counters::default(), &page);
        }
        trail
    }

    fn note(&mut self, lately: &mut Counters, page: &Page) {
        self.rate.add(1, page.at);
        if page.status != 0 {
            self.note_answer(lately, page);
        }
        // Who stays away for as long as a refusal asked to is polite, however often that happens.
        let is_polite = self.welcome_from.is_some_and(|from| page.at >= from);
        add(&mut lately.repeats, self.last_turned_away && self.last_target == page.target && !is_polite);
        self.last_target = page.target;
        self.last_turned_away = page.status == 0 || page.status == 429 || page.status >= 500;
        self.welcome_from = page.welcome_from;
    }

    /// The app's answer.
    fn note_answer(&mut self, lately: &mut Counters, page: &Page) {
        match page.origin {
            Origin::None => add(&mut lately.unreferred, true),
            Origin::External => {}
            Origin::Own(from) if self.fetched.contains(from) => {
                add(&mut lately.reached, from != page.target);
            }
            // What was forgotten may have been fetched.
            Origin::Own(from) => {
                add(&mut lately.impossible, !self.fetched.has_overflowed() && from != page.target);
            }
        }
        if self.fetched.insert(page.target) {
            add(&mut lately.distinct, true);
            add(&mut lately.jumps, page.origin == Origin::None);
        }
        self.templates.insert(page.template);
        if (400..500).contains(&page.status) && self.failed.insert(page.target) {
            add(&mut lately.failed_distinct, true);
        }
        if let Some(id) = page.id {
            let step = id.abs_diff(self.last_id);
            let near = (1..=4).contains(&step);
            add(&mut lately.neighbours, near);
            self.run = if near { self.run.saturating_add(1) } else { 0 };
            self.last_id = id;
        }
    }
}

/// What a trail is told of a request for a page.
#[derive(Clone, Copy, Debug)]
struct Page {
    target: u64,
    template: u64,
    id: Option<u64>,
    origin: Origin,
    /// As in [`Answer`].
    status: u16,
    /// When the refusal is over, if it is one and said so.
    welcome_from: Option<Moment>,
    at: Moment,
}

impl Page {
    fn of(event: &Event<'_>) -> Self {
        let Event { sight, origin, answer, at, .. } = *event;
        Page {
            target: sight.target,
            template: sight.template,
            id: sight.id,
            origin,
            status: answer.status,
            welcome_from: answer.told.map(|told| at.after(told)),
            at,
        }
    }
}

fn add(count: &mut u16, is: bool) {
    *count = count.saturating_add(u16::from(is));
}

impl Fade for Counters {
    fn with_share_of(&self, older: &Self, share: u32) -> Self {
        let sum = |a: u16, b: u16| {
            let sum = u32::from(a) + u32::from(b) * share / 256;
            u16::try_from(sum).unwrap_or(u16::MAX)
        };
        Counters {
            pages: sum(self.pages, older.pages),
            assets: sum(self.assets, older.assets),
            led_assets: sum(self.led_assets, older.led_assets),
            unreferred: sum(self.unreferred, older.unreferred),
            reached: sum(self.reached, older.reached),
            impossible: sum(self.impossible, older.impossible),
            distinct: sum(self.distinct, older.distinct),
            jumps: sum(self.jumps, older.jumps),
            owing: sum(self.owing, older.owing),
            not_modified: sum(self.not_modified, older.not_modified),
            failed: sum(self.failed, older.failed),
            failed_distinct: sum(self.failed_distinct, older.failed_distinct),
            odd: sum(self.odd, older.odd),
            attacks: sum(self.attacks, older.attacks),
            logins: sum(self.logins, older.logins),
            logins_failed: sum(self.logins_failed, older.logins_failed),
            logins_refused: sum(self.logins_refused, older.logins_refused),
            repeats: sum(self.repeats, older.repeats),
            neighbours: sum(self.neighbours, older.neighbours),
            with_id: sum(self.with_id, older.with_id),
            robots: sum(self.robots, older.robots),
            disallowed: sum(self.disallowed, older.disallowed),
            traps: sum(self.traps, older.traps),
        }
    }
}
