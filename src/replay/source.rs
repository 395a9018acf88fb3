//! Where lines come from: files, standard input, compressed or not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

/// A longer line is cut off here and counted as malformed: no request is that long.
const LINE_MAX: usize = 1 << 20;
const BUFFER: usize = 1 << 18;

/// The lines of one log.
pub struct Lines {
    input: Box<dyn BufRead>,
    line: Vec<u8>,
    /// Why the log ended early.
    pub fault: Option<io::Error>,
}

/// How many bytes of all logs were read, compressed as they are: for a progress bar.
pub type Progress = Arc<AtomicU64>;

impl Lines {
    /// Opens a log; `-` is standard input. What it is compressed with is told from its first bytes.
    pub fn open(path: &Path, progress: &Progress) -> io::Result<Self> {
        let raw: Box<dyn Read> =
            if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
        let counted = Counted { inner: raw, progress: Arc::clone(progress) };
        let mut raw = BufReader::with_capacity(BUFFER, counted);
        let input: Box<dyn BufRead> = match raw.fill_buf()? {
            [0x1f, 0x8b, ..] => Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(raw))),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                Box::new(BufReader::with_capacity(BUFFER, zstd::stream::read::Decoder::with_buffer(raw)?))
            }
            _ => Box::new(raw),
        };
        Ok(Lines { input, line: Vec::new(), fault: None })
    }

    /// The next line, without its end. `None` at the end of the log, also of one that is cut off: then there is a
    /// [`fault`](Lines::fault), and everything before it was given.
    pub fn next_line(&mut self) -> Option<&[u8]> {
        self.line.clear();
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.fault = Some(error);
                    return (!self.line.is_empty()).then_some(&self.line);
                }
            };
            if available.is_empty() {
                return (!self.line.is_empty()).then_some(&self.line);
            }
            let end = memchr::memchr(b'\n', available);
            let taken = end.unwrap_or(available.len());
            let room = LINE_MAX.saturating_sub(self.line.len());
            self.line.extend_from_slice(available.get(..taken.min(room)).unwrap_or(available));
            let used = end.map_or(taken, |end| end + 1);
            self.input.consume(used);
            if end.is_some() {
                if self.line.last() == Some(&b'\r') {
                    self.line.pop();
                }
                return Some(&self.line);
            }
        }
    }
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("fault", &self.fault).finish_non_exhaustive()
    }
}

struct Counted {
    inner: Box<dyn Read>,
    progress: Progress,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.progress.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
