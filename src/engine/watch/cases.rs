//! The open findings of some principals, and those that were closed lately: bounded, and apart from the conduct, so
//! that no flood of newcomers makes a finding or a sanction forgotten.

use std::collections::VecDeque;
use std::time::Duration;

use ahash::AHashMap;
use smallvec::SmallVec;

use super::case::{Case, FindingEvent, FindingEvents, FindingFilter};
use crate::clause::Behaviour;
use crate::facts::{Principal, PrincipalKind};
use crate::time::Moment;

/// One for each behaviour, at most.
type Of = SmallVec<[Box<Case>; 1]>;

/// Bytes of an open finding, its place in the map and the allocator's share included, roughly.
pub(super) const CASE_BYTES: u64 = 640;

/// How long a closed finding is remembered at most.
pub const CLOSED_KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug)]
pub(super) struct Cases {
    open: AHashMap<Principal, Of>,
    open_count: usize,
    open_max: usize,
    /// From the one that was closed first.
    closed: VecDeque<Box<Case>>,
    closed_max: usize,
    /// Before this, none of the open ones is over, and none of the closed ones to be forgotten.
    due: Moment,
    /// Closed because others needed the room, or recognised and not opened for want of it.
    pub(super) displaced: u64,
}

const NEVER: Moment = Moment::from_nanos(u64::MAX);

/// How dear an open finding is: the lesser is displaced first. An account's sanction is dearer than a client's.
type Worth = (bool, bool, Moment);

impl Cases {
    pub(super) fn new(open_max: usize, closed_max: usize) -> Self {
        Cases {
            open: AHashMap::new(),
            open_count: 0,
            open_max: open_max.max(1),
            closed: VecDeque::new(),
            closed_max: closed_max.max(1),
            due: NEVER,
            displaced: 0,
        }
    }

    pub(super) const fn open_count(&self) -> usize {
        self.open_count
    }

    /// Whether there is no room for a finding that refuses nobody. Such a one displaces no other: of very many who are
    /// found at once, the first are remembered, and not each a moment long in turn.
    pub(super) const fn is_full(&self) -> bool {
        self.open_count >= self.open_max
    }

    /// The open finding of this behaviour.
    pub(super) fn find(&mut self, principal: Principal, behaviour: Behaviour) -> Option<&mut Case> {
        let cases = self.open.get_mut(&principal)?;
        cases.iter_mut().find(|case| case.finding.behaviour == behaviour).map(Box::as_mut)
    }

    /// Every open finding of a principal.
    pub(super) fn of(&self, principal: Principal) -> impl Iterator<Item = &Case> {
        self.open.get(&principal).into_iter().flatten().map(Box::as_ref)
    }

    /// Opens one; there is none yet of this principal and behaviour. Returns what was closed for want of room, which
    /// may be this one.
    pub(super) fn open(&mut self, case: Case, now: Moment) -> Option<Box<Case>> {
        let principal = case.finding.principal;
        self.due = self.due.min(case.over_at(now));
        self.open.entry(principal).or_default().push(Box::new(case));
        self.open_count += 1;
        if self.open_count <= self.open_max {
            return None;
        }
        let all = self.open.values().flatten();
        let least = all.min_by_key(|case| (worth(case, now), case.finding.id))?;
        let (principal, behaviour) = (least.finding.principal, least.finding.behaviour);
        self.displaced += 1;
        self.close(principal, behaviour, now)
    }

    /// Closes an open finding, and returns it as it is remembered.
    pub(super) fn close(
        &mut self,
        principal: Principal,
        behaviour: Behaviour,
        now: Moment,
    ) -> Option<Box<Case>> {
        let cases = self.open.get_mut(&principal)?;
        let at = cases.iter().position(|case| case.finding.behaviour == behaviour)?;
        let mut case = cases.swap_remove(at);
        if cases.is_empty() {
            self.open.remove(&principal);
        }
        self.open_count -= 1;
        case.finding.closed = Some(now);
        self.due = self.due.min(now.after(CLOSED_KEPT_FOR));
        if self.closed.len() >= self.closed_max {
            self.closed.pop_front();
        }
        self.closed.push_back(case.clone());
        Some(case)
    }

    /// When to look next for what is over or to be forgotten.
    pub(super) const fn due(&self) -> Moment {
        self.due
    }

    /// Closes what is over, and forgets what was closed long ago, with the addresses in it.
    pub(super) fn close_over(&mut self, now: Moment, events: &mut FindingEvents) {
        if now < self.due {
            return;
        }
        let (mut over, mut due) = (Vec::new(), NEVER);
        for case in self.open.values().flatten() {
            match case.over_at(now) {
                at if at > now => due = due.min(at),
                _ => over.push((case.finding.id, case.finding.principal, case.finding.behaviour)),
            }
        }
        self.due = due;
        // In the order in which they were opened, whatever the order of the map.
        over.sort_unstable_by_key(|(id, ..)| *id);
        let closed =
            over.into_iter().filter_map(|(_, principal, behaviour)| self.close(principal, behaviour, now));
        events.extend(closed.map(FindingEvent::Closed));
        let forget_at = |case: &Case| case.finding.closed.unwrap_or(now).after(CLOSED_KEPT_FOR);
        while self.closed.front().is_some_and(|case| forget_at(case) <= now) {
            self.closed.pop_front();
        }
        if let Some(oldest) = self.closed.front() {
            self.due = self.due.min(forget_at(oldest));
        }
    }

    /// Open ones and closed ones.
    pub(super) fn select<'a>(&'a self, filter: &'a FindingFilter) -> impl Iterator<Item = &'a Case> {
        let all = self.open.values().flatten().chain(&self.closed);
        all.map(Box::as_ref).filter(|case| filter.admits(&case.finding))
    }
}

fn worth(case: &Case, now: Moment) -> Worth {
    let is_in_force = case.is_in_force(now);
    let is_account = case.finding.principal.kind() == PrincipalKind::Account;
    let until = case.sanction.filter(|_| is_in_force).map_or(case.finding.last, |sanction| sanction.until);
    (is_in_force && is_account, is_in_force, until)
}
