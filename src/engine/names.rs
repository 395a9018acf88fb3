//! Which cell is whose: limits and the key parts that the configuration bounds, by name and for good.
//!
//! Indices of limits and routes change with every reload; cells must not. So a cell is known by the names it
//! was configured with, and each combination of names gets a number that lasts as long as the engine.

use std::collections::HashMap;

use http::Method;
use serde::{Deserialize, Serialize};

/// One cell within a principal's record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SlotKey(u32);

/// How a limit counts. Part of a cell's name: a limit whose algorithm changed counts afresh, and requests in
/// flight are released in the cell that holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Algorithm {
    Sliding,
    Gcra,
    Concurrency,
    Month,
    WindowDebt,
    PacedDebt,
    MonthDebt,
}

/// The name of a group of cells that differ in the method only.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct CellName {
    pub(super) limit: String,
    pub(super) algorithm: Algorithm,
    /// Whether it counts time: what a limit counted of bytes says nothing of that.
    pub(super) timed: bool,
    /// For limits that count by route.
    pub(super) route: Option<String>,
    /// For limits that count by upstream.
    pub(super) upstream: Option<String>,
}

/// Numbers given to cell names, never taken back. Grows with what operators write, not with traffic.
#[derive(Debug, Default)]
pub(super) struct CellNames {
    numbers: HashMap<CellName, u32>,
}

impl CellNames {
    /// The first of the slots that bear `name`: the one for all methods. See [`SlotKey::for_method`].
    pub(super) fn slot(&mut self, name: CellName) -> SlotKey {
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(name).or_insert(next);
        SlotKey(number.saturating_mul(SlotKey::PER_NAME))
    }
}

impl CellNames {
    /// All names, each at its number.
    pub(super) fn in_order(&self) -> Vec<CellName> {
        let mut names: Vec<_> = self.numbers.iter().collect();
        names.sort_unstable_by_key(|(_, number)| **number);
        names.into_iter().map(|(name, _)| name.clone()).collect()
    }
}

impl SlotKey {
    /// All methods, the nine registered ones, and all others together.
    const PER_NAME: u32 = 16;

    /// The number of its name.
    pub(super) const fn name(self) -> u32 {
        self.0 / Self::PER_NAME
    }

    /// Which of the slots that bear the name.
    pub(super) const fn method(self) -> u8 {
        (self.0 % Self::PER_NAME) as u8
    }

    /// That slot of those that bear the name, if there is one, of the slot for all methods.
    pub(super) fn with_method(self, method: u8) -> Option<SlotKey> {
        let method = u32::from(method);
        (method < Self::PER_NAME).then_some(SlotKey(self.0 | method))
    }

    /// The slot for one method, of the slot for all of them. `HEAD` counts as `GET`.
    pub(super) fn for_method(self, method: &Method) -> SlotKey {
        let offset = match *method {
            Method::GET | Method::HEAD => 1,
            Method::POST => 2,
            Method::PUT => 3,
            Method::DELETE => 4,
            Method::PATCH => 5,
            Method::OPTIONS => 6,
            Method::CONNECT => 7,
            Method::TRACE => 8,
            _ => 9,
        };
        SlotKey(self.0 | offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(limit: &str, route: Option<&str>) -> CellName {
        CellName {
            limit: limit.to_owned(),
            algorithm: Algorithm::Sliding,
            timed: false,
            route: route.map(str::to_owned),
            upstream: None,
        }
    }

    /// Promise: the same names are the same cell in every reload; different names never share one.
    #[test]
    fn names_last() {
        let mut names = CellNames::default();
        let first = names.slot(name("a", None));
        let routed = names.slot(name("a", Some("/x")));
        assert_ne!(first, routed);
        assert_eq!(names.slot(name("a", None)), first);
        assert_ne!(first.for_method(&Method::POST), routed.for_method(&Method::POST));
        assert_ne!(first.for_method(&Method::POST), first);
    }

    /// Promise: a client has one budget for reading, whether it asks for bodies or not, and cannot get more
    /// budgets by inventing methods.
    #[test]
    fn methods_are_bounded() {
        let slot = CellNames::default().slot(name("a", None));
        assert_eq!(slot.for_method(&Method::HEAD), slot.for_method(&Method::GET));
        let (brew, when) = (Method::from_bytes(b"BREW").unwrap(), Method::from_bytes(b"WHEN").unwrap());
        assert_eq!(slot.for_method(&brew), slot.for_method(&when));
    }
}
