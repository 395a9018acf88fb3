//! `[listen]`: where weir listens, plain or by TLS, and whose forwarding header it believes.

use std::net::SocketAddr;
use std::path::PathBuf;

use http::HeaderName;
use ipnet::IpNet;

use super::diagnostic::Diagnostic;
use super::place::{At, Place};
use super::reader::{Item, Table, TableKind};
use super::tls;
use crate::policy::{ForwardedHeader, ListenAddress, ProxyProtocol};

pub const LISTEN: TableKind = TableKind {
    title: "[listen]",
    keys: &["proxy", "proxy_tls", "admin", "workers", "trusted_proxies", "forwarded_header"],
};

pub const LISTENER: TableKind = TableKind {
    title: "a listener",
    keys: &[
        "address",
        "mode",
        "v6only",
        "tls",
        "proxy_protocol",
        "h2c",
        "trusted_proxies",
        "forwarded_header",
        "client_certificates",
    ],
};

/// `[listen]` as written.
#[derive(Clone, Debug)]
pub struct Listen {
    pub proxy: Vec<Listener>,
    pub admin: Option<At<SocketAddr>>,
    pub workers: Option<u32>,
    /// For listeners that say nothing of their own.
    pub trust: Trust,
}

/// One item of `proxy` or `proxy_tls`.
#[derive(Clone, Debug)]
pub struct Listener {
    pub address: At<ListenAddress>,
    /// Where TLS was asked for; `None`: plain.
    pub tls: Option<Place>,
    pub proxy_protocol: Option<At<ProxyProtocol>>,
    pub h2c: Option<At<bool>>,
    pub trust: Trust,
    /// Instead of those of `[tls]`.
    pub client_certificates: Option<At<OwnClientCertificates>>,
}

/// `None`: this listener asks for none.
pub type OwnClientCertificates = Option<tls::ClientCertificates>;

/// Whose forwarding header is believed, and which; `None` where nothing was written.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    pub proxies: Option<Vec<At<IpNet>>>,
    pub header: Option<At<ForwardedHeader>>,
}

/// Far more than any machine has cores.
const WORKERS_MAX: u64 = 1024;

pub(super) fn read(item: Item<'_>) -> Option<Listen> {
    const PROXY: &str = "an address and port such as \"127.0.0.1:8080\", or an array of them";
    let table = item.table(&LISTEN)?;
    let secure = table.read("proxy_tls", |item| listeners(item, true));
    let plain = match secure {
        // Whoever has a TLS listener needs no other.
        Some(_) => table.read("proxy", |item| listeners(item, false)).or_else(|| Some(Vec::new())),
        None => table.require("proxy", PROXY, |item| listeners(item, false)),
    };
    let admin = table.read("admin", |item| item.socket_address().map(|a| item.at(a)));
    let workers = table.read("workers", |item| item.whole(1..=WORKERS_MAX));
    let trust = trust(&table);
    let proxy = plain?.into_iter().chain(secure.unwrap_or_default()).collect();
    Some(Listen { proxy, admin, workers, trust })
}

/// `secure`: they speak TLS unless they say otherwise.
fn listeners(item: Item<'_>, secure: bool) -> Option<Vec<Listener>> {
    let listeners = item.one_or_list(|item| listener(item, secure))?;
    if listeners.is_empty() {
        return item.refuse(format!("`{}` is empty", item.key), "at least one address to listen on");
    }
    Some(listeners)
}

fn listener(item: Item<'_>, secure: bool) -> Option<Listener> {
    if !item.is_table() {
        let address = item.at(address(item)?);
        let tls = secure.then_some(address.place);
        let trust = Trust::default();
        return Some(Listener {
            address,
            tls,
            proxy_protocol: None,
            h2c: None,
            trust,
            client_certificates: None,
        });
    }
    let table = item.table(&LISTENER)?;
    let address = table.require("address", "an address and port such as \"127.0.0.1:8080\"", |item| {
        address(item).map(|a| item.at(a))
    });
    let address = address.map(|address| shaped(address, &table));
    let tls = table.read("tls", |item| item.boolean().map(|tls| item.at(tls)));
    if let Some(plain) = tls.as_ref().filter(|tls| secure && !tls.value) {
        problem_of_plain(&table, plain.place);
    }
    let proxy_protocol = table.read("proxy_protocol", proxy_protocol);
    let h2c = table.read("h2c", |item| item.boolean().map(|on| item.at(on)));
    let client_certificates = table.read("client_certificates", client_certificates);
    let (address, trust) = (address?, trust(&table));
    let tls = if secure { Some(address.place) } else { tls.filter(|tls| tls.value).map(|tls| tls.place) };
    Some(Listener { address, tls, proxy_protocol, h2c, trust, client_certificates })
}

/// A table, or `false`.
fn client_certificates(item: Item<'_>) -> Option<At<OwnClientCertificates>> {
    if item.is_boolean() {
        let asks = item.boolean()?;
        let table = "`false`, or a table such as { ca = \"clients.pem\" }";
        return if asks {
            item.refuse("`client_certificates` cannot be true", table)
        } else {
            Some(item.at(None))
        };
    }
    tls::client_certificates(item).map(|own| item.at(Some(own)))
}

