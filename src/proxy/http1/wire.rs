//! The client's socket: what is read from it and written to it, and for how long either may wait.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request;
use http_body::Frame;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::body::BodyBroken;
use crate::clock::Clock;
use crate::metrics::{Metrics, Timeout};
use crate::policy::Timeouts;
use crate::proxy::alarm::Alarm;
use crate::proxy::client_side::{BodyEnd, ClientSide};
use crate::proxy::head::{Fault, Head, HeadLimits, RequestReader};
use crate::proxy::maybe_tls::ClientStream;
use crate::proxy::message::outgoing::Outgoing;
use crate::proxy::pace::{Pace, PaceRule};
use crate::time::Moment;

/// What one read asks for: doubled by every read that gets all of it, up to what large uploads are worth.
const READ_SIZE_MIN: usize = 8 * 1024;
const READ_SIZE_MAX: usize = 256 * 1024;
/// A larger buffer is not kept between requests.
const IDLE_BUFFER_MAX: usize = 32 * 1024;

/// So much of a body that nobody wanted is read to keep the connection, if it is there already.
const UNWANTED_BYTES_MAX: usize = 64 * 1024;

/// After the last response, unread input is taken for this long, so that the client can read the response
/// before it is told that its connection was reset (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 256 * 1024;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What comes next on a connection.
#[derive(Debug)]
pub(super) enum Next {
    Request(Head),
    Refused(Fault),
    /// A head did not arrive in time.
    TimedOut,
}

/// One client connection, without the requests in it.
#[derive(Debug)]
pub(super) struct Wire {
    stream: ClientStream,
    /// Read and not yet used. Fields and bodies are parts of it, so that nothing is copied.
    pub(super) input: BytesMut,
    read_size: usize,
    requests: RequestReader,
    pub(super) outgoing: Outgoing,
    /// The final response to the request in progress is being written.
    answering: bool,
    side: Arc<ClientSide>,
    clock: Clock,
    metrics: Metrics,
    timeouts: Timeouts,
    read_alarm: Alarm,
    write_alarm: Alarm,
    /// When the head that is not whole yet began to arrive.
    head_since: Option<Moment>,
    /// How the client sends its body, and takes its response; and what each request begins with.
    upload: Pace,
    download: Pace,
    pace: Pace,
}

impl Wire {
    pub(super) fn new(
        stream: ClientStream,
        side: Arc<ClientSide>,
        limits: HeadLimits,
        timeouts: Timeouts,
        (clock, metrics): (Clock, Metrics),
    ) -> Self {
        let pace = Pace::new(PaceRule { patience: timeouts.body_progress, least: timeouts.body_rate_min });
        Wire {
            stream,
            input: BytesMut::new(),
            read_size: READ_SIZE_MIN,
            requests: RequestReader::new(limits),
            outgoing: Outgoing::default(),
            answering: false,
            side,
            clock,
            metrics,
            timeouts,
            read_alarm: Alarm::default(),
            write_alarm: Alarm::default(),
            head_since: None,
            upload: pace,
            download: pace,
            pace,
        }
    }

    /// The next request, whose head is put into `parts`; `None` when the client left, or was idle for too long.
    pub(super) fn poll_next(
        &mut self,
        parts: &mut request::Parts,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Next>>> {
        loop {
            match self.requests.head(&mut self.input, parts) {
                Ok(Some(head)) => {
                    self.head_since = None;
                    self.upload = self.pace;
                    self.download = self.pace;
                    return Poll::Ready(Ok(Some(Next::Request(head))));
                }
                Ok(None) => {}
                Err(fault) => return Poll::Ready(Ok(Some(Next::Refused(fault)))),
            }
            match self.poll_read(cx)? {
                Poll::Ready(0) => return Poll::Ready(Ok(None)),
                Poll::Ready(_) => {}
                Poll::Pending => return self.poll_late(cx).map(Ok),
            }
        }
    }

    /// No head is there: ready when one should be.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Option<Next>> {
        if self.requests.is_in_head(&self.input) {
            let since = *self.head_since.get_or_insert_with(|| self.clock.now());
            ready!(self.read_alarm.poll_due(since.after(self.timeouts.head_read), &self.clock, cx));
            self.metrics.timeout(Timeout::HeadRead);
            return Poll::Ready(Some(Next::TimedOut));
        }
        let due = self.side.idle_since().after(self.timeouts.idle);
        ready!(self.read_alarm.poll_due(due, &self.clock, cx));
        self.metrics.timeout(Timeout::Idle);
        Poll::Ready(None)
    }

    /// Whether all of the request in progress was read.
    pub(super) fn has_whole_request(&self) -> bool {
        self.requests.has_ended()
    }

    /// The next piece of the body of the request in progress; `None` when it has ended.
    pub(super) fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame<Bytes>>, BodyBroken>> {
        loop {
            let piece = self.requests.body(&mut self.input).map_err(|fault| {
                self.metrics.protocol_fault(fault.name());
                self.side.body_ended(BodyEnd::Malformed);
                BodyBroken::Malformed(fault)
            })?;
            if piece.is_some() || self.requests.has_ended() {
                return Poll::Ready(Ok(piece));
            }
            match self.poll_read(cx)? {
                Poll::Ready(0) => return Poll::Ready(Err(BodyBroken::Left)),
                Poll::Ready(bytes) => self.upload.moved(bytes, || self.clock.now()),
                Poll::Pending => {
                    if self.side.is_stream() {
                        self.upload.ask_no_rate();
                    }
                    let due = self.upload.wait(|| self.clock.now());
                    ready!(self.read_alarm.poll_due(due, &self.clock, cx));
                    self.metrics.timeout(Timeout::BodyProgress);
                    self.side.body_ended(BodyEnd::Stalled);
                    let error = io::Error::new(io::ErrorKind::TimedOut, "the body stopped moving");
                    return Poll::Ready(Err(error.into()));
                }
            }
        }
    }

