//! The shares of the busiest accounts, for whoever asks.

use std::cmp::Reverse;
use std::sync::Arc;

use super::shard::Rows;
use super::{Resource, UpstreamLoad, fair};
use crate::policy::load::{Load, LoadWindow};
use crate::time::Moment;

/// One upstream's load at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpstreamReport {
    /// By window, in the order of [`LoadWindow::ALL`]; `None` while its capacity is not known.
    pub utilisation: [Option<Utilisation>; LoadWindow::ALL.len()],
    /// The busiest in each window and resource, busiest first.
    pub accounts: Vec<AccountLoad>,
}

/// Requests in flight against places, summed over as many samples as there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utilisation {
    pub in_flight: u64,
    /// At least 1.
    pub capacity: u64,
}

impl Utilisation {
    pub(super) const fn permille(self) -> u32 {
        permille(self.in_flight, self.capacity)
    }

    pub(super) fn is_at_least(self, permille: u32) -> bool {
        u128::from(self.in_flight) * 1000 >= u128::from(self.capacity) * u128::from(permille)
    }
}

/// What one account took of one resource in one window. Amounts are in the resource's own units: nanoseconds,
/// requests, bytes, nanoseconds in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountLoad {
    /// `None`: all requests without a known account together.
    pub account: Option<Arc<str>>,
    pub resource: Resource,
    pub window: LoadWindow,
    pub used: u64,
    /// Of everybody. At least 1.
    pub total: u64,
    /// At most `used`: what it would keep, were the upstream's load cut to the utilisation that is of no concern,
    /// max-min fairly among those who use it. Less than `used` by its excess.
    pub fair: u64,
}

impl UpstreamLoad {
    /// The shares of the `load.top` busiest accounts, and of those without one.
    pub(in crate::engine) fn report(&self, load: &Load, now: Moment) -> UpstreamReport {
        let top = usize::try_from(load.top).unwrap_or(usize::MAX);
        let (mut accounts, mut utilisation) = (Vec::new(), [None; LoadWindow::ALL.len()]);
        for (window, utilisation) in LoadWindow::ALL.into_iter().zip(&mut utilisation) {
            *utilisation = self.watch.lock().utilisation(window, now);
            let rows = self.rows(window, now);
            for resource in Resource::ALL {
                let of_resource = rows.of(resource, window, level(&rows, resource, *utilisation, load));
                accounts.extend(busiest(of_resource, top));
            }
        }
        UpstreamReport { utilisation, accounts }
    }

    /// Everybody's amounts over one window.
    pub(super) fn rows(&self, window: LoadWindow, now: Moment) -> Rows {
        let mut all = Rows::default();
        for shard in &self.shards {
            let rows = shard.rows(window, now);
            let each = all.total.iter_mut().zip(rows.total);
            each.chain(all.anonymous.iter_mut().zip(rows.anonymous)).for_each(|(sum, more)| *sum += more);
            all.accounts.extend(rows.accounts);
        }
        all
    }
}

/// The amount of a resource up to which an account takes no more than its fair share; `None` if nobody takes more.
///
/// What there is to share is what the upstream would do at the utilisation from which on a share can be
/// unreasonable: the window's total, scaled down from the utilisation that it had. All that have no account are
/// one among those who share.
pub(super) fn level(
    rows: &Rows,
    resource: Resource,
    utilisation: Option<Utilisation>,
    load: &Load,
) -> Option<u64> {
    let of = |amounts: &super::usage::Amounts| amounts[resource as usize];
    let Utilisation { in_flight, capacity } = utilisation?;
    let permille = load.unreasonable.map_or(1000, |unreasonable| unreasonable.when_utilisation_permille);
    let comfortable = u128::from(of(&rows.total)) * u128::from(permille) * u128::from(capacity)
        / (u128::from(in_flight.max(1)) * 1000);
    let mut demands: Vec<u64> = rows.accounts.iter().map(|(_, amounts)| of(amounts)).collect();
    demands.push(of(&rows.anonymous));
    fair::level(&mut demands, u64::try_from(comfortable).unwrap_or(u64::MAX))
}

impl Rows {
    /// Everybody who took some of it.
    fn of(
        &self,
        resource: Resource,
        window: LoadWindow,
        level: Option<u64>,
    ) -> impl Iterator<Item = AccountLoad> {
        let of = move |amounts: &super::usage::Amounts| amounts[resource as usize];
        let total = of(&self.total).max(1);
        let accounts = self.accounts.iter().map(|(id, amounts)| (Some(id), amounts));
        let everybody = accounts.chain(std::iter::once((None, &self.anonymous)));
        everybody.filter_map(move |(account, amounts)| {
            let used = of(amounts);
            (used > 0).then(|| AccountLoad {
                account: account.cloned(),
                resource,
                window,
                used,
                total,
                fair: level.map_or(used, |level| used.min(level)),
            })
        })
    }
}

/// The `top` accounts that took the most, and those without one.
fn busiest(of: impl Iterator<Item = AccountLoad>, top: usize) -> Vec<AccountLoad> {
    let (mut accounts, anonymous): (Vec<_>, Vec<_>) = of.partition(|load| load.account.is_some());
    accounts.sort_unstable_by(|a, b| (Reverse(a.used), &a.account).cmp(&(Reverse(b.used), &b.account)));
    accounts.truncate(top);
    accounts.extend(anonymous);
    accounts
}

/// `part` of `whole` in thousandths, rounded down, at most 1000.
#[expect(clippy::cast_possible_truncation, reason = "at most 1000")]
pub(super) const fn permille(part: u64, whole: u64) -> u32 {
    let whole = if whole == 0 { 1 } else { whole };
    let share = part as u128 * 1000 / whole as u128;
    if share > 1000 { 1000 } else { share as u32 }
}
