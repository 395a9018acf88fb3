//! Active health checks: one small GET per server and interval.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, StatusCode, header, response};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Upstream;
use super::connect::{ConnectError, open};
use super::fault::AnswerError;
use super::http1::Http1;
use super::http2::call::Call;
use super::http2::session::Session;
use super::http2::{self, NotHttp2};
use super::server::Server;
use crate::policy::{HealthCheck, UpstreamProtocol};
use crate::proxy::interim::is_interim;
use crate::proxy::request_body::RequestBody;

/// Checks every server of every upstream that asks for it, until the set is dropped.
pub fn start(upstreams: &[Arc<Upstream>]) -> JoinSet<()> {
    let mut checks = JoinSet::new();
    for upstream in upstreams {
        if let Some(rule) = &upstream.rule.health_check {
            for server in &upstream.servers {
                checks.spawn(watch(Arc::clone(server), rule.clone(), upstream.rule.name.clone()));
            }
        }
    }
    checks
}

async fn watch(server: Arc<Server>, rule: HealthCheck, upstream: String) {
    let mut ticks = interval(rule.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let result = match timeout(rule.timeout, probe(&server, &rule.path)).await {
            Ok(result) => result,
            Err(_elapsed) => Err(CheckError::TimedOut),
        };
        if matches!(&result, Err(CheckError::Connect(error)) if !error.is_servers()) {
            continue;
        }
        let passed = result.is_ok();
        if !server.health.checked(passed, &rule) {
            continue;
        }
        match result {
            Ok(()) => {
                tracing::info!(upstream, server = server.name(), "server passes its health check again");
            }
            Err(error) => {
                tracing::warn!(upstream, server = server.name(), %error, "server fails its health check");
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error("no answer in time")]
    TimedOut,
    #[error("{0}")]
    Connect(#[from] ConnectError),
    #[error("{0}")]
    Http(#[from] AnswerError),
    #[error("{0}")]
    Request(#[from] http::Error),
    #[error("answered {0}")]
    Status(StatusCode),
}

async fn probe(server: &Server, path: &str) -> Result<(), CheckError> {
    let stream = open(server, None).await?;
    let request = Request::get(path)
        .header(header::HOST, server.rule().host())
        .header(header::USER_AGENT, "weir-health-check")
        .header(header::CONNECTION, "close")
        .body(RequestBody::Empty)?;
    let (head, body) = request.into_parts();
    match server.rule().protocol {
        UpstreamProtocol::Http1 => {
            let mut http1 = Http1::new(stream);
            http1.begin(&head, &[], body);
            judge(|cx| http1.poll_head(cx).map_err(AnswerError::Http1)).await
        }
        UpstreamProtocol::Http2 => {
            let connection = http2::greet(stream).await.map_err(ConnectError::Protocol)?;
            let session = Session::start(connection, None, server.tls().is_some(), ());
            let seat = session.enter().ok_or(ConnectError::Protocol(NotHttp2::Full))?;
            let mut call = Call::new(seat);
            call.begin(&head, &[], body);
            judge(|cx| call.poll_head(cx).map_err(AnswerError::Http2)).await
        }
    }
}

/// 2xx and 3xx pass.
async fn judge(
    mut poll_head: impl FnMut(&mut Context<'_>) -> Poll<Result<response::Parts, AnswerError>>,
) -> Result<(), CheckError> {
    loop {
        match poll_fn(&mut poll_head).await?.status {
            status if is_interim(status) => {}
            status if status.is_success() || status.is_redirection() => return Ok(()),
            status => return Err(CheckError::Status(status)),
        }
    }
}
