//! What limits say of whom they count, what it costs, and what becomes of the rest.

use std::time::Duration;

use http::Method;
use weir::policy::{Bound, Cost, Exempt, Match, Missing, Over, Period, Policy};

use super::{MINIMAL, load_text};

fn compiled(rest: &str) -> Policy {
    load_text(&format!("{MINIMAL}[plans.pro.limits]\n[[limits]]\nname = \"x\"\n{rest}")).policy
}

/// Promise: several parts of a key count together, in any combination, and what is missing is skipped or shared.
#[test]
fn keys_are_combined() {
    let policy =
        compiled("key = [\"client\", \"network\", \"header:X-Tenant\", \"route\"]\nrate = \"1/s\"\n");
    let key = &policy.limits[1].key;
    assert_eq!(key.parts(), ["client", "network", "header:x-tenant", "route"]);
    assert_eq!(key.missing, Missing::Skip);
    let shared = "key = [\"header:x-tenant\"]\nmissing = \"shared\"\nrate = \"1/s\"\n";
    assert_eq!(compiled(shared).limits[1].key.missing, Missing::Shared);
}

/// Promise: every part of a match is read, singly or as a list, and `not` has the same parts.
#[test]
fn matches_ask_where_and_who() {
    let policy = compiled(
        "key = [\"client\"]\nrate = \"1/s\"\nmatch = { header = [\"Range\", \"x-a\"], client = \"192.0.2.0/24\", \
         not = { path = \"/a\", method = \"GET\", host = \"a.example\", client = [\"192.0.2.7\"] } }\n",
    );
    let Match { headers, clients, not, .. } = &policy.limits[1].matches;
    assert_eq!(headers.iter().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["range", "x-a"]);
    assert_eq!(clients[0].to_string(), "192.0.2.0/24");
    let not = not.as_ref().unwrap();
    assert_eq!(
        (not.methods.as_slice(), not.hosts.as_slice()),
        (&[Method::GET][..], &["a.example".to_owned()][..])
    );
    assert_eq!((not.paths[0].as_str(), not.clients[0].to_string()), ("/a", "192.0.2.7/32".to_owned()));
    assert!(not.not.is_none());
}

/// Promise: costs are counted in bytes and nanoseconds, and a quota's period is rolling or a month of the calendar.
#[test]
fn costs_and_quotas_have_their_units() {
    let bound = |rest: &str| {
        let policy = compiled(&format!("key = [\"client\"]\n{rest}\n"));
        (policy.limits[1].cost, policy.limits[1].bound)
    };
    let units = |n: u64| n.try_into().unwrap();
    let minute = Duration::from_secs(60);
    assert_eq!(
        bound("rate = \"120s/min\"\ncost = \"upstream-time\""),
        (Cost::UpstreamTime, Bound::SlidingWindow { units: units(120_000_000), window: minute })
    );
    assert_eq!(
        bound("rate = \"64KiB/min\"\ncost = \"response-bytes\"\nalgorithm = \"gcra\""),
        (
            Cost::ResponseBytes,
            Bound::Gcra { units: units(65_536), window: minute, burst: 1.try_into().unwrap() }
        )
    );
    assert_eq!(
        bound("quota = \"1M/month\""),
        (Cost::Requests, Bound::Quota { units: units(1_000_000), period: Period::Month })
    );
    let week = Duration::from_secs(7 * 24 * 3600);
    assert_eq!(
        bound("quota = \"1GB/7d\"\ncost = \"bytes\""),
        (Cost::Bytes, Bound::Quota { units: units(1_000_000_000), period: Period::Rolling(week) })
    );
}

/// Promise: what goes over is rejected unless it is said to wait, and then not for ever nor without end.
#[test]
fn over_is_reject_or_a_bounded_delay() {
    let over = |rest: &str| compiled(&format!("key = [\"client\"]\nrate = \"1/s\"\n{rest}\n")).limits[1].over;
    let s = Duration::from_secs;
    assert_eq!(over(""), Over::Reject);
    assert_eq!(over("over = \"delay\""), Over::Delay { wait_max: s(1), queue_max: 100 });
    assert_eq!(
        over("over = \"delay\"\ndelay = { max = \"2s\", queue = 7 }"),
        Over::Delay { wait_max: s(2), queue_max: 7 }
    );
}

/// Promise: ranges and accounts can be counted and never limited, by one limit or by all.
#[test]
fn some_are_never_limited() {
    let exempt =
        "key = [\"client\"]\nrate = \"1/s\"\nexempt = { ranges = [\"192.0.2.0/28\"], accounts = [\"a\"] }\n";
    let Exempt { ranges, accounts } = &compiled(exempt).limits[1].exempt;
    assert_eq!((ranges[0].to_string().as_str(), &*accounts[0]), ("192.0.2.0/28", "a"));
    for written in ["[\"192.0.2.0/28\"]", "{ ranges = [\"192.0.2.0/28\"], accounts = [\"a\"] }"] {
        let enforcement = format!("{MINIMAL}[enforcement]\nnever_refuse = {written}\n");
        let enforcement = load_text(&enforcement).policy.enforcement;
        assert_eq!(enforcement.never_refuse[0].to_string(), "192.0.2.0/28");
        assert_eq!(enforcement.never_refuse_accounts.len(), usize::from(written.starts_with('{')));
    }
}

/// Promise: a limit that never applies, and a route on which nobody without an account is counted, are warned of.
#[test]
fn gaps_are_warned_of() {
    let base = "[listen]\nproxy = \"127.0.0.1:1\"\n[upstreams.app]\nservers = [\"127.0.0.1:2\"]\n\
                [[routes]]\npath = \"/a/**\"\n[[routes]]\npath = \"/b\"\n";
    for (limit, words) in [
        ("key = [\"client\"]\nrate = \"1/s\"", None),
        ("key = [\"client\"]\nrate = \"1/s\"\nmatch = { path = \"/c\" }", Some("never applies: no route")),
        (
            "key = [\"client\"]\nrate = \"1/s\"\nmatch = { not = { path = \"/**\" } }",
            Some("never applies: no route"),
        ),
        ("key = [\"account\"]\nrate = \"1/s\"", Some("never applies: no request has an account")),
        ("key = [\"session\"]\nrate = \"1/s\"", Some("never applies: no request has a session")),
        (
            "key = [\"account\"]\nrate = \"1/s\"",
            Some("can reach \"/a/**\", \"/b\" without meeting any limit"),
        ),
        (
            "key = [\"client\"]\nrate = \"1/s\"\nmatch = { path = \"/a/*\" }",
            Some("can reach \"/a/**\", \"/b\""),
        ),
        (
            "key = [\"client\"]\nrate = \"1/s\"\nmatch = { path = \"/a/**\" }",
            Some("can reach \"/b\" without"),
        ),
        ("key = [\"account\"]\nmissing = \"shared\"\nrate = \"1/s\"", None),
    ] {
        let warnings = load_text(&format!("{base}[[limits]]\nname = \"x\"\n{limit}\n")).warnings;
        match words {
            Some(words) => assert!(warnings.to_string().contains(words), "{limit}: {warnings}"),
            None => assert!(warnings.is_empty(), "{limit}: {warnings}"),
        }
    }
}
