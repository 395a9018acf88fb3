//! What the site's own traffic shows: which signals can be trusted here.

use ahash::AHashMap;

use super::conduct::{Answer, Event};
use super::health::{self, Health, Pace};
use super::sight::{Kind, Referer, Sight};
use crate::time::Moment;
use crate::window::Aged;

/// Requests after which what was learned is halved, so that a site that changes is learned anew.
const HALVE_AFTER: u32 = 200_000;
const HOSTS_MAX: usize = 512;
/// Paths that are remembered as known: bits of a Bloom filter with two hashes.
const PATH_BITS: usize = 1 << 21;

/// What is known of the site behind weir. One for all clients.
#[derive(Debug)]
pub struct Site {
    pages: u32,
    /// Principals, by what they ever were.
    wanderers: u32,
    readers: u32,
    viewers: u32,
    assets: u32,
    led_assets: u32,
    hosts: AHashMap<u64, RefererHost>,
    known: Vec<u64>,
    health: Aged<Health>,
    pace: Pace,
}

/// Another page's host, as referers name it.
#[derive(Clone, Copy, Debug, Default)]
struct RefererHost {
    seen: u32,
    /// So many of the pages that it was named with are pages here.
    here: u32,
}

/// A referer, once it is known which hosts are the site's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    None,
    Own(u64),
    External,
}

/// What somebody is known as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Met {
    /// Asked for a second page.
    pub wanderer: bool,
    /// Was led from one page to another.
    pub reader: bool,
    /// Fetched what its pages are made of, and said so.
    pub viewer: bool,
}

impl Met {
    /// What is true now and was not before.
    pub(super) const fn first_since(self, before: Met) -> Met {
        Met {
            wanderer: self.wanderer && !before.wanderer,
            reader: self.reader && !before.reader,
            viewer: self.viewer && !before.viewer,
        }
    }

    pub fn is_nothing(self) -> bool {
        self == Met::default()
    }
}

impl Default for Site {
    fn default() -> Self {
        Site {
            pages: 0,
            wanderers: 0,
            readers: 0,
            viewers: 0,
            assets: 0,
            led_assets: 0,
            hosts: AHashMap::new(),
            known: vec![0; PATH_BITS / 64],
            health: Aged::default(),
            pace: Pace::default(),
        }
    }
}

impl Site {
    /// Learns from one request, which asked for `host`, and says what its conduct is to be judged by.
    pub fn learn<'a>(
        &mut self,
        sight: &'a Sight,
        host: Option<u64>,
        answer: Answer,
        at: Moment,
    ) -> Event<'a> {
        let origin = self.learn_signals(sight, host, matches!(answer.status, 200..=299 | 304));
        let is_slow = answer.took.is_some_and(|took| self.pace.note(took));
        if answer.status != 0 {
            self.health.current(health::MEMORY, at).note(answer, is_slow);
        }
        Event { sight, origin, answer, is_slow, at, from: 0, is_astray: false, times: 1 }
    }

    /// The app's answers to everybody within an hour.
    pub fn health(&self, now: Moment) -> Health {
        self.health.sum(health::MEMORY, now)
    }

    fn learn_signals(&mut self, sight: &Sight, host: Option<u64>, is_good: bool) -> Origin {
        let origin = self.origin(sight, host);
        match sight.kind {
            Kind::Page => {
                self.pages += 1;
            }
            Kind::Asset => {
                self.assets += u32::from(is_good);
                self.led_assets += u32::from(is_good && matches!(origin, Origin::Own(_)));
            }
            Kind::RobotsTxt | Kind::Icon | Kind::Call => {}
        }
        if is_good {
            self.remember(sight.target);
        }
        if self.pages + self.assets >= HALVE_AFTER {
            self.pages /= 2;
            self.wanderers /= 2;
            self.readers /= 2;
            self.viewers /= 2;
            self.assets /= 2;
            self.led_assets /= 2;
        }
        origin
    }

    /// Somebody was known for the first time as what `met` says.
    pub fn meet(&mut self, met: Met) {
        self.wanderers += u32::from(met.wanderer);
        self.readers += u32::from(met.reader);
        self.viewers += u32::from(met.viewer);
    }

    /// Whether page views usually say which page of the site they come from: not on APIs, nor where `no-referrer`
    /// is the rule.
    pub fn shows_referers(&self) -> bool {
        self.is_common(self.readers)
    }

    /// Whether browsers fetch assets here: not behind a CDN, nor on an API.
    pub fn shows_assets(&self) -> bool {
        self.assets >= 20 && u64::from(self.assets) * 20 >= u64::from(self.pages)
    }

    /// Whether browsers say which page led to an asset.
    pub fn shows_asset_referers(&self) -> bool {
        self.is_common(self.viewers)
    }

    /// Several, and not just a few odd ones among many: crawlers are most of those who visit some sites.
    fn is_common(&self, some: u32) -> bool {
        some >= 3 && u64::from(some) * 50 >= u64::from(self.wanderers)
    }

    fn origin(&mut self, sight: &Sight, host: Option<u64>) -> Origin {
        let Referer::Page { host: from, target, is_root, .. } = sight.referer else {
            return if sight.referer == Referer::None { Origin::None } else { Origin::External };
        };
        if host == Some(from) {
            return Origin::Own(target);
        }
        if self.hosts.len() >= HOSTS_MAX && !self.hosts.contains_key(&from) {
            self.hosts.retain(|_, host| host.seen > 3);
        }
        if self.hosts.len() >= HOSTS_MAX && !self.hosts.contains_key(&from) {
            return Origin::External;
        }
        let is_here = self.is_known(target);
        let known = self.hosts.entry(from).or_default();
        // Every site has a root: that somebody comes from one says nothing.
        if !is_root {
            known.seen = known.seen.saturating_add(1);
            known.here = known.here.saturating_add(u32::from(is_here));
        }
        let is_own = if known.seen < 4 { is_here && !is_root } else { known.here * 2 >= known.seen };
        if is_own { Origin::Own(target) } else { Origin::External }
    }

    fn remember(&mut self, target: u64) {
        for bit in bits(target) {
            self.known[bit / 64] |= 1 << (bit % 64);
        }
    }

    fn is_known(&self, target: u64) -> bool {
        bits(target).into_iter().all(|bit| self.known[bit / 64] & 1 << (bit % 64) != 0)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "cut to the filter's size")]
fn bits(hash: u64) -> [usize; 2] {
    [hash as usize % PATH_BITS, (hash >> 32) as usize % PATH_BITS]
}
