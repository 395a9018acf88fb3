//! What is counted of one principal, in numbers that fade.

use super::conduct::Event;
use super::sight::{Kind, MethodClass};
use crate::window::Fade;

/// Declares the counters once: the fields, and how they fade.
macro_rules! counters {
    ($($(#[$about:meta])* $name:ident,)*) => {
        /// What was asked for and how it went. Each number stops at 65,535.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$about])* pub $name: u16,)*
        }

        impl Fade for Counters {
            fn with_share_of(&self, older: &Self, share: u32) -> Self {
                if *older == Counters::default() {
                    return *self;
                }
                Counters { $($name: faded(self.$name, older.$name, share),)* }
            }
        }
    };
}

counters! {
    /// What people look at.
    pages,
    /// Calls of the site's API.
    calls,
    assets,
    /// Assets that a page of the site led to, as browsers say.
    led_assets,
    /// Assets without a Referer.
    bare_assets,
    /// Pages without a Referer.
    unreferred,
    /// Pages whose Referer is another page that this principal had fetched.
    reached,
    /// Pages whose Referer is themselves: nothing led to them, and nothing is wrong.
    selfs,
    /// Pages whose Referer is a page of the site that it never fetched.
    impossible,
    /// Requests with a Referer of the site that no browser writes.
    forged,
    /// Distinct targets among pages and calls.
    distinct,
    /// Of the pages among those, the ones that came without a Referer.
    jumps,
    /// Pages answered 200 with something to look at: such a page owes its assets.
    owing,
    not_modified,
    /// Pages and calls answered with 4xx that no page led to.
    failed,
    /// Distinct targets among those.
    failed_distinct,
    odd,
    /// Requests that are known attacks.
    attacks,
    logins,
    logins_failed,
    /// Logins that weir refused: they count as tried, and nobody knows how they would have gone.
    logins_refused,
    /// The same target as just before, where that was turned away or failed.
    repeats,
    /// Ids that go on as the two before did, in small steps up or down.
    neighbours,
    /// Pages and calls with an id.
    with_id,
    /// Of those, the ones answered with 403, 404 or 410.
    missed_ids,
    /// Requests for robots.txt.
    robots,
    /// Pages that robots.txt asks crawlers to leave alone.
    disallowed,
    /// Pages that nobody is ever led to.
    traps,
}

impl Counters {
    /// Everything that was asked for but assets.
    pub const fn asked(&self) -> u16 {
        self.pages.saturating_add(self.calls)
    }

    /// What a page or a call is by itself, whatever came before.
    pub(super) fn note_page(&mut self, event: &Event<'_>) {
        let Event { sight, answer, .. } = *event;
        let is_page = sight.kind == Kind::Page;
        self.pages.add(is_page);
        self.calls.add(!is_page);
        self.disallowed.add(sight.is_disallowed);
        self.traps.add(sight.is_trap);
        self.with_id.add(sight.id.is_some());
        self.missed_ids.add(sight.id.is_some() && matches!(answer.status, 403 | 404 | 410));
        self.owing.add(is_page && answer.status == 200 && sight.method == MethodClass::Get);
        self.not_modified.add(answer.status == 304);
        if let Some(failed) = answer.login {
            self.logins.add(true);
            self.logins_failed.add(failed);
        }
    }
}

/// Counting up to a bound.
pub(super) trait Tally {
    /// One more if `is`.
    fn add(&mut self, is: bool);
    fn add_all(&mut self, times: u16);
}

impl Tally for u16 {
    fn add(&mut self, is: bool) {
        self.add_all(u16::from(is));
    }

    fn add_all(&mut self, times: u16) {
        *self = self.saturating_add(times);
    }
}

fn faded(current: u16, older: u16, share: u32) -> u16 {
    u16::try_from(u32::from(current) + u32::from(older) * share / 256).unwrap_or(u16::MAX)
}
