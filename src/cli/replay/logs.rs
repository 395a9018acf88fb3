//! Several logs as one: the earliest request first.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::replay::Entry;
use crate::replay::formats::LineReader;
use crate::replay::source::{Lines, Progress};

/// Malformed lines that are kept to be shown, of each log.
const SAMPLES: usize = 3;

/// Logs that are read side by side.
#[derive(Debug)]
pub(super) struct Logs(Vec<Log>);

/// One log.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) name: PathBuf,
    lines: Lines,
    reader: LineReader,
    /// The next request's line and its time, where there are several logs; `None` at the end.
    next: Option<(Vec<u8>, u64)>,
    pub(super) malformed: u64,
    /// The first malformed lines, fit to be shown.
    pub(super) samples: Vec<String>,
}

impl Logs {
    /// Each is read by a reader like this one.
    pub(super) fn open(paths: &[PathBuf], reader: &LineReader, progress: &Progress) -> anyhow::Result<Self> {
        paths
            .iter()
            .map(|path| Log::open(path, reader.clone(), progress))
            .collect::<anyhow::Result<_>>()
            .map(Logs)
    }

    /// Every request, in the order of their times as far as each log is.
    pub(super) fn each(&mut self, mut f: impl FnMut(&Entry<'_>) -> io::Result<()>) -> io::Result<()> {
        if let [only] = self.0.as_mut_slice() {
            while only.read(&mut f)? {}
            return Ok(());
        }
        self.0.iter_mut().for_each(Log::advance);
        while let Some((_, at)) =
            self.0.iter().enumerate().filter_map(|(at, log)| Some((log.next.as_ref()?.1, at))).min()
        {
            let log = &mut self.0[at];
            if let Some((line, _)) = &log.next {
                log.reader.read(line, &mut f).unwrap_or(Ok(()))?;
            }
            log.advance();
        }
        Ok(())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Log> {
        self.0.iter()
    }
}

impl Log {
    fn open(path: &Path, reader: LineReader, progress: &Progress) -> anyhow::Result<Self> {
        let lines = Lines::open(path, progress).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Log { name: path.to_owned(), lines, reader, next: None, malformed: 0, samples: Vec::new() })
    }

    /// Why it ended early.
    pub(super) fn fault(&self) -> Option<&io::Error> {
        self.lines.fault.as_ref()
    }

    /// Hands over the next request; false at the end.
    fn read(&mut self, f: &mut impl FnMut(&Entry<'_>) -> io::Result<()>) -> io::Result<bool> {
        let Some(line) = self.lines.next_line() else { return Ok(false) };
        match self.reader.read(line, f) {
            Some(done) => done?,
            None => note_malformed(line, &mut self.malformed, &mut self.samples),
        }
        Ok(true)
    }

    /// Goes to the next line that is a request.
    fn advance(&mut self) {
        let (mut buffer, _) = self.next.take().unwrap_or_default();
        while let Some(line) = self.lines.next_line() {
            if let Some(time) = self.reader.read(line, |entry| entry.unix_ms) {
                buffer.clear();
                buffer.extend_from_slice(line);
                self.next = Some((buffer, time));
                return;
            }
            note_malformed(line, &mut self.malformed, &mut self.samples);
        }
    }
}

fn note_malformed(line: &[u8], count: &mut u64, samples: &mut Vec<String>) {
    if line.is_empty() {
        return;
    }
    *count += 1;
    if samples.len() < SAMPLES {
        let text: String = String::from_utf8_lossy(line).chars().take(120).collect();
        samples.push(text.escape_debug().to_string());
    }
}
