//! Following the stream of findings.

use std::io::{self, Write as _};

use anyhow::bail;
use serde_json::{Value, json};

use super::{Options, text};
use crate::cli::admin_client::AdminClient;
use crate::findings::report::FindingReport;

/// Prints each change after the one with the number `seen`. Ends only with an error.
pub(super) fn follow(client: AdminClient, options: &Options, seen: u64) -> anyhow::Result<()> {
    let mut reader = Reader::default();
    let target = options.target("/api/v1/findings/stream", false);
    client.follow(&target, &seen.to_string(), |bytes| {
        for event in reader.read(bytes) {
            print(options, &event)?;
        }
        Ok(())
    })?;
    bail!("the stream has ended: weir stops, or was restarted")
}

/// One server-sent event (HTML standard § 9.2.6).
#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    name: String,
    data: String,
}

/// Puts events together from whatever pieces they arrive in.
#[derive(Debug, Default)]
struct Reader {
    line: Vec<u8>,
    event: Event,
}

/// weir's own events are far shorter.
const LINE_MAX: usize = 1 << 20;

impl Reader {
    fn read(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' => events.extend(self.end_line()),
                _ if self.line.len() < LINE_MAX => self.line.push(*byte),
                _ => {}
            }
        }
        events
    }

    /// An empty line ends an event; one that begins with a colon is a comment.
    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return (!event.data.is_empty()).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => self.event.data.push_str(value),
            _ => {}
        }
        None
    }
}

fn print(options: &Options, event: &Event) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let data: Value = serde_json::from_str(&event.data)?;
    if event.name == "missed" {
        let missed = &data["missed"];
        if options.json {
            writeln!(out, "{}", json!({ "change": "missed", "missed": missed }))?;
        } else {
            writeln!(out, "missed {missed} changes: this reader is too slow")?;
        }
    } else if options.json {
        writeln!(out, "{}", json!({ "change": event.name, "finding": data }))?;
    } else {
        let report: FindingReport = serde_json::from_value(data)?;
        write!(out, "{}: {}", event.name, text::finding(&report))?;
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: events are the same in whatever pieces they arrive, and comments are none.
    #[test]
    fn events_are_put_together() {
        let stream =
            b"retry: 3000\n: a comment\n\nid: 4\nevent: opened\ndata: {\"a\":1}\n\n: quiet\n\ndata: x\n\n";
        let event = |name: &str, data: &str| Event { name: name.to_owned(), data: data.to_owned() };
        let expected = [event("opened", "{\"a\":1}"), event("", "x")];
        for size in [1, 7, stream.len()] {
            let mut reader = Reader::default();
            let events: Vec<Event> = stream.chunks(size).flat_map(|piece| reader.read(piece)).collect();
            assert_eq!(events, expected, "in pieces of {size}");
        }
    }
}
