//! What the terminal shows while the visitors are there: a pure function from counts to lines.

use std::time::Duration;

use http::StatusCode;

use super::cast::{Schedule, Visitor};
use super::decision::{Decided, Fate};
use super::ink::{Ink, Line};
use super::tally::Tally;

/// From this width on there is room for the addresses.
const WIDE: usize = 100;
const FEED_LINES: usize = 8;
/// What a decision's line needs besides the target.
const DECISION_COLUMNS: usize = 53;

/// One whole picture of `FRAME_LINES` lines, whatever the counts, for a terminal of `width` columns.
pub(super) fn frame(tally: &Tally, schedule: Schedule, at: Duration, width: usize) -> Vec<Line> {
    let phase = schedule.phase(at);
    let mut lines =
        vec![title(schedule, at, width), Line::new().put(Ink::Accent, format!(" {}", phase.caption()))];
    lines.push(Line::new());
    lines.push(heading(width));
    lines.extend(Visitor::ALL.into_iter().map(|visitor| row(tally, visitor, at, width)));
    lines.push(Line::new());
    lines.push(reader_notices(tally));
    lines.push(Line::new());
    lines.push(Line::new().put(Ink::Dim, " decided just now; a refusal with its limit (and clause)"));
    let latest = tally.feed.latest();
    let skipped = latest.len().saturating_sub(FEED_LINES);
    lines.extend(latest.skip(skipped).map(|decided| decision(tally, decided, width)));
    lines.resize(FRAME_LINES, Line::new());
    lines
}

/// Title, caption, blank, heading, rows, blank, reader, blank, heading, feed.
pub(super) const FRAME_LINES: usize = 4 + Visitor::ALL.len() + 4 + FEED_LINES;

/// One decision as a line: in the feed, and where there is no terminal to draw on.
pub(super) fn decision(tally: &Tally, decided: &Decided, width: usize) -> Line {
    let room = width.saturating_sub(DECISION_COLUMNS).clamp(16, 48);
    let seconds = decided.at.as_secs_f64();
    let line = Line::new().put(Ink::Dim, format!("{seconds:>6.1} s  ")).plain(format!(
        "{:<11}  {:<4} {:<room$}  ",
        decided.visitor.name(),
        decided.method.as_str(),
        shortened(&decided.target, room)
    ));
    let status = decided.status.as_u16();
    match decided.fate {
        Fate::Admitted => line.put(Ink::Good, format!("{status}")),
        Fate::Failed => line.put(Ink::Bad, format!("{status}  by weir")),
        Fate::Refused(limit) => {
            let line = line.put(Ink::Bad, format!("{status}  "));
            match tally.limits.get(limit) {
                Some(label) => line.plain(format!("{} ({})", label.name, label.clause)),
                None => line,
            }
        }
    }
}

/// All counts in one line, where there is no terminal to draw on.
pub(super) fn standing(tally: &Tally, at: Duration) -> Line {
    let counts = Visitor::ALL.map(|visitor| {
        let record = tally.record(visitor);
        format!("{} {}/{}", visitor.name(), record.admitted, record.requests())
    });
    Line::new()
        .put(Ink::Dim, format!("{:>6.1} s  ", at.as_secs_f64()))
        .plain(format!("admitted of all: {}", counts.join(", ")))
}

fn title(schedule: Schedule, at: Duration, width: usize) -> Line {
    let clock = format!("  {:>2} s of {} s", at.min(schedule.total).as_secs(), schedule.total.as_secs());
    let name = " weir demo  ";
    let room = width.saturating_sub(name.len() + clock.len() + 1).min(60);
    let done = portion(room, at.as_millis(), schedule.total.as_millis());
    Line::new()
        .put(Ink::Bold, name)
        .put(Ink::Accent, "━".repeat(done))
        .put(Ink::Dim, "─".repeat(room - done))
        .put(Ink::Dim, clock)
}

fn heading(width: usize) -> Line {
    let address = if width >= WIDE { "address     " } else { "" };
    Line::new().put(
        Ink::Dim,
        format!(" visitor      {address}requests  admitted  refused  last  its fullest window, now"),
    )
}

