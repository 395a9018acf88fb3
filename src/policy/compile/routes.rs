//! Routes: templates compiled, upstreams found, and none that can never match.

use std::num::NonZeroU32;

use super::{ONE, clauses, matches};
use crate::clause::Behaviour;
use crate::config::http::Cap;
use crate::config::routes as written;
use crate::config::{At, Config, Diagnostic, Place, Problems};
use crate::policy::path::PathRules;
use crate::policy::template::Template;
use crate::policy::{Gate, Route, UpstreamId};

/// A route, and where it was written.
#[derive(Debug)]
pub(super) struct WrittenRoute {
    pub(super) route: Route,
    pub(super) place: Place,
    pub(super) weight_place: Option<Place>,
    name_place: Option<Place>,
}

pub(super) fn compile(config: &Config, rules: PathRules, problems: &Problems) -> Vec<WrittenRoute> {
    if config.routes.is_empty() {
        return everything(config, rules, problems).into_iter().collect();
    }
    let mut routes: Vec<WrittenRoute> = Vec::new();
    for written in &config.routes {
        if let Some(route) = one(written, config, rules, problems) {
            report_shadowed(&route, &routes, problems);
            report_double_name(&route, &routes, problems);
            routes.push(route);
        }
    }
    warn_of_idle_upstreams(config, problems);
    routes
}

/// A path template, or `None` after reporting what is wrong with it.
pub(super) fn template(written: &At<String>, rules: PathRules, problems: &Problems) -> Option<Template> {
    match Template::parse(&written.value, &rules) {
        Ok(template) => Some(template),
        Err(error) => {
            let message = format!("`path` cannot be \"{}\"", written.value);
            let expected = error.to_string();
            let expected = expected.strip_prefix("expected ").unwrap_or(&expected);
            problems.add(Diagnostic::error(written.place, message).expected(expected));
            None
        }
    }
}

/// Whether every host of `narrow` is a host of `wide`.
pub(super) fn host_covers(wide: Option<&str>, narrow: Option<&str>) -> bool {
    match (wide, narrow) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(wide), Some(narrow)) => {
            wide == narrow
                || wide
                    .strip_prefix('*')
                    .is_some_and(|parent| narrow.len() > parent.len() && narrow.ends_with(parent))
        }
    }
}

fn one(
    written: &written::Route,
    config: &Config,
    rules: PathRules,
    problems: &Problems,
) -> Option<WrittenRoute> {
    let path = template(&written.path, rules, problems);
    let upstream = upstream(written, config, problems);
    let gate = gate(written, config, problems);
    let host = written.host.as_ref().map(|host| host.value.clone());
    let name = match (&written.name, &host) {
        (Some(name), _) => name.value.clone(),
        (None, Some(host)) => format!("{host}{}", written.path.value),
        (None, None) => written.path.value.clone(),
    };
    let route = Route {
        name,
        host,
        path: path?,
        upstream: upstream?,
        weight: written.weight.as_ref().and_then(|w| NonZeroU32::new(w.value)).unwrap_or(ONE),
        priority: written.priority.unwrap_or_default(),
        stream: written.stream.unwrap_or(false),
        body_bytes_max: written
            .body_size
            .unwrap_or(config.http.body_size.unwrap_or(Cap::Unbounded))
            .at_most(),
        allow_encoded_slashes: written.allow_encoded_slashes.unwrap_or(false),
        gate: gate?,
        needs_certificate: written.client_certificate.is_some(),
    };
    report_unasked_certificate(written, config, problems);
    let weight_place = written.weight.as_ref().map(|weight| weight.place);
    let name_place = written.name.as_ref().map(|name| name.place);
    Some(WrittenRoute { route, place: written.path.place, weight_place, name_place })
}

/// The route of a configuration without routes: everything, to the only upstream.
fn everything(config: &Config, rules: PathRules, problems: &Problems) -> Option<WrittenRoute> {
    let [upstream] = config.upstreams.value.as_slice() else {
        if let [first, second, ..] = config.upstreams.value.as_slice() {
            problems.add(
                Diagnostic::error(second.name.place, "there are several upstreams and no [[routes]]")
                    .expected("[[routes]] that say which request goes to which upstream")
                    .related(first.name.place, "the first upstream"),
            );
        }
        return None;
    };
    let place = upstream.name.place;
    let path = template(&At::new("/**".to_owned(), place), rules, problems)?;
    let route = Route {
        name: path.as_str().to_owned(),
        host: None,
        path,
        upstream: UpstreamId(0),
        weight: ONE,
        priority: Default::default(),
        stream: false,
        body_bytes_max: config.http.body_size.and_then(Cap::at_most),
        allow_encoded_slashes: false,
        gate: None,
        needs_certificate: false,
    };
    Some(WrittenRoute { route, place, weight_place: None, name_place: None })
}

