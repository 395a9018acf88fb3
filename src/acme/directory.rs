//! HTTP to an authority: a connection for each of the few requests that an order takes, by TLS that is verified.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::{TLS12, TLS13};

use crate::clock::Clock;
use crate::policy::tls::Verify;
use crate::proxy::tls::TlsError;
use crate::proxy::upstream::secure;

/// One request, its connection included.
const TIMEOUT: Duration = Duration::from_secs(30);
/// A chain of certificates is some kilobytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// The way to one authority.
#[derive(Clone)]
pub(super) struct Directory {
    tls: TlsConnector,
    clock: Clock,
    /// How long the last response that failed asked to wait.
    asked_to_wait: Arc<Mutex<Option<Duration>>>,
}

impl Directory {
    /// Errors: nobody to verify the authority by.
    pub(super) fn new(verify: &Verify, clock: Clock) -> Result<Self, TlsError> {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_protocol_versions(&[&TLS13, &TLS12]).map_err(TlsError::Setup)?;
        let roots = secure::roots(verify)?.unwrap_or_else(tokio_rustls::rustls::RootCertStore::empty);
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Directory { tls: Arc::new(config).into(), clock, asked_to_wait: Arc::default() })
    }

    /// How long the last response that failed asked to wait (RFC 8555 §6.6), once.
    pub(super) fn take_asked_to_wait(&self) -> Option<Duration> {
        self.asked_to_wait.lock().take()
    }

    async fn exchange(&self, request: Request<BodyWrapper<Bytes>>) -> io::Result<BytesResponse> {
        let (mut head, body) = request.into_parts();
        let uri = std::mem::take(&mut head.uri);
        if uri.scheme_str() != Some("https") {
            return Err(io::Error::other(format!("{uri} is not https (RFC 8555 §6.1)")));
        }
        let authority = uri.authority().ok_or(io::ErrorKind::InvalidInput)?;
        head.uri = uri
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str)
            .parse()
            .map_err(io::Error::other)?;
        head.headers
            .insert(header::HOST, HeaderValue::try_from(authority.as_str()).map_err(io::Error::other)?);
        head.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));

        let stream = self.connect(&uri).await?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // Ends when the response has been read, or is not wanted any more.
        tokio::spawn(connection);
        let response =
            sender.send_request(Request::from_parts(head, body)).await.map_err(io::Error::other)?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(io::Error::other)?.to_bytes();
        if head.status.is_client_error() || head.status.is_server_error() {
            *self.asked_to_wait.lock() =
                head.headers.get(header::RETRY_AFTER).and_then(|it| self.wait_of(it));
        }
        Ok(http::Response::from_parts(head, Full::new(body)).into())
    }

    async fn connect(&self, uri: &Uri) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        // Brackets are for URLs alone.
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let at = |why: io::Error| io::Error::new(why.kind(), format!("{host}: {why}"));
        let socket = TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await.map_err(at)?;
        self.tls.connect(name, socket).await.map_err(at)
    }

    /// Seconds, or a date (RFC 9110 §10.2.3).
    fn wait_of(&self, value: &HeaderValue) -> Option<Duration> {
        let text = value.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(self.clock.wall().unix_ms);
        httpdate::parse_http_date(text).ok()?.duration_since(now).ok()
    }
}

impl HttpClient for Directory {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let directory = self.clone();
        Box::pin(async move {
            let answered = timeout(TIMEOUT, directory.exchange(request)).await;
            let answered = answered.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            answered.map_err(|why| Error::Other(Box::new(Unreachable(why))))
        })
    }
}

/// Why a request had no answer.
#[derive(Debug, thiserror::Error)]
#[error("the directory cannot be reached: {0}")]
pub(super) struct Unreachable(pub(super) io::Error);
