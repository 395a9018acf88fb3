//! Who uses an upstream: a bounded part of its accounts, behind one lock.
//!
//! Where there are more accounts than places, the places are the counters of Space-Saving (Metwally, Agrawal and El
//! Abbadi, "Efficient computation of frequent and top-k elements in data streams", ICDT 2005): the lightest account
//! makes room, and whoever takes its place inherits its weight. An account with more than 1/k of all weight in the
//! shard, for k places, then always has one. Its windows begin anew with its place, so that a share is never
//! overstated; what it understates was lighter than 1/k of the weight. Weight is [`weight`] of every request,
//! halved now and then.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::usage::{Amounts, Taken, Usage};
use crate::facts::{Account, Principal};
use crate::policy::load::LoadWindow;
use crate::time::Moment;

/// A part of one upstream's users.
#[derive(Debug)]
pub(super) struct Shard {
    places: usize,
    users: Mutex<Users>,
}

#[derive(Debug)]
struct Users {
    total: Usage,
    anonymous: Usage,
    by_principal: HashMap<Principal, u32, ahash::RandomState>,
    /// Its order is that of `by_principal`'s values.
    places: Vec<Option<User>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct User {
    principal: Principal,
    id: Arc<str>,
    usage: Usage,
    weight: u64,
}

/// Where a request is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Of requests without an account, and of accounts for which there is no room because all that have a place
    /// have requests in flight.
    Anonymous,
    Account(u32),
}

/// What a window holds of one shard.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) total: Amounts,
    pub(super) anonymous: Amounts,
    pub(super) accounts: Vec<(Arc<str>, Amounts)>,
}

impl Shard {
    /// With room for `places` accounts.
    pub(super) fn new(places: usize) -> Self {
        let users = Users {
            total: Usage::starting(Moment::ORIGIN),
            anonymous: Usage::starting(Moment::ORIGIN),
            by_principal: HashMap::default(),
            places: Vec::new(),
            free: Vec::new(),
        };
        Shard { places, users: Mutex::new(users) }
    }

    /// Begins a request of `account`; counted in the total unless another shard does.
    pub(super) fn begin(&self, account: Option<&Account>, in_total: bool, now: Moment) -> Place {
        let mut users = self.users.lock();
        if in_total {
            users.total.begin(now);
        }
        let place = account.and_then(|account| users.place_of(account, self.places, now));
        let place = place.map_or(Place::Anonymous, Place::Account);
        if let Some(usage) = users.usage(place) {
            usage.begin(now);
        }
        place
    }

    /// Ends a request that [`begin`](Self::begin) began.
    pub(super) fn end(&self, place: Place, in_total: bool, taken: Taken, now: Moment) {
        let mut users = self.users.lock();
        if in_total {
            users.total.end(taken, now);
        }
        if let Some(usage) = users.usage(place) {
            usage.end(taken, now);
        }
        if let Place::Account(at) = place
            && let Some(user) = users.user(at)
        {
            user.weight = user.weight.saturating_add(weight(taken));
        }
    }

    pub(super) fn rows(&self, window: LoadWindow, now: Moment) -> Rows {
        let mut users = self.users.lock();
        let (total, anonymous) = (users.total.sums(window, now), users.anonymous.sums(window, now));
        let each = users.places.iter_mut().flatten();
        let accounts = each.map(|user| (Arc::clone(&user.id), user.usage.sums(window, now)));
        Rows { total, anonymous, accounts: accounts.collect() }
    }

    /// Forgets accounts of which nothing is in any window.
    pub(super) fn forget_idle(&self, now: Moment) {
        let users = &mut *self.users.lock();
        for (at, place) in (0..).zip(&mut users.places) {
            if let Some(user) = place
                && user.usage.is_idle(now)
            {
                users.by_principal.remove(&user.principal);
                *place = None;
                users.free.push(at);
            }
        }
    }

    /// Halves all weights, so that they are mostly of the last while.
    pub(super) fn fade(&self) {
        self.users.lock().places.iter_mut().flatten().for_each(|user| user.weight /= 2);
    }
}

impl Users {
    fn usage(&mut self, place: Place) -> Option<&mut Usage> {
        match place {
            Place::Anonymous => Some(&mut self.anonymous),
            Place::Account(at) => self.user(at).map(|user| &mut user.usage),
        }
    }

    fn user(&mut self, at: u32) -> Option<&mut User> {
        self.places.get_mut(usize::try_from(at).ok()?)?.as_mut()
    }

