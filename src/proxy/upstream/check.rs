//! Active health checks: one small GET per server and interval.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Upstream;
use super::connect::{ConnectError, open};
use super::http1::Http1;
use super::http1::fault::Http1Error;
use super::server::Server;
use crate::policy::HealthCheck;
use crate::proxy::interim::is_interim;

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
    Http(#[from] Http1Error),
    #[error("{0}")]
    Request(#[from] http::Error),
    #[error("answered {0}")]
    Status(StatusCode),
}

/// 2xx and 3xx pass.
async fn probe(server: &Server, path: &str) -> Result<(), CheckError> {
    let mut http1 = Http1::new(open(server, None).await?);
    let request = Request::get(path)
        .header(header::HOST, server.rule().host())
        .header(header::USER_AGENT, "weir-health-check")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let (head, body) = request.into_parts();
    http1.begin(&head, &[], body);
    loop {
        match poll_fn(|cx| http1.poll_head(cx)).await?.status {
            status if is_interim(status) => {}
            status if status.is_success() || status.is_redirection() => return Ok(()),
            status => return Err(CheckError::Status(status)),
        }
    }
}
