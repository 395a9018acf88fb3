//! A finding as it is sent and printed: names instead of ids, and addresses as far as they may be told.

use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::Book;
use crate::clock::Clock;
use crate::engine::Case;
use crate::facts::{Client, Principal, PrincipalKind};
use crate::finding::Evidence;
use crate::policy::Policy;
use crate::policy::conduct::Addresses;
use crate::time::Moment;

/// One finding. docs/operating.md lists the members; they are only ever added to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FindingReport {
    /// Counts up while the process lives.
    pub id: u64,
    pub open: bool,
    /// RFC 3339, in UTC, as are all times here.
    pub opened: String,
    /// When the conduct was last seen.
    pub last: String,
    pub closed: Option<String>,
    pub principal: PrincipalReport,
    /// Of clients that took part, as far as configured.
    pub addresses: Vec<String>,
    pub behaviour: String,
    pub detector: String,
    /// The rule of the detector that was met.
    pub rule: String,
    pub clause: String,
    /// From 0 to 1.
    pub confidence: f64,
    /// `enforce` or `shadow`.
    pub mode: String,
    /// `none`, or `refuse`: the principal's requests are refused.
    pub action: String,
    /// With which status they are, or in `enforce` would be.
    pub status: Option<u16>,
    pub until: Option<String>,
    /// The numbers that crossed.
    pub evidence: Vec<EvidenceReport>,
    /// How often it was recognised.
    pub times: u32,
    /// Requests of the principal that were counted.
    pub requests: u32,
    /// The first of those.
    pub since: String,
    /// Ids of some requests at which it was recognised.
    pub samples: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrincipalReport {
    pub kind: String,
    /// An account's id; an address, or its network; a hash of what must not be told.
    pub id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceReport {
    pub counter: String,
    pub value: u32,
    pub threshold: u32,
}

impl Book {
    /// A finding, in words.
    pub fn report(&self, case: &Case, policy: &Policy, clock: Clock) -> FindingReport {
        let Case { finding, detector, clause, mode, sanction, .. } = case;
        let time = |at: Moment| clock.wall_at(at).to_string();
        let earlier = case.earlier.as_ref();
        let mut addresses: Vec<String> =
            finding.clients.iter().filter_map(|client| told(*client, policy)).collect();
        addresses.dedup();
        FindingReport {
            id: finding.id.0,
            open: finding.closed.is_none(),
            opened: earlier.map_or_else(|| time(finding.opened), |earlier| earlier.opened.to_string()),
            last: case.last_before(clock.wall_at(Moment::ORIGIN)).to_string(),
            closed: finding.closed.map(time),
            principal: self.principal(finding.principal, policy),
            addresses,
            detector: detector.to_string(),
            behaviour: finding.behaviour.name().to_owned(),
            rule: finding.rule.to_owned(),
            clause: clause.to_string(),
            // To the thousandth: more is noise.
            confidence: (f64::from(finding.confidence) * 1000.0).round() / 1000.0,
            mode: mode.name().to_owned(),
            action: if sanction.is_some() { "refuse" } else { "none" }.to_owned(),
            status: sanction.map(|sanction| sanction.answer.status()),
            until: sanction.map(|sanction| time(sanction.until)),
            evidence: finding.evidence.iter().map(EvidenceReport::from).collect(),
            times: finding.times,
            requests: finding.requests,
            since: earlier.map_or_else(|| time(finding.since), |earlier| earlier.since.to_string()),
            samples: finding.samples.iter().map(ToString::to_string).collect(),
        }
    }

    fn principal(&self, principal: Principal, policy: &Policy) -> PrincipalReport {
        let hidden = || format!("{:016x}", self.hasher.hash_one(principal));
        let id = match principal.kind() {
            PrincipalKind::Client => {
                let address = Ipv6Addr::from_bits(principal.id());
                told(Client::fold(address.into(), 32, 128), policy).unwrap_or_else(hidden)
            }
            PrincipalKind::Network if policy.conduct.addresses != Addresses::None => {
                policy.network.name(principal)
            }
            PrincipalKind::Account => self.name_of(principal).map_or_else(hidden, |id| id.to_string()),
            PrincipalKind::Everyone => "everyone".to_owned(),
            _ => hidden(),
        };
        PrincipalReport { kind: principal.kind().name().to_owned(), id }
    }
}

impl From<&Evidence> for EvidenceReport {
    fn from(evidence: &Evidence) -> Self {
        let Evidence { counter, value, threshold } = *evidence;
        EvidenceReport { counter: counter.to_owned(), value, threshold }
    }
}

/// An address as far as it may be told.
fn told(client: Client, policy: &Policy) -> Option<String> {
    let address = client.address();
    match policy.conduct.addresses {
        Addresses::None => None,
        Addresses::Network => Some(policy.network.name(policy.network.of(address))),
        Addresses::Client => {
            let (kept, whole) = match address {
                IpAddr::V4(_) => (policy.client.ipv4, 32),
                IpAddr::V6(_) => (policy.client.ipv6, 128),
            };
            Some(if kept < whole { format!("{address}/{kept}") } else { address.to_string() })
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use smallvec::smallvec;

    use super::*;
    use crate::clause::Behaviour;
    use crate::config;
    use crate::engine::Sanction;
    use crate::finding::{Finding, FindingId, RequestId};
    use crate::remedy::{Answer, Mode};

    /// An open finding of crawling.
    pub(crate) fn report(id: u64) -> FindingReport {
        let text = "[listen]\nproxy = \"127.0.0.1:1\"\n[upstreams.app]\nservers = [\"127.0.0.1:2\"]\n";
        let policy = config::from_str("test.toml", text, Path::new("")).unwrap().policy;
        of(&policy, id, "2001:db8::7")
    }

    fn of(policy: &Policy, id: u64, address: &str) -> FindingReport {
        let client = Client::fold(address.parse().unwrap(), policy.client.ipv4, policy.client.ipv6);
        let finding = Finding {
            id: FindingId(id),
            principal: client.into(),
            behaviour: Behaviour::Crawl,
            confidence: 0.9,
            rule: "unreferred",
            evidence: smallvec![Evidence { counter: "pages", value: 7, threshold: 6 }],
            requests: 9,
            since: Moment::ORIGIN,
            opened: Moment::ORIGIN,
            last: Moment::ORIGIN,
            closed: None,
            times: 1,
            clients: smallvec![client],
            samples: smallvec![RequestId::new(b"01ABC")],
        };
        let until = Moment::ORIGIN;
        let sanction = Some(Sanction { since: until, until, answer: Answer::Forbidden });
        let case = Case::new(finding, "crawl".into(), Mode::Enforce, sanction);
        Book::default().report(&case, policy, Clock::start())
    }

    /// Promise: a report says who, what, by which clause, how sure, what follows and because of which numbers.
    #[test]
    fn a_report_says_it_all() {
        let report = report(3);
        assert_eq!((report.id, report.open, &*report.detector, &*report.clause), (3, true, "crawl", "crawl"));
        assert_eq!((&*report.mode, &*report.action, report.status), ("enforce", "refuse", Some(403)));
        assert_eq!(
            (report.confidence, &*report.rule, report.samples.join(" ")),
            (0.9, "unreferred", "01ABC".to_owned())
        );
        let pages = EvidenceReport { counter: "pages".to_owned(), value: 7, threshold: 6 };
        assert_eq!(report.evidence, [pages]);
    }

    /// Promise: addresses are told as far as configured, whether somebody is one or took part by one.
    #[test]
    fn addresses_are_told_as_configured() {
        let text = "[listen]\nproxy = \"127.0.0.1:1\"\n[upstreams.app]\nservers = [\"127.0.0.1:2\"]\n\
                    [detection]\naddresses = ";
        let told = |addresses: &str, address: &str| {
            let text = format!("{text}\"{addresses}\"\n");
            let policy = config::from_str("test.toml", &text, Path::new("")).unwrap().policy;
            let report = of(&policy, 1, address);
            (report.principal.id, report.addresses)
        };
        let both = |id: &str| (id.to_owned(), vec![id.to_owned()]);
        assert_eq!(told("client", "192.0.2.7"), both("192.0.2.7"));
        assert_eq!(told("client", "2001:db8::7"), both("2001:db8::/64"));
        assert_eq!(told("network", "192.0.2.7"), both("192.0.2.0/24"));
        let (hidden, none) = told("none", "192.0.2.7");
        assert!(hidden.len() == 16 && !hidden.contains("192") && none.is_empty(), "{hidden} {none:?}");
    }
}