    fn place_of(&mut self, account: &Account, places: usize, now: Moment) -> Option<u32> {
        if let Some(at) = self.by_principal.get(&account.principal) {
            return Some(*at);
        }
        let (at, weight) = self.room(places)?;
        let user = User {
            principal: account.principal,
            id: Arc::clone(&account.id),
            usage: Usage::starting(now),
            weight,
        };
        *self.places.get_mut(usize::try_from(at).ok()?)? = Some(user);
        self.by_principal.insert(account.principal, at);
        Some(at)
    }

    /// A place that is nobody's, and the weight that goes with it.
    fn room(&mut self, places: usize) -> Option<(u32, u64)> {
        if let Some(at) = self.free.pop() {
            return Some((at, 0));
        }
        if self.places.len() < places {
            self.places.push(None);
            return Some((u32::try_from(self.places.len() - 1).ok()?, 0));
        }
        let taken = (0..).zip(&self.places).filter_map(|(at, place)| Some((at, place.as_ref()?)));
        let idle = taken.filter(|(_, user)| !user.usage.is_in_use());
        let (at, weight, principal) =
            idle.map(|(at, user)| (at, user.weight, user.principal)).min_by_key(|(_, weight, _)| *weight)?;
        self.by_principal.remove(&principal);
        Some((at, weight))
    }
}

/// How heavy a request was: one for itself, one for each ms (2^20 ns) that the upstream took, one for each 16 KiB.
const fn weight(taken: Taken) -> u64 {
    1 + (taken.upstream_ns >> 20) + (taken.bytes >> 14)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::TermsId;

    fn account(number: u64) -> Account {
        let id = number.to_string();
        Account { principal: Principal::account(&id), id: id.into(), terms: TermsId::NONE }
    }

    fn request(shard: &Shard, number: u64) -> Place {
        let now = Moment::ORIGIN;
        let place = shard.begin(Some(&account(number)), true, now);
        shard.end(place, true, Taken { requests: 1, ..Taken::default() }, now);
        place
    }

    proptest! {
        #![proptest_config(crate::engine::load::tests::seeded(128))]

        /// Promise: with more accounts than places, whoever sends more than 1/k of the requests has a place; shares
        /// are never overstated, and understated by no more than 1/k of the requests. Memory is k places.
        #[test]
        fn heavy_accounts_always_have_a_place(
            arrivals in prop::collection::vec(prop_oneof![0..3_u64, 3..400_u64], 1..600),
        ) {
            const PLACES: usize = 8;
            let shard = Shard::new(PLACES);
            for number in &arrivals {
                request(&shard, *number);
            }
            let rows = shard.rows(LoadWindow::Minute, Moment::ORIGIN);
            prop_assert!(rows.accounts.len() <= PLACES);
            prop_assert_eq!(rows.total[1], arrivals.len() as u64);
            for number in 0..400 {
                let sent = arrivals.iter().filter(|one| **one == number).count();
                let seen = rows.accounts.iter().find(|(id, _)| **id == *number.to_string());
                prop_assert!(seen.is_some() || sent <= arrivals.len() / PLACES, "{} sent {}", number, sent);
                if let Some((_, amounts)) = seen {
                    let seen = usize::try_from(amounts[1]).unwrap();
                    prop_assert!(seen <= sent && sent - seen <= arrivals.len() / PLACES);
                }
            }
        }
    }

    /// Promise: an account with a request in flight keeps its place; where all have one, who comes next is counted
    /// without a name, and what is then idle makes room.
    #[test]
    fn who_is_in_flight_keeps_the_place() {
        let (shard, now) = (Shard::new(1), Moment::ORIGIN);
        let first = shard.begin(Some(&account(1)), true, now);
        assert_eq!(first, Place::Account(0));
        assert_eq!(request(&shard, 2), Place::Anonymous);
        shard.end(first, true, Taken::default(), now);
        assert_eq!(request(&shard, 2), Place::Account(0));
        let rows = shard.rows(LoadWindow::Minute, now);
        assert_eq!((rows.total[1], rows.anonymous[1], rows.accounts.len()), (2, 1, 1));
    }

    /// Promise: accounts of which nothing is in any window take no memory.
    #[test]
    fn idle_accounts_are_forgotten() {
        let shard = Shard::new(4);
        request(&shard, 1);
        shard.forget_idle(Moment::from_nanos(60_000_000_000));
        assert_eq!(shard.rows(LoadWindow::Hour, Moment::ORIGIN).accounts.len(), 1);
        let later = Moment::from_nanos(4_000_000_000_000);
        shard.forget_idle(later);
        assert!(shard.rows(LoadWindow::Hour, later).accounts.is_empty());
        assert_eq!(request(&shard, 2), Place::Account(0));
    }
}
