//! What was found, for whoever looks: each change of a finding, told to those who follow.
//!
//! The engine remembers findings, under numbers; here they get their names ([`report`]), and a [`Book`] tells of what
//! changes. The proxy writes it; the admin listener and `weir findings` read it. Bounded, whatever is found.

pub mod filter;
pub mod report;
pub mod stream;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::RandomState;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::broadcast;

use crate::clause::Behaviour;
use crate::engine::{Case, FINDING_KEPT_FOR};
use crate::facts::{Principal, PrincipalKind};
use crate::policy::Policy;
use crate::time::Moment;
use report::FindingReport;
use stream::{Change, Event};

/// Changes that one who follows may be behind before it misses some, and that one who comes back is told of.
pub const BEHIND_MAX: usize = 256;
/// Accounts whose names are remembered; of more, those that were found last.
const NAMES_MAX: usize = 16 * 1024;

/// Tells of findings. Any number of threads write and read at once.
#[derive(Debug)]
pub struct Book {
    /// For what stands in the place of an address or a credential. Its key dies with the process.
    hasher: RandomState,
    pages: Mutex<Pages>,
}

#[derive(Debug)]
struct Pages {
    /// By behaviour; of which there are none is left out.
    open: HashMap<Behaviour, u64>,
    names: Names,
    /// The latest changes, each with when it was told.
    told: VecDeque<(Moment, Arc<Event>)>,
    /// The number of the last change.
    last: u64,
    /// `None` once nothing more is told.
    followers: Option<broadcast::Sender<Arc<Event>>>,
}

/// The ids of accounts that were found.
#[derive(Debug, Default)]
struct Names {
    ids: HashMap<Principal, Arc<str>>,
    /// From the one that was found first.
    order: VecDeque<Principal>,
}

/// What somebody who follows has from the beginning.
#[derive(Debug)]
pub struct Followed {
    /// Changes since the one that was seen last.
    pub backlog: Vec<Arc<Event>>,
    /// Changes since then that are no longer remembered.
    pub missed: u64,
    pub changes: broadcast::Receiver<Arc<Event>>,
}

impl Default for Book {
    fn default() -> Self {
        let (followers, _) = broadcast::channel(BEHIND_MAX);
        let pages = Pages {
            open: HashMap::new(),
            names: Names::default(),
            told: VecDeque::new(),
            last: 0,
            followers: Some(followers),
        };
        Book { hasher: RandomState::new(), pages: Mutex::new(pages) }
    }
}

impl Book {
    /// Notes a change of a finding, and tells it to those who follow.
    pub fn tell(&self, change: Change, behaviour: Behaviour, report: FindingReport, now: Moment) {
        let mut pages = self.pages.lock();
        pages.last += 1;
        match change {
            Change::Opened => *pages.open.entry(behaviour).or_default() += 1,
            Change::Sanctioned => {}
            Change::Closed => {
                if let Entry::Occupied(mut open) = pages.open.entry(behaviour) {
                    *open.get_mut() -= 1;
                    if *open.get() == 0 {
                        open.remove();
                    }
                }
            }
        }
        let event = Arc::new(Event { number: pages.last, change, report });
        pages.told.push_back((now, Arc::clone(&event)));
        if pages.told.len() > BEHIND_MAX {
            pages.told.pop_front();
        }
        if let Some(followers) = &pages.followers {
            // An error means that nobody follows.
            let _ = followers.send(event);
        }
    }

    /// Goes on with findings that an earlier process left open. Of the accounts among them, those that the policy has
    /// are known by name again.
    pub fn go_on_with(&self, cases: &[Case], policy: &Policy) {
        let accounts: HashSet<Principal> = cases
            .iter()
            .map(|case| case.finding.principal)
            .filter(|principal| principal.kind() == PrincipalKind::Account)
            .collect();
        let named = if accounts.is_empty() { [].iter() } else { policy.accounts.list.iter() };
        for account in named.filter(|account| accounts.contains(&account.principal)) {
            self.name(account.principal, &account.id);
        }
        let mut pages = self.pages.lock();
        for case in cases {
            *pages.open.entry(case.finding.behaviour).or_default() += 1;
        }
    }

    /// Forgets the changes that were told longer ago than closed findings are kept, with the addresses in them.
    pub fn forget_old(&self, now: Moment) {
        let mut pages = self.pages.lock();
        let is_old = |(told, _): &(Moment, Arc<Event>)| now.since(*told) >= FINDING_KEPT_FOR;
        while pages.told.front().is_some_and(is_old) {
            pages.told.pop_front();
        }
    }

    /// How many findings of each behaviour are open, where there are any.
    pub fn open(&self) -> Vec<(Behaviour, u64)> {
        self.pages.lock().open.iter().map(|(behaviour, open)| (*behaviour, *open)).collect()
    }

    /// The number of the last change.
    pub fn last(&self) -> u64 {
        self.pages.lock().last
    }

