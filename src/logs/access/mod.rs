//! The access log: one line a request, written off the hot path.
//!
//! Whoever answers a request hands over an [`AccessRecord`] and goes on: [`AccessLog::record`] never waits. One
//! thread formats and writes. When it is behind by more than the queue holds, records are dropped and counted.

mod combined;
#[cfg(test)]
mod example;
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

use self::timestamp::Timestamp;
use self::writer::{Destination, Signals, Writer};
use crate::metrics::Metrics;
use crate::policy;
use crate::time::WallTime;

/// `2026-11-24T05:56:12.345Z`
pub fn rfc3339(at: WallTime) -> String {
    Timestamp::default().rfc3339(at).to_owned()
}

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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tempfile::tempdir;

    use super::*;
    use crate::policy::{AccessFormat, AccessTarget};

    fn start(path: &Path, metrics: &Metrics) -> AccessLog {
        let config = policy::AccessLog {
            target: AccessTarget::File(path.to_owned()),
            format: AccessFormat::Combined,
            queue_max: 1000,
        };
        AccessLog::start(&config, metrics.clone()).unwrap()
    }

    fn lines(path: &Path) -> usize {
        std::fs::read_to_string(path).unwrap().lines().count()
    }

    /// Promise: dropping the last handle writes out everything that was queued, and counts it.
    #[test]
    fn the_end_loses_nothing() {
        let folder = tempdir().unwrap();
        let (path, metrics) = (folder.path().join("access.log"), Metrics::new());
        let log = start(&path, &metrics);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                let log = log.clone();
                scope.spawn(move || (0..100).for_each(|_| log.record(example::forwarded())));
            }
        });
        drop(log);
        assert_eq!(lines(&path), 300);
        assert!(metrics.render().contains("\nweir_access_log_written_total 300\n"));
    }

    /// Promise: a rotation loses no line: what was queued before goes to the moved file, and the path is made
    /// anew.
    #[test]
    fn rotation_loses_nothing() {
        let folder = tempdir().unwrap();
        let (path, moved) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
        let log = start(&path, &Metrics::new());
        (0..50).for_each(|_| log.record(example::forwarded()));
        std::fs::rename(&path, &moved).unwrap();
        log.reopen();
        (0..50).for_each(|_| log.record(example::forwarded()));
        drop(log);
        assert!(lines(&moved) >= 50);
        assert_eq!(lines(&moved) + lines(&path), 100);
    }

    /// Promise: a full disk stops nothing and is counted.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_counted() {
        let metrics = Metrics::new();
        let log = start(Path::new("/dev/full"), &metrics);
        (0..3).for_each(|_| log.record(example::refused()));
        drop(log);
        assert!(metrics.render().contains("\nweir_access_log_dropped_total 3\n"));
        assert!(metrics.render().contains("\nweir_access_log_written_total 0\n"));
    }

    /// Promise: a log that nobody reads never makes a request wait; what it holds is bounded.
    #[test]
    fn a_full_queue_drops() {
        let (log, records) = AccessLog::to_channel(2);
        (0..5).for_each(|_| log.record(example::forwarded()));
        drop(log);
        assert_eq!(records.iter().count(), 2);
    }
}
