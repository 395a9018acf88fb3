//! AWS load balancers: the access log of application ones, which begins with the kind of request, and of classic ones,
//! which does not. They say nothing of Referers.

use std::time::Duration;

use super::text::{address, field, number, quoted, request_line, rfc3339, word};
use crate::replay::Entry;

/// Kinds of request of an application load balancer.
const KINDS: [&[u8]; 6] = [b"http", b"https", b"h2", b"grpcs", b"ws", b"wss"];

/// The request of a line; `None` where it is not of this format.
pub fn read(line: &[u8]) -> Option<Entry<'_>> {
    let (first, rest) = word(line)?;
    let (time, rest) = if KINDS.contains(&first) { word(rest)? } else { (first, rest) };
    let unix_ms = rfc3339(time)?;
    let (_balancer, rest) = word(rest)?;
    let (peer, rest) = word(rest)?;
    let colon = memchr::memrchr(b':', peer)?;
    let client = address(peer.get(..colon)?.strip_prefix(b"[").unwrap_or(peer.get(..colon)?))
        .or_else(|| address(peer.get(1..colon)?.strip_suffix(b"]")?))?;
    let (target, rest) = word(rest)?;
    let (_request_time, rest) = word(rest)?;
    let (took, rest) = word(rest)?;
    let (_response_time, rest) = word(rest)?;
    let (status, rest) = word(rest)?;
    let (_target_status, rest) = word(rest)?;
    let (_received, rest) = word(rest)?;
    let (sent, rest) = word(rest)?;
    let (request, rest) = quoted(rest)?;
    let user_agent = quoted(rest).and_then(|(text, _)| field(text));
    let (method, url, version) = request_line(request);
    let (host, path) = split(url);
    Some(Entry {
        host,
        method: if method == "-" { "" } else { method },
        target: path,
        is_http_1_0: version == "HTTP/1.0",
        // `-` where the client left before there was one.
        status: number(status).unwrap_or(0).try_into().ok()?,
        bytes: number(sent)?,
        user_agent,
        by_proxy: target == b"-",
        took: seconds(took),
        ..Entry::of(client, unix_ms)
    })
}

/// Host and origin-form of `https://example.com:443/a?b`.
fn split(url: &str) -> (Option<&str>, &str) {
    let Some((_, rest)) = url.split_once("://") else { return (None, url) };
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    ((!host.is_empty() && host != "-").then_some(host), path)
}

/// -1 where the app was not reached.
fn seconds(text: &[u8]) -> Option<Duration> {
    let seconds: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: the lines of AWS's documentation are read field by field.
    #[test]
    fn documented_lines() {
        let application = br#"https 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 "GET https://www.example.com:443/a?b=1 HTTP/1.1" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:x "Root=1-58337281-1d84f3d73c47ec4e58577259" "www.example.com" "arn:aws:acm:x" 1 2018-07-02T22:22:48.364000Z "authenticate,forward" "-" "-" "10.0.0.1:80" "200" "-" "-""#;
        let entry = read(application).expect("a request");
        // `date -u -d '2018-07-02 22:23:00' +%s`
        assert_eq!(entry.unix_ms / 1000, 1_530_570_180);
        assert_eq!(
            (entry.client.to_string().as_str(), entry.status, entry.bytes),
            ("192.168.131.39", 200, 57)
        );
        assert_eq!((entry.host, entry.target), (Some("www.example.com"), "/a?b=1"));
        assert_eq!((entry.user_agent, entry.by_proxy), (Some("curl/7.46.0"), false));
        assert_eq!(entry.took, Some(Duration::from_millis(48)));
        let classic = br#"2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000073 0.001048 0.000057 200 200 0 29 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.38.0" - -"#;
        let entry = read(classic).expect("a request");
        assert_eq!((entry.target, entry.unix_ms / 1000), ("/", 1_431_560_383));
    }

    /// Promise: a request that no target saw is the balancer's own; one that could not be read has no method.
    #[test]
    fn odd_lines() {
        let line = br#"h2 2018-07-02T22:23:00.186641Z app/x/1 [2001:db8::1]:2817 - -1 -1 -1 400 - 0 57 "- http://x:80- -" "-" - -"#;
        let entry = read(line).expect("a request");
        assert_eq!((entry.client.to_string().as_str(), entry.method), ("2001:db8::1", ""));
        assert_eq!((entry.by_proxy, entry.took), (true, None));
    }
}
