//! A policy in a few lines for people: what is in force, and plainly what is not.

use std::fmt::Write as _;

use crate::config::units::time_text;
use crate::policy::template::Template;
use crate::policy::{Bound, ForwardedHeader, Limit, Listener, Period, Policy, Route, Upstream};
use crate::remedy::Mode;

/// Some sections, each with a heading and an indented line for each item.
pub fn text(policy: &Policy) -> String {
    let mut out = String::new();
    section(&mut out, "listens on", listeners(policy));
    section(&mut out, "enforcement", enforcement(policy));
    section(&mut out, "upstreams", policy.upstreams.iter().map(upstream).collect());
    section(
        &mut out,
        "routes (the first that matches)",
        policy.routes.iter().map(|r| route(r, policy)).collect(),
    );
    section(&mut out, "limits in force", limits(policy));
    section(&mut out, "clauses, and what upholds each", clauses(policy));
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
    let proxy = policy.listen.proxy.iter().map(|l| (l.address.to_string(), trust(l)));
    let admin = policy.listen.admin.map(|admin| (admin.to_string(), "admin: metrics, health".to_owned()));
    proxy.chain(admin).collect()
}

fn trust(listener: &Listener) -> String {
    if listener.trust.proxies.is_empty() {
        return "clients; nobody's forwarding header is believed".to_owned();
    }
    let header = match &listener.trust.header {
        ForwardedHeader::XForwardedFor => "x-forwarded-for",
        ForwardedHeader::Forwarded => "forwarded",
        ForwardedHeader::Single(name) => name.as_str(),
    };
    format!("clients; {header} is believed from {}", joined(&listener.trust.proxies))
}

fn enforcement(policy: &Policy) -> Vec<Line> {
    let meaning = match policy.enforcement.mode {
        Mode::Enforce => "what goes over a limit is refused",
        Mode::Shadow => "limits count and report, but NOTHING is refused",
        Mode::Off => "NOTHING is counted or refused",
    };
    let mut lines = vec![(policy.enforcement.mode.name().to_owned(), meaning.to_owned())];
    if !policy.enforcement.never_refuse.is_empty() {
        let ranges = joined(&policy.enforcement.never_refuse);
        lines.push(("never refused".to_owned(), ranges));
    }
    lines
}

fn upstream(upstream: &Upstream) -> Line {
    let servers: Vec<&str> = upstream.servers.iter().map(|server| server.name.as_str()).collect();
    let mut rest = servers.join(", ");
    if let Some(most) = upstream.capacity.most() {
        let _ = write!(rest, "; at most {most} requests at once");
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
    (route.name.clone(), rest)
}

fn limits(policy: &Policy) -> Vec<Line> {
    if policy.limits.is_empty() {
        return vec![("none".to_owned(), "every request is forwarded".to_owned())];
    }
    policy.limits.iter().map(|l| (l.name.clone(), limit(l, policy))).collect()
}

fn limit(limit: &Limit, policy: &Policy) -> String {
    let mut rest = match limit.bound {
        Bound::SlidingWindow { units, window } => {
            format!("at most {units} in any {}", time_text(window))
        }
        Bound::Gcra { units, window, burst } => {
            format!("{units} per {}, paced, {burst} at once", time_text(window))
        }
        Bound::Concurrency { requests } => format!("at most {requests} at once"),
        Bound::Quota { units, period: Period::Rolling(window) } => {
            format!("at most {units} in any {}, kept over restarts", time_text(window))
        }
        Bound::Quota { units, period: Period::Month } => format!("at most {units} in a calendar month"),
    };
    let _ = write!(rest, ", by {}", limit.key.parts().join(" and "));
    let methods: Vec<&str> = limit.matches.methods.iter().map(http::Method::as_str).collect();
    let paths: Vec<&str> = limit.matches.paths.iter().map(Template::as_str).collect();
    for (word, values) in [("method", methods), ("path", paths)] {
        if !values.is_empty() {
            let _ = write!(rest, ", {word} {}", values.join(" or "));
        }
    }
    if !limit.matches.hosts.is_empty() {
        let _ = write!(rest, ", host {}", limit.matches.hosts.join(" or "));
    }
    let _ = write!(rest, " (clause {})", policy.clause(limit.clause).id);
    match limit.mode {
        Mode::Enforce => {}
        Mode::Shadow => rest.push_str(": SHADOW, refuses nobody"),
        Mode::Off => rest.push_str(": OFF"),
    }
    rest
}

fn clauses(policy: &Policy) -> Vec<Line> {
    policy
        .clauses
        .iter()
        .zip(policy.upheld_by())
        .map(|(clause, by)| {
            let by = if by.is_empty() { "nothing".to_owned() } else { by.join(", ") };
            (clause.id.clone(), by)
        })
        .collect()
}

fn joined<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
