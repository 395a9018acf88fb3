//! One request, as a log has it.

use std::net::IpAddr;
use std::time::Duration;

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
    /// 0 where there was none.
    pub status: u16,
    pub bytes: u64,
    pub referer: Option<&'a str>,
    pub user_agent: Option<&'a str>,
    /// The account that the request was known to be of.
    pub account: Option<&'a str>,
    /// Of the client's handshake, by JA4.
    pub fingerprint: Option<&'a str>,
    pub request_id: Option<&'a str>,
    /// Whether the proxy that wrote the log answered the request itself, as far as it says.
    pub by_proxy: bool,
    /// How long the app took.
    pub took: Option<Duration>,
}

impl Entry<'_> {
    /// A request of which nothing else is known.
    pub const fn of(client: IpAddr, unix_ms: u64) -> Self {
        Entry {
            unix_ms,
            client,
            host: None,
            method: "",
            target: "",
            is_http_1_0: false,
            status: 0,
            bytes: 0,
            referer: None,
            user_agent: None,
            account: None,
            fingerprint: None,
            request_id: None,
            by_proxy: false,
            took: None,
        }
    }
}
