//! A client's first message, kept while rustls reads it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::rustls::server::{Accepted, Acceptor};
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

use super::Socket;

/// Reads the first message of a handshake: for rustls, and as it came. A message that rustls does not take has been
/// answered with an alert.
pub(super) async fn first_message(socket: &mut Socket) -> io::Result<(Accepted, Vec<u8>)> {
    let heard = Heard { socket, octets: Vec::new() };
    let StartHandshake { accepted, io, .. } = LazyConfigAcceptor::new(Acceptor::default(), heard).await?;
    Ok((accepted, io.octets))
}

/// Keeps what is read. rustls bounds how much that is.
struct Heard<'a> {
    socket: &'a mut Socket,
    octets: Vec<u8>,
}

impl AsyncRead for Heard<'_> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut *this.socket).poll_read(cx, buf))?;
        this.octets.extend_from_slice(buf.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Heard<'_> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.get_mut().socket).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().socket).poll_shutdown(cx)
    }
}
