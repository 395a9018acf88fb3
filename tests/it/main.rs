//! weir as its users meet it: the real binary between real sockets, one module per subject.
//!
//! `harness/` has the tools and says how tests wait. Run one subject with `cargo test --test it forwarding`.

#![cfg(feature = "proxy")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails by a panic")]
#![allow(dead_code, unused_imports, reason = "the subjects that use the rest of the harness need the proxy")]

mod harness;
mod selftest;
