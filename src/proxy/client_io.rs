//! The client's socket as hyper sees it: only heads with one reading pass, nothing waits for ever, and interim
//! responses find their place.
//!
//! hyper reads and writes through [`ClientIo`]; the service reaches the same connection through
//! [`ClientSide`]. A head that is refused is replaced by [`STAND_IN`], so that the refusal is answered in
//! its turn, after the responses to requests that were pipelined before it, by the same code as every other.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::alarm::Alarm;
use super::client_stream::ClientStream;
use super::head::{Fault, Fed, HeadLimits, HeadTap, Phase, Then};
use crate::clock::Clock;
use crate::metrics::{Metrics, Timeout};
use crate::policy::Timeouts;
use crate::time::Moment;

/// What hyper is given in place of a head that was refused.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused.invalid\r\nconnection: close\r\n\r\n";

/// After the last response, unread input is taken for this long, so that the client can read the response
/// before it is told that its connection was reset (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 256 * 1024;

/// Interim responses that may wait for the client.
const INTERIM_BYTES_MAX: usize = 16 * 1024;

/// What the tap said of the next request that the service sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    Passed,
    Refused(Fault),
    /// It did not arrive in time.
    TimedOut,
}

/// Why a body ended early, where that was the client's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BodyEnd {
    /// It did not, or the client left.
    Intact,
    /// It stopped moving.
    Stalled,
    /// Its chunks cannot be told apart.
    Malformed,
}

/// The service's view of its client connection.
#[derive(Debug)]
pub struct ClientSide {
    inner: Mutex<Inner>,
    /// A request is being answered: the connection is not idle.
    busy: AtomicBool,
    idle_since: AtomicU64,
    /// When the request in progress must have ended; `u64::MAX`: whenever.
    deadline: AtomicU64,
    body_end: AtomicU8,
    opaque: AtomicBool,
    has_interim: AtomicBool,
    has_held: AtomicBool,
}

#[derive(Debug)]
struct Inner {
    tap: HeadTap,
    heads: VecDeque<Head>,
    interim: Vec<u8>,
    /// What the tap held back when the connection became opaque.
    held: Vec<u8>,
}

impl ClientSide {
    pub fn new(limits: HeadLimits, now: Moment) -> Self {
        ClientSide {
            inner: Mutex::new(Inner {
                tap: HeadTap::new(limits),
                heads: VecDeque::new(),
                interim: Vec::new(),
                held: Vec::new(),
            }),
            busy: AtomicBool::new(false),
            idle_since: AtomicU64::new(now.as_nanos()),
            deadline: AtomicU64::new(u64::MAX),
            body_end: AtomicU8::new(BodyEnd::Intact as u8),
            opaque: AtomicBool::new(false),
            has_interim: AtomicBool::new(false),
            has_held: AtomicBool::new(false),
        }
    }

    /// What is known of the next request that hyper hands over, where nobody taps its bytes.
    pub fn expect(&self, head: Head) {
        self.inner.lock().heads.push_back(head);
    }

    /// The client's body stopped moving.
    pub fn body_stalled(&self) {
        self.body_end.store(BodyEnd::Stalled as u8, Ordering::Relaxed);
    }

    /// Called once for each request that hyper hands over, in order.
    pub fn begin_request(&self) -> Head {
        self.busy.store(true, Ordering::Relaxed);
        self.inner.lock().heads.pop_front().unwrap_or(Head::Passed)
    }

    pub fn end_request(&self, now: Moment) {
        self.deadline.store(u64::MAX, Ordering::Relaxed);
        self.idle_since.store(now.as_nanos(), Ordering::Relaxed);
        self.busy.store(false, Ordering::Relaxed);
    }

    /// The time by which the client must have taken its whole response.
    pub fn set_deadline(&self, at: Option<Moment>) {
        self.deadline.store(at.map_or(u64::MAX, Moment::as_nanos), Ordering::Relaxed);
    }

    pub fn deadline(&self) -> Option<Moment> {
        let at = self.deadline.load(Ordering::Relaxed);
        (at != u64::MAX).then(|| Moment::from_nanos(at))
    }

    /// What became of the client's body, as far as it was read.
    pub fn body_end(&self) -> BodyEnd {
        match self.body_end.load(Ordering::Relaxed) {
            1 => BodyEnd::Stalled,
            2 => BodyEnd::Malformed,
            _ => BodyEnd::Intact,
        }
    }

    /// From here on bytes are no longer HTTP: the connection was upgraded.
    pub fn make_opaque(&self) {
        let mut inner = self.inner.lock();
        let held = inner.tap.make_opaque();
        self.opaque.store(true, Ordering::Release);
        if !held.is_empty() {
            inner.held = held;
            self.has_held.store(true, Ordering::Release);
        }
    }

