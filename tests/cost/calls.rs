//! System calls of the real binary, counted by strace.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::load::Clients;

const FEW: u32 = 20;
const MANY: u32 = 120;

/// System calls for each request on `connections` that are kept, by name and in all: what many requests take more than
/// a few do, so that starting up costs nothing. `None` where there is no strace, or none that may trace.
pub(crate) fn per_request(config: &str, status: u16, connections: usize) -> Option<Calls> {
    let few = Counted::run(config, status, connections, FEW)?;
    let many = Counted::run(config, status, connections, MANY)?;
    let requests = f64::from(MANY - FEW) * f64::from(u32::try_from(connections).unwrap());
    let more = |(name, count): (&String, &f64)| {
        let more = count - few.0.get(name).copied().unwrap_or(0.0);
        (name.clone(), more / requests)
    };
    Some(Calls(many.0.iter().map(more).collect()))
}

#[derive(Debug)]
pub(crate) struct Calls(BTreeMap<String, f64>);

impl Calls {
    pub(crate) fn all(&self) -> f64 {
        self.0.values().sum()
    }

    /// Those that are made for one request in ten at least.
    pub(crate) fn by_name(&self) -> String {
        let often = self.0.iter().filter(|(_, count)| **count >= 0.1);
        often.map(|(name, count)| format!("{name} {count:.2}")).collect::<Vec<_>>().join(", ")
    }
}

/// How often each call was made, by its name.
struct Counted(BTreeMap<String, f64>);

impl Counted {
    fn run(config: &str, status: u16, connections: usize, rounds: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let (file, table) = (dir.path().join("weir.toml"), dir.path().join("calls"));
        fs::write(&file, config).unwrap();
        let (mut strace, address) = start(&file, &table)?;
        let mut clients = Clients::connect(address, connections);
        clients.ask(rounds, status);
        drop(clients);
        stop(&strace);
        strace.wait().unwrap();
        Some(Counted(read(&fs::read_to_string(table).unwrap())))
    }
}

/// weir under strace, and where it listens.
fn start(config: &Path, table: &Path) -> Option<(Child, SocketAddr)> {
    let mut command = Command::new("strace");
    command.args(["-f", "-c", "-qq", "-o"]).arg(table).arg(env!("CARGO_BIN_EXE_weir")).arg("run").arg(config);
    let mut strace = command.stderr(Stdio::piped()).spawn().ok()?;
    let mut lines = BufReader::new(strace.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address = lines.find_map(|line| {
        let record: serde_json::Value = serde_json::from_str(&line).ok()?;
        record.pointer("/fields/proxy").or(record.get("proxy"))?.as_str()?.parse().ok()
    });
    // Nobody waits for a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    if address.is_none() {
        strace.wait().unwrap();
    }
    Some((strace, address?))
}

/// Ends the one that is traced; strace follows.
fn stop(strace: &Child) {
    let id = strace.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    let weir = children.split_whitespace().next().and_then(|id| Pid::from_raw(id.parse().ok()?));
    kill_process(weir.unwrap(), Signal::TERM).unwrap();
}

/// Reads the table of `strace -c`: its fourth column counts, its last names.
fn read(table: &str) -> BTreeMap<String, f64> {
    let rows = table.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (count, name) = (columns.get(3)?.parse().ok()?, *columns.last()?);
        (name != "total").then(|| (name.to_owned(), count))
    });
    rows.collect()
}
