//! Upstreams: the defaults that protect them.

use std::num::NonZeroU32;
use std::time::Duration;

use super::ONE;
use crate::config::units::time_text;
use crate::config::upstreams as written;
use crate::config::{Config, Diagnostic, NamedFiles, Problems};
use crate::policy::{Ejection, HealthCheck, Queue, Retry, Server, Upstream};

const CONNECTIONS: u32 = 1024;
const QUEUE_LENGTH: u32 = 1024;
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);
const EJECTION_FAILURES: u32 = 5;
const EJECTION_BASE: Duration = Duration::from_secs(10);
const EJECTION_MAX: Duration = Duration::from_secs(300);
const HEALTH_INTERVAL: Duration = Duration::from_secs(5);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);
const UNHEALTHY_AFTER: u32 = 3;
const HEALTHY_AFTER: u32 = 2;
const RETRY_PERMILLE: u32 = 200;
const RETRY_FLOOR: u32 = 10;
const IDLE_CONNECTIONS: u32 = 512;
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn compile(config: &Config, problems: &Problems) -> Vec<Upstream> {
    config.upstreams.value.iter().map(|upstream| one(upstream, &config.named, problems)).collect()
}

fn one(upstream: &written::Upstream, named: &NamedFiles, problems: &Problems) -> Upstream {
    report_double_servers(upstream, problems);
    let tls = super::upstream_tls::compile(upstream, named, problems);
    let all = upstream.tls.is_some();
    Upstream {
        name: upstream.name.value.clone(),
        servers: upstream
            .servers
            .value
            .iter()
            .map(|server| Server {
                name: server.written.value.clone(),
                address: server.address.clone(),
                connections_max: positive(server.max_connections.or(upstream.max_connections), CONNECTIONS),
                proxy_protocol: upstream.send_proxy_protocol,
                tls: tls.clone().filter(|_| all || server.secure),
                protocol: upstream.protocol.unwrap_or_default(),
            })
            .collect(),
        capacity: super::shares::capacity(upstream.capacity.as_ref(), problems),
        queue: Queue {
            length_max: upstream.queue.length.unwrap_or(QUEUE_LENGTH),
            timeout: upstream.queue.timeout.unwrap_or(QUEUE_TIMEOUT),
        },
        ejection: ejection(&upstream.ejection, problems),
        health_check: upstream.health_check.as_ref().map(health_check),
        retry: Retry {
            budget_permille: upstream.retry.budget_permille.unwrap_or(RETRY_PERMILLE),
            floor_per_second: upstream.retry.floor_per_second.unwrap_or(RETRY_FLOOR),
        },
        idle_connections_max: upstream.idle_connections.unwrap_or(IDLE_CONNECTIONS),
        idle_timeout: upstream.idle_timeout.unwrap_or(IDLE_TIMEOUT),
        third_party: upstream.third_party.as_ref().map(|whose| whose.value.clone()),
    }
}

fn ejection(written: &written::Ejection, problems: &Problems) -> Ejection {
    let base = written.base.unwrap_or(EJECTION_BASE);
    let max = written.max.as_ref().map_or(EJECTION_MAX.max(base), |max| max.value);
    if let Some(written) = &written.max
        && max < base
    {
        problems.add(
            Diagnostic::error(written.place, "`max` is shorter than `base`")
                .expected(format!("at least {}, the first ejection's time", time_text(base))),
        );
    }
    Ejection { failures: positive(written.failures, EJECTION_FAILURES), base, max }
}

fn health_check(written: &written::HealthCheck) -> HealthCheck {
    HealthCheck {
        path: written.path.clone(),
        interval: written.interval.unwrap_or(HEALTH_INTERVAL),
        timeout: written.timeout.unwrap_or(HEALTH_TIMEOUT),
        unhealthy_after: positive(written.unhealthy_after, UNHEALTHY_AFTER),
        healthy_after: positive(written.healthy_after, HEALTHY_AFTER),
    }
}

fn report_double_servers(upstream: &written::Upstream, problems: &Problems) {
    let servers = &upstream.servers.value;
    for (at, server) in servers.iter().enumerate() {
        if let Some(first) = servers.iter().take(at).find(|s| s.address == server.address) {
            problems.add(
                Diagnostic::error(
                    server.written.place,
                    format!("the server {} is written twice", server.written.value),
                )
                .expected("each server once")
                .related(first.written.place, "the first"),
            );
        }
    }
}

/// The reader lets no zero through, so the default is only for what was not written.
fn positive(written: Option<u32>, default: u32) -> NonZeroU32 {
    NonZeroU32::new(written.unwrap_or(default)).unwrap_or(ONE)
}
