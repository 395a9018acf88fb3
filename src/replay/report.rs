//! What a replay adds up to.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use ahash::AHashMap;

use super::{Entry, Judgement};
use crate::engine::{Case, FindingEvent};
use crate::facts::Client;
use crate::policy::LimitId;
use crate::remedy::Verdict;

/// Who would have been limited or found, and what share of ordinary traffic that is.
#[derive(Debug, Default)]
pub struct Report {
    pub requests: u64,
    pub malformed: u64,
    pub first_unix_ms: Option<u64>,
    pub last_unix_ms: u64,
    clients: AHashMap<IpAddr, ClientTally>,
    /// By detector.
    found: HashMap<Arc<str>, u64>,
    limited: HashSet<(IpAddr, LimitId)>,
}

/// One client.
#[derive(Clone, Copy, Debug, Default)]
struct ClientTally {
    requests: u32,
    /// By a limit.
    refused: u32,
    /// For a finding.
    convicted: u32,
    is_found: bool,
}

impl Report {
    /// Adds a request. The limit that refused it, if that is the first time that it refuses this client.
    pub fn note(&mut self, entry: &Entry<'_>, judgement: &Judgement) -> Option<LimitId> {
        self.requests += 1;
        self.first_unix_ms = Some(self.first_unix_ms.map_or(entry.unix_ms, |first| first.min(entry.unix_ms)));
        self.last_unix_ms = self.last_unix_ms.max(entry.unix_ms);
        let client = self.clients.entry(entry.client).or_default();
        client.requests = client.requests.saturating_add(1);
        let (refused_by, is_convicted) = match judgement.verdict {
            Verdict::Refuse(refusal) => (Some(refusal.limit), false),
            Verdict::Convict(_) => (None, true),
            Verdict::Forward | Verdict::Delay(_) => (None, false),
        };
        client.refused = client.refused.saturating_add(u32::from(refused_by.is_some()));
        client.convicted = client.convicted.saturating_add(u32::from(is_convicted));
        for event in &judgement.events {
            if let FindingEvent::Opened(case) = event {
                *self.found.entry(Arc::clone(&case.detector)).or_default() += 1;
                self.clients.entry(client_of(case, entry)).or_default().is_found = true;
            }
        }
        refused_by.filter(|limit| self.limited.insert((entry.client, *limit)))
    }

    /// Requests so far of a client.
    pub fn requests_of(&self, client: IpAddr) -> u32 {
        self.clients.get(&client).map_or(0, |tally| tally.requests)
    }

    pub fn clients(&self) -> u64 {
        self.clients.len() as u64
    }

    /// Clients that were found by any detector.
    pub fn found_clients(&self) -> u64 {
        self.clients.values().filter(|tally| tally.is_found).count() as u64
    }

    /// Findings by detector, the most frequent first.
    pub fn findings(&self) -> Vec<(&str, u64)> {
        let mut findings: Vec<_> = self.found.iter().map(|(detector, count)| (&**detector, *count)).collect();
        findings.sort_by_key(|(detector, count)| (std::cmp::Reverse(*count), *detector));
        findings
    }

    /// Requests that would have been refused: of all, of clients that no detector found, and so many of these.
    pub fn refused(&self) -> Refused {
        let mut refused = Refused::default();
        for tally in self.clients.values() {
            refused.requests += u64::from(tally.refused);
            refused.convicted += u64::from(tally.convicted);
            if !tally.is_found {
                let touched = tally.refused.saturating_add(tally.convicted);
                refused.ordinary_requests += u64::from(tally.requests);
                refused.ordinary_refused += u64::from(touched);
                refused.ordinary_clients += u64::from(touched > 0);
            }
        }
        refused
    }
}

/// Whom a finding that came of this request is about. It is another's where the site was understood just now: then no
/// request of its own brought it about.
pub fn client_of(case: &Case, entry: &Entry<'_>) -> IpAddr {
    let other = case.finding.principal.client().filter(|_| case.finding.samples.is_empty());
    other.map_or(entry.client, Client::address)
}

/// What would have been refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// By limits.
    pub requests: u64,
    /// For findings.
    pub convicted: u64,
    /// Of clients that no detector found.
    pub ordinary_requests: u64,
    pub ordinary_refused: u64,
    pub ordinary_clients: u64,
}
