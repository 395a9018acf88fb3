//! weir stands in front of a multi-tenant platform and upholds its acceptable use policy.
//!
//! The crate is a library and one thin binary. Layers, each importing only those above it:
//!
//! | layer | modules | what lives there |
//! |---|---|---|
//! | 0 vocabulary | [`build_info`], [`time`], [`clause`], [`facts`], [`finding`], [`remedy`] | plain data |
//! | 1 mechanisms | [`limit`], [`window`], [`detect`] | pure, bounded; `now` is an argument |
//! | 2 policy | [`config`] (what was written) → [`policy`] (what can run) | every error at once, with file and line |
//! | 3 engine | [`engine`] | four doors; no I/O, no clock, no log, no metric |
//! | 4 drivers | [`replay`], `proxy`, `identity`, `store`, `findings`, `admin`, `logs`, `metrics`, `clock` | sockets, files, time |
//! | 5 edge | `cli` | one file per sub-command |
//!
//! Layers 0 to 3 build without the `proxy` feature, and so without tokio or hyper. ARCHITECTURE.md has the
//! picture; `tests/tidy.rs` holds the arrows.

#![forbid(unsafe_code)]

pub mod build_info;
pub mod clause;
pub mod facts;
pub mod finding;
pub mod remedy;
pub mod time;

pub mod detect;
pub mod limit;
pub mod rule;
pub mod window;

pub mod config;
pub mod policy;

pub mod engine;
pub mod replay;

#[cfg(feature = "proxy")]
pub mod acme;
#[cfg(feature = "proxy")]
pub mod admin;
#[cfg(feature = "proxy")]
pub mod cli;
#[cfg(feature = "proxy")]
pub mod clock;
#[cfg(feature = "proxy")]
pub mod findings;
#[cfg(feature = "proxy")]
pub mod identity;
#[cfg(feature = "proxy")]
pub mod logs;
#[cfg(feature = "proxy")]
pub mod metrics;
#[cfg(feature = "proxy")]
pub mod proxy;
#[cfg(feature = "proxy")]
pub mod store;
