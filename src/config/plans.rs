//! `[plans.NAME]` and `[agreements.ACCOUNT]`: other numbers for some accounts.

use super::limits::{self, Numbers};
use super::place::{At, Place};
use super::reader::{Item, Table, TableKind};

pub const PLAN: TableKind = TableKind { title: "[plans.NAME]", keys: &["limits"] };

pub const AGREEMENT: TableKind =
    TableKind { title: "[agreements.ACCOUNT]", keys: &["plan", "reference", "limits"] };

/// `[plans.NAME]` as written.
#[derive(Clone, Debug)]
pub struct Plan {
    pub name: At<String>,
    pub limits: Vec<Override>,
}

/// `[agreements.ACCOUNT]` as written.
#[derive(Clone, Debug)]
pub struct Agreement {
    pub account: At<String>,
    pub plan: Option<At<String>>,
    /// Quoted in every decision that rests on the agreement.
    pub reference: Option<String>,
    pub limits: Vec<Override>,
}

/// Other numbers for one limit.
#[derive(Clone, Debug)]
pub struct Override {
    pub limit: At<String>,
    pub numbers: Numbers,
    pub place: Place,
}

pub(super) fn read_plans(item: Item<'_>) -> Vec<Plan> {
    let entries = item.entries().unwrap_or_default();
    entries
        .into_iter()
        .filter_map(|(name, item)| Some(Plan { name, limits: overrides(&item.table(&PLAN)?) }))
        .collect()
}

pub(super) fn read_agreements(item: Item<'_>) -> Vec<Agreement> {
    let entries = item.entries().unwrap_or_default();
    entries.into_iter().filter_map(|(account, item)| agreement(account, item)).collect()
}

fn agreement(account: At<String>, item: Item<'_>) -> Option<Agreement> {
    let table = item.table(&AGREEMENT)?;
    Some(Agreement {
        account,
        plan: table.read("plan", |i| i.text_at("the name of a plan")),
        reference: table.read("reference", |i| i.text("where it is agreed").map(str::to_owned)),
        limits: overrides(&table),
    })
}

fn overrides(table: &Table<'_>) -> Vec<Override> {
    let entries = table.read("limits", |item| item.entries()).unwrap_or_default();
    entries
        .into_iter()
        .filter_map(|(limit, item)| {
            let table = item.table(&limits::OVERRIDE)?;
            Some(Override { limit, numbers: limits::numbers(&table), place: item.place })
        })
        .collect()
}
