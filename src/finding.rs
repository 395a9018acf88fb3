//! What a detector found: what, of whom, how sure, and because of which numbers. Nothing here says what is done about it.

use std::fmt;

use smallvec::SmallVec;

use crate::clause::Behaviour;
use crate::facts::{Client, Principal};
use crate::time::Moment;

/// Which finding: unique as long as the process lives, and later ones have larger ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FindingId(pub u64);

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// One behaviour of one principal, from when it was first recognised until it was not seen for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub id: FindingId,
    pub principal: Principal,
    pub behaviour: Behaviour,
    /// The highest so far, from 0 to 1.
    pub confidence: f32,
    /// The rule within the detector that was met when it was highest.
    pub rule: &'static str,
    /// The numbers as they were when it was last recognised.
    pub evidence: Reasons,
    /// Requests of this principal until then.
    pub requests: u32,
    /// The first of them.
    pub since: Moment,
    /// When it was first recognised.
    pub opened: Moment,
    /// When it was last recognised.
    pub last: Moment,
    /// `None` while it is open.
    pub closed: Option<Moment>,
    /// How often it was recognised.
    pub times: u32,
    /// Clients that took part, the first [`CLIENTS_MAX`] of them; empty where nobody's address may be kept.
    pub clients: SmallVec<[Client; 1]>,
    /// Requests at which it was recognised: the first few, and the last.
    pub samples: SmallVec<[RequestId; 1]>,
}

/// Clients that a finding names.
pub const CLIENTS_MAX: usize = 16;
/// Requests that a finding names.
pub const SAMPLES_MAX: usize = 4;

impl Finding {
    /// One of which nothing is known yet but whom and what it is about.
    pub fn new(id: FindingId, principal: Principal, behaviour: Behaviour, opened: Moment) -> Self {
        Finding {
            id,
            principal,
            behaviour,
            confidence: 0.0,
            rule: "",
            evidence: Reasons::new(),
            requests: 0,
            since: opened,
            opened,
            last: opened,
            closed: None,
            times: 0,
            clients: SmallVec::new(),
            samples: SmallVec::new(),
        }
    }

    /// Recognised at a request.
    pub fn grow(&mut self, confidence: f32, rule: &'static str, evidence: Reasons, at: Moment) {
        if confidence > self.confidence {
            (self.confidence, self.rule) = (confidence, rule);
        }
        self.evidence = evidence;
        self.last = self.last.max(at);
        self.times = self.times.saturating_add(1);
    }

    /// Notes who took part, and by which request.
    pub fn note(&mut self, client: Option<Client>, request: Option<RequestId>) {
        if let Some(client) = client
            && self.clients.len() < CLIENTS_MAX
            && !self.clients.contains(&client)
        {
            self.clients.push(client);
        }
        if let Some(request) = request {
            if self.samples.len() >= SAMPLES_MAX {
                self.samples.pop();
            }
            self.samples.push(request);
        }
    }
}

/// The numbers behind a finding.
pub type Reasons = SmallVec<[Evidence; 4]>;

/// One number that crossed, and what it crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    pub counter: &'static str,
    pub value: u32,
    pub threshold: u32,
}

/// The id of a request, small enough to be handed around by value. A longer id is cut off.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId {
    length: u8,
    bytes: [u8; RequestId::BYTES_MAX],
}

impl RequestId {
    /// Long enough for weir's own ids, and for UUIDs.
    pub const BYTES_MAX: usize = 39;

    pub fn new(id: &[u8]) -> Self {
        let mut bytes = [0; Self::BYTES_MAX];
        let kept = bytes.iter_mut().zip(id).map(|(to, from)| *to = *from).count();
        RequestId { length: u8::try_from(kept).unwrap_or(0), bytes }
    }

    /// The place of a request in a log, where its id is not known.
    pub fn numbered(mut number: u64) -> Self {
        let mut digits = [b'0'; 20];
        let mut first = digits.len();
        for (at, digit) in digits.iter_mut().enumerate().rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
            (number, first) = (number / 10, at);
            if number == 0 {
                break;
            }
        }
        Self::new(digits.get(first..).unwrap_or_default())
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::PrincipalKind;

    fn finding() -> Finding {
        let somebody = Principal::new(PrincipalKind::Session, 1);
        Finding::new(FindingId(1), somebody, Behaviour::Crawl, Moment::ORIGIN)
    }

    /// Promise: however many take part in however many requests, a finding names a few of them: each client once, the
    /// first requests and the last.
    #[test]
    fn what_a_finding_names_is_bounded() {
        let mut finding = finding();
        for n in 0..100_u8 {
            let client = Client::fold([192, 0, 2, n / 2].into(), 32, 64);
            finding.note(Some(client), Some(RequestId::numbered(n.into())));
        }
        assert_eq!(finding.clients.len(), CLIENTS_MAX);
        let samples: Vec<String> = finding.samples.iter().map(ToString::to_string).collect();
        assert_eq!(samples, ["0", "1", "2", "99"]);
    }

    /// Promise: the confidence of a finding never falls, and its numbers are the latest.
    #[test]
    fn confidence_is_the_highest() {
        let mut finding = finding();
        finding.grow(0.8, "first", Reasons::new(), Moment::ORIGIN);
        let seven = Evidence { counter: "pages", value: 7, threshold: 6 };
        finding.grow(0.6, "second", Reasons::from_iter([seven]), Moment::from_nanos(5));
        assert_eq!((finding.confidence, finding.rule, finding.times), (0.8, "first", 2));
        assert_eq!((finding.evidence.as_slice(), finding.last), (&[seven][..], Moment::from_nanos(5)));
        finding.grow(0.9, "third", Reasons::new(), Moment::from_nanos(3));
        assert_eq!((finding.confidence, finding.rule, finding.last), (0.9, "third", Moment::from_nanos(5)));
    }

    /// Promise: an id is kept as it came, up to a length; one of a log is its number.
    #[test]
    fn request_ids_are_cut_off() {
        assert_eq!(RequestId::new(b"01ARZ3NDEKTSV4RRFFQ69G5FAV").to_string(), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
        assert_eq!(RequestId::new(&[b'a'; 128]).as_bytes().len(), RequestId::BYTES_MAX);
        assert_eq!(RequestId::numbered(0).to_string(), "0");
        assert_eq!(RequestId::numbered(u64::MAX).to_string(), u64::MAX.to_string());
    }
}
