//! `[[routes]]`: which request goes to which upstream, and what it weighs.

use super::http::{Cap, body_size};
use super::matches::some;
use super::place::{At, Place};
use super::reader::{Item, TableKind};
use crate::policy::{Priority, host};

pub const ROUTE: TableKind = TableKind {
    title: "[[routes]]",
    keys: &[
        "name",
        "path",
        "host",
        "upstream",
        "weight",
        "priority",
        "stream",
        "body_size",
        "allow_encoded_slashes",
        "plans",
        "clause",
        "client_certificate",
    ],
};

/// One `[[routes]]` as written.
#[derive(Clone, Debug)]
pub struct Route {
    pub name: Option<At<String>>,
    pub path: At<String>,
    pub host: Option<At<String>>,
    pub upstream: Option<At<String>>,
    pub weight: Option<At<u32>>,
    pub priority: Option<Priority>,
    pub stream: Option<bool>,
    pub body_size: Option<Cap<u64>>,
    pub allow_encoded_slashes: Option<bool>,
    /// Whose accounts alone may use it; `None`: everybody.
    pub plans: Option<At<Vec<At<String>>>>,
    /// Under which everybody else is refused.
    pub clause: Option<At<String>>,
    /// Present where clients must have shown one.
    pub client_certificate: Option<At<()>>,
    pub place: Place,
}

/// A weight is a number of requests that one stands for; more is a slip.
const WEIGHT_MAX: u64 = 1_000_000;
/// Every route holds every limit that may meet it, bound and ready.
const ROUTES_MAX: usize = 2_000;

const PATH: &str = "a path template such as \"/api/v1/exports/{id}\", \"/static/*\" or \"/**\"";

pub(super) fn read(item: Item<'_>) -> Vec<Route> {
    item.tables(ROUTES_MAX, route)
}

fn route(item: Item<'_>) -> Option<Route> {
    let table = item.table(&ROUTE)?;
    let path = table.require("path", PATH, template);
    Some(Route {
        name: table.read("name", |i| i.name()),
        host: table.read("host", host),
        upstream: table.read("upstream", |i| i.text_at("the name of an upstream")),
        weight: table.read("weight", |i| i.whole(1..=WEIGHT_MAX).map(|n| i.at(n))),
        priority: table.read("priority", |i| {
            i.word(&[("batch", Priority::Batch), ("normal", Priority::Normal), ("high", Priority::High)])
        }),
        stream: table.read("stream", |i| i.boolean()),
        body_size: table.read("body_size", body_size),
        allow_encoded_slashes: table.read("allow_encoded_slashes", |i| i.boolean()),
        plans: table.read("plans", |i| some(i, |i| i.text_at("the name of a plan")).map(|plans| i.at(plans))),
        clause: table.read("clause", |i| i.text_at("the id of a clause")),
        client_certificate: table
            .read("client_certificate", |i| i.word(&[("required", ())]).map(|required| i.at(required))),
        place: table.place,
        path: path?,
    })
}

/// A path template. It is compiled later: how a path is read depends on `[paths]`.
pub(super) fn template(item: Item<'_>) -> Option<At<String>> {
    item.text(PATH).map(|text| item.at(text.to_owned()))
}

/// A host name or `*.` and one, in the form that requests' hosts are folded to.
pub(super) fn host(item: Item<'_>) -> Option<At<String>> {
    const EXPECTED: &str = "a host such as \"api.example.com\" or \"*.example.com\", without a port";
    let host = item.parse(EXPECTED, |text| {
        let (wildcard, name) = text.strip_prefix("*.").map_or(("", text), |name| ("*.", name));
        let parts = host::split(name).ok()?;
        let folded = host::host(name).ok()?;
        let parent_is_address = !wildcard.is_empty() && folded.starts_with('[');
        (parts.port.is_none() && !parent_is_address).then(|| format!("{wildcard}{folded}"))
    })?;
    Some(item.at(host))
}
