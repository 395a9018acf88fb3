//! The first that a server says on a connection: its SETTINGS (RFC 9113 §3.4), or that it speaks something else.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The head of a frame (RFC 9113 §4.1).
const FRAME_HEAD: usize = 9;
const SETTINGS: u8 = 4;

/// What a server turned out to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Heard {
    Nothing,
    Settings,
    Http1,
    Other,
}

/// Told by the stream to whoever waits for it.
#[derive(Clone, Debug)]
pub(super) struct Greeting(Arc<AtomicU8>);

impl Greeting {
    pub(super) fn heard(&self) -> Heard {
        match self.0.load(Ordering::Relaxed) {
            1 => Heard::Settings,
            2 => Heard::Http1,
            3 => Heard::Other,
            _ => Heard::Nothing,
        }
    }
}

/// A stream whose first octets are looked at.
#[derive(Debug)]
pub struct Greeted<S> {
    stream: S,
    greeting: Greeting,
    first: [u8; FRAME_HEAD],
    /// Octets of `first` that have come.
    known: usize,
}

impl<S> Greeted<S> {
    pub(super) fn new(stream: S) -> (Self, Greeting) {
        let greeting = Greeting(Arc::new(AtomicU8::new(Heard::Nothing as u8)));
        let greeted = Greeted { stream, greeting: greeting.clone(), first: [0; FRAME_HEAD], known: 0 };
        (greeted, greeting)
    }

    fn listen(&mut self, bytes: &[u8]) -> io::Result<()> {
        for (place, byte) in self.first.iter_mut().skip(self.known).zip(bytes) {
            *place = *byte;
        }
        self.known = (self.known + bytes.len()).min(FRAME_HEAD);
        let heard = if self.known == FRAME_HEAD { said(self.first) } else { return Ok(()) };
        self.greeting.0.store(heard as u8, Ordering::Relaxed);
        if heard == Heard::Settings {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "it does not speak HTTP/2"))
    }
}

fn said(first: [u8; FRAME_HEAD]) -> Heard {
    let [_, _, _, kind, flags, stream @ ..] = first;
    if first.starts_with(b"HTTP/1.") {
        Heard::Http1
    } else if kind == SETTINGS && flags == 0 && stream == [0; 4] {
        Heard::Settings
    } else {
        Heard::Other
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if self.known < FRAME_HEAD {
            self.listen(buf.filled().get(before..).unwrap_or_default())?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(pieces: &[&[u8]]) -> Heard {
        let (mut stream, greeting) = Greeted::new(());
        for piece in pieces {
            let _ = stream.listen(piece);
        }
        greeting.heard()
    }

    /// Promise: a server is told by its first nine octets, however they come: SETTINGS that acknowledge nothing, on
    /// stream 0 (RFC 9113 §3.4, §6.5), and all else is no HTTP/2.
    #[test]
    fn servers_are_known_by_what_they_say_first() {
        assert_eq!(heard(&[&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3]]), Heard::Settings);
        assert_eq!(heard(&[&[0, 0, 0], &[4, 0, 0], &[0, 0, 0]]), Heard::Settings);
        assert_eq!(heard(&[b"HTTP/1.1 400 Bad Request\r\n"]), Heard::Http1);
        assert_eq!(heard(&[b"HTTP", b"/1.0 505"]), Heard::Http1);
        assert_eq!(heard(&[&[0, 0, 0, 4, 1, 0, 0, 0, 0]]), Heard::Other);
        assert_eq!(heard(&[&[0, 0, 0, 4, 0, 0, 0, 0, 1]]), Heard::Other);
        assert_eq!(heard(&[b"SSH-2.0-x"]), Heard::Other);
        assert_eq!(heard(&[&[0, 0, 0, 4, 0, 0, 0, 0]]), Heard::Nothing);
    }
}
