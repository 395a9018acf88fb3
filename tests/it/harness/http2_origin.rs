//! Apps that speak HTTP/2: one that does it well, by a library, and one that writes frames as a test likes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::RawOrigin;
use super::frames::{self, ACK, END_HEADERS, Frame, frame, kind};
use super::origin::OriginConn;

/// A well-behaved server on a free loopback port, on a thread of its own. With prior knowledge, or by TLS.
#[derive(Debug)]
pub(crate) struct Http2Origin {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

/// One request, and the way to answer it.
pub(crate) struct Http2Exchange {
    pub(crate) request: Request<RecvStream>,
    pub(crate) respond: SendResponse<Bytes>,
}

impl Http2Origin {
    pub(crate) fn serving<F>(handle: impl Fn(Http2Exchange) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), h2::Error>> + Send + 'static,
    {
        Self::start(Builder::new(), None, handle)
    }

    pub(crate) fn start<F>(
        builder: Builder,
        tls: Option<Arc<ServerConfig>>,
        handle: impl Fn(Http2Exchange) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), h2::Error>> + Send + 'static,
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, handle) = (Arc::new(AtomicUsize::new(0)), Arc::new(handle));
        let counter = Arc::clone(&connections);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((socket, _)) = listener.accept().await {
                    counter.fetch_add(1, Ordering::SeqCst);
                    let (builder, handle, tls) = (builder.clone(), Arc::clone(&handle), tls.clone());
                    tokio::spawn(async move {
                        match tls {
                            None => serve(socket, &builder, &*handle).await,
                            Some(tls) => {
                                let Ok(socket) = TlsAcceptor::from(tls).accept(socket).await else { return };
                                serve(socket, &builder, &*handle).await;
                            }
                        }
                    });
                }
            });
        });
        Http2Origin { address, connections }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve<S, F>(socket: S, builder: &Builder, handle: &impl Fn(Http2Exchange) -> F)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Result<(), h2::Error>> + Send + 'static,
{
    let Ok(mut connection) = builder.handshake(socket).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        // What weir gives up ends in an error, which is not the origin's fault.
        tokio::spawn(handle(Http2Exchange { request, respond }));
    }
}

impl Http2Exchange {
    /// Answers 200 with a body.
    pub(crate) async fn answer(mut self, body: impl Into<Bytes>) -> Result<(), h2::Error> {
        let mut stream = self.respond.send_response(Response::new(()), false)?;
        send(&mut stream, body.into()).await?;
        stream.send_data(Bytes::new(), true)
    }

    /// The whole body and its trailers.
    pub(crate) async fn read(&mut self) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
        let (mut whole, body) = (Vec::new(), self.request.body_mut());
        while let Some(piece) = body.data().await {
            let piece = piece?;
            body.flow_control().release_capacity(piece.len())?;
            whole.extend_from_slice(&piece);
        }
        Ok((whole, body.trailers().await?))
    }
}

/// Sends all of a body, as it is taken.
pub(crate) async fn send(stream: &mut SendStream<Bytes>, mut body: Bytes) -> Result<(), h2::Error> {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let Some(room) = room.transpose()? else { return Ok(()) };
        stream.send_data(body.split_to(room.min(body.len())), false)?;
    }
    Ok(())
}

pub(crate) fn status(code: u16) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

/// A server's end of a connection, frame by frame.
#[derive(Debug)]
pub(crate) struct FrameServer<'a>(&'a mut OriginConn);

impl<'a> FrameServer<'a> {
    /// An origin that runs `script` on each connection once both sides have said their settings.
    pub(crate) fn scripted(
        settings: &'static [(u16, u32)],
        script: impl Fn(&mut FrameServer<'_>) + Send + Sync + 'static,
    ) -> RawOrigin {
        RawOrigin::scripted(move |conn| {
            if let Some(mut server) = FrameServer::greet(conn, settings) {
                script(&mut server);
            }
        })
    }

    fn greet(conn: &'a mut OriginConn, settings: &[(u16, u32)]) -> Option<Self> {
        conn.try_read_exactly(frames::PREFACE.len()).ok()?;
        let mut server = FrameServer(conn);
        server.send(&frames::settings(settings));
        Some(server)
    }

    /// Which connection of its origin this is.
    pub(crate) fn number(&self) -> usize {
        self.0.number
    }

    /// weir may have gone meanwhile: that is not the origin's fault.
    pub(crate) fn send(&mut self, frames: &[u8]) {
        drop(self.0.try_send(frames));
    }

    /// The next frame; settings are acknowledged.
    pub(crate) fn read(&mut self) -> Option<Frame> {
        let head: [u8; 9] = self.0.try_read_exactly(9).ok()?.try_into().ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let payload = self.0.try_read_exactly(u32::from_be_bytes([0, a, b, c]) as usize).ok()?;
        if kind == kind::SETTINGS && flags & ACK == 0 {
            self.send(&frame(kind::SETTINGS, ACK, 0, &[]));
        }
        Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }

    /// Reads until a request begins; its stream.
    pub(crate) fn next_request(&mut self) -> Option<u32> {
        loop {
            let frame = self.read()?;
            if frame.kind == kind::HEADERS {
                return Some(frame.stream);
            }
        }
    }

    /// Sends the head of an answer, after which its body comes.
    pub(crate) fn send_head(&mut self, stream: u32, fields: &[(&str, &str)]) {
        let fields: Vec<_> = [(":status", "200")].iter().chain(fields).copied().collect();
        self.send(&frame(kind::HEADERS, END_HEADERS, stream, &frames::block(&fields)));
    }

    pub(crate) fn send_data(&mut self, stream: u32, flags: u8, data: &[u8]) {
        self.send(&frame(kind::DATA, flags, stream, data));
    }

    pub(crate) fn reset(&mut self, stream: u32, code: u32) {
        self.send(&frame(kind::RST_STREAM, 0, stream, &code.to_be_bytes()));
    }

    /// No request after `last` is taken.
    pub(crate) fn goaway(&mut self, last: u32, code: u32) {
        self.send(&frame(kind::GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat()));
    }

    /// Reads whatever comes until weir has closed.
    pub(crate) fn read_to_end(&mut self) {
        while self.read().is_some() {}
    }
}