    /// All changes from now on, and first those after the one that was `seen` last. `None` once weir stops.
    pub fn follow(&self, seen: Option<u64>) -> Option<Followed> {
        let pages = self.pages.lock();
        let changes = pages.followers.as_ref()?.subscribe();
        // Of a number that was never given out, of another process perhaps, nothing is known.
        let Some(seen) = seen.filter(|seen| *seen <= pages.last) else {
            return Some(Followed { backlog: Vec::new(), missed: 0, changes });
        };
        let backlog: Vec<Arc<Event>> =
            pages.told.iter().map(|(_, event)| event).filter(|event| event.number > seen).cloned().collect();
        let missed = (pages.last - seen).saturating_sub(backlog.len() as u64);
        Some(Followed { backlog, missed, changes })
    }

    /// Ends what is told to those who follow.
    pub fn close(&self) {
        self.pages.lock().followers = None;
    }

    /// Remembers what an account that was found is called.
    pub fn name(&self, account: Principal, id: &Arc<str>) {
        let Pages { names, .. } = &mut *self.pages.lock();
        if names.ids.insert(account, Arc::clone(id)).is_some() {
            return;
        }
        names.order.push_back(account);
        if names.order.len() > NAMES_MAX
            && let Some(first) = names.order.pop_front()
        {
            names.ids.remove(&first);
        }
    }

    fn name_of(&self, account: Principal) -> Option<Arc<str>> {
        self.pages.lock().names.ids.get(&account).cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::report::tests::report;
    use super::*;

    fn tell(book: &Book, change: Change, id: u64) {
        book.tell(change, Behaviour::Crawl, report(id), Moment::ORIGIN);
    }

    /// Promise: no change, and no address in it, is remembered for longer than a closed finding is: a day. Who comes
    /// back after that is told how much was missed.
    #[test]
    fn changes_are_forgotten() {
        let (book, at) =
            (Book::default(), |hours: u64| Moment::ORIGIN.after(Duration::from_secs(hours * 3600)));
        for (id, hours) in [(1, 0), (2, 1), (3, 20)] {
            book.tell(Change::Closed, Behaviour::Crawl, report(id), at(hours));
        }
        let remembered = |now| {
            book.forget_old(now);
            let followed = book.follow(Some(0)).unwrap();
            (followed.backlog.iter().map(|event| event.report.id).collect::<Vec<_>>(), followed.missed)
        };
        assert_eq!(remembered(at(23)), (vec![1, 2, 3], 0));
        assert_eq!(remembered(at(24)), (vec![2, 3], 1));
        assert_eq!(remembered(at(44)), (vec![], 3));
        assert_eq!(book.last(), 3);
    }

    /// Promise: how many are open is known, of each behaviour.
    #[test]
    fn open_findings_are_counted() {
        let book = Book::default();
        (1..=3).for_each(|id| tell(&book, Change::Opened, id));
        tell(&book, Change::Sanctioned, 2);
        tell(&book, Change::Closed, 2);
        let open =
            |of| book.open().iter().find(|(behaviour, _)| *behaviour == of).map_or(0, |(_, open)| *open);
        assert_eq!((open(Behaviour::Crawl), open(Behaviour::Flood), book.last()), (2, 0, 5));
    }

    /// Promise: who comes back is told of what changed meanwhile, and of how much of that is forgotten; nothing is told
    /// twice.
    #[test]
    fn who_comes_back_is_told() {
        let book = Book::default();
        (1..=3).for_each(|id| tell(&book, Change::Opened, id));
        let numbers = |followed: &Followed| followed.backlog.iter().map(|e| e.number).collect::<Vec<_>>();
        let mut followed = book.follow(Some(1)).unwrap();
        assert_eq!((numbers(&followed), followed.missed), (vec![2, 3], 0));
        tell(&book, Change::Sanctioned, 3);
        assert_eq!(followed.changes.try_recv().unwrap().number, 4);
        assert!(book.follow(None).unwrap().backlog.is_empty());
        (0..BEHIND_MAX as u64).for_each(|id| tell(&book, Change::Opened, id));
        let followed = book.follow(Some(1)).unwrap();
        assert_eq!((followed.backlog.len(), followed.missed), (BEHIND_MAX, 3));
        assert_eq!(book.follow(Some(u64::MAX)).unwrap().missed, 0);
        book.close();
        assert!(book.follow(None).is_none());
    }

    /// Promise: however many accounts are found, the names of the latest are remembered, and no more.
    #[test]
    fn names_are_bounded() {
        let book = Book::default();
        let account = |n: usize| Principal::account(&n.to_string());
        for n in 0..=NAMES_MAX {
            book.name(account(n), &n.to_string().into());
        }
        assert_eq!(book.name_of(account(0)), None);
        assert_eq!(book.name_of(account(NAMES_MAX)).as_deref(), Some(&*NAMES_MAX.to_string()));
    }
}