    /// Sends `head` (a whole 1xx response) before the final response; dropped when the client is too slow to
    /// take it. Called by the service, after which hyper flushes.
    pub fn push_interim(&self, head: &[u8]) {
        let mut inner = self.inner.lock();
        if inner.interim.len() + head.len() <= INTERIM_BYTES_MAX {
            inner.interim.extend_from_slice(head);
            self.has_interim.store(true, Ordering::Release);
        }
    }
}

/// The socket behind hyper's server.
#[derive(Debug)]
pub struct ClientIo {
    stream: ClientStream,
    side: Arc<ClientSide>,
    clock: Clock,
    metrics: Metrics,
    timeouts: Timeouts,
    /// Goes to hyper before anything that is read from now on.
    replay: Vec<u8>,
    input: Input,
    /// Where the tap is; only what it is fed changes that.
    phase: Phase,
    read_alarm: Alarm,
    write_alarm: Alarm,
    /// When the head now held began to arrive.
    head_since: Option<Moment>,
    /// Since when a body has not moved.
    body_since: Option<Moment>,
    write_since: Option<Moment>,
    interim_sent: usize,
    /// hyper holds nothing unsent: what it writes next begins a response.
    between_responses: bool,
    linger: Option<Linger>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Open,
    /// A head was refused: nothing after it is ever read.
    Refused,
    /// A body broke the framing: the next read fails.
    Broken,
}

#[derive(Debug)]
struct Linger {
    until: Moment,
    bytes_left: usize,
}

impl ClientIo {
    pub fn new(
        stream: ClientStream,
        side: Arc<ClientSide>,
        clock: Clock,
        metrics: Metrics,
        timeouts: Timeouts,
    ) -> Self {
        ClientIo {
            stream,
            side,
            clock,
            metrics,
            timeouts,
            replay: Vec::new(),
            input: Input::Open,
            phase: Phase::Idle,
            read_alarm: Alarm::default(),
            write_alarm: Alarm::default(),
            head_since: None,
            body_since: None,
            write_since: None,
            interim_sent: 0,
            between_responses: true,
            linger: None,
        }
    }

    /// Hands over replayed bytes; true when there were any.
    fn replay_into(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        if self.input == Input::Refused && self.side.opaque.load(Ordering::Acquire) {
            return false;
        }
        if self.side.has_held.load(Ordering::Acquire) {
            self.replay.append(&mut self.side.inner.lock().held);
            self.side.has_held.store(false, Ordering::Release);
        }
        let n = self.replay.len().min(buf.remaining());
        if n > 0 {
            buf.put_slice(&self.replay[..n]);
            self.replay.drain(..n);
        }
        n > 0
    }

    /// Shows the bytes from `start` on to the tap and leaves in `buf` only what may pass.
    fn judge(&mut self, buf: &mut ReadBuf<'_>, start: usize) {
        let mut inner = self.side.inner.lock();
        let Fed { released, pass, then } = inner.tap.feed(&buf.filled()[start..]);
        self.phase = inner.tap.phase();
        while let Some(head) = inner.tap.take_head() {
            inner.heads.push_back(head.fault.map_or(Head::Passed, Head::Refused));
            self.head_since = None;
        }
        if released.is_empty() {
            buf.set_filled(start + pass);
        } else {
            self.replay.extend_from_slice(&released);
            self.replay.extend_from_slice(&buf.filled()[start..start + pass]);
            buf.set_filled(start);
        }
        match then {
            // An empty line before a head is held as well, and is not yet a head that is late.
            Then::Held if self.phase == Phase::Head => {
                self.head_since.get_or_insert_with(|| self.clock.now());
            }
            Then::Nothing | Then::Held => {}
            Then::Fault(fault) => {
                self.metrics.protocol_fault(fault.name());
                self.replay.extend_from_slice(STAND_IN);
                self.input = Input::Refused;
            }
            Then::BodyFault(fault) => {
                self.metrics.protocol_fault(fault.name());
                self.side.body_end.store(BodyEnd::Malformed as u8, Ordering::Relaxed);
                self.input = Input::Broken;
            }
        }
    }