/// `true`, a version, or `false`, which is nothing.
fn proxy_protocol(item: Item<'_>) -> Option<At<ProxyProtocol>> {
    let versions = if item.is_text() {
        item.word(&[("v1", ProxyProtocol::V1), ("v2", ProxyProtocol::V2)])?
    } else {
        item.boolean()?.then_some(ProxyProtocol::Either)?
    };
    Some(item.at(versions))
}

/// What the kernel takes for a path, less what a new socket is called until it takes the place of an old one.
const SOCKET_PATH_MAX: usize = 92;

/// An IP address with a port, or `unix:` and a path.
fn address(item: Item<'_>) -> Option<ListenAddress> {
    const EXPECTED: &str = "an address and port such as \"127.0.0.1:8080\" or \"[::]:8080\", or a Unix socket such as \
                            \"unix:/run/weir/weir.sock\"";
    item.parse(EXPECTED, |text| match text.strip_prefix("unix:") {
        Some(path) => {
            let is_path = path.starts_with('/') && !path.ends_with('/') && path.len() <= SOCKET_PATH_MAX;
            is_path.then(|| ListenAddress::Unix { path: PathBuf::from(path), mode: MODE })
        }
        None => text.parse::<SocketAddr>().ok().map(ListenAddress::from),
    })
}

/// The socket's owner and its group.
const MODE: u32 = 0o660;

/// The address with what its table says of it.
fn shaped(mut address: At<ListenAddress>, table: &Table<'_>) -> At<ListenAddress> {
    const BITS: &str = "permission bits in octal such as \"0660\"";
    let bits = |item: Item<'_>| {
        item.parse(BITS, |text| {
            let octal = text.len() <= 4 && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
            u32::from_str_radix(text, 8).ok().filter(|bits| octal && *bits <= 0o777)
        })
    };
    let (bits, only) = (table.read("mode", bits), table.read("v6only", |item| item.boolean()));
    let (takes_mode, takes_v6only) = match &mut address.value {
        ListenAddress::Ip { address, v6only } => {
            *v6only = only.unwrap_or(false);
            (false, address.is_ipv6())
        }
        ListenAddress::Unix { mode, .. } => {
            *mode = bits.unwrap_or(MODE);
            (true, false)
        }
    };
    for (key, fits, of) in
        [("mode", takes_mode, "a Unix socket"), ("v6only", takes_v6only, "an IPv6 address")]
    {
        if let Some(item) = table.item(key).filter(|_| !fits) {
            item.wrong(format!("`{key}` belongs to {of}"), "no such key here");
        }
    }
    address
}

/// A listener of `proxy_tls` that says `tls = false`.
fn problem_of_plain(table: &Table<'_>, place: Place) {
    let message = "a listener of `proxy_tls` speaks TLS";
    table.problems.add(Diagnostic::error(place, message).expected("`proxy` for a plain one, or no `tls`"));
}

fn trust(table: &Table<'_>) -> Trust {
    Trust {
        proxies: table
            .read("trusted_proxies", |item| item.one_or_list(|item| network(item).map(|net| item.at(net)))),
        header: table.read("forwarded_header", |item| forwarded_header(item).map(|header| item.at(header))),
    }
}

fn forwarded_header(item: Item<'_>) -> Option<ForwardedHeader> {
    item.parse("\"x-forwarded-for\", \"forwarded\" or another header's name", |text| {
        let name: HeaderName = text.parse().ok()?;
        Some(match name.as_str() {
            "x-forwarded-for" => ForwardedHeader::XForwardedFor,
            "forwarded" => ForwardedHeader::Forwarded,
            _ => ForwardedHeader::Single(name),
        })
    })
}

/// An address range. A bare address is a range of one. Bits below the prefix are an error: in
/// `192.0.2.7/8` either half may be the slip, and the halves mean very different things.
pub(super) fn network(item: Item<'_>) -> Option<IpNet> {
    const EXPECTED: &str = "an address range such as \"192.0.2.0/24\" or \"2001:db8::/32\", or an address";
    let net: IpNet =
        item.parse(EXPECTED, |text| text.parse().ok().or_else(|| Some(IpNet::from(bare_address(text)?))))?;
    if net != net.trunc() {
        let message = format!("`{net}` has bits set below its prefix");
        return item.refuse(message, &format!("\"{}\", or \"{}\"", net.trunc(), net.addr()));
    }
    if let IpNet::V6(v6) = net
        && let Some(v4) = v6.addr().to_ipv4_mapped()
    {
        let form = format!("\"{v4}/{}\"", v6.prefix_len().saturating_sub(96));
        return item.refuse(format!("`{net}` is an IPv4 range in IPv6 form"), &form);
    }
    Some(net)
}

fn bare_address(text: &str) -> Option<std::net::IpAddr> {
    text.parse::<std::net::IpAddr>().ok()
}
