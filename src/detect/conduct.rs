//! What is kept of the conduct of one principal.

use std::time::Duration;

use super::sight::{Kind, MethodClass, Sight};
use super::site::Origin;
use crate::time::Moment;
use crate::window::{Aged, Fade, Gaps, Horizon, Horizons, Recent};

/// Slow crawlers need weeks of memory.
pub const MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);
/// Whoever did nothing for so long starts anew.
const IDLE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The conduct of one principal over the last week. What only a second page view needs is allocated then.
#[derive(Clone, Debug)]
pub struct Conduct {
    pub first: Moment,
    pub last: Moment,
    /// Requests since `first`.
    pub requests: u32,
    week: Aged<Counters>,
    pub trail: Option<Box<Trail>>,
    /// Open findings, a bit for each detector.
    pub open: u16,
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
    /// Pages with a Referer of another site.
    pub external: u16,
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
    /// Pages answered with 401 or 403, or refused.
    pub denied: u16,
    /// Pages answered with 5xx, or with 429.
    pub turned_away: u16,
    pub redirected: u16,
    pub posts: u16,
    pub heads: u16,
    pub odd: u16,
    /// Requests that are known attacks.
    pub attacks: u16,
    pub old_http: u16,
    pub logins: u16,
    pub logins_failed: u16,
    /// The same target as just before, where that was turned away or failed.
    pub repeats: u16,
    pub queries: u16,
    /// Ids that follow the one before by at most a few.
    pub neighbours: u16,
    /// Pages in a template that holds ids.
    pub with_id: u16,
}

/// What only somebody who stays is asked for.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    /// Targets of pages that were fetched.
    pub fetched: Recent<32>,
    pub failed: Recent<16>,
    pub templates: Recent<16>,
    pub rate: Horizons,
    pub gaps: Gaps,
    last_target: u64,
    last_id: u64,
    last_turned_away: bool,
    /// The longest run of neighbouring ids.
    pub run: u16,
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 0: weir refused it. Then it says nothing of the app.
    pub status: u16,
    pub bytes: u64,
    /// A login, as configured; whether it failed.
    pub login: Option<bool>,
}

impl Conduct {
    pub fn new(now: Moment) -> Self {
        Conduct {
            first: now,
            last: now,
            requests: 0,
            week: Aged::default(),
            trail: None,
            open: 0,
            has_reached: false,
        }
    }

    /// The sums over the last week.
    pub fn week(&self, now: Moment) -> Counters {
        self.week.sum(MEMORY, now)
    }

    /// Pages within a horizon.
    pub fn pages_in(&self, horizon: Horizon, now: Moment) -> u32 {
        self.trail.as_ref().map_or(0, |trail| trail.rate.count(horizon, now))
    }

    /// Counts a request and its answer.
    pub fn note(&mut self, sight: &Sight, origin: Origin, answer: Answer, now: Moment) {
        if now.since(self.last) > IDLE {
            *self = Conduct { has_reached: self.has_reached, ..Conduct::new(now) };
        }
        self.requests = self.requests.saturating_add(1);
        self.last = self.last.max(now);
        let week = self.week.current(MEMORY, now);
        add(&mut week.odd, sight.method == MethodClass::Odd);
        add(&mut week.attacks, sight.signature.is_some());
        add(&mut week.old_http, sight.is_http_1_0);
        if sight.kind == Kind::Asset {
            add(&mut week.assets, true);
            let is_led = matches!(origin, Origin::Own(_));
            add(&mut week.led_assets, is_led);
            // A broken page asks for assets that are missing, and says that it does.
            if (400..500).contains(&answer.status) && origin == Origin::None {
                add(&mut week.failed, true);
                let trail = self.trail.get_or_insert_default();
                add(&mut week.failed_distinct, trail.failed.insert(sight.target));
            }
            return;
        }
        if matches!(sight.kind, Kind::RobotsTxt | Kind::Icon) {
            return;
        }
        add(&mut week.pages, true);
        add(&mut week.heads, sight.method == MethodClass::Head);
        add(&mut week.posts, sight.method == MethodClass::Post);
        add(&mut week.queries, sight.has_query);
        add(&mut week.with_id, sight.id.is_some());
        add(&mut week.owing, answer.status == 200 && sight.method == MethodClass::Get);
        add(&mut week.not_modified, answer.status == 304);
        add(&mut week.failed, (400..500).contains(&answer.status) && answer.status != 429);
        add(&mut week.denied, matches!(answer.status, 0 | 401 | 403));
        add(&mut week.turned_away, answer.status >= 500 || answer.status == 429);
        add(&mut week.redirected, matches!(answer.status, 301 | 302 | 303 | 307 | 308));
        if let Some(failed) = answer.login {
            add(&mut week.logins, true);
            add(&mut week.logins_failed, failed);
        }
        let trail = self.trail.get_or_insert_default();
        trail.note(week, sight, origin, answer, now);
        self.has_reached |= week.reached > 0;
    }
}

impl Trail {
    fn note(&mut self, week: &mut Counters, sight: &Sight, origin: Origin, answer: Answer, now: Moment) {
        self.rate.add(1, now);
        self.gaps.add(now);
        match origin {
            Origin::None => add(&mut week.unreferred, true),
            Origin::External => add(&mut week.external, true),
            Origin::Own(from) if self.fetched.contains(from) => {
                add(&mut week.reached, from != sight.target);
            }
            // What was forgotten may have been fetched.
            Origin::Own(from) => {
                add(&mut week.impossible, !self.fetched.has_overflowed() && from != sight.target);
            }
        }
        if self.fetched.insert(sight.target) {
            add(&mut week.distinct, true);
            add(&mut week.jumps, origin == Origin::None);
        }
        self.templates.insert(sight.template);
        if (400..500).contains(&answer.status) && self.failed.insert(sight.target) {
            add(&mut week.failed_distinct, true);
        }
        if let Some(id) = sight.id {
            let step = id.abs_diff(self.last_id);
            let near = (1..=4).contains(&step);
            add(&mut week.neighbours, near);
            self.run = if near { self.run.saturating_add(1) } else { 0 };
            self.last_id = id;
        }
        add(&mut week.repeats, self.last_turned_away && self.last_target == sight.target);
        self.last_target = sight.target;
        self.last_turned_away = answer.status == 0 || answer.status == 429 || answer.status >= 500;
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
            external: sum(self.external, older.external),
            reached: sum(self.reached, older.reached),
            impossible: sum(self.impossible, older.impossible),
            distinct: sum(self.distinct, older.distinct),
            jumps: sum(self.jumps, older.jumps),
            owing: sum(self.owing, older.owing),
            not_modified: sum(self.not_modified, older.not_modified),
            failed: sum(self.failed, older.failed),
            failed_distinct: sum(self.failed_distinct, older.failed_distinct),
            denied: sum(self.denied, older.denied),
            turned_away: sum(self.turned_away, older.turned_away),
            redirected: sum(self.redirected, older.redirected),
            posts: sum(self.posts, older.posts),
            heads: sum(self.heads, older.heads),
            odd: sum(self.odd, older.odd),
            attacks: sum(self.attacks, older.attacks),
            old_http: sum(self.old_http, older.old_http),
            logins: sum(self.logins, older.logins),
            logins_failed: sum(self.logins_failed, older.logins_failed),
            repeats: sum(self.repeats, older.repeats),
            queries: sum(self.queries, older.queries),
            neighbours: sum(self.neighbours, older.neighbours),
            with_id: sum(self.with_id, older.with_id),
        }
    }
}
