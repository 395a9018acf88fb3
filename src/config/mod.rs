//! What was written: TOML into typed configuration, with the place of everything kept for error messages.
//!
//! [`load()`] is the door: it reads the files, lets [`Config`] say what was written and
//! [`policy::compile`](crate::policy::compile) what can run, and yields either a policy or every error at once.
//! One file here for each table of the configuration; [`TABLES`] lists them with their keys.

pub mod accounts;
pub mod acme;
pub mod clauses;
pub mod conduct;
pub mod connections;
pub mod detection;
pub mod enforcement;
pub mod http;
pub mod identity;
pub mod limits;
pub mod listen;
pub mod log;
pub mod matches;
pub mod plans;
pub mod responses;
pub mod routes;
pub mod rules;
pub mod shares;
pub mod tls;
pub mod units;
pub mod upstreams;

mod diagnostic;
mod load;
mod nearest;
mod place;
mod reader;

pub use diagnostic::{Diagnostic, Diagnostics, Problems, Severity};
pub use load::{Loaded, fingerprint, from_str, load};
pub use nearest::nearest;
pub use place::{At, FileId, Place, Position, SourceFile};
pub use reader::TableKind;

use std::collections::HashMap;
use std::fmt;

use reader::{Item, Table};

/// The root of a configuration file.
pub const ROOT: TableKind = TableKind {
    title: "the configuration",
    keys: &[
        "version",
        "listen",
        "connections",
        "http",
        "timeouts",
        "shutdown",
        "paths",
        "enforcement",
        "policy",
        "upstreams",
        "routes",
        "identity",
        "state",
        "load",
        "responses",
        "limits",
        "plans",
        "agreements",
        "detectors",
        "rules",
        "detection",
        "standing",
        "log",
        "tls",
    ],
};

pub const POLICY: TableKind = TableKind { title: "[policy]", keys: &["file"] };

/// Every kind of table that the configuration file knows.
pub const TABLES: &[&TableKind] = &[
    &ROOT,
    &listen::LISTEN,
    &listen::LISTENER,
    &connections::CONNECTIONS,
    &http::HTTP,
    &http::TIMEOUTS,
    &http::SHUTDOWN,
    &http::PATHS,
    &enforcement::ENFORCEMENT,
    &POLICY,
    &upstreams::UPSTREAM,
    &upstreams::SERVER,
    &upstreams::TLS,
    &upstreams::CAPACITY,
    &upstreams::QUEUE,
    &upstreams::EJECTION,
    &upstreams::HEALTH_CHECK,
    &upstreams::RETRY,
    &routes::ROUTE,
    &identity::IDENTITY,
    &identity::JWT,
    &identity::CERTIFICATE,
    &identity::CLIENT,
    &identity::NETWORK,
    &enforcement::STATE,
    &shares::LOAD,
    &shares::UNREASONABLE,
    &responses::RESPONSES,
    &responses::CORS,
    &limits::LIMIT,
    &matches::MATCH,
    &matches::NOT,
    &matches::EXEMPT,
    &matches::NEVER_REFUSE,
    &limits::DELAY,
    &limits::OVERRIDE,
    &plans::PLAN,
    &plans::AGREEMENT,
    &conduct::DETECTOR,
    &rules::RULE,
    &detection::DETECTION,
    &detection::LOGIN,
    &detection::LOGIN_ANSWERS,
    &conduct::STANDING,
    &log::LOG,
    &log::ACCESS,
    &tls::TLS,
    &tls::CERTIFICATE,
    &tls::CLIENT_CERTIFICATES,
    &acme::ACME,
    &acme::EXTERNAL_ACCOUNT,
];

/// Files that are no text, each by the name under which the configuration knows it.
#[derive(Clone, Default)]
pub struct NamedFiles {
    pub keys: HashMap<String, Vec<u8>>,
    pub asn_database: Option<Vec<u8>>,
}

/// Only how many: some are secret.
impl fmt::Debug for NamedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamedFiles({} of keys)", self.keys.len())
    }
}

