//! One request, as a log has it.

use std::net::IpAddr;

/// One request, as a log has it; borrowed from its line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry<'a> {
    /// Milliseconds since the Unix epoch.
    pub unix_ms: u64,
    pub client: IpAddr,
    /// The host that was asked for, where the log has it.
    pub host: Option<&'a str>,
    /// Empty where there was no readable request line.
    pub method: &'a str,
    /// The request target as it came.
    pub target: &'a str,
    pub is_http_1_0: bool,
    pub status: u16,
    pub bytes: u64,
    pub referer: Option<&'a str>,
    pub user_agent: Option<&'a str>,
}
