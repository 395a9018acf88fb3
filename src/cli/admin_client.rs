//! Asking the admin listener of a running weir, for `weir explain`, `weir findings`, `weir mode` and `weir reload`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config;

/// How long connecting, asking and answering may take together.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than a thousand refusals.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// One admin listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct AdminClient {
    address: SocketAddr,
}

impl AdminClient {
    /// The listener at `address`, `host:port`; without one, where the configuration at `config` has it.
    pub(super) fn find(address: Option<&str>, config: &Path) -> anyhow::Result<Self> {
        let address = match address {
            Some(address) => {
                let mut found =
                    address.to_socket_addrs().with_context(|| format!("{address} is no address"))?;
                found.next().with_context(|| format!("{address} has no address"))?
            }
            None => of_config(config)?,
        };
        // A listener on every address is asked on loopback.
        let ip = match address.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Ok(AdminClient { address: SocketAddr::new(ip, address.port()) })
    }

    pub(super) fn get<T: DeserializeOwned>(self, target: &str) -> anyhow::Result<T> {
        self.ask("GET", target, Bytes::new())
    }

    pub(super) fn post<T: DeserializeOwned>(self, target: &str, body: &Value) -> anyhow::Result<T> {
        self.ask("POST", target, Bytes::from(body.to_string()))
    }

    /// Hands over a stream piece by piece, from after the event `seen`, until it ends or `take` fails.
    pub(super) fn follow(
        self,
        target: &str,
        seen: &str,
        mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let request = self.request("GET", target).header("last-event-id", seen);
            let answer = tokio::time::timeout(PATIENCE, self.send(request.body(Full::default())?)).await;
            let answer =
                answer.with_context(|| format!("the admin listener at {} does not answer", self.address))?;
            let mut answer =
                answer.with_context(|| format!("cannot ask the admin listener at {}", self.address))?;
            if !answer.status().is_success() {
                let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
                bail!("{}", detail_of(&body.map_err(|error| anyhow::anyhow!(error))?.to_bytes()));
            }
            while let Some(frame) = answer.frame().await {
                let Ok(frame) = frame else { break };
                if let Some(data) = frame.data_ref() {
                    take(data)?;
                }
            }
            Ok(())
        })
    }

    fn ask<T: DeserializeOwned>(self, method: &str, target: &str, body: Bytes) -> anyhow::Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let answer = runtime
            .block_on(async { tokio::time::timeout(PATIENCE, self.exchange(method, target, body)).await });
        let (status, body) = answer
            .with_context(|| format!("the admin listener at {} does not answer", self.address))?
            .with_context(|| format!("cannot ask the admin listener at {}", self.address))?;
        // What was asked for was looked at and refused: the answer says why.
        if status.is_success() || status == StatusCode::UNPROCESSABLE_ENTITY {
            return serde_json::from_slice(&body).context("the admin listener answered something else");
        }
        bail!("{}", detail_of(&body))
    }

    async fn exchange(self, method: &str, target: &str, body: Bytes) -> anyhow::Result<(StatusCode, Bytes)> {
        let request = self.request(method, target).body(Full::new(body))?;
        let (parts, body) = self.send(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        Ok((parts.status, body.map_err(|error| anyhow::anyhow!(error))?.to_bytes()))
    }

    fn request(self, method: &str, target: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, self.address.to_string())
            .header(CONTENT_TYPE, "application/json")
    }

    async fn send(self, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Incoming>> {
        let stream = tokio::net::TcpStream::connect(self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender.send_request(request).await?)
    }
}

/// What a problem document says.
fn detail_of(body: &[u8]) -> String {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    problem["detail"].as_str().unwrap_or("it answered with an error").to_owned()
}

fn of_config(config: &Path) -> anyhow::Result<SocketAddr> {
    let loaded = config::load(config)
        .map_err(|_| anyhow::anyhow!("{} does not say where; give --admin ADDRESS", config.display()))?;
    let address = loaded.policy.listen.admin;
    address.with_context(|| format!("{} has no admin listener; give --admin ADDRESS", config.display()))
}

/// A value of a query, with everything but letters, digits and a few marks encoded (RFC 3986 §2.3).
pub(super) fn encoded(value: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
