//! What some of the principals did lately, and the findings about them.

use ahash::RandomState;
use quick_cache::unsync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use super::arrival::Watched;
use super::case::{Case, FindingEvent, FindingEvents};
use super::cases::{CASE_BYTES, Cases};
use super::panel::{Judge, Own, Panel};
use super::shared::Shared;
use crate::clause::Behaviour;
use crate::detect::{Conduct, Event, Fault, News, Seen, Signs, Suspicion};
use crate::facts::{Principal, Who};
use crate::finding::Finding;
use crate::remedy::Mode;
use crate::rule::Scene;
use crate::time::Moment;

/// Bytes of a principal's place in the cache: its key and conduct, their links, and the place in the hash table.
const PLACE_BYTES: u64 = (size_of::<(Principal, Conduct)>() + 40) as u64;
/// For each place that is taken, so much of one remembers only that somebody was there lately.
const GHOSTS: f64 = 0.125;
/// What open findings may take, one part of so many.
const CASES_PART: u64 = 8;
/// What was closed lately is remembered in so many places for each of an open one, one part of so many.
const CLOSED_PART: usize = 4;

/// A part of the watch, under one lock.
pub(super) struct Shard {
    conducts: Cache<Principal, Conduct, Bytes, RandomState>,
    pub(super) cases: Cases,
    /// Which signals the site shows, as this part was told last.
    signs: Signs,
}

/// One request and its answer, as all who are charged with it are told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noted<'a> {
    pub(super) panel: &'a Panel,
    pub(super) watched: &'a Watched,
    pub(super) event: Event<'a>,
    /// What was learned of the site with it; `None` where nobody waited for that.
    pub(super) signs: Option<Signs>,
    /// Whether weir wrote the answer.
    pub(super) is_refused: bool,
    pub(super) shared: &'a Shared,
}

/// Weighs what the places point to as well.
#[derive(Clone, Copy, Debug)]
struct Bytes;

impl Weighter<Principal, Conduct> for Bytes {
    fn weight(&self, _: &Principal, conduct: &Conduct) -> u64 {
        PLACE_BYTES + conduct.heap_bytes()
    }
}

impl Shard {
    /// A part of at most so many bytes, the allocator's share included.
    pub(super) fn new(bytes: u64, hasher: RandomState) -> Self {
        let for_cases = bytes / CASES_PART;
        // Places once taken are never given back to the allocator, even if fewer principals with more behind them take
        // their place: half of the bytes are for places, and the other half for what they point to.
        let for_conduct = (bytes - for_cases) / 2;
        let places = usize::try_from(for_conduct / PLACE_BYTES).unwrap_or(usize::MAX).max(16);
        let mut options = OptionsBuilder::new();
        options.ghost_allocation(GHOSTS).estimated_items_capacity(places).weight_capacity(for_conduct);
        let open = usize::try_from(for_cases / CASE_BYTES).unwrap_or(usize::MAX).max(4 + CLOSED_PART);
        let closed = open / CLOSED_PART;
        let lifecycle = DefaultLifecycle::default();
        Shard {
            conducts: match options.build() {
                Ok(options) => Cache::with_options(options, Bytes, hasher, lifecycle),
                // Cannot be: the capacity is given.
                Err(_) => Cache::with(places, for_conduct, Bytes, hasher, lifecycle),
            },
            cases: Cases::new(open - closed, closed),
            signs: Signs::default(),
        }
    }

    pub(super) fn principals(&self) -> u64 {
        self.conducts.len() as u64
    }

    /// What conduct takes, by weight.
    pub(super) fn conduct_bytes(&self) -> u64 {
        self.conducts.weight()
    }