fn row(tally: &Tally, visitor: Visitor, at: Duration, width: usize) -> Line {
    let record = tally.record(visitor);
    let (requests, refused) = (record.requests(), record.refused());
    let waits = requests == 0;
    let mut line =
        Line::new().put(if waits { Ink::Dim } else { Ink::Bold }, format!(" {:<13}", visitor.name()));
    if width >= WIDE {
        line = line.put(Ink::Dim, format!("{:<12}", visitor.address().to_string()));
    }
    if waits {
        return line.put(Ink::Dim, "       –         –        –     –");
    }
    line = line
        .plain(format!("{requests:>8}"))
        .put(Ink::Good, format!("{:>10}", record.admitted))
        .put(if refused > 0 { Ink::Bad } else { Ink::Plain }, format!("{refused:>9}"))
        .put(
            status_ink(record.last_status),
            format!("{:>6}  ", record.last_status.map_or(0, |s| s.as_u16())),
        );
    let Some(fullest) = record.windows.fullest(&tally.limits, at) else { return line };
    let length = if width >= WIDE { 24 } else { 12 };
    let full = portion(length, u128::from(fullest.used), u128::from(fullest.units));
    let ink = if full == length { Ink::Bad } else { Ink::Accent };
    let share = format!(" {}/{} {}", fullest.used, fullest.units, fullest.limit);
    line.put(ink, "█".repeat(full)).put(Ink::Dim, "░".repeat(length - full)).plain(share)
}

/// How the reader fares, for as many parts of the demo as there were.
fn reader_notices(tally: &Tally) -> Line {
    let parts = [("calm", &tally.calm), ("flood", &tally.flooded), ("without weir", &tally.without_weir)];
    let known = parts.iter().filter_map(|(name, latencies)| {
        latencies.median().map(|median| format!("{name} {} ms", median.as_millis()))
    });
    let known: Vec<String> = known.collect();
    let line = Line::new().put(Ink::Dim, " an article takes the reader  ");
    line.plain(if known.is_empty() { "–".to_owned() } else { known.join(" · ") })
}

fn status_ink(status: Option<StatusCode>) -> Ink {
    match status {
        Some(status) if status.is_client_error() || status.is_server_error() => Ink::Bad,
        _ => Ink::Good,
    }
}

/// `part` of `whole`, in `length` steps: the last only when it is reached.
fn portion(length: usize, part: u128, whole: u128) -> usize {
    let steps = part.min(whole) * length as u128 / whole.max(1);
    usize::try_from(steps).unwrap_or(length)
}

fn shortened(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars_max - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::sample;

    const SCHEDULE: Schedule = Schedule { total: Duration::from_secs(30) };

    fn drawn(width: usize) -> Vec<String> {
        let lines = frame(&sample::tally(), SCHEDULE, Duration::from_secs(3), width);
        lines.iter().map(|line| line.render(width, false)).collect()
    }

    /// Promise: in 80 columns, everything that matters is there, aligned, and nothing is cut.
    #[test]
    fn a_picture_in_80_columns() {
        let expected = [
            " weir demo  ━━━━━────────────────────────────────────────────────   3 s of 30 s",
            " someone reads, an integration polls, a crawler walks the site",
            "",
            " visitor      requests  admitted  refused  last  its fullest window, now",
            " reader              2         2        0   200  ████░░░░░░░░ 1/3 articles",
            " integration         –         –        –     –",
            " crawler             5         3        2   429  ████████████ 3/3 articles",
            " flood               –         –        –     –",
            "",
            " an article takes the reader  calm 6 ms",
            "",
            " decided just now; a refusal with its limit (and clause)",
            "   0.0 s  reader       GET  /                            200",
            "   1.0 s  crawler      GET  /articles/a                  200",
            "   1.1 s  crawler      GET  /articles/d                  429  articles (crawl)",
            "",
            "",
            "",
            "",
            "",
        ];
        assert_eq!(drawn(80), expected);
    }

    /// Promise: a wide terminal also shows the addresses.
    #[test]
    fn a_wide_picture_has_addresses() {
        let row = " crawler      127.0.0.13         5         3        2   429  ████████████████████████ 3/3 articles";
        assert_eq!(drawn(120).get(6).map(String::as_str), Some(row));
    }

    /// Promise: a picture has as many lines and at most as many columns as it says, at any width.
    #[test]
    fn a_picture_fits() {
        for width in [0, 1, 20, 79, 100, 300] {
            let lines = drawn(width);
            assert_eq!(lines.len(), FRAME_LINES);
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{lines:#?}");
        }
    }

    /// Promise: a bar is full only when the window is.
    #[test]
    fn a_bar_is_full_only_at_the_limit() {
        assert_eq!(portion(12, 29, 30), 11);
        assert_eq!(portion(12, 30, 30), 12);
        assert_eq!(portion(12, 31, 30), 12);
        assert_eq!(portion(12, 0, 0), 0);
    }
}
