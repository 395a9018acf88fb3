//! One change as it is told to those who follow: a server-sent event (HTML standard, § 9.2).

use bytes::Bytes;
use serde_json::json;

use super::report::FindingReport;

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Opened,
    /// It was open, and from now on its principal is refused.
    Sanctioned,
    Closed,
}

impl Change {
    pub const fn name(self) -> &'static str {
        match self {
            Change::Opened => "opened",
            Change::Sanctioned => "sanctioned",
            Change::Closed => "closed",
        }
    }
}

/// One change of one finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// One more than that of the change before.
    pub number: u64,
    pub change: Change,
    pub report: FindingReport,
}

impl Event {
    /// As it goes over the wire: the data is one line, as JSON has no line breaks of its own.
    pub fn text(&self) -> Bytes {
        let (number, change, report) = (self.number, self.change.name(), json!(self.report));
        Bytes::from(format!("id: {number}\nevent: {change}\ndata: {report}\n\n"))
    }
}

/// Tells that some changes were not told, because whoever follows was too slow or came back too late.
pub fn missed(count: u64) -> Bytes {
    Bytes::from(format!("event: missed\ndata: {{\"missed\":{count}}}\n\n"))
}

/// How a stream begins: with how long to wait, in ms, before coming back.
pub const BEGINNING: Bytes =
    Bytes::from_static(b"retry: 3000\n: findings as they are opened, sanctioned and closed\n\n");

/// Keeps a quiet connection from being taken for a dead one.
pub const HEARTBEAT: Bytes = Bytes::from_static(b": quiet\n\n");

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    /// Promise: an event is three lines and an empty one, whatever a name holds.
    #[test]
    fn an_event_is_four_lines() {
        let mut report = report(7);
        report.principal.id = "a\nid: 9\n\nb\r".to_owned();
        let text = Event { number: 3, change: Change::Opened, report: report.clone() }.text();
        let text = std::str::from_utf8(&text).unwrap();
        let lines: Vec<&str> = text.split('\n').collect();
        assert_eq!((lines[0], lines[1], lines.len()), ("id: 3", "event: opened", 5));
        let read: FindingReport = serde_json::from_str(lines[2].strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(read, report);
        assert_eq!(missed(5), "event: missed\ndata: {\"missed\":5}\n\n");
    }
}
