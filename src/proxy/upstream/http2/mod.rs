//! HTTP/2 to a server (RFC 9113): many requests at once over one connection.
//!
//! h2 reads and writes the frames, in a task of each connection's own; what is decided about connections and requests is
//! here. Both directions have backpressure: of a request no more is read than the server has room for, and of a
//! response no more is asked for than its client takes.
//!
//! | file | subject |
//! |---|---|
//! | [`session`] | a connection and the requests on it; those of each worker |
//! | [`call`] | one request and its response |
//! | [`upload`] | a request's body, as the server takes it |
//! | [`head`] | what of a request and of trailers HTTP/2 can carry |
//! | [`greeting`] | whether a server speaks HTTP/2 at all |
//! | [`fault`] | why there is no response |
//!
//! Used by `upstream` for requests and by `upstream::check` for health checks.

pub mod call;
pub mod fault;
mod greeting;
mod head;
pub mod session;
mod upload;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};

use crate::policy::UpstreamProtocol;
use crate::proxy::maybe_tls::ServerStream;
use greeting::{Greeted, Heard};

/// Requests at once on one connection, where the server allows more.
const STREAMS_MAX: usize = 100;
/// What a server may send before the client takes any of it: for one request; and for all, as much as all of them
/// could hold, so that no client waits for another that is slow.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 100 * STREAM_WINDOW;
/// What is kept of a request's body that the server does not take.
const SEND_BUFFER: usize = 128 << 10;
/// As much as of a response in HTTP/1.1.
const HEAD_BYTES_MAX: u32 = 64 << 10;

/// A connection that nothing drives yet.
pub type Driver = Connection<Greeted<ServerStream>, Bytes>;

/// Why a connection is none of HTTP/2.
#[derive(Debug, thiserror::Error)]
pub enum NotHttp2 {
    #[error("the server speaks HTTP/1.1, and `protocol = \"h2\"` is configured")]
    Http1,
    #[error("the server does not speak HTTP/2, though `protocol = \"h2\"` is configured")]
    Other,
    #[error("the server ended the connection before it said anything")]
    Closed,
    #[error("the server takes no requests")]
    Full,
    #[error("{0}")]
    Broken(h2::Error),
}

/// Begins HTTP/2 on `stream`, and waits for the server's own beginning: from then on it is known how many requests it
/// takes at once, and that it is a server of HTTP/2.
///
/// The connection goes on only while the driver is polled.
pub async fn greet(stream: ServerStream) -> Result<(SendRequest<Bytes>, Driver), NotHttp2> {
    if let ServerStream::Tls(stream) = &stream
        && stream.get_ref().1.alpn_protocol() != Some(UpstreamProtocol::Http2.name().as_bytes())
    {
        return Err(NotHttp2::Http1);
    }
    let (stream, greeting) = Greeted::new(stream);
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEAD_BYTES_MAX)
        .max_send_buffer_size(SEND_BUFFER);
    let (send, mut driver) = builder.handshake(stream).await.map_err(NotHttp2::Broken)?;
    poll_fn(|cx| {
        let polled = Pin::new(&mut driver).poll(cx);
        match (greeting.heard(), polled) {
            (Heard::Http1, _) => Poll::Ready(Err(NotHttp2::Http1)),
            (Heard::Other, _) => Poll::Ready(Err(NotHttp2::Other)),
            (_, Poll::Ready(Err(error))) => Poll::Ready(Err(NotHttp2::Broken(error))),
            (_, Poll::Ready(Ok(()))) => Poll::Ready(Err(NotHttp2::Closed)),
            (Heard::Settings, Poll::Pending) => Poll::Ready(Ok(())),
            (Heard::Nothing, Poll::Pending) => Poll::Pending,
        }
    })
    .await?;
    Ok((send, driver))
}
