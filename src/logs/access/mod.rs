//! The access log: one line a request, written off the hot path.
//!
//! Whoever answers a request hands over an [`AccessRecord`] and goes on: [`AccessLog::record`] never waits. One
//! thread formats and writes. When it is behind by more than the queue holds, records are dropped and counted.

mod combined;
mod json;
mod record;
mod timestamp;
mod writer;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Duration;

use parking_lot::Mutex;

pub use self::record::{AccessRecord, RequestFields, RequestText};

use self::writer::{Destination, Signals, Writer};
use crate::metrics::Metrics;
use crate::policy;

/// A handle on the access log. Cheap to clone; the last one dropped writes out what is queued.
#[derive(Clone, Debug)]
pub struct AccessLog {
    shared: Arc<Shared>,
}

impl AccessLog {
    /// Opens the file, or standard output, and starts the writer thread.
    ///
    /// Counts lines written and dropped in `metrics`. Errors: the file cannot be opened for appending, or the
    /// operating system gives no thread.
    pub fn start(config: &policy::AccessLog, metrics: Metrics) -> io::Result<Self> {
        let (sender, receiver) = mpsc::sync_channel(config.queue_max.max(1));
        let (done_sender, done) = mpsc::sync_channel(1);
        let signals = Arc::new(Signals::default());
        let writer = Writer::new(
            Destination::open(config.target.clone())?,
            config.format,
            receiver,
            Arc::clone(&signals),
            metrics.clone(),
        );
        let thread = std::thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            writer.run();
            // The last handle may have stopped waiting; then nobody needs to know.
            let _ = done_sender.send(());
        })?;
        let writer = Some(WriterThread { thread: thread.thread().clone(), signals, done: Mutex::new(done) });
        Ok(AccessLog { shared: Arc::new(Shared { sender: Some(sender), writer, metrics: Some(metrics) }) })
    }

    /// A log whose records go to whoever holds the receiver, at most `queue_max` unread, the rest dropped.
    pub fn to_channel(queue_max: usize) -> (Self, Receiver<AccessRecord>) {
        let (sender, receiver) = mpsc::sync_channel(queue_max);
        let shared = Shared { sender: Some(sender), writer: None, metrics: None };
        (AccessLog { shared: Arc::new(shared) }, receiver)
    }

    /// Queues one line. Never waits: where the queue is full, the line is dropped and counted.
    pub fn record(&self, record: AccessRecord) {
        let Some(sender) = &self.shared.sender else { return };
        if sender.try_send(record).is_err()
            && let Some(metrics) = &self.shared.metrics
        {
            metrics.access_log_dropped(1);
        }
        if let Some(writer) = &self.shared.writer {
            writer.signals.queued(&writer.thread);
        }
    }

    /// Closes the file and opens the same path again, after a log rotation moved it away.
    ///
    /// Lines queued before are written to the old file. When the path cannot be opened, the old file stays in
    /// use and a warning says so.
    pub fn reopen(&self) {
        if let Some(writer) = &self.shared.writer {
            writer.signals.reopen(&writer.thread);
        }
    }
}

#[derive(Debug)]
struct Shared {
    /// `None` only while being dropped.
    sender: Option<SyncSender<AccessRecord>>,
    /// `None`: the records go to a channel that somebody else reads.
    writer: Option<WriterThread>,
    metrics: Option<Metrics>,
}

#[derive(Debug)]
struct WriterThread {
    thread: std::thread::Thread,
    signals: Arc<Signals>,
    done: Mutex<Receiver<()>>,
}

/// How long the end of the process waits for a disk or pipe that takes nothing.
const LAST_WRITE_MAX: Duration = Duration::from_secs(2);

impl Drop for Shared {
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(writer) = &self.writer {
            writer.thread.unpark();
            let _ = writer.done.lock().recv_timeout(LAST_WRITE_MAX);
        }
    }
}
