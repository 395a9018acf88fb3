//! TLS to the servers of an upstream: on by their addresses or by a word, and verified unless the operator insists.

use std::sync::Arc;

use super::tls;
use crate::config::upstreams::{Tls as Written, Upstream};
use crate::config::{At, Diagnostic, NamedFiles, Problems};
use crate::policy::ServerAddress;
use crate::policy::tls::{Certificate, UpstreamTls, Verify};

/// `None`: it is off, or something is wrong with it, which was reported.
pub(super) fn compile(
    upstream: &Upstream,
    named: &NamedFiles,
    problems: &Problems,
) -> Option<Arc<UpstreamTls>> {
    let written = match &upstream.tls {
        Some(At { value: Some(written), .. }) => written,
        Some(off) => {
            report_contradiction(upstream, off.place, problems);
            return None;
        }
        None if upstream.servers.value.iter().any(|server| server.secure) => &Written::default(),
        None => return None,
    };
    report_nameless(upstream, written, problems);
    let (verify, own) = (verify(upstream, written, named, problems), own(written, named, problems));
    let server_name = written.server_name.as_ref().map(|name| name.value.clone());
    Some(Arc::new(UpstreamTls { verify: verify?, server_name, own: own? }))
}

fn verify(upstream: &Upstream, written: &Written, named: &NamedFiles, problems: &Problems) -> Option<Verify> {
    let nobody = written.unverified.as_ref().filter(|unverified| unverified.value);
    match (nobody, &written.ca) {
        (None, None) => Some(Verify::System),
        (None, Some(ca)) => {
            let authorities = tls::certificates(ca, named, problems, tls::AUTHORITIES)?;
            Some(Verify::By { file: ca.value.as_str().into(), authorities })
        }
        (Some(nobody), Some(ca)) => {
            problems.add(
                Diagnostic::error(nobody.place, "nobody is verified, and `ca` says by whom")
                    .expected("`ca` alone: then servers are verified by it")
                    .related(ca.place, "the authorities"),
            );
            None
        }
        (Some(nobody), None) => {
            let message = format!("the servers of \"{}\" are NOT verified", upstream.name.value);
            problems.add(Diagnostic::warning(nobody.place, message).help(
                "whoever is between can read and change everything: write `ca = \"app-ca.pem\"` instead",
            ));
            Some(Verify::Nobody)
        }
    }
}

/// Outer `None`: something is wrong.
#[expect(clippy::option_option, reason = "none is not the same as a wrong one")]
fn own(written: &Written, named: &NamedFiles, problems: &Problems) -> Option<Option<Certificate>> {
    let (one, missing) = match (&written.cert, &written.key) {
        (None, None) => return Some(None),
        (Some(cert), Some(key)) => return tls::pair(cert, key, named, problems).map(Some),
        (Some(cert), None) => (cert, "key"),
        (None, Some(key)) => (key, "cert"),
    };
    problems.add(
        Diagnostic::error(one.place, format!("`{missing}` is missing beside it"))
            .expected("`cert` and `key` together, what weir shows servers that ask for a certificate"),
    );
    None
}

fn report_contradiction(upstream: &Upstream, off: crate::config::Place, problems: &Problems) {
    if let Some(server) = upstream.servers.value.iter().find(|server| server.secure) {
        problems.add(
            Diagnostic::error(off, "`tls` is off, and an address says `https`")
                .expected("no `tls`, or addresses without `https://`")
                .related(server.written.place, "the address"),
        );
    }
}

/// A Unix socket has no name that a certificate could have.
fn report_nameless(upstream: &Upstream, written: &Written, problems: &Problems) {
    let is_nameless = |address: &ServerAddress| matches!(address, ServerAddress::Unix(_));
    let server = upstream.servers.value.iter().find(|server| is_nameless(&server.address));
    if let (Some(server), None, Some(tls)) = (server, &written.server_name, &upstream.tls) {
        problems.add(
            Diagnostic::error(tls.place, "a Unix socket has no name that a certificate could have")
                .expected("`server_name = \"app.internal\"` here, or no `tls`")
                .related(server.written.place, "the server"),
        );
    }
}
