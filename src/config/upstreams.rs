//! `[upstreams.NAME]`: the platform behind, and how carefully it is treated.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::place::At;
use super::reader::{Item, Table, TableKind};
use super::units;
use crate::policy::{ProxyProtocol, ServerAddress, UpstreamProtocol};

pub const UPSTREAM: TableKind = TableKind {
    title: "[upstreams.NAME]",
    keys: &[
        "servers",
        "max_connections",
        "capacity",
        "third_party",
        "queue",
        "ejection",
        "health_check",
        "retry",
        "send_proxy_protocol",
        "tls",
        "protocol",
        "idle_connections",
        "idle_timeout",
    ],
};

pub const SERVER: TableKind =
    TableKind { title: "a server of `servers`", keys: &["address", "max_connections"] };

pub const TLS: TableKind = TableKind {
    title: "`tls` of an upstream",
    keys: &["ca", "server_name", "cert", "key", "dangerously_unverified"],
};

pub const CAPACITY: TableKind = TableKind { title: "`capacity`", keys: &["concurrency", "min", "max"] };

pub const QUEUE: TableKind = TableKind { title: "`queue`", keys: &["length", "timeout"] };

pub const EJECTION: TableKind = TableKind { title: "`ejection`", keys: &["failures", "base", "max"] };

pub const HEALTH_CHECK: TableKind = TableKind {
    title: "`health_check`",
    keys: &["path", "interval", "timeout", "unhealthy_after", "healthy_after"],
};

pub const RETRY: TableKind = TableKind { title: "`retry`", keys: &["budget", "floor_per_second"] };

/// `[upstreams.NAME]` as written.
#[derive(Clone, Debug)]
pub struct Upstream {
    pub name: At<String>,
    pub servers: At<Vec<Server>>,
    pub max_connections: Option<u32>,
    pub capacity: Option<Capacity>,
    pub third_party: Option<At<String>>,
    pub queue: Queue,
    pub ejection: Ejection,
    pub health_check: Option<HealthCheck>,
    pub retry: Retry,
    pub send_proxy_protocol: Option<ProxyProtocol>,
    /// By TLS to all servers, or to none; without a word, to those whose address says `https`.
    pub tls: Option<At<Option<Tls>>>,
    pub protocol: Option<UpstreamProtocol>,
    pub idle_connections: Option<u32>,
    pub idle_timeout: Option<Duration>,
}

/// `tls` as written; `true` is one without a word.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Files in PEM, all of them.
    pub ca: Option<At<String>>,
    pub server_name: Option<At<String>>,
    pub cert: Option<At<String>>,
    pub key: Option<At<String>>,
    pub unverified: Option<At<bool>>,
}

impl Tls {
    /// Every file that is named.
    pub fn files(&self) -> impl Iterator<Item = &At<String>> {
        self.ca.iter().chain(&self.cert).chain(&self.key)
    }
}

/// `capacity` as written.
#[derive(Clone, Copy, Debug)]
pub enum Capacity {
    Fixed(u32),
    Adaptive { min: Option<At<u32>>, max: Option<At<u32>> },
}

#[derive(Clone, Debug)]
pub struct Server {
    pub written: At<String>,
    pub address: ServerAddress,
    /// Written with `https`.
    pub secure: bool,
    pub max_connections: Option<u32>,
}

#[derive(Clone, Debug, Default)]
pub struct Queue {
    pub length: Option<u32>,
    pub timeout: Option<Duration>,
}

#[derive(Clone, Debug, Default)]
pub struct Ejection {
    pub failures: Option<u32>,
    pub base: Option<Duration>,
    pub max: Option<At<Duration>>,
}

#[derive(Clone, Debug)]
pub struct HealthCheck {
    pub path: String,
    pub interval: Option<Duration>,
    pub timeout: Option<Duration>,
    pub unhealthy_after: Option<u32>,
    pub healthy_after: Option<u32>,
}

#[derive(Clone, Debug, Default)]
pub struct Retry {
    /// Thousandths of all requests.
    pub budget_permille: Option<u32>,
    pub floor_per_second: Option<u32>,
}

/// More sockets than one machine opens to one server: there are 65,535 ports.
const CONNECTIONS_MAX: u64 = 65_535;
const CONCURRENCY_MAX: u64 = 1_000_000;
const QUEUE_MAX: u64 = 1_000_000;
const SERVERS_MAX: usize = 256;

pub(super) fn read(item: Item<'_>) -> Vec<Upstream> {
    let Some(entries) = item.entries() else { return Vec::new() };
    if entries.is_empty() {
        item.wrong("there is no upstream", "at least one [upstreams.NAME] with `servers`");
    }
    entries.into_iter().filter_map(|(name, item)| upstream(name, item)).collect()
}

