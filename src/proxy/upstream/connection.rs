//! One connection to a server.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::http1::Http1;
use super::server::OpenGuard;
use crate::metrics::UpstreamMetrics;
use crate::proxy::maybe_tls::ServerStream;
use crate::proxy::request_body::RequestBody;

/// A connection, driven by whoever waits for something from it. Between requests nobody does: a server that closes
/// then is noticed when the connection is next looked at.
#[derive(Debug)]
pub struct Connection {
    /// In a box: it goes in and out of the pool with every request.
    pub http1: Box<Http1<ServerStream, RequestBody>>,
    /// The client that the server was told of, and whose alone it is.
    whose: Option<SocketAddr>,
    counted: Counted,
}

/// The connection as the books know it, until it ends.
#[derive(Debug)]
pub(super) struct Counted {
    counters: Arc<UpstreamMetrics>,
    _open: OpenGuard,
}

impl Connection {
    pub(super) fn new(
        stream: ServerStream,
        whose: Option<SocketAddr>,
        open: OpenGuard,
        counters: Arc<UpstreamMetrics>,
    ) -> Self {
        Connection { http1: Box::new(Http1::new(stream)), whose, counted: Counted::new(open, counters) }
    }

    /// The client that the server takes this for, where it was told of one.
    pub fn whose(&self) -> Option<SocketAddr> {
        self.whose
    }

    /// Whether nothing has come since the last response: the server neither closed nor said what nobody asked for.
    pub fn is_quiet(&self) -> bool {
        self.http1.socket().is_quiet()
    }

    /// A connection that is no longer HTTP.
    pub fn into_tunnel(self) -> Tunnel {
        let (stream, early) = self.http1.into_parts();
        Tunnel { stream, early, _counted: self.counted }
    }
}

impl Counted {
    pub(super) fn new(open: OpenGuard, counters: Arc<UpstreamMetrics>) -> Self {
        counters.connection_opened();
        Counted { counters, _open: open }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counters.connection_closed();
    }
}

/// A connection after a 101 (RFC 9110 §15.2.2): bytes both ways, those first that came in one piece with the head.
#[derive(Debug)]
pub struct Tunnel {
    stream: ServerStream,
    early: BytesMut,
    _counted: Counted,
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let here = self.early.len().min(buf.remaining());
        buf.put_slice(self.early.get(..here).unwrap_or_default());
        self.early.advance(here);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
