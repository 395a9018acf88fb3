//! A client that speaks HTTP/2 in clear, with prior knowledge (RFC 9113 §3.3).

use std::future::poll_fn;
use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::PATIENCE;
use super::http2_origin::send;

/// A connection; each call waits for what it says, at most [`PATIENCE`].
#[derive(Debug)]
pub(crate) struct Http2Client {
    runtime: Runtime,
    send: SendRequest<Bytes>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Http2Answer {
    pub(crate) head: Response<()>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Http2Client {
    pub(crate) fn connect(to: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let send = runtime.block_on(async {
            let socket = TcpStream::connect(to).await.unwrap();
            let (send, connection) = client::handshake(socket).await.unwrap();
            tokio::spawn(connection);
            send
        });
        Http2Client { runtime, send }
    }

    /// Whether weir takes the extended CONNECT (RFC 8441 §3); known once anything was answered.
    pub(crate) fn may_connect(&self) -> bool {
        self.send.is_extended_connect_protocol_enabled()
    }

    /// Begins a request whose body goes on, and waits for the head of its answer.
    pub(crate) fn open(&mut self, request: Request<()>) -> Http2Call {
        let Http2Client { runtime, send: to } = self;
        runtime.block_on(async {
            poll_fn(|cx| to.poll_ready(cx)).await.unwrap();
            let (response, upload) = to.send_request(request, false).unwrap();
            let response = timeout(PATIENCE, response).await.expect("an answer in time").unwrap();
            Http2Call { response, upload }
        })
    }

    /// A whole request and its whole answer.
    pub(crate) fn exchange(&mut self, request: Request<()>, body: &'static [u8]) -> Http2Answer {
        let Http2Client { runtime, send: to } = self;
        runtime.block_on(async {
            poll_fn(|cx| to.poll_ready(cx)).await.unwrap();
            let (response, mut upload) = to.send_request(request, body.is_empty()).unwrap();
            if !body.is_empty() {
                send(&mut upload, Bytes::from_static(body)).await.unwrap();
                // Where the answer came first, nobody wants the rest.
                drop(upload.send_data(Bytes::new(), true));
            }
            let response = timeout(PATIENCE, response).await.expect("an answer in time").unwrap();
            let (parts, mut stream) = response.into_parts();
            let body = timeout(PATIENCE, read(&mut stream, usize::MAX)).await.expect("all of it in time");
            let trailers = stream.trailers().await.unwrap();
            Http2Answer { head: Response::from_parts(parts, ()), body, trailers }
        })
    }

    pub(crate) fn get(&mut self, path: &str) -> Http2Answer {
        self.exchange(Request::get(format!("http://app.test{path}")).body(()).unwrap(), b"")
    }

    /// Sends more of a request, and reads so many octets of its answer, or to its end.
    pub(crate) fn talk(&self, call: &mut Http2Call, say: &'static [u8], hear: usize) -> Vec<u8> {
        self.runtime.block_on(async {
            send(&mut call.upload, Bytes::from_static(say)).await.unwrap();
            timeout(PATIENCE, read(call.response.body_mut(), hear)).await.expect("an answer in time")
        })
    }
}

/// A request whose both sides are open.
#[derive(Debug)]
pub(crate) struct Http2Call {
    pub(crate) response: Response<RecvStream>,
    pub(crate) upload: SendStream<Bytes>,
}

/// `most` octets, or all there are.
async fn read(stream: &mut RecvStream, most: usize) -> Vec<u8> {
    let mut whole = Vec::new();
    while whole.len() < most
        && let Some(piece) = stream.data().await
    {
        let piece = piece.unwrap();
        stream.flow_control().release_capacity(piece.len()).unwrap();
        whole.extend_from_slice(&piece);
    }
    whole
}