fn upstream(name: At<String>, item: Item<'_>) -> Option<Upstream> {
    let table = item.table(&UPSTREAM)?;
    let servers = table.require("servers", "an array of addresses such as [\"127.0.0.1:3000\"]", |item| {
        servers(item).map(|servers| item.at(servers))
    });
    Some(Upstream {
        name,
        // Servers that could not be read were reported; the name must stay known to routes that refer to it.
        servers: servers.unwrap_or(At::new(Vec::new(), item.place)),
        max_connections: connections(&table),
        capacity: table.read("capacity", capacity),
        third_party: table.read("third_party", |i| i.text_at("whose it is, such as \"sms provider\"")),
        queue: table.read("queue", queue).unwrap_or_default(),
        ejection: table.read("ejection", ejection).unwrap_or_default(),
        health_check: table.read("health_check", health_check),
        retry: table.read("retry", retry).unwrap_or_default(),
        send_proxy_protocol: table.read("send_proxy_protocol", |item| {
            item.word(&[("v1", ProxyProtocol::V1), ("v2", ProxyProtocol::V2)])
        }),
        tls: table.read("tls", tls),
        protocol: table.read("protocol", |item| {
            let words = [UpstreamProtocol::Http1, UpstreamProtocol::Http2].map(|p| (p.name(), p));
            item.word(&words)
        }),
        idle_connections: table.read("idle_connections", |i| i.whole(0..=CONNECTIONS_MAX)),
        idle_timeout: table.read("idle_timeout", super::http::timeout),
    })
}

fn connections(table: &Table<'_>) -> Option<u32> {
    table.read("max_connections", |i| i.whole(1..=CONNECTIONS_MAX))
}

fn servers(item: Item<'_>) -> Option<Vec<Server>> {
    const EXPECTED: &str = "one to 256 addresses such as \"127.0.0.1:3000\"";
    let servers = item.one_or_list(server)?;
    if servers.is_empty() || servers.len() > SERVERS_MAX {
        return item.refuse(format!("`servers` holds {} servers", servers.len()), EXPECTED);
    }
    Some(servers)
}

fn server(item: Item<'_>) -> Option<Server> {
    if item.is_table() {
        let table = item.table(&SERVER)?;
        let max_connections = connections(&table);
        let server = table.require("address", "an address such as \"127.0.0.1:3000\"", server_address)?;
        return Some(Server { max_connections, ..server });
    }
    server_address(item)
}

fn server_address(item: Item<'_>) -> Option<Server> {
    const EXPECTED: &str = "an address and port such as \"127.0.0.1:3000\" or \"app.internal:3000\", a Unix socket such \
                            as \"unix:/run/app/app.sock\", or by TLS \"https://app.internal\"";
    let (address, secure) = item.parse(EXPECTED, |text| match text.strip_prefix("https://") {
        Some(rest) => secure_address(rest).map(|address| (address, true)),
        None => address(text).map(|address| (address, false)),
    })?;
    let written = item.text(EXPECTED)?.to_owned();
    Some(Server { written: item.at(written), address, secure, max_connections: None })
}

fn tls(item: Item<'_>) -> Option<At<Option<Tls>>> {
    if item.is_boolean() {
        return item.boolean().map(|on| item.at(on.then(Tls::default)));
    }
    let table = item.table(&TLS)?;
    let file = |key| table.read(key, |item| item.text_at("the name of a file in PEM"));
    let name = |item: Item<'_>| {
        let name = item.parse("a host name such as \"app.internal\"", |text| {
            is_host_name(text).then(|| text.to_ascii_lowercase())
        });
        name.map(|name| item.at(name))
    };
    Some(item.at(Some(Tls {
        ca: file("ca"),
        server_name: table.read("server_name", name),
        cert: file("cert"),
        key: file("key"),
        unverified: table.read("dangerously_unverified", |i| i.boolean().map(|yes| i.at(yes))),
    })))
}

/// What the kernel takes for the path of a Unix socket.
const SOCKET_PATH_MAX: usize = 107;

/// The port that `https` means (RFC 9110 §4.2.2), unless it is written.
fn secure_address(text: &str) -> Option<ServerAddress> {
    let has_port = text.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
    let address = if has_port { address(text) } else { address(&format!("{text}:443")) };
    address.filter(|address| !matches!(address, ServerAddress::Unix(_)))
}

/// `ip:port`, `host:port` or `unix:/path`; a scheme, a path or a missing port are refused.
fn address(text: &str) -> Option<ServerAddress> {
    if let Some(path) = text.strip_prefix("unix:") {
        let is_path = path.starts_with('/') && path.len() <= SOCKET_PATH_MAX;
        return is_path.then(|| ServerAddress::Unix(path.into()));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return (address.port() != 0).then_some(ServerAddress::Ip(address));
    }
    let (host, port) = text.rsplit_once(':')?;
    // `u16::from_str` takes a plus sign.
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    let port = port.parse().ok().filter(|&port: &u16| digits && port != 0)?;
    // `300.1.2.3` is a mistyped address, not a name: no top-level domain is a number.
    let numeric = host.rsplit('.').next().is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
    let name = is_host_name(host) && !numeric && host.parse::<IpAddr>().is_err();
    name.then(|| ServerAddress::Name { host: host.to_ascii_lowercase(), port })
}

