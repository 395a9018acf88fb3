//! A connected socket of either kind: TCP, or a Unix socket of the same machine.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream, tcp, unix};

#[cfg(test)]
use super::simulation::network;

/// Bytes both ways, whatever they travel over.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    #[cfg(test)]
    Simulated(network::End),
}

/// The half of a [`Stream`] that reads.
#[derive(Debug)]
pub enum ReadHalf {
    Tcp(tcp::OwnedReadHalf),
    Unix(unix::OwnedReadHalf),
    #[cfg(test)]
    Simulated(network::Reader),
}

/// The half of a [`Stream`] that writes. Dropping it ends that direction.
#[derive(Debug)]
pub enum WriteHalf {
    Tcp(tcp::OwnedWriteHalf),
    Unix(unix::OwnedWriteHalf),
    #[cfg(test)]
    Simulated(network::Writer),
}

impl Stream {
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        match self {
            Stream::Tcp(stream) => {
                let (read, write) = stream.into_split();
                (ReadHalf::Tcp(read), WriteHalf::Tcp(write))
            }
            Stream::Unix(stream) => {
                let (read, write) = stream.into_split();
                (ReadHalf::Unix(read), WriteHalf::Unix(write))
            }
            #[cfg(test)]
            Stream::Simulated(end) => (ReadHalf::Simulated(end.reader), WriteHalf::Simulated(end.writer)),
        }
    }

    /// The address of this machine that it is connected to; `None` for a Unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        let Stream::Tcp(stream) = self else { return None };
        let address = stream.local_addr().ok()?;
        // A socket for both families shows IPv4 in the form of IPv6.
        Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }

    /// Waits for bytes and copies them without taking them; 0 at the end.
    pub async fn peek(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut peek = || Ok(rustix::net::recv(self, &mut *into, RecvFlags::PEEK)?.0);
        match self {
            Stream::Tcp(stream) => stream.async_io(Interest::READABLE, &mut peek).await,
            Stream::Unix(stream) => stream.async_io(Interest::READABLE, &mut peek).await,
            #[cfg(test)]
            Stream::Simulated(_) => peek(),
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Stream::Tcp(stream)
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Stream::Unix(stream)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
            #[cfg(test)]
            Stream::Simulated(end) => end.as_fd(),
        }
    }
}

impl ReadHalf {
    /// Reads what is there, without waiting.
    pub fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            ReadHalf::Tcp(half) => half.try_read(into),
            ReadHalf::Unix(half) => half.try_read(into),
            #[cfg(test)]
            ReadHalf::Simulated(half) => half.try_read(into),
        }
    }
}

impl AsFd for ReadHalf {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            ReadHalf::Tcp(half) => half.as_ref().as_fd(),
            ReadHalf::Unix(half) => half.as_ref().as_fd(),
            #[cfg(test)]
            ReadHalf::Simulated(half) => half.as_fd(),
        }
    }
}

impl AsFd for WriteHalf {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            WriteHalf::Tcp(half) => half.as_ref().as_fd(),
            WriteHalf::Unix(half) => half.as_ref().as_fd(),
            #[cfg(test)]
            WriteHalf::Simulated(half) => half.as_fd(),
        }
    }
}

/// Hands reading on to whichever kind it is.
macro_rules! read_by_kind {
    ($type:ident) => {
        impl AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    $type::Tcp(inner) => Pin::new(inner).poll_read(cx, buf),
                    $type::Unix(inner) => Pin::new(inner).poll_read(cx, buf),
                    #[cfg(test)]
                    $type::Simulated(inner) => Pin::new(inner).poll_read(cx, buf),
                }
            }
        }
    };
}

/// Hands writing on to whichever kind it is.
macro_rules! write_by_kind {
    ($type:ident) => {
        impl AsyncWrite for $type {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    $type::Tcp(inner) => Pin::new(inner).poll_write(cx, buf),
                    $type::Unix(inner) => Pin::new(inner).poll_write(cx, buf),
                    #[cfg(test)]
                    $type::Simulated(inner) => Pin::new(inner).poll_write(cx, buf),
                }
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    $type::Tcp(inner) => Pin::new(inner).poll_write_vectored(cx, bufs),
                    $type::Unix(inner) => Pin::new(inner).poll_write_vectored(cx, bufs),
                    #[cfg(test)]
                    $type::Simulated(inner) => Pin::new(inner).poll_write_vectored(cx, bufs),
                }
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    $type::Tcp(inner) => Pin::new(inner).poll_flush(cx),
                    $type::Unix(inner) => Pin::new(inner).poll_flush(cx),
                    #[cfg(test)]
                    $type::Simulated(inner) => Pin::new(inner).poll_flush(cx),
                }
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    $type::Tcp(inner) => Pin::new(inner).poll_shutdown(cx),
                    $type::Unix(inner) => Pin::new(inner).poll_shutdown(cx),
                    #[cfg(test)]
                    $type::Simulated(inner) => Pin::new(inner).poll_shutdown(cx),
                }
            }
        }
    };
}

read_by_kind!(Stream);
read_by_kind!(ReadHalf);
write_by_kind!(Stream);
write_by_kind!(WriteHalf);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Promise: what was looked at is still there to be read, and in its order.
    #[tokio::test]
    async fn a_peek_takes_nothing() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut stream = Stream::from(ours);
        theirs.write_all(b"PROXY and more").await.unwrap();
        let mut seen = [0; 5];
        assert_eq!(stream.peek(&mut seen).await.unwrap(), 5);
        assert_eq!(&seen, b"PROXY");
        drop(theirs);
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"PROXY and more");
        assert_eq!(stream.peek(&mut seen).await.unwrap(), 0, "the end shows as an end");
    }
}
