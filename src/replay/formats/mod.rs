//! The formats of access logs: a line in, a request out.
//!
//! | file | what it reads |
//! |---|---|
//! | [`combined`] | the Common and Combined Log Format |
//! | [`json`] | one JSON object a line: nginx's usual one, Caddy, Traefik, weir itself, and others by naming [`fields`] |
//! | [`haproxy`] | HAProxy's HTTP log, with or without syslog in front |
//! | [`aws`] | AWS load balancers: application ones, and classic ones |

pub mod aws;
pub mod combined;
pub mod fields;
pub mod haproxy;
pub mod json;
mod text;

use combined::Combined;
use fields::Fields;
use haproxy::Haproxy;

use super::Entry;

/// A format that lines may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Combined,
    Json,
    Haproxy,
    /// AWS application load balancers, and classic ones.
    Aws,
}

impl Format {
    /// In the order in which they are tried.
    pub const ALL: [Format; 4] = [Format::Combined, Format::Json, Format::Haproxy, Format::Aws];

    pub const fn name(self) -> &'static str {
        match self {
            Format::Combined => "combined",
            Format::Json => "json",
            Format::Haproxy => "haproxy",
            Format::Aws => "aws",
        }
    }
}

/// Reads the lines of one log.
#[derive(Clone, Debug, Default)]
pub struct LineReader {
    /// `None`: each line may be of any.
    format: Option<Format>,
    /// What the last line was, and so most likely the next.
    likely: Option<Format>,
    combined: Combined,
    haproxy: Haproxy,
    fields: Fields,
}

impl LineReader {
    /// A reader of one format, or of all.
    pub fn new(format: Option<Format>, fields: Fields) -> Self {
        LineReader { format, fields, ..LineReader::default() }
    }

    /// Shows the request of a line; `None` where it is none.
    pub fn read<R>(&mut self, line: &[u8], show: impl FnOnce(&Entry<'_>) -> R) -> Option<R> {
        if line.first() == Some(&b'{') && self.format.is_none_or(|format| format == Format::Json) {
            let line = json::read(line, &self.fields)?;
            return line.entry(&mut self.combined).as_ref().map(show);
        }
        let likely = self.format.or(self.likely).unwrap_or(Format::Combined);
        if let Some(entry) = self.entry(likely, line) {
            return Some(show(&entry));
        }
        if self.format.is_some() {
            return None;
        }
        let other = Format::ALL.into_iter().filter(|format| *format != likely);
        for format in other {
            if self.entry(format, line).is_some() {
                self.likely = Some(format);
                return self.entry(format, line).as_ref().map(show);
            }
        }
        None
    }

    fn entry<'a>(&mut self, format: Format, line: &'a [u8]) -> Option<Entry<'a>> {
        match format {
            Format::Combined => self.combined.read(line),
            Format::Haproxy => self.haproxy.read(line),
            Format::Aws => aws::read(line),
            // Begins with a brace.
            Format::Json => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [(Format, &str); 4] = [
        (Format::Combined, "192.0.2.7 - - [24/Nov/2026:10:00:00 +0000] \"GET /a HTTP/1.1\" 200 12"),
        (
            Format::Json,
            r#"{"time":"2026-11-24T10:00:00Z","client":"192.0.2.7","method":"GET","target":"/a","status":200,"bytes":12}"#,
        ),
        (
            Format::Haproxy,
            "192.0.2.7:4711 [24/Nov/2026:10:00:00.000] in app/srv1 1/0/0/5/6 200 12 - - ---- 1/1/0/0/0 0/0 \"GET /a HTTP/1.1\"",
        ),
        (
            Format::Aws,
            "http 2026-11-24T10:00:00.000000Z app/lb/1 192.0.2.7:4711 10.0.0.1:80 0.000 0.005 0.000 200 200 34 12 \"GET http://x:80/a HTTP/1.1\" \"-\" - -",
        ),
    ];

    /// Promise: each format is told by its lines, also where they come mixed, and all tell the same of one request.
    #[test]
    fn formats_are_told_apart() {
        let mut any = LineReader::default();
        for (format, line) in LINES.into_iter().chain(LINES) {
            let told = |entry: &Entry<'_>| {
                let target = entry.target.to_owned();
                (entry.unix_ms, entry.client.to_string(), target, entry.status, entry.bytes)
            };
            let expected = Some((1_795_514_400_000, "192.0.2.7".to_owned(), "/a".to_owned(), 200, 12));
            assert_eq!(any.read(line.as_bytes(), told), expected, "{format:?}");
            for other in Format::ALL {
                let mut reader = LineReader::new(Some(other), Fields::default());
                assert_eq!(
                    reader.read(line.as_bytes(), told).is_some(),
                    other == format,
                    "{other:?} of {line}"
                );
            }
        }
    }

    /// Promise: whatever a line holds, reading it ends without a panic; cut off anywhere, it is a request or none.
    #[test]
    fn damaged_lines_do_no_harm() {
        let mut reader = LineReader::default();
        for (_, line) in LINES {
            for end in 0..line.len() {
                reader.read(&line.as_bytes()[..end], |entry| entry.unix_ms);
            }
            for at in 0..line.len() {
                for byte in [0, b'"', b' ', b'[', b'\\', 0xff] {
                    let mut damaged = line.as_bytes().to_vec();
                    damaged[at] = byte;
                    reader.read(&damaged, |entry| entry.unix_ms);
                }
            }
        }
    }
}
