//! A network in memory, on the runtime's time, whose faults come from a seed: bytes are taken and handed over in pieces,
//! late, or never; and a connection may be reset after any byte.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::clock::Clock;
use crate::proxy::alarm::Alarm;
use crate::time::Moment;

/// What a direction holds that nobody has read.
const ROOM_MAX: usize = 16 * 1024;

/// One end of a connection.
#[derive(Debug)]
pub struct End {
    pub reader: Reader,
    pub writer: Writer,
}

/// The half that reads. Dropped, the peer's writes fail.
#[derive(Debug)]
pub struct Reader(Half);

/// The half that writes. Dropped, the peer reads an end.
#[derive(Debug)]
pub struct Writer(Half);

#[derive(Debug)]
struct Half {
    link: Arc<Mutex<Link>>,
    /// Whose end it is.
    side: usize,
    /// For whoever asks for a descriptor; nothing can be done with it.
    nothing: Arc<File>,
}

#[derive(Debug)]
struct Link {
    clock: Clock,
    rng: Rng,
    /// By the side that writes.
    pipes: [Pipe; 2],
    is_reset: bool,
    /// Small pieces, and late ones.
    is_rough: bool,
}

#[derive(Debug)]
struct Pipe {
    /// When each piece arrives.
    flight: VecDeque<(Moment, Bytes)>,
    held: usize,
    room: usize,
    written: usize,
    /// The connection is reset once so much was written.
    resets_at: Option<usize>,
    has_ended: bool,
    is_unread: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    arrival: Alarm,
}

/// A new connection: two ends, and its faults.
pub(super) fn connection(rng: &mut Rng, clock: Clock) -> (End, End) {
    // Most connections live; the others are reset early, late, or in between.
    let mut resets_at =
        |rng: &mut Rng| (rng.u8(..100) < 8).then(|| 1 << rng.u32(..14)).map(|most| rng.usize(..most));
    let pipes = [pipe(rng, &mut resets_at), pipe(rng, &mut resets_at)];
    let link = Link { clock, is_rough: rng.bool(), rng: rng.fork(), pipes, is_reset: false };
    let link = Arc::new(Mutex::new(link));
    let nothing = Arc::new(File::open("/dev/null").unwrap());
    let half = |side| Half { link: Arc::clone(&link), side, nothing: Arc::clone(&nothing) };
    let end = |side| End { reader: Reader(half(side)), writer: Writer(half(side)) };
    (end(0), end(1))
}

/// A connection without faults.
pub(super) fn sound_connection(rng: &mut Rng, clock: Clock) -> (End, End) {
    let (ours, theirs) = connection(rng, clock);
    {
        let mut link = ours.reader.0.link.lock();
        link.is_rough = false;
        link.pipes.iter_mut().for_each(|pipe| pipe.resets_at = None);
    }
    (ours, theirs)
}

fn pipe(rng: &mut Rng, resets_at: &mut impl FnMut(&mut Rng) -> Option<usize>) -> Pipe {
    Pipe {
        flight: VecDeque::new(),
        held: 0,
        room: rng.usize(1..=ROOM_MAX),
        written: 0,
        resets_at: resets_at(rng),
        has_ended: false,
        is_unread: false,
        reader: None,
        writer: None,
        arrival: Alarm::default(),
    }
}

impl Link {
    fn reset(&mut self) {
        self.is_reset = true;
        self.pipes.iter_mut().for_each(Pipe::wake);
    }

    fn delay(&mut self) -> Duration {
        match self.rng.u8(..100) {
            0..60 => Duration::ZERO,
            60..98 => Duration::from_millis(self.rng.u64(..200)),
            _ => Duration::from_secs(self.rng.u64(..100)),
        }
    }

    fn part(&mut self, most: usize) -> usize {
        if self.is_rough && self.rng.bool() { self.rng.usize(1..=most) } else { most }
    }
}

impl Pipe {
    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }
}

impl Reader {
    /// Reads what has arrived, without waiting.
    pub(in crate::proxy) fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut buf = ReadBuf::new(into);
        match self.poll(&mut Context::from_waker(Waker::noop()), &mut buf) {
            Poll::Ready(read) => read.map(|()| buf.filled().len()),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn poll(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let link = &mut *self.0.link.lock();
        if link.is_reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let (part, clock) = (link.part(buf.remaining().max(1)), link.clock);
        let pipe = &mut link.pipes[1 - self.0.side];
        pipe.reader = Some(cx.waker().clone());
        let Some((at, piece)) = pipe.flight.front_mut() else {
            return if pipe.has_ended { Poll::Ready(Ok(())) } else { Poll::Pending };
        };
        ready!(pipe.arrival.poll_due(*at, &clock, cx));
        let taken = piece.split_to(part.min(piece.len()).min(buf.remaining()));
        if piece.is_empty() {
            pipe.flight.pop_front();
        }
        buf.put_slice(&taken);
        pipe.held -= taken.len();
        if let Some(writer) = pipe.writer.take() {
            writer.wake();
        }
        Poll::Ready(Ok(()))
    }
}

impl Writer {
    /// Whether so many bytes arrive together, and now.
    pub(super) fn takes_at_once(&self, bytes: usize) -> bool {
        let link = self.0.link.lock();
        let pipe = &link.pipes[self.0.side];
        !link.is_rough && bytes <= pipe.room - pipe.held
    }

    fn poll(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let link = &mut *self.0.link.lock();
        if link.is_reset || link.pipes[self.0.side].is_unread {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let delay = if link.is_rough { link.delay() } else { Duration::ZERO };
        let (part, now) = (link.part(bytes.len()), link.clock.now());
        let pipe = &mut link.pipes[self.0.side];
        assert!(!pipe.has_ended, "a write after the end");
        let free = pipe.room - pipe.held;
        if free == 0 {
            pipe.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let written = part.min(free);
        // Bytes keep their order.
        let last = pipe.flight.back().map_or(now, |(at, _)| *at);
        pipe.flight.push_back((last.max(now.after(delay)), Bytes::copy_from_slice(&bytes[..written])));
        pipe.held += written;
        pipe.written += written;
        if let Some(reader) = pipe.reader.take() {
            reader.wake();
        }
        if pipe.resets_at.is_some_and(|at| at < pipe.written) {
            link.reset();
        }
        Poll::Ready(Ok(written))
    }

    fn end(&self) {
        let pipe = &mut self.0.link.lock().pipes[self.0.side];
        pipe.has_ended = true;
        pipe.wake();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let link = &mut *self.0.link.lock();
        let pipe = &mut link.pipes[1 - self.0.side];
        pipe.is_unread = true;
        pipe.wake();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end();
    }
}

impl AsyncRead for Reader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, buf)
    }
}

impl AsyncWrite for Writer {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end();
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for End {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.reader.poll(cx, buf)
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writer.poll(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.end();
        Poll::Ready(Ok(()))
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

impl AsFd for Reader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.nothing.as_fd()
    }
}

impl AsFd for Writer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.nothing.as_fd()
    }
}
