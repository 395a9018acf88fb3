//! A policy in a few lines for people: what is in force, and plainly what is not.

mod conduct;

use std::fmt::Write as _;
use std::sync::Arc;

use ipnet::IpNet;

use super::amounts;
use crate::config::units::time_text;
use crate::policy::acme::Acme;
use crate::policy::identity::{CertificatePart, Place, Source};
use crate::policy::load::{Capacity, Unreasonable};
use crate::policy::responses::{Cors, Origins, RateLimitFields, Responses};
use crate::policy::tls::{Demand, Redirect, Verify};
use crate::policy::{
    Bound, Enforcement, ForwardedHeader, Layer, Limit, Listener, Match, Missing, Over, Override, Policy,
    Route, Terms, Upstream, UpstreamProtocol, WhoPart,
};
use crate::remedy::Mode;

/// Some sections, each with a heading and an indented line for each item.
pub fn text(policy: &Policy) -> String {
    let mut out = String::new();
    section(&mut out, "listens on", listeners(policy));
    section(&mut out, "certificates", certificates(policy));
    section(&mut out, "enforcement", enforcement(policy));
    section(&mut out, "upstreams", policy.upstreams.iter().map(upstream).collect());
    section(
        &mut out,
        "routes (the first that matches)",
        policy.routes.iter().map(|r| route(r, policy)).collect(),
    );
    section(&mut out, "who is asking", identity(policy));
    section(&mut out, "limits in force", limits(policy));
    section(&mut out, "other numbers for some accounts", layers(policy));
    section(&mut out, "unreasonable load", load(policy));
    section(&mut out, "detectors", conduct::detectors(policy));
    section(&mut out, "your own rules", conduct::rules(policy));
    section(&mut out, "what detectors know of the site", conduct::site(policy));
    section(&mut out, "what clients are told", responses(policy));
    section(&mut out, "clauses, and what upholds each", conduct::clauses(policy));
    let idle = policy.without_effect.iter().map(|p| (p.part.clone(), p.consequence.clone()));
    section(&mut out, "WITHOUT EFFECT in this version", idle.collect());
    out
}

/// A name and what there is to say about it.
type Line = (String, String);

/// Writes the lines below a heading, the names padded to one width. Nothing for no lines.
fn section(out: &mut String, heading: &str, lines: Vec<Line>) {
    const WIDTH_MAX: usize = 32;
    if lines.is_empty() {
        return;
    }
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).min(WIDTH_MAX);
    let _ = writeln!(out, "{heading}");
    for (name, rest) in lines {
        let _ = writeln!(out, "  {name:width$}  {rest}");
    }
}

fn listeners(policy: &Policy) -> Vec<Line> {
    let redirects = policy.tls.as_ref().is_some_and(|tls| tls.redirect != Redirect::No);
    let clients = |listener: &Listener| match (listener.tls, redirects) {
        (true, _) => match policy.client_certificates(listener).map(|of_clients| of_clients.demand) {
            None => "clients by TLS",
            Some(Demand::Optional) => "clients by TLS, with a certificate or not",
            Some(Demand::Required) => "clients by TLS, with a certificate",
        },
        (false, true) => "clients, who are sent to TLS",
        (false, false) if listener.h2c => "clients, by HTTP/2 too",
        (false, false) => "clients",
    };
    let proxy =
        policy.listen.proxy.iter().map(|l| (l.address.to_string(), format!("{}; {}", clients(l), trust(l))));
    let admin = policy.listen.admin.map(|admin| (admin.to_string(), "admin: metrics, health".to_owned()));
    proxy.chain(admin).collect()
}

/// What clients are shown, by file, and by name where it is obtained.
fn certificates(policy: &Policy) -> Vec<Line> {
    let Some(tls) = &policy.tls else { return Vec::new() };
    let files = tls.certificates.iter().map(|certificate| {
        let watched = "from this file, which is watched".to_owned();
        (certificate.file.as_ref().to_owned(), watched)
    });
    let obtained = tls.acme.iter().flat_map(|acme| {
        acme.names.iter().map(|name| {
            let Acme { directory, challenge, state_dir, .. } = &**acme;
            let (how, port) = (challenge.name(), challenge.port());
            let from =
                format!("obtained from {directory}, which connects to port {port} of the name ({how})");
            (name.as_ref().to_owned(), format!("{from}; kept in {}", state_dir.display()))
        })
    });
    files.chain(obtained).collect()
}