/// A host name as RFC 1123 §2.1 allows it, and underscores, which container networks use.
pub(super) fn is_host_name(host: &str) -> bool {
    host.len() <= 253
        && host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

/// `{ concurrency = 64 }`, `"adaptive"`, or `{ concurrency = "adaptive", min = 4, max = 512 }`.
fn capacity(item: Item<'_>) -> Option<Capacity> {
    const EXPECTED: &str =
        "{ concurrency = 64 }, \"adaptive\", or { concurrency = \"adaptive\", min = 8, max = 1024 }";
    if !item.is_table() {
        return item.parse(EXPECTED, |text| {
            (text == "adaptive").then_some(Capacity::Adaptive { min: None, max: None })
        });
    }
    let table = item.table(&CAPACITY)?;
    let bound = |key| table.read(key, |i: Item<'_>| i.whole(1..=CONCURRENCY_MAX).map(|n| i.at(n)));
    let (min, max) = (bound("min"), bound("max"));
    let concurrency = table.require("concurrency", EXPECTED, |i| {
        if !i.is_text() {
            return i.whole(1..=CONCURRENCY_MAX).map(Capacity::Fixed);
        }
        i.word(&[("adaptive", Capacity::Adaptive { min, max })])
    })?;
    if let (Capacity::Fixed(_), Some(item)) = (concurrency, table.item("min").or(table.item("max"))) {
        let message = format!("`{}` belongs to `concurrency = \"adaptive\"`", item.key);
        return item.refuse(message, "no `min` or `max` beside a fixed `concurrency`");
    }
    Some(concurrency)
}

fn queue(item: Item<'_>) -> Option<Queue> {
    let table = item.table(&QUEUE)?;
    Some(Queue {
        length: table.read("length", |i| i.whole(0..=QUEUE_MAX)),
        timeout: table.read("timeout", super::http::timeout),
    })
}

fn ejection(item: Item<'_>) -> Option<Ejection> {
    let table = item.table(&EJECTION)?;
    Some(Ejection {
        failures: table.read("failures", |i| i.whole(1..=1_000_000)),
        base: table.read("base", super::http::timeout),
        max: table.read("max", |i| super::http::timeout(i).map(|t| i.at(t))),
    })
}

fn health_check(item: Item<'_>) -> Option<HealthCheck> {
    const PATH: &str = "a path such as \"/healthz\"";
    let table = item.table(&HEALTH_CHECK)?;
    let path = table.require("path", PATH, |i| {
        i.parse(PATH, |text| {
            let visible = text.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
            (text.starts_with('/') && visible).then(|| text.to_owned())
        })
    });
    Some(HealthCheck {
        interval: table.read("interval", super::http::timeout),
        timeout: table.read("timeout", super::http::timeout),
        unhealthy_after: table.read("unhealthy_after", |i| i.whole(1..=1000)),
        healthy_after: table.read("healthy_after", |i| i.whole(1..=1000)),
        path: path?,
    })
}

fn retry(item: Item<'_>) -> Option<Retry> {
    let table = item.table(&RETRY)?;
    Some(Retry {
        budget_permille: table.read("budget", |i| {
            i.parse("a share of all requests such as \"20%\"; \"0%\" turns retries off", units::permille)
        }),
        floor_per_second: table.read("floor_per_second", |i| i.whole(0..=1_000_000)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: a server is an address and a port; what only looks like one is refused at start, not at the
    /// first request.
    #[test]
    fn servers_have_an_address_and_a_port() {
        for good in ["127.0.0.1:3000", "[::1]:80", "app.internal:3000", "my_app:80", "unix:/run/app.sock"] {
            assert!(address(good).is_some(), "{good}");
        }
        for bad in [
            "127.0.0.1",
            "http://app:80",
            "app:0",
            "app:99999",
            "app:+80",
            "300.0.0.1:80",
            "app:80/x",
            ":80",
            "::1:80",
            "unix:app.sock",
            "unix:",
        ] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }

    /// Promise: by https an address may leave out its port, which is 443 then, and nothing else.
    #[test]
    fn https_has_a_port_of_its_own() {
        let name = |host: &str, port| Some(ServerAddress::Name { host: host.to_owned(), port });
        assert_eq!(secure_address("app.internal"), name("app.internal", 443));
        assert_eq!(secure_address("app.internal:8443"), name("app.internal", 8443));
        assert_eq!(secure_address("[::1]"), "[::1]:443".parse().ok().map(ServerAddress::Ip));
        assert_eq!(secure_address("192.0.2.1"), "192.0.2.1:443".parse().ok().map(ServerAddress::Ip));
        for bad in ["", "app/", "app:", "app:0", "user@app", "unix:/run/app.sock", "::1", "https://app"] {
            assert_eq!(secure_address(bad), None, "{bad}");
        }
    }
}
