//! gRPC through weir, in clear from end to end: grpcio for Python as client and as server.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::harness::{Config, Vacant, Weir, skip};

const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/grpc_peer.py");

/// A Python that has grpcio, or a word that the test is skipped: the one on the path, or Debian's.
fn python() -> Option<&'static str> {
    let has_grpc = |python: &&str| {
        let asked = Command::new(python).args(["-c", "import grpc"]).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has_grpc);
    if found.is_none() {
        skip("no python3 with grpcio is installed");
    }
    found
}

/// A server of gRPC, as long as it is held.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(python: &str) -> Self {
        let mut process = Command::new(python)
            .args([PEER, "serve"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Server { process, address: SocketAddr::from(([127, 0, 0, 1], port.trim().parse().unwrap())) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its input ends, and with it the server.
        drop(self.process.stdin.take());
        drop(self.process.wait());
    }
}

fn to(server: SocketAddr) -> Config {
    Config::to_servers(&[server])
        .proxies("[{ address = \"127.0.0.1:0\", h2c = true }]")
        .upstream("protocol = \"h2\"")
}

/// Makes the calls of one kind through weir.
#[track_caller]
fn call(python: &str, weir: &Weir, kind: &str) {
    let output = Command::new(python).args([PEER, "call", &weir.addr().to_string(), kind]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && output.stdout == b"ok\n", "{kind}: {stderr}");
}

/// Promise: all kinds of calls pass: unary, streams of either side and of both, message by message, with metadata,
/// trailers and errors; what happens to calls of gRPC is counted as forwarded.
#[test]
fn calls_pass() {
    let Some(python) = python() else { return };
    let server = Server::start(python);
    let weir = Weir::start(&to(server.address));
    call(python, &weir, "patterns");
    weir.await_metric("weir_requests_in_flight", &[], 0);
    assert_eq!(weir.metrics().count("weir_requests_total", &[("decision", "failed")]), 0);
}

/// Promise: a call ends at its client's deadline, which the server is told, and no later than `total` allows; the client
/// is told DEADLINE_EXCEEDED in both cases.
#[test]
fn deadlines_end_calls() {
    let Some(python) = python() else { return };
    let server = Server::start(python);
    let weir = Weir::start(&to(server.address));
    call(python, &weir, "deadline");
    weir.await_metric("weir_requests_in_flight", &[], 0);
    let weir = Weir::start(&to(server.address).section("[timeouts]\ntotal = \"3s\""));
    call(python, &weir, "total");
    weir.await_metric("weir_timeouts_total", &[("timeout", "total")], 1);
}

/// Promise: a limit is RESOURCE_EXHAUSTED with the time to come back, and a server that is not there UNAVAILABLE.
#[test]
fn refusals_are_told_in_grpcs_words() {
    let Some(python) = python() else { return };
    let server = Server::start(python);
    call(python, &Weir::start(&to(server.address).limit("calls", "1/h")), "limit");
    let nobody = Vacant::reserve();
    call(python, &Weir::start(&to(nobody.address())), "outage");
}