    /// Nothing came: ready when that has lasted too long, with what follows from it already done.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Overdue>> {
        match self.phase {
            Phase::Head => {
                let since = *self.head_since.get_or_insert_with(|| self.clock.now());
                ready!(self.read_alarm.poll_due(since.after(self.timeouts.head_read), &self.clock, cx));
                self.metrics.timeout(Timeout::HeadRead);
                self.side.inner.lock().heads.push_back(Head::TimedOut);
                self.replay.extend_from_slice(STAND_IN);
                self.input = Input::Refused;
                Poll::Ready(Ok(Overdue::Refuse))
            }
            Phase::Idle if !self.side.busy.load(Ordering::Relaxed) => {
                let since = Moment::from_nanos(self.side.idle_since.load(Ordering::Relaxed));
                ready!(self.read_alarm.poll_due(since.after(self.timeouts.idle), &self.clock, cx));
                self.metrics.timeout(Timeout::Idle);
                Poll::Ready(Ok(Overdue::Close))
            }
            Phase::Body => {
                let since = *self.body_since.get_or_insert_with(|| self.clock.now());
                ready!(self.read_alarm.poll_due(since.after(self.timeouts.body_progress), &self.clock, cx));
                self.metrics.timeout(Timeout::BodyProgress);
                self.side.body_end.store(BodyEnd::Stalled as u8, Ordering::Relaxed);
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the body stopped moving")))
            }
            Phase::Idle | Phase::Opaque => Poll::Pending,
        }
    }

    /// A write is blocked: ready when the client has taken nothing for too long.
    fn poll_write_overdue<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let since = *self.write_since.get_or_insert_with(|| self.clock.now());
        let stalled_at = since.after(self.timeouts.body_progress);
        let deadline = self.side.deadline().filter(|deadline| *deadline < stalled_at);
        ready!(self.write_alarm.poll_due(deadline.unwrap_or(stalled_at), &self.clock, cx));
        self.metrics.timeout(if deadline.is_some() { Timeout::Total } else { Timeout::BodyProgress });
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no bytes")))
    }

    /// Writes what is left of the interim responses. Called only where hyper holds nothing unsent, or to
    /// finish what was begun there.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.side.inner.lock();
        while self.interim_sent < inner.interim.len() {
            let rest = &inner.interim[self.interim_sent..];
            self.interim_sent += ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
        }
        inner.interim.clear();
        self.interim_sent = 0;
        self.side.has_interim.store(false, Ordering::Release);
        Poll::Ready(Ok(()))
    }

    /// Before hyper's own bytes: an interim response goes ahead of its final one, or not at all.
    fn poll_settle_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.side.has_interim.load(Ordering::Acquire) {
            if self.between_responses || self.interim_sent > 0 {
                ready!(self.poll_interim(cx))?;
            } else {
                self.side.inner.lock().interim.clear();
                self.side.has_interim.store(false, Ordering::Release);
            }
        }
        self.between_responses = false;
        Poll::Ready(Ok(()))
    }

    /// Whether the client may still be sending something that nobody will read.
    fn may_have_unread_input(&self) -> bool {
        let at_rest =
            self.input == Input::Open && self.phase == Phase::Idle && !self.side.busy.load(Ordering::Relaxed);
        // What a tunnel brings is the app's to read, for as long as it wants to.
        !at_rest && !self.side.opaque.load(Ordering::Acquire)
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock;
        let linger = self
            .linger
            .get_or_insert_with(|| Linger { until: clock.now().after(LINGER), bytes_left: LINGER_BYTES_MAX });
        let mut scratch = [0; 4096];
        while linger.bytes_left > 0 {
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    linger.bytes_left = linger.bytes_left.saturating_sub(buf.filled().len());
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.read_alarm.poll_due(linger.until, &clock, cx),
            }
        }
        Poll::Ready(())
    }
}

/// What follows from an input that is overdue.
enum Overdue {
    /// The stand-in was put into its place.
    Refuse,
    /// The connection was idle for too long.
    Close,
}

impl AsyncRead for ClientIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        loop {
            if me.replay_into(buf) {
                return Poll::Ready(Ok(()));
            }
            match me.input {
                Input::Open => {}
                // The refusal closes the connection once it is written; until then there is no input.
                // What came before an upgrade was no head, and is not for the tunnel either.
                Input::Refused if me.side.opaque.load(Ordering::Acquire) => return Poll::Ready(Ok(())),
                Input::Refused => return Poll::Pending,
                Input::Broken => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            }
            let start = buf.filled().len();
            match Pin::new(&mut me.stream).poll_read(cx, buf)? {
                Poll::Pending => match ready!(me.poll_overdue(cx))? {
                    Overdue::Refuse => {}
                    Overdue::Close => return Poll::Ready(Ok(())),
                },
                Poll::Ready(()) => {
                    if buf.filled().len() == start {
                        return Poll::Ready(Ok(()));
                    }
                    me.body_since = None;
                    me.judge(buf, start);
                    if buf.filled().len() > start {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        if me.poll_settle_interim(cx)?.is_pending() {
            return me.poll_write_overdue(cx);
        }
        match Pin::new(&mut me.stream).poll_write_vectored(cx, bufs) {
            Poll::Pending => me.poll_write_overdue(cx),
            done @ Poll::Ready(_) => {
                me.write_since = None;
                done
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        me.between_responses = true;
        if me.side.has_interim.load(Ordering::Acquire) && me.poll_interim(cx)?.is_pending() {
            return me.poll_write_overdue(cx);
        }
        match Pin::new(&mut me.stream).poll_flush(cx) {
            Poll::Pending => me.poll_write_overdue(cx),
            done @ Poll::Ready(_) => {
                me.write_since = None;
                done
            }
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        if me.linger.is_none() {
            if Pin::new(&mut me.stream).poll_shutdown(cx)?.is_pending() {
                return me.poll_write_overdue(cx);
            }
            if !me.may_have_unread_input() {
                return Poll::Ready(Ok(()));
            }
        }
        me.poll_linger(cx).map(Ok)
    }
}