/// A configuration as written, its policy file and accounts file included.
///
/// Defaults are not filled in yet, and names are not resolved: that is
/// [`compile`](crate::policy::compile::compile)'s work.
#[derive(Clone, Debug)]
pub struct Config {
    /// `None` when `[listen]` is missing or bad, which was reported.
    pub listen: Option<listen::Listen>,
    pub connections: connections::Connections,
    pub http: http::Http,
    pub timeouts: http::Timeouts,
    pub shutdown: http::Shutdown,
    pub paths: http::Paths,
    pub enforcement: enforcement::Enforcement,
    pub identity: identity::Identity,
    pub state: enforcement::State,
    pub load: shares::Load,
    pub responses: responses::Responses,
    pub upstreams: At<Vec<upstreams::Upstream>>,
    pub routes: Vec<routes::Route>,
    pub limits: Vec<limits::Limit>,
    pub plans: Vec<plans::Plan>,
    pub agreements: Vec<plans::Agreement>,
    pub detectors: Vec<conduct::Detector>,
    pub rules: Vec<rules::Rule>,
    pub detection: detection::Detection,
    pub standing: Option<At<conduct::Standing>>,
    pub log: log::Log,
    /// `None` inside where `[tls]` is bad, which was reported.
    pub tls: Option<At<Option<tls::Tls>>>,
    pub policy_file: Option<At<String>>,
    /// Of the policy file, or of the policy that is built in.
    pub clauses: Vec<clauses::Clause>,
    /// `None` without an accounts file.
    pub accounts: Option<accounts::AccountsFile>,
    /// What the files of keys and numbers that `[identity]` and `[tls]` name hold, as far as they can be read.
    pub named: NamedFiles,
}

impl Config {
    /// Whose certificates are taken from clients: in general, and by listeners of their own.
    pub fn client_certificates(&self) -> impl Iterator<Item = &tls::ClientCertificates> {
        let common = self.tls.iter().filter_map(|tls| tls.value.as_ref()?.client_certificates.as_ref());
        let listeners = self.listen.iter().flat_map(|listen| &listen.proxy);
        common.chain(listeners.filter_map(|listener| listener.client_certificates.as_ref()?.value.as_ref()))
    }

    /// Their files, and whether each is one of revocations.
    fn files_of_client_certificates(&self) -> impl Iterator<Item = (&At<String>, bool)> {
        self.client_certificates().flat_map(tls::ClientCertificates::files)
    }

    /// How certificates are obtained, where they are.
    pub fn acme(&self) -> Option<&At<acme::Acme>> {
        self.tls.as_ref()?.value.as_ref()?.acme.as_ref()
    }

    /// Reads the configuration file itself; the files that it names are read by [`load()`].
    fn read(root: &Table<'_>) -> Config {
        const UPSTREAMS: &str = "at least one [upstreams.NAME] with `servers`";
        const LISTEN: &str = "[listen] with at least `proxy = \"127.0.0.1:8080\"`";
        read_version(root);
        let listen = root.require("listen", LISTEN, listen::read);
        let upstreams = root.require("upstreams", UPSTREAMS, |i| Some(i.at(upstreams::read(i))));
        Config {
            listen,
            connections: root.read("connections", connections::read).unwrap_or_default(),
            http: root.read("http", http::read_http).unwrap_or_default(),
            timeouts: root.read("timeouts", http::read_timeouts).unwrap_or_default(),
            shutdown: root.read("shutdown", http::read_shutdown).unwrap_or_default(),
            paths: root.read("paths", http::read_paths).unwrap_or_default(),
            enforcement: root.read("enforcement", enforcement::read).unwrap_or_default(),
            identity: root.read("identity", identity::read).unwrap_or_default(),
            state: root.read("state", enforcement::read_state).unwrap_or_default(),
            load: root.read("load", shares::read).unwrap_or_default(),
            responses: root.read("responses", responses::read).unwrap_or_default(),
            upstreams: upstreams.unwrap_or(At::new(Vec::new(), root.place)),
            routes: root.read("routes", |i| Some(routes::read(i))).unwrap_or_default(),
            limits: root.read("limits", |i| Some(limits::read(i))).unwrap_or_default(),
            plans: root.read("plans", |i| Some(plans::read_plans(i))).unwrap_or_default(),
            agreements: root.read("agreements", |i| Some(plans::read_agreements(i))).unwrap_or_default(),
            detectors: root.read("detectors", |i| Some(conduct::read_detectors(i))).unwrap_or_default(),
            rules: root.read("rules", |i| Some(rules::read(i))).unwrap_or_default(),
            detection: root.read("detection", detection::read).unwrap_or_default(),
            standing: root.read("standing", |i| conduct::read_standing(i).map(|s| i.at(s))),
            log: root.read("log", log::read).unwrap_or_default(),
            tls: root.read("tls", |i| Some(i.at(tls::read(i)))),
            policy_file: root.read("policy", policy_file),
            clauses: Vec::new(),
            accounts: None,
            named: NamedFiles::default(),
        }
    }
}

fn policy_file(item: Item<'_>) -> Option<At<String>> {
    item.table(&POLICY)?.read("file", |i| i.text_at("a file's name"))
}

/// `version` of any file: 1, or nothing.
fn read_version(table: &Table<'_>) {
    table.read("version", |item| item.whole::<u64>(1..=1));
}
