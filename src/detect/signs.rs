//! What the site's own traffic shows, small enough to be handed to every thread: see [`Site`].

use super::conduct::{Answer, Event};
use super::health::Health;
use super::sight::{Referer, Sight};
use super::site::{Origin, Site};
use crate::time::Moment;

/// Which signals can be trusted here, as they were at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    referers: bool,
    assets: bool,
    asset_referers: bool,
    health: Health,
}

impl Signs {
    /// As [`Site::shows_referers`].
    pub const fn shows_referers(&self) -> bool {
        self.referers
    }

    /// As [`Site::shows_assets`].
    pub const fn shows_assets(&self) -> bool {
        self.assets
    }

    /// As [`Site::shows_asset_referers`].
    pub const fn shows_asset_referers(&self) -> bool {
        self.asset_referers
    }

    /// Whether a signal shows that did not show before: who was met already is to be judged by it too.
    pub const fn show_more_than(&self, before: &Signs) -> bool {
        (self.referers && !before.referers)
            || (self.assets && !before.assets)
            || (self.asset_referers && !before.asset_referers)
    }

    /// As [`Site::health`].
    pub const fn health(&self) -> Health {
        self.health
    }
}

impl Site {
    /// What can be said of the site now.
    pub fn signs(&self, now: Moment) -> Signs {
        Signs {
            referers: self.shows_referers(),
            assets: self.shows_assets(),
            asset_referers: self.shows_asset_referers(),
            health: self.health(now),
        }
    }
}

impl<'a> Event<'a> {
    /// A request of which the site could not learn just now: a page of another host leads nowhere, and nothing is slow.
    pub fn unlearned(sight: &'a Sight, host: Option<u64>, answer: Answer, at: Moment) -> Self {
        let origin = match sight.referer {
            Referer::None => Origin::None,
            Referer::Page { host: from, target, .. } if host == Some(from) => Origin::Own(target),
            Referer::Page { .. } | Referer::Other => Origin::External,
        };
        Event { sight, origin, answer, is_slow: false, at, from: 0, is_astray: false, times: 1 }
    }
}