    /// Counts a request for one principal, and judges it. Tells what is now known of it for the first time.
    pub(super) fn note(
        &mut self,
        principal: Principal,
        noted: &Noted<'_>,
        events: &mut FindingEvents,
    ) -> News {
        let Noted { panel, event, is_refused, .. } = *noted;
        if let Some(signs) = noted.signs {
            let before = std::mem::replace(&mut self.signs, signs);
            if signs.show_more_than(&before) {
                self.judge_again(noted, events);
            }
        }
        let fresh = || Ok::<_, std::convert::Infallible>(Conduct::new(event.at));
        let Ok(Some(mut conduct)) = self.conducts.get_mut_or_insert_with(&principal, fresh) else {
            return News::default();
        };
        let news = conduct.note(&event);
        let seen =
            Seen { conduct: &conduct, lately: conduct.lately(event.at), site: &self.signs, now: event.at };
        let mut is_sanctioned = false;
        let suspect = Suspect::of(principal, &conduct, event.at);
        for own in panel.own.iter().filter(|own| own.is_demand || !is_refused) {
            if let Some(suspicion) = own.detector.judge(&seen) {
                is_sanctioned |= find(&mut self.cases, suspect, &own.judge, suspicion, noted, events);
            }
        }
        for asked in &noted.watched.asked {
            let Some(rule) = panel.rules.get(usize::from(asked.rule)) else { continue };
            let scene = Scene { seen: &seen, event: &event };
            if let Some(suspicion) = rule.judge(principal, asked.answers, &scene, is_refused) {
                is_sanctioned |= find(&mut self.cases, suspect, &rule.judge, suspicion, noted, events);
            }
        }
        if is_sanctioned {
            // What it did is dealt with now. What it does from here on decides what becomes of it.
            conduct.start_over(event.at);
        }
        news
    }

    /// Whether somebody was ever seen to look at pages.
    pub(super) fn has_settled(&self, principal: Principal) -> bool {
        self.conducts.peek(&principal).is_some_and(Conduct::has_settled)
    }

    /// Opens a finding about somebody whose conduct is kept elsewhere, or lets the open one grow. Whether it is acted upon.
    pub(super) fn find(
        &mut self,
        suspect: Suspect,
        judge: &Judge,
        suspicion: Suspicion,
        noted: &Noted<'_>,
        events: &mut FindingEvents,
    ) -> bool {
        find(&mut self.cases, suspect, judge, suspicion, noted, events)
    }

    /// Counts what did not become a request for one principal, and judges that alone.
    pub(super) fn note_fault(
        &mut self,
        principal: Principal,
        fault: Fault,
        noted: &Noted<'_>,
        events: &mut FindingEvents,
    ) {
        let own = noted.panel.own.iter().find(|own| own.judge.behaviour == Behaviour::Protocol);
        let (Some(Own { judge, detector, .. }), at) = (own, noted.event.at) else { return };
        let fresh = || Ok::<_, std::convert::Infallible>(Conduct::new(at));
        let Ok(Some(mut conduct)) = self.conducts.get_mut_or_insert_with(&principal, fresh) else { return };
        conduct.note_fault(fault, at);
        let seen = Seen { conduct: &conduct, lately: conduct.lately(at), site: &self.signs, now: at };
        let Some(suspicion) = detector.judge(&seen) else { return };
        let suspect = Suspect::of(principal, &conduct, at);
        if find(&mut self.cases, suspect, judge, suspicion, noted, events) {
            conduct.start_over(at);
        }
    }

    /// Judges everybody who is known by what the site shows since just now: who came before it did was judged by less.
    /// Happens a few times in a site's life. Nobody is refused for it before it is seen again.
    fn judge_again(&mut self, noted: &Noted<'_>, events: &mut FindingEvents) {
        let at = noted.event.at;
        for (principal, conduct) in self.conducts.iter() {
            let Some(client) = principal.client() else { continue };
            let seen = Seen { conduct, lately: conduct.lately(at), site: &self.signs, now: at };
            for Own { judge, detector, .. } in &noted.panel.own {
                let (behaviour, mode) = (judge.behaviour, judge.terms.mode);
                if self.cases.find(*principal, behaviour).is_some()
                    || judge.spares(client.address(), Who::ANYONE)
                {
                    continue;
                }
                let Some(suspicion) = detector.judge(&seen) else { continue };
                if self.cases.is_full() {
                    self.cases.displaced += 1;
                    return;
                }
                let suspect = Suspect::of(*principal, conduct, at);
                let case = suspect.case(judge, mode, suspicion, noted.shared);
                open(&mut self.cases, case, at, events);
            }
        }
    }