fn trust(listener: &Listener) -> String {
    if listener.proxy_protocol.is_some() {
        return format!("only from {}, who say for whom", joined(&listener.trust.proxies));
    }
    if listener.trust.proxies.is_empty() {
        return "nobody's forwarding header is believed".to_owned();
    }
    let header = match &listener.trust.header {
        ForwardedHeader::XForwardedFor => "x-forwarded-for",
        ForwardedHeader::Forwarded => "forwarded",
        ForwardedHeader::Single(name) => name.as_str(),
    };
    format!("{header} is believed from {}", joined(&listener.trust.proxies))
}

fn enforcement(policy: &Policy) -> Vec<Line> {
    let meaning = match policy.enforcement.mode {
        Mode::Enforce => "what goes over a limit is refused",
        Mode::Shadow => "limits count and report, but NOTHING is refused",
        Mode::Off => "NOTHING is counted or refused",
    };
    let mut lines = vec![(policy.enforcement.mode.name().to_owned(), meaning.to_owned())];
    let Enforcement { never_refuse, never_refuse_accounts, .. } = &policy.enforcement;
    if !(never_refuse.is_empty() && never_refuse_accounts.is_empty()) {
        lines.push(("never refused".to_owned(), somebody(never_refuse, never_refuse_accounts)));
    }
    lines
}

/// Some ranges and accounts: `192.0.2.0/28, account monitoring`.
fn somebody(ranges: &[IpNet], accounts: &[Arc<str>]) -> String {
    let accounts = accounts.iter().map(|account| format!("account {account}"));
    ranges.iter().map(ToString::to_string).chain(accounts).collect::<Vec<_>>().join(", ")
}

fn upstream(upstream: &Upstream) -> Line {
    let servers: Vec<&str> = upstream.servers.iter().map(|server| server.name.as_str()).collect();
    let mut rest = servers.join(", ");
    match upstream.capacity {
        Capacity::Unbounded => {}
        Capacity::Fixed(most) => {
            let _ = write!(rest, "; at most {most} requests at once");
        }
        Capacity::Adaptive { min, max } => {
            let _ = write!(rest, "; as many requests at once as it bears, {min} to {max}");
        }
    }
    if let Some(version) = upstream.servers.iter().find_map(|server| server.proxy_protocol) {
        let _ = write!(rest, "; told by PROXY {} for whom", version.name());
    }
    if upstream.protocol() == UpstreamProtocol::Http2 {
        rest.push_str("; by HTTP/2");
    }
    if let Some(tls) = upstream.servers.iter().find_map(|server| server.tls.as_ref()) {
        rest.push_str(match &tls.verify {
            Verify::System => "; by TLS, verified by the system's authorities",
            Verify::By { .. } => "; by TLS, verified by its own authorities",
            Verify::Nobody => "; by TLS, but NOT VERIFIED",
        });
    }
    if let Some(check) = &upstream.health_check {
        let _ = write!(rest, "; asked for {} every {}", check.path, time_text(check.interval));
    }
    (upstream.name.clone(), rest)
}

fn route(route: &Route, policy: &Policy) -> Line {
    let mut rest = format!("to {}", policy.upstream(route.upstream).name);
    let template = format!("{}{}", route.host.as_deref().unwrap_or_default(), route.path.as_str());
    if route.name != template {
        let _ = write!(rest, ", for {template}");
    }
    if route.weight.get() > 1 {
        let _ = write!(rest, ", each request counts as {}", route.weight);
    }
    if route.stream {
        rest.push_str(", a stream");
    }
    if let Some(gate) = &route.gate {
        let (plans, clause) = (joined(&gate.plans), &policy.clause(gate.clause).id);
        let _ = write!(rest, ", only for accounts on {plans} (clause {clause})");
    }
    (route.name.clone(), rest)
}

