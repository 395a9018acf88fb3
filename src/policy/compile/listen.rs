//! Listeners, and whose forwarding header each believes.

use std::num::NonZeroU32;

use ipnet::IpNet;

use super::ONE;
use crate::config::connections::Connections;
use crate::config::listen as written;
use crate::config::{At, Diagnostic, Place, Problems};
use crate::policy::{
    ConnectionLimits, ForwardedHeader, Listen, ListenAddress, Listener, NEIGHBOUR, ProxyProtocol, Trust,
};

pub(super) fn compile(listen: &written::Listen, problems: &Problems) -> Listen {
    report_doubles(listen, problems);
    let anyone = |trust: &written::Trust| trust.proxies.as_ref().is_some_and(|nets| !nets.is_empty());
    let anyone_anywhere = anyone(&listen.trust) || listen.proxy.iter().any(|l| anyone(&l.trust));
    warn_of_trust(&listen.trust, anyone_anywhere, problems);
    if let Some(admin) = &listen.admin
        && !admin.value.ip().is_loopback()
    {
        problems.add(
            Diagnostic::warning(
                admin.place,
                format!("the admin listener {} is not on loopback", admin.value),
            )
            .help("it asks for no password: keep it private, by a firewall or a network of its own"),
        );
    }
    Listen {
        proxy: listen
            .proxy
            .iter()
            .map(|listener| {
                let trust = trust(&listener.trust, &listen.trust);
                warn_of_trust(&listener.trust, !trust.proxies.is_empty(), problems);
                Listener {
                    address: listener.address.value.clone(),
                    tls: listener.tls.is_some(),
                    proxy_protocol: proxy_protocol(listener, &trust, problems),
                    h2c: h2c(listener, problems),
                    trust,
                }
            })
            .collect(),
        admin: listen.admin.as_ref().map(|admin| admin.value),
        workers: listen.workers.and_then(NonZeroU32::new).unwrap_or_else(one_for_each_core),
    }
}

pub(super) fn connections(written: &Connections) -> ConnectionLimits {
    let default = ConnectionLimits::default();
    ConnectionLimits {
        max: written.max.and_then(NonZeroU32::new),
        per_client: written
            .per_client
            .map_or(default.per_client, |cap| cap.at_most().and_then(NonZeroU32::new)),
        handshakes: written.handshakes.and_then(NonZeroU32::new).unwrap_or(default.handshakes),
    }
}

/// A listener whose clients are announced needs somebody who may announce them.
fn proxy_protocol(listener: &written::Listener, trust: &Trust, problems: &Problems) -> Option<ProxyProtocol> {
    let written = listener.proxy_protocol.as_ref()?;
    let is_unix = listener.address.value.ip().is_none();
    let nobody = if is_unix { !trust.covers(NEIGHBOUR) } else { trust.proxies.is_empty() };
    if nobody {
        let expected = if is_unix {
            "`trusted_proxies` with \"127.0.0.1\", which is whoever connects by a Unix socket"
        } else {
            "`trusted_proxies` with the addresses of the proxies in front"
        };
        problems.add(
            Diagnostic::error(written.place, "`proxy_protocol` without anybody whose header is believed")
                .expected(expected),
        );
    }
    Some(written.value)
}

/// HTTP/2 in clear is for listeners that speak in clear.
fn h2c(listener: &written::Listener, problems: &Problems) -> bool {
    let Some(written) = &listener.h2c else { return false };
    if written.value && listener.tls.is_some() {
        problems.add(
            Diagnostic::error(written.place, "`h2c` on a listener that speaks TLS")
                .expected("no `h2c` here: by TLS, HTTP/2 is agreed upon (see `http2` of [tls])"),
        );
    }
    written.value
}

/// A listener's own words, and for what it does not say, those of `[listen]`.
fn trust(own: &written::Trust, common: &written::Trust) -> Trust {
    let proxies: Option<&Vec<At<IpNet>>> = own.proxies.as_ref().or(common.proxies.as_ref());
    let header = own.header.as_ref().or(common.header.as_ref());
    Trust {
        proxies: proxies.into_iter().flatten().map(|net| net.value).collect(),
        header: header.map_or(ForwardedHeader::XForwardedFor, |header| header.value.clone()),
    }
}

fn warn_of_trust(trust: &written::Trust, believes: bool, problems: &Problems) {
    if let Some(header) = trust.header.as_ref().filter(|_| !believes) {
        problems.add(
            Diagnostic::warning(header.place, "`forwarded_header` is believed from nobody")
                .help("say by `trusted_proxies` whose it is"),
        );
    }
    for net in trust.proxies.iter().flatten().filter(|net| net.value.prefix_len() == 0) {
        problems.add(
            Diagnostic::warning(net.place, format!("`{}` trusts everyone's forwarding header", net.value))
                .help("any client can then choose the address that limits count it by"),
        );
    }
}

/// Two listeners on one address would share its connections by chance.
fn report_doubles(listen: &written::Listen, problems: &Problems) {
    let admin = listen.admin.as_ref().map(|admin| (ListenAddress::from(admin.value), admin.place));
    let mut seen: Vec<(ListenAddress, Place)> = Vec::new();
    let proxy = listen.proxy.iter().map(|l| (l.address.value.clone(), l.address.place));
    for (address, place) in proxy.chain(admin) {
        if let Some((_, first)) = seen.iter().find(|(other, _)| other.is_same_place(&address)) {
            problems.add(
                Diagnostic::error(place, format!("two listeners have the address {address}"))
                    .expected("an address and port of its own for each listener")
                    .related(*first, "the first"),
            );
        }
        seen.push((address, place));
    }
}

fn one_for_each_core() -> NonZeroU32 {
    let cores = std::thread::available_parallelism().ok();
    cores.and_then(|n| NonZeroU32::try_from(n).ok()).unwrap_or(ONE)
}