    /// Asks for the body that the client holds back, unless it is here already, or its response.
    pub(super) fn send_continue(&mut self, cx: &mut Context<'_>) {
        if self.input.is_empty() && !self.answering {
            self.outgoing.wire.extend_from_slice(CONTINUE);
            // An error is found again by the response.
            let _ = self.poll_send(cx);
        }
    }

    /// Sends the interim responses that are there, as far as the client takes them.
    pub(super) fn send_interim(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.side.take_interim(&mut self.outgoing.wire);
        if self.outgoing.is_empty() {
            return Ok(());
        }
        match self.poll_flush(cx) {
            Poll::Ready(sent) => sent,
            Poll::Pending => Ok(()),
        }
    }

    /// Interim responses go before the final one, which begins now.
    pub(super) fn begin_answer(&mut self) {
        self.answering = true;
        self.side.take_interim(&mut self.outgoing.wire);
    }

    /// The client waits for its response: ready when it does so no more. Where it sends something, that is for later.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.requests.has_ended() || !self.input.is_empty() {
            return Poll::Pending;
        }
        match self.poll_read(cx) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(()),
            Poll::Ready(Ok(_)) | Poll::Pending => Poll::Pending,
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.input.capacity() - self.input.len() < self.read_size / 2 {
            self.input.reserve(self.read_size);
        }
        let read = ready!(pin!(self.stream.read_buf(&mut self.input)).poll(cx))?;
        if read >= self.read_size {
            self.read_size = (self.read_size * 2).min(READ_SIZE_MAX);
        }
        Poll::Ready(Ok(read))
    }

    /// Ready when the socket has taken what is outgoing.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let before = self.outgoing.len();
        let sent = self.outgoing.poll_write(&mut self.stream, cx);
        let bytes = before - self.outgoing.len();
        if bytes > 0 {
            self.download.moved(bytes, || self.clock.now());
        }
        if sent.is_pending() { self.poll_write_late(cx) } else { sent }
    }

    /// The same, and the client can see it.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Pending => self.poll_write_late(cx),
            done @ Poll::Ready(_) => done,
        }
    }

    /// A write waits: ready when the client has taken nothing for too long.
    fn poll_write_late<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if self.side.is_stream() {
            self.download.ask_no_rate();
        }
        let stalled_at = self.download.wait(|| self.clock.now());
        let deadline = self.side.deadline().filter(|deadline| *deadline < stalled_at);
        ready!(self.write_alarm.poll_due(deadline.unwrap_or(stalled_at), &self.clock, cx));
        self.metrics.timeout(if deadline.is_some() { Timeout::Total } else { Timeout::BodyProgress });
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no bytes")))
    }

    /// A response is whole, and its request is over. Whether another request may follow: one that has a body left which
    /// nobody wanted is not followed, unless that is here already.
    pub(super) fn end_request(&mut self, cx: &mut Context<'_>) -> bool {
        self.answering = false;
        let mut unwanted = 0;
        while !self.requests.has_ended() {
            match self.requests.body(&mut self.input) {
                Ok(Some(piece)) => unwanted += piece.data_ref().map_or(0, Bytes::len),
                Ok(None) if self.requests.has_ended() => break,
                Ok(None) if matches!(self.poll_read(cx), Poll::Ready(Ok(1..))) => {}
                Ok(None) | Err(_) => return false,
            }
            if unwanted > UNWANTED_BYTES_MAX {
                return false;
            }
        }
        if self.input.capacity() > IDLE_BUFFER_MAX && self.input.is_empty() {
            self.input = BytesMut::new();
            self.read_size = READ_SIZE_MIN;
        }
        self.outgoing.shrink(IDLE_BUFFER_MAX);
        true
    }

    /// The socket, and what was read from it and not used.
    pub(super) fn into_parts(self) -> (ClientStream, BytesMut) {
        (self.stream, self.input)
    }

    /// Ends the connection. `unread`: the client may still be sending something that nobody will read.
    pub(super) async fn close(mut self, unread: bool) {
        let closed = std::future::poll_fn(|cx| match Pin::new(&mut self.stream).poll_shutdown(cx) {
            Poll::Pending => self.poll_write_late(cx),
            done @ Poll::Ready(_) => done,
        });
        if closed.await.is_err() || !unread {
            return;
        }
        let until = self.clock.now().after(LINGER);
        let mut left = LINGER_BYTES_MAX;
        std::future::poll_fn(|cx| self.poll_linger(until, &mut left, cx)).await;
    }

    fn poll_linger(&mut self, until: Moment, left: &mut usize, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 4096];
        while *left > 0 {
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    *left = left.saturating_sub(buf.filled().len());
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.read_alarm.poll_due(until, &self.clock, cx),
            }
        }
        Poll::Ready(())
    }

    /// Reads as if it were no HTTP: what was read ahead comes first.
    pub(super) fn poll_read_raw(
        &mut self,
        buf: &mut ReadBuf<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.input.is_empty() {
            let here = self.input.len().min(buf.remaining());
            buf.put_slice(&self.input.split_to(here));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }

    /// Writes as if it were no HTTP, and at whatever pace.
    pub(super) fn poll_write_raw(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Pending => self.poll_write_late(cx),
            done @ Poll::Ready(_) => {
                let bytes = if let Poll::Ready(Ok(bytes)) = done { bytes } else { 0 };
                self.download.moved(bytes, || self.clock.now());
                done
            }
        }
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
