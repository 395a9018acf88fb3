//! weir as its users meet it: the real binary between real sockets, one module per subject.
//!
//! `harness/` has the tools and says how tests wait. Run one subject with `cargo test --test it forwarding`.

#![cfg(feature = "proxy")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails by a panic")]

mod access_log;
mod accounts;
mod acme;
mod admin;
mod announced;
mod app_faults;
mod asking;
mod bodies;
mod books;
mod client_certificates;
mod clients;
mod connections;
mod crowding;
mod delay;
mod desync;
mod findings;
mod fingerprints;
mod flood;
mod forwarding;
mod grpc;
mod h2c;
mod harness;
mod http2;
mod http2_floods;
mod http2_servers;
mod http2_servers_bad;
mod http2_websocket;
mod interim;
mod limits;
mod load;
mod one_path;
mod one_reading;
mod peers;
mod refusals;
mod reload;
mod replayed;
mod restart;
mod selftest;
mod servers;
#[path = "../identity/signing.rs"]
#[expect(dead_code, reason = "the tests of identity use more of it")]
mod signing;
mod stopping;
mod succession;
mod suspended;
mod tls;
mod tls_scan;
mod trust;
mod unix_sockets;
mod upgrade;
mod upstream_tls;