fn limits(policy: &Policy) -> Vec<Line> {
    if policy.limits.is_empty() {
        return vec![("none".to_owned(), "every request is forwarded".to_owned())];
    }
    policy.limits.iter().map(|l| (l.name.clone(), limit(l, policy))).collect()
}

fn limit(limit: &Limit, policy: &Policy) -> String {
    let mut rest = amounts::bound(limit.bound, limit.cost);
    let _ = write!(rest, ", by {}", limit.key.parts().join(" and "));
    let matched = matched(&limit.matches);
    if !matched.is_empty() {
        let _ = write!(rest, ", {matched}");
    }
    if let Some(not) = &limit.matches.not {
        let _ = write!(rest, ", not {}", self::matched(not));
    }
    let _ = write!(rest, " (clause {})", policy.clause(limit.clause).id);
    let lacking: Vec<String> =
        limit.key.who.iter().filter(|part| part.can_be_missing()).map(WhoPart::name).collect();
    if !lacking.is_empty() {
        let meaning = match limit.key.missing {
            Missing::Skip => "not counted",
            Missing::Shared => "counted together",
        };
        let _ = write!(rest, "; without {}: {meaning}", lacking.join(" or "));
    }
    if let Over::Delay { wait_max, queue_max } = limit.over {
        let _ = write!(rest, "; waits up to {}, {queue_max} at once", time_text(wait_max));
    }
    if !limit.exempt.is_empty() {
        let _ = write!(rest, "; exempt: {}", somebody(&limit.exempt.ranges, &limit.exempt.accounts));
    }
    if matches!(limit.bound, Bound::Quota { .. }) && policy.state.path.is_none() {
        rest.push_str("; starts anew at a restart, without [state] path");
    }
    match limit.mode {
        Mode::Enforce => {}
        Mode::Shadow => rest.push_str(": SHADOW, refuses nobody"),
        Mode::Off => rest.push_str(": OFF"),
    }
    rest
}

/// The parts of a match but its `not`: `method GET or POST, path /a/**`.
fn matched(matches: &Match) -> String {
    let texts = |part: &[Arc<str>]| part.iter().map(ToString::to_string).collect();
    let parts: [(&str, Vec<String>); 7] = [
        ("method", matches.methods.iter().map(ToString::to_string).collect()),
        ("path", matches.paths.iter().map(|path| path.as_str().to_owned()).collect()),
        ("host", matches.hosts.clone()),
        ("header", matches.headers.iter().map(ToString::to_string).collect()),
        ("plan", texts(&matches.plans)),
        ("account", texts(&matches.accounts)),
        ("client", matches.clients.iter().map(ToString::to_string).collect()),
    ];
    let said = parts.iter().filter(|(_, values)| !values.is_empty());
    said.map(|(word, values)| {
        let between = if *word == "header" { " and " } else { " or " };
        format!("{word} {}", values.join(between))
    })
    .collect::<Vec<_>>()
    .join(", ")
}

/// What plans and agreements say instead, a line for each; no more than a person reads.
fn layers(policy: &Policy) -> Vec<Line> {
    const SHOWN_MAX: usize = 20;
    let line = |terms: &Terms| {
        let name = match (&terms.agreement, &terms.plan) {
            (Some(account), _) => format!("agreement {account}"),
            (None, plan) => format!("plan {}", plan.as_deref().unwrap_or_default()),
        };
        let own = |other: &&Override| terms.agreement.is_none() || other.layer == Layer::Agreement;
        let number = |other: &Override| {
            let limit = policy.limit(other.limit);
            format!("{} {}", limit.name, amounts::bound(other.bound, limit.cost))
        };
        let mut rest: Vec<String> = terms.overrides.iter().filter(own).map(number).collect();
        if let (Some(_), Some(plan)) = (&terms.agreement, &terms.plan) {
            rest.push(format!("else as plan {plan}"));
        }
        let reference = terms.reference.as_deref().map(|text| format!(" ({text})")).unwrap_or_default();
        let rest = if rest.is_empty() { "the limits' own numbers".to_owned() } else { rest.join("; ") };
        (name, format!("{rest}{reference}"))
    };
    let all = policy.terms.get(1..).unwrap_or_default();
    let mut lines: Vec<Line> = all.iter().take(SHOWN_MAX).map(line).collect();
    if let Some(more) = all.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
        lines.push((format!("and {more} more"), String::new()));
    }
    lines
}

