//! Replay: access logs through the same engine, with the logs' own time.

mod combined;
mod entry;

pub use combined::Combined;
pub use entry::Entry;

use std::io::{self, BufRead};
use std::net::IpAddr;

use crate::detect::{Answer, MethodClass, Reader, Request};
use crate::engine::Watch;
use crate::facts::Client;
use crate::finding::Finding;
use crate::policy::path::{self, PathRules};
use crate::time::Moment;

/// A run over logs.
#[derive(Debug)]
pub struct Replay {
    reader: Reader,
    watch: Watch,
    rules: PathRules,
    log: Combined,
    pub lines: u64,
    pub malformed: u64,
}

impl Replay {
    pub fn new(memory_bytes: u64) -> Self {
        Replay {
            reader: Reader::new(0),
            watch: Watch::new(memory_bytes),
            rules: PathRules::default(),
            log: Combined::default(),
            lines: 0,
            malformed: 0,
        }
    }

    /// Runs one log, and tells of every finding with the address that it is about.
    pub fn run(&mut self, mut log: impl BufRead, mut found: impl FnMut(&Finding, IpAddr)) -> io::Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            if log.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            self.lines += 1;
            while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                line.pop();
            }
            match self.log.read(&line) {
                Some(entry) => {
                    for finding in note(&self.reader, self.rules, &self.watch, &entry) {
                        found(&finding, entry.client);
                    }
                }
                None => self.malformed += 1,
            }
        }
    }
}

fn note(reader: &Reader, rules: PathRules, watch: &Watch, entry: &Entry<'_>) -> crate::engine::Findings {
    let now = Moment::from_nanos(entry.unix_ms.saturating_mul(1_000_000));
    let (raw, query) = entry.target.split_once('?').map_or((entry.target, None), |(p, q)| (p, Some(q)));
    let path = path::normalise(raw, &rules, true);
    let path = path.as_deref().unwrap_or(raw);
    let mut sight = reader.read(&Request {
        method: entry.method,
        host: entry.host,
        path,
        query,
        referer: entry.referer,
        user_agent: entry.user_agent,
        is_http_1_0: entry.is_http_1_0,
    });
    if !entry.target.starts_with('/') {
        sight.method = MethodClass::Odd;
    }
    let is_login = sight.method == MethodClass::Post && is_login(path);
    let failed = is_login.then_some(!matches!(entry.status, 301..=303));
    let client = Client::fold(entry.client, 32, 64);
    let answer = Answer { status: entry.status, bytes: entry.bytes, login: failed };
    watch.note(&[client.into()], &sight, entry.host.map(|host| reader.host(host)), answer, now)
}

fn is_login(path: &str) -> bool {
    [
        "/wp-login.php",
        "/xmlrpc.php",
        "/login",
        "/signin",
        "/administrator/index.php",
        "/user/login",
        "/session",
    ]
    .iter()
    .any(|known| path.ends_with(known))
}
