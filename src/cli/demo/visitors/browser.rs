//! One connection's worth of HTTP client: keeps it alive, and comes from the address it is told.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use tokio::net::TcpSocket;

use hyper_util::rt::TokioIo;

/// A client with one connection, opened when needed and kept while the server keeps it.
#[derive(Debug)]
pub(crate) struct Browser {
    from: Ipv4Addr,
    /// Whom to name in `X-Forwarded-For`, where nobody can have an address of their own.
    on_behalf_of: Option<Ipv4Addr>,
    to: SocketAddr,
    agent: &'static str,
    accept: &'static str,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// A whole response.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub status: StatusCode,
    /// How long to stay away, where the response says so in seconds.
    pub retry_after: Option<Duration>,
    pub body: Bytes,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum BrowserError {
    #[error("cannot connect: {0}")]
    Connect(#[from] std::io::Error),
    #[error("the connection failed: {0}")]
    Http(#[from] hyper::Error),
    #[error("not a request: {0}")]
    Request(#[from] http::Error),
    #[error("the response was cut off: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
}

const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

impl Browser {
    pub(crate) fn new(from: Ipv4Addr, to: SocketAddr, agent: &'static str, accept: &'static str) -> Self {
        Browser { from, on_behalf_of: None, to, agent, accept, connection: None }
    }

    /// The same, from this machine's one loopback address, speaking for another.
    pub(in crate::cli::demo) fn on_behalf_of(mut self, client: Ipv4Addr) -> Self {
        self.on_behalf_of = Some(client);
        self.from = Ipv4Addr::LOCALHOST;
        self
    }

    pub(crate) async fn get(&mut self, target: &str) -> Result<Reply, BrowserError> {
        self.send(Method::GET, target, None).await
    }

    pub(crate) async fn post(&mut self, target: &str, form: &'static str) -> Result<Reply, BrowserError> {
        self.send(Method::POST, target, Some(form)).await
    }

    async fn send(
        &mut self,
        method: Method,
        target: &str,
        form: Option<&'static str>,
    ) -> Result<Reply, BrowserError> {
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, self.to.to_string())
            .header(USER_AGENT, self.agent)
            .header(ACCEPT, self.accept);
        if let Some(client) = self.on_behalf_of {
            request = request.header("x-forwarded-for", client.to_string());
        }
        if form.is_some() {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let request = request.body(Full::from(form.unwrap_or_default()))?;
        let mut connection = self.connect().await?;
        let response = connection.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(BrowserError::Body)?.to_bytes();
        self.connection = Some(connection);
        Ok(Reply { status: head.status, retry_after: retry_after(&head.headers), body })
    }

    /// The connection that was kept, if it still stands, else a new one.
    async fn connect(&mut self) -> Result<SendRequest<Full<Bytes>>, BrowserError> {
        if let Some(mut kept) = self.connection.take()
            && kept.ready().await.is_ok()
        {
            return Ok(kept);
        }
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.from, 0).into())?;
        let stream = socket.connect(self.to).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        Ok(connection)
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}
