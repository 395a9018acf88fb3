//! A client's stream with its frames watched, which outlives what reads and writes it: whoever is sent away for a flood
//! is told so.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::timeout;

use super::budget::{Budget, Progress};
use super::frames::{self, END_HEADERS, FrameHead, Scanner, kind};
use super::streams::Streams;
use crate::clock::Clock;
use crate::time::Moment;

/// How long, and for how many octets, a client that is sent away may go on before its connection is cut.
const GOODBYE: Duration = Duration::from_secs(1);
const GOODBYE_BYTES: u64 = 1 << 20;

/// One connection. Each clone is the same.
#[derive(Debug)]
pub(super) struct Watched<S>(Arc<Mutex<Watch<S>>>);

#[derive(Debug)]
struct Watch<S> {
    stream: S,
    /// Read from the client before anybody watched, and not handed on yet.
    early: BytesMut,
    incoming: Scanner,
    outgoing: Scanner,
    budget: Budget,
    clock: Clock,
    streams: Arc<Streams>,
    /// The highest stream that the client opened.
    last_stream: u32,
    /// Since when a head is not complete.
    head_since: Option<Moment>,
    last_frame: LastFrame,
    is_spent: bool,
}

/// What the frame that the client sent last means for a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastFrame {
    /// It is none of it.
    Other,
    /// Others belong to it.
    Begins,
    /// With its payload the head is whole.
    Ends,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, early: BytesMut, clock: Clock, streams: Arc<Streams>) -> Self {
        Watched(Arc::new(Mutex::new(Watch {
            stream,
            early,
            incoming: Scanner::of_client(),
            outgoing: Scanner::of_server(),
            budget: Budget::new(clock.now()),
            clock,
            streams,
            last_stream: 0,
            head_since: None,
            last_frame: LastFrame::Other,
            is_spent: false,
        })))
    }

    /// Whether the client sent more frames than it may. Nothing is read then.
    pub(super) fn is_spent(&self) -> bool {
        self.0.lock().is_spent
    }

    /// Since when a head is on its way that is not complete.
    pub(super) fn head_since(&self) -> Option<Moment> {
        self.0.lock().head_since
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Watched<S> {
    /// Tells the client why nothing goes on, if it listens, and closes. For when nobody else reads or writes any more.
    /// No code: somebody has told it already.
    pub(super) async fn say_goodbye(self, code: Option<u32>) {
        let Some(watch) = Arc::into_inner(self.0) else { return };
        let Watch { mut stream, outgoing, last_stream, .. } = watch.into_inner();
        let goodbye = async {
            // In the middle of a frame nothing else can be said: then the client has not read for a while.
            if let Some(code) = code.filter(|_| outgoing.is_between_frames()) {
                stream.write_all(&frames::goaway(last_stream, code)).await?;
            }
            stream.shutdown().await?;
            // A close with octets unread is a reset, and takes back what the client has not read yet.
            let mut rest = (&mut stream).take(GOODBYE_BYTES);
            tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
        };
        // Whether it heard is its own affair.
        let _ = timeout(GOODBYE, goodbye).await;
    }
}

impl<S> Watch<S> {
    fn received(&mut self, bytes: &[u8]) {
        let Watch { incoming, budget, clock, streams, last_stream, last_frame, is_spent, .. } = self;
        let progress = || Progress { now: clock.now(), requests: streams.begun() };
        incoming.scan(bytes, |frame: FrameHead| {
            *is_spent |= !budget.receive(frame, progress);
            *last_frame = LastFrame::of(frame);
            if frame.kind == kind::HEADERS {
                *last_stream = frame.stream.max(*last_stream);
            }
        });
        let is_head_open = match *last_frame {
            LastFrame::Other => false,
            LastFrame::Begins => true,
            LastFrame::Ends => incoming.is_within_payload(),
        };
        self.head_since = is_head_open.then(|| self.head_since.unwrap_or_else(|| clock.now()));
    }

    fn sent(&mut self, bytes: &[u8]) {
        let Watch { outgoing, budget, .. } = self;
        outgoing.scan(bytes, |frame| budget.send(frame));
    }
}

impl LastFrame {
    const fn of(frame: FrameHead) -> Self {
        match frame.kind {
            kind::HEADERS | kind::CONTINUATION if frame.flags & END_HEADERS == 0 => LastFrame::Begins,
            kind::HEADERS | kind::CONTINUATION => LastFrame::Ends,
            _ => LastFrame::Other,
        }
    }
}

impl<S> Clone for Watched<S> {
    fn clone(&self) -> Self {
        Watched(Arc::clone(&self.0))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut watch = self.0.lock();
        let before = buf.filled().len();
        if watch.early.is_empty() {
            std::task::ready!(Pin::new(&mut watch.stream).poll_read(cx, buf))?;
        } else {
            let here = watch.early.len().min(buf.remaining());
            buf.put_slice(&watch.early.split_to(here));
        }
        watch.received(buf.filled().get(before..).unwrap_or_default());
        if watch.is_spent {
            return Poll::Ready(Err(io::Error::other("more frames than a client may send")));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut watch = self.0.lock();
        let written = std::task::ready!(Pin::new(&mut watch.stream).poll_write(cx, buf))?;
        watch.sent(buf.get(..written).unwrap_or_default());
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut watch = self.0.lock();
        let written = std::task::ready!(Pin::new(&mut watch.stream).poll_write_vectored(cx, bufs))?;
        let mut left = written;
        for buf in bufs {
            let part = buf.get(..left.min(buf.len())).unwrap_or_default();
            watch.sent(part);
            left -= part.len();
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.0.lock().stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.lock().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.lock().stream).poll_shutdown(cx)
    }
}
