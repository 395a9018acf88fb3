//! Detectors: what conduct looks like, one file each. Pure, bounded, `now` is an argument; only the engine calls them.
//!
//! A [`Reader`] turns a request into a [`Sight`]; a [`Conduct`] counts what one principal does; the [`Site`] knows which
//! signals the site's own traffic shows. A [`Detector`] looks at the counters and says what it believes, how firmly,
//! and because of which numbers. What is done about it is policy. [`specs`] names every detector and what can be set.
//!
//! | detector | file | sees |
//! |---|---|---|
//! | crawl | [`crawl`] | pages without a way to them, or without what they are made of |
//! | harvest | [`harvest`] | depth in one kind of page, ids one after the other |
//! | probe | [`probe`] | known attacks, misses where people do not miss |
//! | stuffing | [`stuffing`] | logins that fail |
//! | flood | [`flood`] | far more pages in a short time than anybody reads |
//! | retry | [`retry`] | the same again and again, though it was turned away |
//! | load | [`load`] | nothing here: `engine::load` measures it |
//! | interfere | [`interfere`] | most of what fails or drags in the app |
//! | swarm | [`swarm`] | many clients of one network or software, each of which does next to nothing |
//! | protocol | [`protocol`] | what never becomes a request: slow heads, failed handshakes, floods of HTTP/2 |

mod conduct;
mod counters;
mod crawl;
mod crowd;
mod flood;
mod harvest;
mod health;
mod interfere;
mod load;
mod probe;
mod protocol;
mod registry;
mod retry;
mod robots;
#[cfg(test)]
mod scene;
mod sight;
mod signatures;
mod signs;
mod site;
mod spread;
mod stuffing;
mod swarm;
mod trail;

pub use conduct::{Answer, Conduct, Event, MEMORY, News};
pub use counters::Counters;
pub use crowd::{Crowd, SeenCrowd, Sums, Turn};
pub use health::Health;
pub use protocol::{Fault, Faults};
pub use registry::{Knob, Spec, spec, specs};
pub use robots::Robots;
pub use sight::{Kind, MethodClass, Reader, Referer, Request, Sight};
pub use signatures::{Signature, Signatures};
pub use signs::Signs;
pub use site::{Met, Origin, Site};
pub use trail::Trail;

use crate::clause::Behaviour;
use crate::finding::{Evidence, Reasons};
use crate::time::Moment;

/// Recognises one behaviour.
pub trait Detector: Send + Sync {
    fn behaviour(&self) -> Behaviour;

    /// What the conduct of a principal looks like after its last request; `None`: like nothing.
    fn judge(&self, seen: &Seen<'_>) -> Option<Suspicion>;

    /// What those who come from one network, or by one software, look like together; most look at nobody but each.
    fn judge_crowd(&self, _crowd: &SeenCrowd<'_>) -> Option<Suspicion> {
        None
    }
}

/// What a detector looks at.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub conduct: &'a Conduct,
    /// The conduct's sums over the last month.
    pub lately: Counters,
    pub site: &'a Signs,
    pub now: Moment,
}

impl Seen<'_> {
    /// Whether it fetches assets, about as browsers do.
    fn renders(&self) -> bool {
        self.lately.assets >= self.lately.pages.max(1)
    }

    /// Whether there may be people with browsers behind it, which fetch assets once and have them for the pages to come.
    fn may_be_people(&self) -> bool {
        self.lately.assets.saturating_mul(4) >= self.lately.pages.max(1)
    }
}

/// What a detector believes.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspicion {
    /// From 0 to 1.
    pub confidence: f32,
    /// The rule within the detector that was met.
    pub rule: &'static str,
    pub evidence: Reasons,
}

impl Suspicion {
    /// What is believed if `met`.
    fn when(
        met: bool,
        rule: &'static str,
        confidence: f32,
        evidence: impl IntoIterator<Item = Evidence>,
    ) -> Option<Self> {
        met.then(|| Suspicion { confidence, rule, evidence: evidence.into_iter().collect() })
    }
}

/// The one with the highest confidence; of several the first.
fn surest<const N: usize>(suspicions: [Option<Suspicion>; N]) -> Option<Suspicion> {
    let mut best = None;
    for next in suspicions.into_iter().flatten() {
        best = Some(surer(best, next));
    }
    best
}

/// The next one, if it is surer than the best so far.
fn surer(best: Option<Suspicion>, next: Suspicion) -> Suspicion {
    match best {
        Some(best) if best.confidence >= next.confidence => best,
        _ => next,
    }
}

fn evidence(counter: &'static str, value: impl Into<u32>, threshold: impl Into<u32>) -> Evidence {
    Evidence { counter, value: value.into(), threshold: threshold.into() }
}

/// Whether `part` is more than so many per cent of `whole`.
fn is_over(part: u16, percent: u32, whole: u16) -> bool {
    u32::from(part) * 100 > percent * u32::from(whole)
}

/// Every detector, with the thresholds that work untuned.
pub fn all() -> Vec<Box<dyn Detector>> {
    specs().iter().map(|spec| spec.build(&[])).collect()
}
