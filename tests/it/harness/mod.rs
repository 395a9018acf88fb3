//! The harness for tests over real sockets: a running weir, clients and origins that speak exact bytes.
//!
//! | part | what it is |
//! |---|---|
//! | [`Weir`] | the real binary as a child process, its admin listener, its log, its signals |
//! | [`Config`] | the text of a config file for it, a section at a time |
//! | [`RawOrigin`] | a scripted app: each connection runs a closure; what arrives is recorded byte for byte |
//! | [`RawClient`] | a blocking connection that sends exact bytes and parses the answer strictly |
//! | [`App`] | a server that other people wrote, as an app that writes down what it reads |
//! | [`frames`] | a client that writes HTTP/2 frame by frame |
//! | [`Http2Client`] | a client that speaks HTTP/2 in clear |
//! | [`Http2Origin`] | an app that speaks HTTP/2 |
//! | [`FrameServer`] | one that writes HTTP/2 frame by frame |
//! | [`Authority`] | certificates, and clients that trust them |
//! | [`ReadyPebble`] | an authority that issues certificates (ACME) |
//! | [`SecureOrigin`] | a scripted app that speaks TLS |
//! | [`SecureClient`] | a blocking connection by TLS |
//! | [`Load`] | steady load, for tests of what must not be noticed |
//! | [`Message`] | one request or response as it stood on the wire |
//! | [`Metrics`] | a scrape of `/metrics`, parsed |
//! | [`eventually`] | the one place that waits for a condition that gives no event |
//!
//! Nothing sleeps for a while and hopes: a test waits by reading a socket, by receiving on a channel, for a
//! line in weir's log, or, when there is none of these, with [`eventually`]. Every wait has a deadline of
//! [`PATIENCE`], which is far above what a busy machine needs, so that only a real fault meets it.

mod apps;
mod authority;
mod client;
mod config;
pub(crate) mod frames;
pub(crate) mod http2_client;
pub(crate) mod http2_origin;
mod load;
mod message;
mod metrics;
mod origin;
mod pebble;
mod process;
mod secure;
mod secure_origin;
mod tools;
mod wait;
mod wire;

pub(crate) use apps::{App, Kind};
pub(crate) use authority::Authority;
pub(crate) use client::RawClient;
pub(crate) use config::Config;
pub(crate) use http2_client::Http2Client;
pub(crate) use http2_origin::{FrameServer, Http2Exchange, Http2Origin};
pub(crate) use load::Load;
pub(crate) use message::{Message, assert_weirs_own};
pub(crate) use metrics::Metrics;
pub(crate) use origin::{RawOrigin, Vacant, echo};
pub(crate) use pebble::{EXTERNAL_KEY, Looks, ReadyPebble};
pub(crate) use process::{Launch, Weir};
pub(crate) use secure::{SecureClient, V12, V13};
pub(crate) use secure_origin::{SecureOrigin, SecureSocket};
pub(crate) use tools::{Tool, skip};
pub(crate) use wait::{PATIENCE, eventually, wait_as_told};
pub(crate) use wire::Wire;