fn identity(policy: &Policy) -> Vec<Line> {
    let identity = &policy.identity;
    let mut lines: Vec<Line> = identity.sources.iter().map(source).collect();
    if !identity.sessions.is_empty() {
        let places: Vec<String> = identity.sessions.iter().map(Place::name).collect();
        lines.push(("sessions".to_owned(), format!("by {}", places.join(", else "))));
    }
    if let Some(header) = &identity.learn_from {
        lines.push((format!("response {header}"), "names the account of a session".to_owned()));
    }
    if !policy.accounts.list.is_empty() {
        let (accounts, credentials) = (policy.accounts.list.len(), policy.accounts.by_credential.len());
        lines.push(("known".to_owned(), format!("{accounts} accounts by {credentials} credentials")));
    }
    let prefix = policy.network.prefix;
    let networks = match &policy.network.asn {
        Some(database) => {
            format!("autonomous systems of {}, else /{} and /{}", database.kind(), prefix.ipv4, prefix.ipv6)
        }
        None => format!("/{} and /{}", prefix.ipv4, prefix.ipv6),
    };
    let client = policy.client;
    lines.push((
        "addresses".to_owned(),
        format!("clients are /{} and /{}; networks are {networks}", client.ipv4, client.ipv6),
    ));
    lines
}

fn source(source: &Source) -> Line {
    match source {
        Source::Token(place) => {
            (place.name(), "a credential that the accounts file knows by its hash".to_owned())
        }
        Source::ClientCertificate(CertificatePart::Fingerprint) => (
            "client certificate".to_owned(),
            "a certificate that the accounts file knows by its hash".to_owned(),
        ),
        Source::ClientCertificate(part) => {
            ("client certificate".to_owned(), format!("its {} is the account", part.name()))
        }
        Source::Jwt(jwt) => {
            let algorithms: Vec<&str> = jwt.algorithms.iter().map(|algorithm| algorithm.name()).collect();
            let mut rest =
                format!("a JWT signed with {}; `{}` is the account", algorithms.join(" or "), jwt.claim);
            if let Some(issuer) = &jwt.issuer {
                let _ = write!(rest, "; from {issuer}");
            }
            if !jwt.audiences.is_empty() {
                let _ = write!(rest, "; for {}", jwt.audiences.join(" or "));
            }
            (jwt.place.name(), rest)
        }
    }
}

fn responses(policy: &Policy) -> Vec<Line> {
    let Responses { rate_limit_fields, legacy_rate_limit_fields, cors } = &policy.responses;
    let legacy = if *legacy_rate_limit_fields { ", and the older X-RateLimit-*" } else { "" };
    let fields = match rate_limit_fields {
        RateLimitFields::Refusals => "on refusals",
        RateLimitFields::Always => "on every response",
        RateLimitFields::Never => "never",
    };
    let mut lines = vec![("RateLimit fields".to_owned(), format!("{fields}{legacy}"))];
    if let Some(Cors { origins, credentials, .. }) = cors {
        let origins = match origins {
            Origins::Any => "every origin".to_owned(),
            Origins::These(origins) => origins.join(", "),
        };
        let with = if *credentials { ", with credentials" } else { "" };
        lines.push(("refusals are read by".to_owned(), format!("{origins}{with}")));
    }
    lines
}

fn load(policy: &Policy) -> Vec<Line> {
    let Some(Unreasonable { share_permille, over, when_utilisation_permille }) = policy.load.unreasonable
    else {
        return Vec::new();
    };
    let percent = |permille: u32| match (permille / 10, permille % 10) {
        (whole, 0) => format!("{whole}%"),
        (whole, tenth) => format!("{whole}.{tenth}%"),
    };
    let text = format!(
        "more than {} of an upstream over {}, while it is {} busy",
        percent(share_permille),
        over.name(),
        percent(when_utilisation_permille),
    );
    vec![("an account's share".to_owned(), text)]
}

fn joined<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