    /// Notes what was found in another way than from conduct.
    pub(super) fn file(&mut self, case: Case, shared: &Shared, events: &mut FindingEvents) {
        shared.note(case.sanction);
        let (principal, behaviour, at) = (case.finding.principal, case.finding.behaviour, case.finding.last);
        if let Some(known) = self.cases.find(principal, behaviour) {
            let Finding { confidence, rule, evidence, .. } = case.finding;
            known.finding.grow(confidence, rule, evidence, at);
            (known.mode, known.sanction) = (case.mode, case.sanction.or(known.sanction));
            known.lasting += case.lasting;
            return;
        }
        open(&mut self.cases, case, at, events);
    }
}

/// Whom a finding is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suspect {
    pub(super) principal: Principal,
    /// What it did since when, as findings say.
    pub(super) requests: u32,
    pub(super) since: Moment,
    pub(super) at: Moment,
}

impl Suspect {
    fn of(principal: Principal, conduct: &Conduct, at: Moment) -> Self {
        Suspect { principal, requests: conduct.requests, since: conduct.first, at }
    }

    /// A finding about it, and nothing done about that yet.
    fn case(self, judge: &Judge, mode: Mode, suspicion: Suspicion, shared: &Shared) -> Case {
        let Suspect { principal, requests, since, at } = self;
        let mut finding = Finding::new(shared.next_id(), principal, judge.behaviour, at);
        finding.grow(suspicion.confidence, suspicion.rule, suspicion.evidence, at);
        (finding.requests, finding.since) = (requests, since);
        judge.case(finding, mode)
    }
}

/// Opens a finding, or lets the open one grow. Whether its principal is to be refused for what it did just now.
fn find(
    cases: &mut Cases,
    suspect: Suspect,
    judge: &Judge,
    suspicion: Suspicion,
    noted: &Noted<'_>,
    events: &mut FindingEvents,
) -> bool {
    let Suspect { principal, requests, at, .. } = suspect;
    let Noted { watched, shared, .. } = *noted;
    let mode = judge.mode(watched.spared, watched.most);
    let acts = mode == Mode::Enforce && suspicion.confidence >= judge.terms.confidence;
    let behaviour = judge.behaviour;
    let mut known = cases.find(principal, behaviour);
    if known.as_ref().is_some_and(|case| case.over_at(at) <= at) {
        // Nobody has looked since. What happens now is a new one.
        events.extend(cases.close(principal, behaviour, at).map(FindingEvent::Closed));
        known = None;
    }
    if let Some(case) = known {
        let Suspicion { confidence, rule, evidence } = suspicion;
        case.finding.grow(confidence, rule, evidence, at);
        case.finding.requests = requests.max(case.finding.requests);
        case.finding.note(watched.client, watched.request_id);
        (case.mode, case.quiet) = (mode, judge.quiet);
        if acts {
            if case.sanction(judge.terms.answer, judge.terms.lasts, at) {
                events.push(FindingEvent::Sanctioned(Box::new(case.clone())));
            }
            shared.note(case.sanction);
        }
        return acts;
    }
    if !acts && cases.is_full() {
        cases.displaced += 1;
        return false;
    }
    let mut case = suspect.case(judge, mode, suspicion, shared);
    case.finding.note(watched.client, watched.request_id);
    if acts {
        case.sanction(judge.terms.answer, judge.terms.lasts, at);
        shared.note(case.sanction);
    }
    open(cases, case, at, events);
    acts
}

fn open(cases: &mut Cases, case: Case, at: Moment, events: &mut FindingEvents) {
    events.push(FindingEvent::Opened(Box::new(case.clone())));
    events.extend(cases.open(case, at).map(FindingEvent::Closed));
}
