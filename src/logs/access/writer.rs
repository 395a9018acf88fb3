//! The writer thread: takes records off the queue, formats them and writes them in batches.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread::Thread;
use std::time::Duration;

use super::record::AccessRecord;
use super::timestamp::Timestamp;
use super::{combined, json};
use crate::metrics::Metrics;
use crate::policy::{AccessFormat, AccessTarget};

/// While records keep coming, the writer looks at the queue this often. Waking it for each record would cost
/// the request a system call.
const BATCH_EVERY: Duration = Duration::from_millis(10);

/// A batch is written when it has grown to this.
const BATCH_BYTES: usize = 64 * 1024;

/// What the handles tell the writer besides records.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// The writer waits without an end: the next record has to wake it.
    idle: AtomicBool,
    reopen: AtomicBool,
}

impl Signals {
    pub(super) fn queued(&self, writer: &Thread) {
        // Pairs with the fence in `Writer::sleep`: either the writer finds the record, or this finds it idle.
        fence(Ordering::SeqCst);
        // The plain load keeps the line shared between cores while the writer is busy.
        if self.idle.load(Ordering::Relaxed) && self.idle.swap(false, Ordering::Relaxed) {
            writer.unpark();
        }
    }

    pub(super) fn reopen(&self, writer: &Thread) {
        self.reopen.store(true, Ordering::Release);
        writer.unpark();
    }
}

/// Where lines go.
#[derive(Debug)]
pub(super) struct Destination {
    target: AccessTarget,
    /// `None`: standard output.
    file: Option<File>,
}

impl Destination {
    pub(super) fn open(target: AccessTarget) -> io::Result<Self> {
        let file = match &target {
            AccessTarget::Stdout => None,
            AccessTarget::File(path) => {
                let mut options = OpenOptions::new();
                options.create(true).append(true);
                #[cfg(unix)]
                {
                    use std::os::unix::fs::OpenOptionsExt;
                    // Lines hold addresses: not for everybody on the machine.
                    options.mode(0o640);
                }
                Some(options.open(path)?)
            }
        };
        Ok(Destination { target, file })
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            return file.write_all(lines);
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(lines)?;
        stdout.flush()
    }

    fn reopen(&mut self) {
        match Destination::open(self.target.clone()) {
            Ok(new) => *self = new,
            Err(error) => {
                tracing::warn!(%error, target = ?self.target, "access log not reopened; writing on to the old file");
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Writer {
    destination: Destination,
    format: AccessFormat,
    queue: Receiver<AccessRecord>,
    signals: Arc<Signals>,
    metrics: Metrics,
    batch: Vec<u8>,
    batch_lines: u64,
    time: Timestamp,
    /// The last write failed: said once, not for every batch.
    failing: bool,
}

impl Writer {
    pub(super) fn new(
        destination: Destination,
        format: AccessFormat,
        queue: Receiver<AccessRecord>,
        signals: Arc<Signals>,
        metrics: Metrics,
    ) -> Self {
        Writer {
            destination,
            format,
            queue,
            signals,
            metrics,
            batch: Vec::with_capacity(BATCH_BYTES),
            batch_lines: 0,
            time: Timestamp::default(),
            failing: false,
        }
    }

    /// Runs until every handle is gone and everything queued is written.
    pub(super) fn run(mut self) {
        loop {
            let reopen = self.signals.reopen.swap(false, Ordering::Acquire);
            let drained = self.drain();
            self.flush();
            if reopen {
                self.destination.reopen();
            }
            match drained {
                // A rotation asked for just before the end is still carried out.
                Drained::Closed if self.signals.reopen.load(Ordering::Relaxed) => {}
                Drained::Closed => return,
                Drained::Some => std::thread::park_timeout(BATCH_EVERY),
                Drained::Nothing => self.sleep(),
            }
        }
    }

    /// Formats what is queued now.
    fn drain(&mut self) -> Drained {
        let mut drained = Drained::Nothing;
        loop {
            match self.queue.try_recv() {
                Ok(record) => self.format(&record),
                Err(TryRecvError::Empty) => return drained,
                Err(TryRecvError::Disconnected) => return Drained::Closed,
            }
            drained = Drained::Some;
            if self.batch.len() >= BATCH_BYTES {
                self.flush();
            }
        }
    }

    fn format(&mut self, record: &AccessRecord) {
        match self.format {
            AccessFormat::Combined => combined::write(&mut self.batch, record, &mut self.time),
            AccessFormat::Json => json::write(&mut self.batch, record, &mut self.time),
        }
        self.batch_lines += 1;
    }

    fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        match self.destination.write(&self.batch) {
            Ok(()) => {
                self.metrics.access_log_written(self.batch_lines);
                self.failing = false;
            }
            Err(error) => {
                self.metrics.access_log_dropped(self.batch_lines);
                if !self.failing {
                    tracing::error!(%error, target = ?self.destination.target, "access log cannot be written");
                }
                self.failing = true;
            }
        }
        self.batch.clear();
        self.batch_lines = 0;
    }

    /// Waits for the next record, however long.
    fn sleep(&mut self) {
        self.signals.idle.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        // A record queued just before saw no idle writer and woke nobody: look once more.
        match self.queue.try_recv() {
            Ok(record) => self.format(&record),
            Err(TryRecvError::Disconnected) => {}
            Err(TryRecvError::Empty) => std::thread::park(),
        }
        self.signals.idle.store(false, Ordering::Relaxed);
    }
}

/// What the queue held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drained {
    Nothing,
    Some,
    /// Nothing more will come.
    Closed,
}
