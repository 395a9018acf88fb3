//! The policy in force as JSON, for the admin listener and `weir check --json`.
//!
//! Nothing secret is in it: of credentials the policy holds hashes, which are counted here, and of keys their kind is said.

mod conduct;
mod identity;
mod limits;
mod upheld;

pub use upheld::{Means, Upholder};

use std::time::Duration;

use serde_json::{Value, json};

use super::acme::Acme;
use super::path::{Case, Parameters, TrailingSlash};
use super::tls::{ClientCertificates, Redirect, Tls};
use super::{
    AccessFormat, AccessTarget, ConnectionLimits, ForwardedHeader, ListenAddress, Listener, LogFormat,
    Policy, Priority, ProxyProtocol, Route, Upstream,
};

/// The whole policy. Times are in seconds, sizes in bytes; `null` stands for "no bound".
pub fn describe(policy: &Policy) -> Value {
    json!({
        "listen": {
            "proxy": policy.listen.proxy.iter().map(listener).collect::<Vec<_>>(),
            "admin": policy.listen.admin,
            "workers": policy.listen.workers,
        },
        "http": {
            "head_bytes_max": policy.http.head_bytes_max,
            "header_count_max": policy.http.header_count_max,
            "uri_bytes_max": policy.http.uri_bytes_max,
            "body_bytes_max": policy.http.body_bytes_max,
        },
        "connections": connections(policy),
        "timeouts": timeouts(policy),
        "shutdown": {
            "drain_delay": seconds(policy.shutdown.drain_delay),
            "drain_timeout": seconds(policy.shutdown.drain_timeout),
            "drain_tunnels": seconds(policy.shutdown.drain_tunnels),
        },
        "paths": paths(policy),
        "client": { "ipv4_prefix": policy.client.ipv4, "ipv6_prefix": policy.client.ipv6 },
        "enforcement": {
            "mode": policy.enforcement.mode.name(),
            "never_refuse": policy.enforcement.never_refuse,
            "never_refuse_accounts": policy
                .enforcement
                .never_refuse_accounts
                .iter()
                .map(|account| &**account)
                .collect::<Vec<_>>(),
        },
        "upstreams": policy.upstreams.iter().map(upstream).collect::<Vec<_>>(),
        "routes": policy.routes.iter().map(|r| route(r, policy)).collect::<Vec<_>>(),
        "limits": policy.limits.iter().map(|l| limits::limit(l, policy)).collect::<Vec<_>>(),
        "terms": limits::terms(policy),
        "identity": identity::identity(policy),
        "responses": identity::responses(policy),
        "load": identity::load(policy),
        "detectors": policy.conduct.detectors.iter().map(|d| conduct::detector(d, policy)).collect::<Vec<_>>(),
        "rules": policy.conduct.rules.iter().map(|r| conduct::rule(r, policy)).collect::<Vec<_>>(),
        "detection": conduct::detection(policy),
        "clauses": upheld::clauses(policy),
        "state": { "memory_bytes": policy.state.memory_bytes, "path": policy.state.path },
        "log": log(policy),
        "tls": policy.tls.as_ref().map(tls),
        "without_effect": policy
            .without_effect
            .iter()
            .map(|part| json!({ "part": part.part, "consequence": part.consequence }))
            .collect::<Vec<_>>(),
    })
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn connections(policy: &Policy) -> Value {
    let ConnectionLimits { max, per_client, handshakes } = policy.connections;
    json!({ "max": max, "per_client": per_client, "handshakes": handshakes })
}

fn timeouts(policy: &Policy) -> Value {
    let timeouts = &policy.timeouts;
    json!({
        "handshake": seconds(timeouts.handshake),
        "head_read": seconds(timeouts.head_read),
        "idle": seconds(timeouts.idle),
        "body_progress": seconds(timeouts.body_progress),
        "body_rate_min": timeouts.body_rate_min,
        "connect": seconds(timeouts.connect),
        "first_byte": seconds(timeouts.first_byte),
        "total": timeouts.total.map(seconds),
    })
}

fn paths(policy: &Policy) -> Value {
    json!({
        "trailing_slash": match policy.paths.trailing_slash {
            TrailingSlash::Ignore => "ignore",
            TrailingSlash::Distinct => "distinct",
        },
        "case": match policy.paths.case {
            Case::Sensitive => "sensitive",
            Case::Insensitive => "insensitive",
        },
        "parameters": match policy.paths.parameters {
            Parameters::Keep => "keep",
            Parameters::Strip => "strip",
        },
    })
}

fn listener(listener: &Listener) -> Value {
    let header = match &listener.trust.header {
        ForwardedHeader::XForwardedFor => "x-forwarded-for",
        ForwardedHeader::Forwarded => "forwarded",
        ForwardedHeader::Single(name) => name.as_str(),
    };
    let (mode, v6only) = match listener.address {
        ListenAddress::Ip { address, v6only } => (None, address.is_ipv6().then_some(v6only)),
        ListenAddress::Unix { mode, .. } => (Some(format!("{mode:04o}")), None),
    };
    json!({
        "address": listener.address.to_string(),
        "mode": mode,
        "v6only": v6only,
        "tls": listener.tls,
        "proxy_protocol": listener.proxy_protocol.map(ProxyProtocol::name),
        "h2c": listener.h2c,
        "trusted_proxies": listener.trust.proxies,
        "forwarded_header": header,
    })
}

fn tls(tls: &Tls) -> Value {
    json!({
        "certificates": tls.certificates.iter().map(|it| &*it.file).collect::<Vec<_>>(),
        "acme": tls.acme.as_deref().map(acme),
        "min_version": tls.min_version.name(),
        "http2": tls.http2,
        "redirect": match tls.redirect {
            Redirect::No => json!(false),
            Redirect::ToListener => json!(true),
            Redirect::ToPort(port) => json!(port),
        },
        "hsts": tls.hsts.map(seconds),
        "fingerprint": tls.fingerprint,
        "client_certificates": tls.client_certificates.common.as_deref().map(client_certificates),
        "listeners": tls
            .client_certificates
            .own
            .iter()
            .map(|(listener, own)| {
                json!({ "address": listener.to_string(), "client_certificates": own.as_deref().map(client_certificates) })
            })
            .collect::<Vec<_>>(),
    })
}

/// Without the key that binds the account.
fn acme(acme: &Acme) -> Value {
    json!({
        "names": acme.names.iter().map(|name| &**name).collect::<Vec<_>>(),
        "directory": &*acme.directory,
        "verified_by": acme.verify.name(),
        "contact": acme.contact,
        "challenge": acme.challenge.name(),
        "state_dir": acme.state_dir,
        "external_account": acme.external_account.as_ref().map(|account| &*account.id),
    })
}

fn client_certificates(rule: &ClientCertificates) -> Value {
    json!({
        "ca": &*rule.file,
        "mode": rule.demand.name(),
        "crls": rule.revocations.len(),
        "forward": rule.forward,
    })
}

fn upstream(upstream: &Upstream) -> Value {
    let servers: Vec<Value> = upstream
        .servers
        .iter()
        .map(|server| {
            json!({
                "address": server.name,
                "connections_max": server.connections_max,
                "proxy_protocol": server.proxy_protocol.map(ProxyProtocol::name),
                "protocol": server.protocol.name(),
                "tls": server.tls.as_ref().map(|tls| json!({
                    "verified_by": tls.verify.name(),
                    "server_name": server.tls_name(),
                    "certificate": tls.own.as_ref().map(|own| &*own.file),
                })),
            })
        })
        .collect();
    let health_check = upstream.health_check.as_ref().map(|check| {
        json!({
            "path": check.path,
            "interval": seconds(check.interval),
            "timeout": seconds(check.timeout),
            "unhealthy_after": check.unhealthy_after,
            "healthy_after": check.healthy_after,
        })
    });
    json!({
        "name": upstream.name,
        "servers": servers,
        "concurrency_max": upstream.capacity.most(),
        "capacity": identity::capacity(upstream.capacity),
        "queue": {
            "length_max": upstream.queue.length_max,
            "timeout": seconds(upstream.queue.timeout),
        },
        "ejection": {
            "failures": upstream.ejection.failures,
            "base": seconds(upstream.ejection.base),
            "max": seconds(upstream.ejection.max),
        },
        "health_check": health_check,
        "retry": {
            "budget_permille": upstream.retry.budget_permille,
            "floor_per_second": upstream.retry.floor_per_second,
        },
        "idle_connections_max": upstream.idle_connections_max,
        "idle_timeout": seconds(upstream.idle_timeout),
        "third_party": upstream.third_party,
    })
}

fn route(route: &Route, policy: &Policy) -> Value {
    json!({
        "name": route.name,
        "host": route.host,
        "path": route.path.as_str(),
        "upstream": policy.upstream(route.upstream).name,
        "weight": route.weight,
        "priority": match route.priority {
            Priority::Batch => "batch",
            Priority::Normal => "normal",
            Priority::High => "high",
        },
        "stream": route.stream,
        "body_bytes_max": route.body_bytes_max,
        "allow_encoded_slashes": route.allow_encoded_slashes,
        "client_certificate": if route.needs_certificate { json!("required") } else { Value::Null },
        "plans": route.gate.as_ref().map(|gate| gate.plans.iter().map(|plan| &**plan).collect::<Vec<_>>()),
        "clause": route.gate.as_ref().map(|gate| &policy.clause(gate.clause).id),
    })
}

fn log(policy: &Policy) -> Value {
    let access = policy.log.access.as_ref().map(|access| {
        json!({
            "target": match &access.target {
                AccessTarget::Stdout => "stdout".to_owned(),
                AccessTarget::File(path) => path.display().to_string(),
            },
            "format": match access.format {
                AccessFormat::Combined => "combined",
                AccessFormat::Json => "json",
            },
            "queue_max": access.queue_max,
        })
    });
    json!({
        "level": policy.log.level,
        "format": match policy.log.format {
            None => "auto",
            Some(LogFormat::Human) => "human",
            Some(LogFormat::Json) => "json",
        },
        "access": access,
    })
}
