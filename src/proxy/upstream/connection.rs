//! One connection to a server.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::SendRequest;
use parking_lot::Mutex;

use super::server::OpenGuard;
use crate::metrics::UpstreamMetrics;
use crate::proxy::request_body::RequestBody;

/// hyper's half that reads and writes the socket.
pub type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// A connection, driven by whoever waits for something from it.
///
/// The usual way is a task for each, which costs two more turns of the scheduler a request. Between requests nobody
/// drives: a server that closes then is noticed when the connection is next looked at.
pub struct Connection {
    sender: SendRequest<RequestBody>,
    /// `None` once either side ended the connection.
    driver: Option<Driver>,
    signal: Arc<Signal>,
    /// The same signal, as the driver knows it.
    waker: Waker,
    counters: Arc<UpstreamMetrics>,
    _open: OpenGuard,
}

/// Set when something happens to the connection, whoever waits for it, and also when nobody does.
#[derive(Debug, Default)]
struct Signal {
    raised: AtomicBool,
    /// Whoever waits is here already, and looks for itself.
    attended: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.raised.store(true, Ordering::SeqCst);
        if !self.attended.load(Ordering::SeqCst)
            && let Some(waiting) = &*self.waiting.lock()
        {
            waiting.wake_by_ref();
        }
    }
}

impl Connection {
    pub(super) fn new(
        sender: SendRequest<RequestBody>,
        driver: Driver,
        open: OpenGuard,
        counters: Arc<UpstreamMetrics>,
    ) -> Self {
        counters.connection_opened();
        let signal = Arc::new(Signal::default());
        let waker = Waker::from(Arc::clone(&signal));
        Connection { sender, driver: Some(driver), signal, waker, counters, _open: open }
    }

    /// Begins a request. The future makes progress only inside [`Connection::poll_for`].
    pub fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>> + use<> {
        self.sender.try_send_request(request)
    }

    /// Asks `poll` for what this connection brings, and drives the connection if it has not come yet.
    pub fn poll_for<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        // Only the driver makes it ready, and what it takes makes the driver go on. Woken by each other, they would
        // have the whole task polled once more for nothing; here they take turns instead.
        let mut quiet = Context::from_waker(Waker::noop());
        self.signal.attended.store(true, Ordering::Release);
        let mut polled = poll(&mut quiet);
        while polled.is_pending() {
            self.signal.wait(cx.waker());
            self.drive();
            polled = poll(&mut quiet);
            if !self.signal.raised.load(Ordering::Acquire) {
                break;
            }
        }
        self.signal.attended.store(false, Ordering::SeqCst);
        // A borrowed connection's socket belongs to another worker, which may have raised it just now.
        if polled.is_pending() && self.signal.raised.load(Ordering::SeqCst) {
            cx.waker().wake_by_ref();
        }
        polled
    }

    /// Takes leave of the task that used the connection.
    pub fn leave(&mut self) {
        *self.signal.waiting.lock() = None;
    }

    /// Looks at the socket, whether or not anything was heard of it.
    pub fn look(&mut self) -> bool {
        self.drive();
        self.is_ready()
    }

    /// After a response: whether the connection can serve another request.
    pub fn rest(&mut self) -> bool {
        if self.driver.is_some() && !self.sender.is_ready() {
            // The response came in several pieces, and the driver has not seen yet that it was the last.
            self.drive();
        }
        // The end of the body raised it.
        self.signal.raised.store(false, Ordering::Release);
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Whether a request can be sent now. Looks at the socket only when something happened to it.
    pub fn is_ready(&mut self) -> bool {
        if self.signal.raised.load(Ordering::Acquire) {
            self.drive();
        }
        self.driver.is_some() && self.sender.is_ready()
    }

    /// The driver of a connection that was upgraded: it has to be run until it hands the connection over.
    pub fn into_driver(mut self) -> Option<Driver> {
        self.driver.take()
    }

    fn drive(&mut self) {
        self.signal.raised.store(false, Ordering::Release);
        if let Some(driver) = &mut self.driver
            && driver.as_mut().poll(&mut Context::from_waker(&self.waker)).is_ready()
        {
            // How it ended reaches whoever waits for a response; between requests nobody needs to know.
            self.driver = None;
        }
    }
}

impl Signal {
    fn wait(&self, task: &Waker) {
        let mut waiting = self.waiting.lock();
        if !waiting.as_ref().is_some_and(|known| known.will_wake(task)) {
            *waiting = Some(task.clone());
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("ended", &self.driver.is_none()).finish_non_exhaustive()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.counters.connection_closed();
    }
}
