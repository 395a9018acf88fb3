//! From what was written to what can run, or every error at once.
//!
//! One file for each part of the policy. Defaults are filled in here and nowhere else; names become ids here,
//! and what contradicts itself is found here. A part that fails is reported and left out, so that the next
//! part's errors are found too.

mod clauses;
mod identity;
mod limits;
mod listen;
mod messages;
mod numbers;
mod overrides;
mod routes;
mod upstreams;
mod without_effect;

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use crate::config::{Config, Problems, log::Target};
use crate::policy::{
    AccessFormat, AccessLog, AccessTarget, ClientPrefix, Enforcement, Log, Policy, State, Terms,
};

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
    let upstreams = upstreams::compile(&config.upstreams.value, problems);
    let routes = routes::compile(config, paths, problems);
    let limits = limits::compile(config, paths, &routes, problems);
    clauses::check_detectors(config, problems);
    overrides::check(config, paths, &routes, problems);
    identity::check_accounts(config, problems);
    let listen = config.listen.as_ref().map(|listen| listen::compile(listen, problems));
    let policy = Policy {
        listen: listen?,
        http: messages::http(&config.http, problems),
        timeouts: messages::timeouts(&config.timeouts),
        shutdown: messages::shutdown(&config.shutdown),
        paths,
        client: ClientPrefix {
            ipv4: config.identity.ipv4_prefix.unwrap_or(32),
            ipv6: config.identity.ipv6_prefix.unwrap_or(64),
        },
        enforcement: Enforcement {
            mode: config.enforcement.mode.unwrap_or_default(),
            never_refuse: config.enforcement.never_refuse.clone(),
            never_refuse_accounts: Vec::new(),
        },
        clauses,
        upstreams,
        routes: routes.into_iter().map(|written| written.route).collect(),
        limits,
        terms: vec![Terms::default()],
        accounts: Arc::default(),
        identity: Default::default(),
        network: Default::default(),
        responses: Default::default(),
        load: Default::default(),
        state: State {
            memory_bytes: config.state.memory.unwrap_or(STATE_MEMORY),
            path: config.state.path.as_ref().map(|name| directory.join(&name.value)),
        },
        log: log(config, directory),
        without_effect: without_effect::list(config),
    };
    Some(policy)
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