/// Who alone may use the route; `None` if something is wrong with that, which is reported.
#[expect(clippy::option_option, reason = "no gate is not the same as a wrong one")]
fn gate(written: &written::Route, config: &Config, problems: &Problems) -> Option<Option<Gate>> {
    let own = written.clause.as_ref();
    let Some(plans) = &written.plans else {
        if let Some(clause) = own {
            problems.add(
                Diagnostic::error(clause.place, "`clause` belongs to `plans`")
                    .expected("`plans` beside it, or no `clause`: a route without plans refuses nobody"),
            );
        }
        return own.is_none().then_some(None);
    };
    let known: Vec<_> = plans.value.iter().map(|plan| matches::plan(plan, config, problems)).collect();
    let clause = match own {
        Some(id) => clauses::resolve(id, config, problems),
        None => clauses::forbidding(Behaviour::Unauthorised, config),
    };
    // Without any clause the policy file itself is what is wrong, and was reported.
    if own.is_none() && clause.is_none() && !config.clauses.is_empty() {
        problems.add(Diagnostic::error(plans.place, "no clause forbids `unauthorised`").expected(
            "`clause = \"…\"` here, or a clause with `forbids = [\"unauthorised\"]` in the policy",
        ));
    }
    warn_of_nobody(plans, config, problems);
    Some(Some(Gate { plans: known.into_iter().collect::<Option<_>>()?, clause: clause? }))
}

/// A route that asks for what no listener does.
fn report_unasked_certificate(written: &written::Route, config: &Config, problems: &Problems) {
    if let Some(demand) = &written.client_certificate
        && config.client_certificates().next().is_none()
    {
        problems.add(
            Diagnostic::error(
                demand.place,
                "no client is asked for a certificate, so nobody could use this route",
            )
            .expected(
                "`client_certificates = { ca = \"clients.pem\" }` in [tls], or no `client_certificate`",
            ),
        );
    }
}

fn warn_of_nobody(plans: &At<Vec<At<String>>>, config: &Config, problems: &Problems) {
    if config.identity.account.is_empty() && config.identity.learn_account_from.is_none() {
        problems.add(
            Diagnostic::warning(plans.place, "nobody can use this route: no request has an account")
                .help("say under [identity] where a credential stands: `account = [\"bearer\"]`"),
        );
    }
}

fn upstream(written: &written::Route, config: &Config, problems: &Problems) -> Option<UpstreamId> {
    let upstreams = &config.upstreams.value;
    let Some(name) = &written.upstream else {
        if upstreams.len() == 1 {
            return Some(UpstreamId(0));
        }
        problems.add(
            Diagnostic::error(written.place, "`upstream` is missing from [[routes]]")
                .expected("the name of an upstream: only with a single one can it be left out"),
        );
        return None;
    };
    if let Some(at) = upstreams.iter().position(|upstream| upstream.name.value == name.value) {
        return u16::try_from(at).ok().map(UpstreamId);
    }
    // Without any upstream that is what is wrong, and was reported.
    if !upstreams.is_empty() {
        let names = upstreams.iter().map(|upstream| upstream.name.value.as_str());
        problems.add(
            Diagnostic::error(name.place, format!("no upstream is called \"{}\"", name.value))
                .one_of(&name.value, names),
        );
    }
    None
}

/// First match wins, so a route behind a wider one would never be reached, and its upstream, weight and limits
/// would silently not apply.
fn report_shadowed(route: &WrittenRoute, earlier: &[WrittenRoute], problems: &Problems) {
    let covers = |wide: &Route, narrow: &Route| {
        host_covers(wide.host.as_deref(), narrow.host.as_deref()) && wide.path.covers(&narrow.path)
    };
    if let Some(wider) = earlier.iter().find(|wider| covers(&wider.route, &route.route)) {
        problems.add(
            Diagnostic::error(route.place, format!("the route \"{}\" can never match", route.route.name))
                .expected("a route before every wider one: the first that matches wins")
                .related(wider.place, "this route takes all its requests")
                .help("move it up, or remove it"),
        );
    }
}

fn report_double_name(route: &WrittenRoute, earlier: &[WrittenRoute], problems: &Problems) {
    let named = |other: &&WrittenRoute| other.route.name == route.route.name;
    let Some(first) = earlier.iter().find(named) else { return };
    // Two routes without names that are alike are one shadowing the other, which is reported as such.
    if let Some(place) = route.name_place.or(first.name_place.map(|_| route.place)) {
        problems.add(
            Diagnostic::error(place, format!("two routes are called \"{}\"", route.route.name))
                .expected("a name of its own for each route")
                .related(first.name_place.unwrap_or(first.place), "the first"),
        );
    }
}

fn warn_of_idle_upstreams(config: &Config, problems: &Problems) {
    let single = config.upstreams.value.len() == 1;
    for upstream in config.upstreams.value.iter().filter(|_| !single) {
        let used = config
            .routes
            .iter()
            .any(|route| route.upstream.as_ref().is_some_and(|name| name.value == upstream.name.value));
        if !used {
            problems.add(
                Diagnostic::warning(
                    upstream.name.place,
                    format!("no route leads to the upstream \"{}\"", upstream.name.value),
                )
                .help("add a [[routes]] with this `upstream`, or remove it"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::host_covers;

    /// Promise: a wider host is recognised as wider, and a longer name is not taken for a sub-domain.
    #[test]
    fn wider_hosts() {
        for (wide, narrow, covers) in [
            (None, Some("a.example"), true),
            (Some("a.example"), None, false),
            (Some("a.example"), Some("a.example"), true),
            (Some("*.example"), Some("a.example"), true),
            (Some("*.example"), Some("*.a.example"), true),
            (Some("*.a.example"), Some("*.example"), false),
            (Some("*.example"), Some("example"), false),
            (Some("*.example"), Some("badexample"), false),
        ] {
            assert_eq!(host_covers(wide, narrow), covers, "{wide:?} over {narrow:?}");
        }
    }
}
