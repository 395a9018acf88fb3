//! The client's body on its way to the app: streamed, counted, bounded, and held back while the app has not
//! asked for it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;

use super::client_body::{ClientBody, ClientBodyError};
use super::forwarded::Removed;
use super::headers;
use crate::clock::Clock;
use crate::time::Moment;

/// What is sent upstream. A request without a body carries nothing along: the requests of both kinds are moved
/// about, and most have none.
#[derive(Debug)]
pub enum RequestBody {
    Empty,
    Stream(Box<Stream>),
}

#[derive(Debug)]
pub struct Stream {
    inner: ClientBody,
    upload: Arc<Upload>,
    bytes_max: u64,
    clock: Clock,
    removed: Removed,
}

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub enum RequestBodyError {
    #[error("the body is larger than {0} bytes")]
    TooLarge(u64),
    #[error("the client's body broke off: {0}")]
    Client(ClientBodyError),
}

/// How far an upload has come. Written by the body, read by whoever waits for the response.
#[derive(Debug)]
pub struct Upload {
    bytes: AtomicU64,
    moved_at: AtomicU64,
    progress: AtomicU8,
    /// Whether the app is waiting for the client, rather than the client for the app.
    starved: AtomicBool,
    hold: Mutex<Hold>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Progress {
    Going,
    Done,
    TooLarge,
    ClientFailed,
}

/// `Expect: 100-continue`: the body waits until the app says so. If it never does, the body ends unread with its
/// connection.
#[derive(Debug)]
enum Hold {
    Held(Option<Waker>),
    Released,
}

impl RequestBody {
    /// `bytes_max` bounds a body whose length is not known beforehand. `held`: wait for [`Upload::release`].
    /// `removed`: what may not stand in its trailers, besides hop-by-hop fields.
    pub fn stream(
        inner: ClientBody,
        bytes_max: u64,
        held: bool,
        clock: Clock,
        removed: Removed,
    ) -> (Self, Arc<Upload>) {
        let upload = Arc::new(Upload {
            bytes: AtomicU64::new(0),
            moved_at: AtomicU64::new(clock.now().as_nanos()),
            progress: AtomicU8::new(Progress::Going as u8),
            starved: AtomicBool::new(false),
            hold: Mutex::new(if held { Hold::Held(None) } else { Hold::Released }),
        });
        let stream = Stream { inner, upload: Arc::clone(&upload), bytes_max, clock, removed };
        (RequestBody::Stream(Box::new(stream)), upload)
    }
}

impl Upload {
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// When the last byte moved, or the upload began.
    pub fn moved_at(&self) -> Moment {
        Moment::from_nanos(self.moved_at.load(Ordering::Relaxed))
    }

    pub fn is_starved(&self) -> bool {
        self.starved.load(Ordering::Relaxed)
    }

    pub fn progress(&self) -> Progress {
        match self.progress.load(Ordering::Acquire) {
            1 => Progress::Done,
            2 => Progress::TooLarge,
            3 => Progress::ClientFailed,
            _ => Progress::Going,
        }
    }

    /// Whether the body waits for the app to ask for it.
    pub fn is_held(&self) -> bool {
        matches!(*self.hold.lock(), Hold::Held(_))
    }

    /// Lets a held body flow.
    pub fn release(&self) {
        let held = std::mem::replace(&mut *self.hold.lock(), Hold::Released);
        if let Hold::Held(Some(waker)) = held {
            waker.wake();
        }
    }

    fn poll_hold(&self, cx: &Context<'_>) -> Poll<()> {
        match &mut *self.hold.lock() {
            Hold::Released => Poll::Ready(()),
            Hold::Held(waker) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn advance(&self, to: Progress) {
        self.progress.store(to as u8, Ordering::Release);
    }
}

impl Stream {
    fn count(&mut self, frame: &Frame<Bytes>) -> Result<(), RequestBodyError> {
        if let Some(data) = frame.data_ref() {
            let more = u64::try_from(data.len()).unwrap_or(u64::MAX);
            let total = self.upload.bytes.fetch_add(more, Ordering::Relaxed).saturating_add(more);
            if total > self.bytes_max {
                self.upload.advance(Progress::TooLarge);
                return Err(RequestBodyError::TooLarge(self.bytes_max));
            }
        }
        self.upload.moved_at.store(self.clock.now().as_nanos(), Ordering::Relaxed);
        // Nobody asks further after trailers.
        if self.inner.is_end_stream() || frame.is_trailers() {
            self.upload.advance(Progress::Done);
        }
        Ok(())
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let RequestBody::Stream(stream) = &mut *self else { return Poll::Ready(None) };
        std::task::ready!(stream.upload.poll_hold(cx));
        let polled = Pin::new(&mut stream.inner).poll_frame(cx);
        stream.upload.starved.store(polled.is_pending(), Ordering::Relaxed);
        Poll::Ready(match std::task::ready!(polled) {
            Some(Ok(mut frame)) => {
                if let Some(trailers) = frame.trailers_mut() {
                    headers::strip_hop_by_hop(trailers);
                    stream.removed.strip(trailers);
                }
                Some(stream.count(&frame).map(|()| frame))
            }
            Some(Err(error)) => {
                stream.upload.advance(Progress::ClientFailed);
                Some(Err(RequestBodyError::Client(error)))
            }
            None => {
                stream.upload.moved_at.store(stream.clock.now().as_nanos(), Ordering::Relaxed);
                stream.upload.advance(Progress::Done);
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            RequestBody::Empty => true,
            RequestBody::Stream(stream) => stream.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            RequestBody::Empty => SizeHint::with_exact(0),
            RequestBody::Stream(stream) => stream.inner.size_hint(),
        }
    }
}
