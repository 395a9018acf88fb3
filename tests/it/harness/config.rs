//! The text of a config file, a section at a time.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::RawOrigin;

/// A config file under construction: weir on a free loopback port in front of one upstream, `app`.
///
/// Each method adds lines in the words of the config file itself, so that a test reads as an operator would
/// write. Two workers, whatever the machine has, so that what is shared by workers is shared by some.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    workers: u32,
    proxy: String,
    listen: String,
    upstream: String,
    log: String,
    detection: String,
    rest: String,
}

impl Config {
    /// In front of one origin.
    pub(crate) fn to(origin: &RawOrigin) -> Self {
        Self::to_servers(&[origin.address()])
    }

    /// In front of one upstream of several servers.
    pub(crate) fn to_servers(servers: &[SocketAddr]) -> Self {
        let servers: Vec<String> = servers.iter().map(SocketAddr::to_string).collect();
        Config {
            workers: 2,
            proxy: String::from("\"127.0.0.1:0\""),
            listen: String::new(),
            upstream: format!("servers = {servers:?}\n"),
            log: String::from("format = \"json\"\n"),
            // weir's own requests would be among those that the origin records.
            detection: String::from("robots = false\n"),
            rest: String::new(),
        }
    }

    /// Another number of workers: one, where a test needs all requests on the same one.
    pub(crate) fn workers(mut self, count: u32) -> Self {
        self.workers = count;
        self
    }

    /// Another address than a free port of 127.0.0.1.
    pub(crate) fn proxy(self, address: SocketAddr) -> Self {
        self.proxies(&format!("\"{address}\""))
    }

    /// The value of `proxy` under `[listen]`: several listeners, or tables.
    pub(crate) fn proxies(mut self, value: &str) -> Self {
        value.clone_into(&mut self.proxy);
        self
    }

    /// Further lines of `[listen]`.
    pub(crate) fn listen(mut self, lines: &str) -> Self {
        writeln!(self.listen, "{lines}").unwrap();
        self
    }

    /// All of `[upstreams.app]`, its servers too.
    pub(crate) fn upstreams(mut self, lines: &str) -> Self {
        self.upstream = format!("{lines}\n");
        self
    }

    /// Lines of `[upstreams.app]`.
    pub(crate) fn upstream(mut self, lines: &str) -> Self {
        writeln!(self.upstream, "{lines}").unwrap();
        self
    }

    /// Lines of `[log]`.
    pub(crate) fn log(mut self, lines: &str) -> Self {
        writeln!(self.log, "{lines}").unwrap();
        self
    }

    /// The lines of `[detection]`. Without them robots.txt is not fetched.
    pub(crate) fn detection(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.detection);
        self
    }

    /// Whole sections, such as `[timeouts]` or `[[limits]]`, with their headings.
    pub(crate) fn section(mut self, text: &str) -> Self {
        writeln!(self.rest, "{text}\n").unwrap();
        self
    }

    /// One limit of `rate` for each client over everything.
    pub(crate) fn limit(self, name: &str, rate: &str) -> Self {
        self.section(&format!("[[limits]]\nname = {name:?}\nkey = [\"client\"]\nrate = {rate:?}"))
    }

    pub(crate) fn text(&self) -> String {
        let Config { workers, proxy, listen, upstream, log, detection, rest } = self;
        let listen = format!("proxy = {proxy}\nadmin = \"127.0.0.1:0\"\nworkers = {workers}\n{listen}");
        let listen = format!("[listen]\n{listen}\n[upstreams.app]\n{upstream}\n[log]\n{log}\n");
        format!("{listen}[detection]\n{detection}\n{rest}")
    }
}
