//! From what was written to what can run, or every error at once.
//!
//! One file for each part of the policy. Defaults are filled in here and nowhere else; names become ids here,
//! and what contradicts itself is found here. A part that fails is reported and left out, so that the next
//! part's errors are found too.

mod accounts;
mod acme;
mod clauses;
mod conduct;
mod coverage;
mod identity;
mod keys;
mod limits;
mod listen;
mod matches;
mod messages;
mod numbers;
mod reach;
mod responses;
mod routes;
mod rules;
mod shares;
mod terms;
mod tls;
mod upstream_tls;
mod upstreams;
mod without_effect;

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use crate::config::{Config, Problems, log::Target};
use crate::policy::{AccessFormat, AccessLog, AccessTarget, Enforcement, Exempt, Log, Policy, State};

/// Bytes that weir may remember of its clients, without `[state] memory`.
const STATE_MEMORY: u64 = 64 << 20;
/// Lines that may wait for the access log's writer.
const ACCESS_QUEUE: u32 = 8192;
const ONE: NonZeroU32 = NonZeroU32::MIN;

/// Compiles `config`, whose relative file names are below `directory`.
///
/// Everything wrong goes to `problems`; the policy counts only if no error is among it. `None` when a part is
/// missing without which there is no policy, which was reported as well.
pub fn compile(config: &Config, directory: &Path, problems: &Problems) -> Option<Policy> {
    let paths = messages::paths(&config.paths);
    let clauses = clauses::compile(&config.clauses);
    let upstreams = upstreams::compile(config, problems);
    let routes = routes::compile(config, paths, problems);
    let limits = limits::compile(config, paths, &routes, problems);
    let terms = terms::compile(config, &limits, &routes, problems);
    let accounts = accounts::compile(config, &terms, problems);
    let identity = identity::compile(config, problems);
    let client = identity::client(&config.identity.client);
    // What is wrong would only raise false alarms.
    if !problems.has_errors() {
        coverage::check(config, &limits, &routes, problems);
    }
    let tls = tls::compile(config, directory, problems);
    let listen = config.listen.as_ref().map(|listen| listen::compile(listen, problems));
    let policy = Policy {
        listen: listen?,
        connections: listen::connections(&config.connections),
        http: messages::http(&config.http, problems),
        timeouts: messages::timeouts(&config.timeouts),
        shutdown: messages::shutdown(&config.shutdown, problems),
        paths,
        client,
        enforcement: enforcement(config, problems),
        clauses,
        upstreams,
        routes: routes.into_iter().map(|written| written.route).collect(),
        limits: limits.list,
        terms: terms.list,
        accounts: Arc::new(accounts),
        identity,
        network: identity::networks(config, client, problems),
        responses: responses::compile(&config.responses, problems),
        load: shares::compile(&config.load),
        conduct: conduct::compile(config, paths, problems),
        state: State {
            memory_bytes: config.state.memory.unwrap_or(STATE_MEMORY),
            path: config.state.path.as_ref().map(|name| directory.join(&name.value)),
        },
        log: log(config, directory),
        tls,
        without_effect: without_effect::list(config),
    };
    Some(policy)
}

fn enforcement(config: &Config, problems: &Problems) -> Enforcement {
    let Exempt { ranges, accounts } = matches::exempt(&config.enforcement.never_refuse, config, problems);
    Enforcement {
        mode: config.enforcement.mode.unwrap_or_default(),
        never_refuse: ranges,
        never_refuse_accounts: accounts,
    }
}

fn log(config: &Config, directory: &Path) -> Log {
    let access = config.log.access.as_ref().map(|access| AccessLog {
        target: match &access.target {
            Target::Stdout => AccessTarget::Stdout,
            Target::File(name) => AccessTarget::File(directory.join(name)),
        },
        format: access.format.unwrap_or(AccessFormat::Combined),
        queue_max: access.queue.unwrap_or(ACCESS_QUEUE) as usize,
    });
    Log {
        format: config.log.format,
        level: config.log.level.clone().unwrap_or_else(|| "info".to_owned()),
        access,
    }
}
