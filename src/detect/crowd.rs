//! What many look like together who come from one network, or by one software: each of them does too little to be
//! found.
//!
//! Of each client a crowd is told only what it does for the first time, its [`Turn`]s: so an ordinary request of somebody
//! who is known costs nothing here.

use std::time::Duration;

use super::conduct::Event;
use super::counters::Tally as _;
use super::sight::{Kind, MethodClass};
use crate::time::{Moment, nanos};
use crate::window::{Aged, Fade, Variety};

/// What is older is forgotten.
const MEMORY: Duration = Duration::from_secs(3600);
/// A newcomer has so long, and at most twice that, to show what it is before it counts.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a client does for the first time. Several at once are the sum of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn(u8);

impl Turn {
    /// Its first request is for a page, and nothing on this site led it there.
    pub const CAME: Turn = Turn(1);
    /// It is somebody who looks at pages: it fetched an asset, or was led from one page to another, or had the page
    /// already, or signed in.
    pub const SETTLED: Turn = Turn(2);
    pub const LOGGED_IN: Turn = Turn(4);
    pub const FAILED_LOGIN: Turn = Turn(8);

    pub const fn has(self, other: Turn) -> bool {
        self.0 & other.0 == other.0
    }

    pub const fn is_nothing(self) -> bool {
        self.0 == 0
    }

    /// What is in `self` and not in `before`.
    pub(super) const fn since(self, before: Turn) -> Turn {
        Turn(self.0 & !before.0)
    }

    pub(super) const fn and(self, other: Turn) -> Turn {
        Turn(self.0 | other.0)
    }

    const fn only_if(self, is: bool) -> Turn {
        if is { self } else { Turn(0) }
    }

    /// What an event shows. `is_first` of its client; `was_led` by a page that it had fetched.
    pub(super) fn shown_by(event: &Event<'_>, is_first: bool, was_led: bool) -> Turn {
        let Event { sight, answer, .. } = event;
        let is_good = matches!(answer.status, 200..=299 | 304);
        let is_page = sight.kind == Kind::Page;
        let looks = match sight.kind {
            Kind::Asset => is_good,
            Kind::Page => was_led || answer.status == 304,
            Kind::Call | Kind::RobotsTxt | Kind::Icon => false,
        };
        let came = is_first && is_page && matches!(sight.method, MethodClass::Get | MethodClass::Head);
        let logged_in = answer.status != 0 && answer.login == Some(false);
        Turn::CAME
            .only_if(came)
            .and(Turn::SETTLED.only_if(looks || logged_in))
            .and(Turn::LOGGED_IN.only_if(logged_in))
            .and(Turn::FAILED_LOGIN.only_if(answer.login == Some(true)))
    }
}

/// What is kept of a crowd.
#[derive(Clone, Debug, Default)]
pub struct Crowd {
    lately: Aged<Sums>,
    /// Since when newcomers wait; those since then, and those of the time before that.
    waiting_since: u64,
    waiting: [u16; 2],
}

/// The clients of a crowd within an hour, by what they did. What is older than half an hour fades.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Those who came 30 s ago or more, one minute at most.
    pub newcomers: u16,
    pub settled: u16,
    pub logged_in: u16,
    pub failed_login: u16,
    /// The first pages of newcomers.
    pub pages: Variety<32>,
}

/// What a detector looks at.
#[derive(Clone, Copy, Debug)]
pub struct SeenCrowd<'a> {
    /// Whether they have their software in common, and not their network.
    pub is_software: bool,
    pub lately: Sums,
    pub site: &'a super::Signs,
}

impl Crowd {
    /// Counts what one of its clients did for the first time; `target` of the request that showed it. `known` is what the
    /// client had done before.
    pub fn note(&mut self, turn: Turn, known: Turn, target: u64, now: Moment) {
        self.let_in(now);
        let [waiting, _] = &mut self.waiting;
        waiting.add(turn.has(Turn::CAME));
        let lately = self.lately.current(MEMORY, now);
        if turn.has(Turn::CAME) {
            lately.pages.add(target);
        }
        // Who never came is not missed when it settles.
        let is_newcomer = turn.and(known).has(Turn::CAME);
        lately.settled.add(turn.has(Turn::SETTLED) && is_newcomer);
        lately.logged_in.add(turn.has(Turn::LOGGED_IN));
        lately.failed_login.add(turn.has(Turn::FAILED_LOGIN));
    }

    /// The sums over the last hour.
    pub fn lately(&self, now: Moment) -> Sums {
        self.lately.sum(MEMORY, now)
    }

    /// Counts those who have waited long enough.
    fn let_in(&mut self, now: Moment) {
        let slot = now.as_nanos() / nanos(PATIENCE);
        let passed = slot.saturating_sub(self.waiting_since);
        let [current, before] = self.waiting;
        let over = match passed {
            0 => return,
            1 => before,
            _ => current.saturating_add(before),
        };
        self.waiting = [0, if passed == 1 { current } else { 0 }];
        self.waiting_since = slot;
        let newcomers = &mut self.lately.current(MEMORY, now).newcomers;
        *newcomers = newcomers.saturating_add(over);
    }
}

impl Fade for Sums {
    fn with_share_of(&self, older: &Self, share: u32) -> Self {
        let sum = |now: u16, older: u16| {
            now.saturating_add(u16::try_from(u32::from(older) * share / 256).unwrap_or(u16::MAX))
        };
        Sums {
            newcomers: sum(self.newcomers, older.newcomers),
            settled: sum(self.settled, older.settled),
            logged_in: sum(self.logged_in, older.logged_in),
            failed_login: sum(self.failed_login, older.failed_login),
            pages: self.pages.with_share_of(&older.pages, share),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos((3600 * 1000 + seconds) * 1_000_000_000)
    }

    /// Promise: a newcomer counts when it has had thirty seconds to show what it is, a minute at most; who settles
    /// without having come does not count.
    #[test]
    fn newcomers_have_time() {
        let (mut crowd, nothing) = (Crowd::default(), Turn::default());
        for second in 0..30 {
            crowd.note(Turn::CAME, nothing, second, at(second));
        }
        crowd.note(Turn::SETTLED, Turn::CAME, 0, at(40));
        crowd.note(Turn::SETTLED, nothing, 0, at(41));
        assert_eq!((crowd.lately(at(41)).newcomers, crowd.lately(at(41)).settled), (0, 1));
        crowd.note(Turn::FAILED_LOGIN, nothing, 0, at(60));
        let lately = crowd.lately(at(60));
        assert_eq!((lately.newcomers, lately.settled, lately.failed_login), (30, 1, 1));
        assert!(lately.pages.kinds() > 8);
    }

    /// Promise: an hour and a half later nothing is left.
    #[test]
    fn crowds_are_forgotten() {
        let mut crowd = Crowd::default();
        (0..100).for_each(|n| crowd.note(Turn::CAME, Turn::default(), n, at(n)));
        assert_eq!(crowd.lately(at(100 + 2 * 3600)), Sums::default());
    }
}
