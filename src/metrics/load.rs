//! Who uses which upstream, as of one moment.

use super::definitions as def;
use super::exposition::{Exposition, whole};
use crate::engine::{AccountLoad, Busy, UpstreamReport, Utilisation};
use crate::policy::load::{LoadWindow, Unreasonable};

/// What a scrape tells of load.
#[derive(Clone, Debug, Default)]
pub struct LoadSnapshot {
    pub upstreams: Vec<UpstreamSnapshot>,
    pub unreasonable: Option<Unreasonable>,
}

/// The same, of one upstream.
#[derive(Clone, Debug)]
pub struct UpstreamSnapshot {
    pub name: String,
    pub third_party: Option<String>,
    /// `None` where its capacity is not known.
    pub busy: Option<Busy>,
    pub report: UpstreamReport,
}

pub(super) fn render(out: &mut Exposition, load: &LoadSnapshot) {
    let upstreams = || load.upstreams.iter();
    let info = |one: &UpstreamSnapshot| one.third_party.clone().unwrap_or_default();
    let infos: Vec<(&str, String)> = upstreams().map(|one| (one.name.as_str(), info(one))).collect();
    out.labelled(&def::UPSTREAM_INFO, infos.iter().map(|(name, whose)| (vec![*name, whose], 1.0)));
    let capacity =
        upstreams().filter_map(|one| Some((vec![one.name.as_str()], whole(one.busy?.capacity.into()))));
    out.labelled(&def::UPSTREAM_CAPACITY, capacity);
    let utilisation = upstreams().flat_map(|one| {
        let windows = LoadWindow::ALL.into_iter().zip(one.report.utilisation);
        windows.filter_map(|(window, utilisation)| {
            let Utilisation { in_flight, capacity } = utilisation?;
            Some((vec![one.name.as_str(), window.name()], share(in_flight, capacity)))
        })
    });
    out.labelled(&def::UPSTREAM_UTILISATION, utilisation);
    accounts(out, &def::ACCOUNT_LOAD_SHARE, load, |account| account.used);
    accounts(out, &def::ACCOUNT_LOAD_FAIR_SHARE, load, |account| account.fair);
    let rule = || load.unreasonable.into_iter();
    let permille = |value: u32| f64::from(value) / 1000.0;
    out.labelled(
        &def::LOAD_UNREASONABLE_SHARE,
        rule().map(|rule| (vec![rule.over.name()], permille(rule.share_permille))),
    );
    out.labelled(
        &def::LOAD_UNREASONABLE_UTILISATION,
        rule().map(|rule| (vec![rule.over.name()], permille(rule.when_utilisation_permille))),
    );
}

fn accounts(
    out: &mut Exposition,
    definition: &def::Definition,
    load: &LoadSnapshot,
    amount: impl Fn(&AccountLoad) -> u64,
) {
    let series = load.upstreams.iter().flat_map(|upstream| {
        upstream.report.accounts.iter().map(|account| {
            let id = account.account.as_deref().unwrap_or_default();
            let labels = vec![upstream.name.as_str(), id, account.resource.name(), account.window.name()];
            (labels, share(amount(account), account.total))
        })
    });
    out.labelled(definition, series);
}

/// As a fraction. Time in flight is read at several moments, and so a part may seem larger than the whole.
fn share(part: u64, of: u64) -> f64 {
    (whole(part) / whole(of.max(1))).min(1.0)
}
