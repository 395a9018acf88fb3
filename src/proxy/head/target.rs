//! The four forms of a request target (RFC 9112 §3.2), of which a reverse proxy takes three.

use std::ops::Range;

use super::fault::Fault;
use super::octets::is_path_and_query;
use crate::policy::host;

/// Checks `target`; for an absolute target, gives the scheme and where its authority lies.
pub(super) fn check(method: &[u8], target: &[u8]) -> Result<Option<Absolute>, Fault> {
    if method == b"CONNECT" {
        return Err(Fault::Connect);
    }
    match target.first() {
        Some(b'/') if is_path_and_query(target) => Ok(None),
        Some(b'/') => Err(Fault::Target),
        None => Err(Fault::RequestLine),
        Some(b'*') if target.len() == 1 && method == b"OPTIONS" => Ok(None),
        Some(_) => absolute(target).map(Some),
    }
}

/// The authority of an absolute target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Absolute {
    /// Relative to the target.
    pub authority: Range<usize>,
    pub default_port: u16,
}

fn absolute(target: &[u8]) -> Result<Absolute, Fault> {
    let (start, default_port) = if starts_with_ignore_case(target, b"http://") {
        (7, 80)
    } else if starts_with_ignore_case(target, b"https://") {
        (8, 443)
    } else {
        return Err(Fault::TargetForm);
    };
    let after_scheme = target.get(start..).unwrap_or_default();
    let length = after_scheme.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(after_scheme.len());
    let (authority, rest) = after_scheme.split_at(length);
    if !is_path_and_query(rest) {
        return Err(Fault::Target);
    }
    parse_host(authority)?;
    Ok(Absolute { authority: start..start + length, default_port })
}

fn starts_with_ignore_case(target: &[u8], prefix: &[u8]) -> bool {
    target.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// What is wrong with a target in origin-form, or `*`.
pub(in crate::proxy) fn fault(method: &[u8], target: &[u8]) -> Option<Fault> {
    match check(method, target) {
        Ok(None) => None,
        Ok(Some(_)) => Some(Fault::TargetForm),
        Err(fault) => Some(fault),
    }
}

pub(super) fn parse_host(raw: &[u8]) -> Result<host::HostPort<'_>, Fault> {
    let raw = str::from_utf8(raw).map_err(|_| Fault::HostInvalid)?;
    host::split(raw).map_err(|_| Fault::HostInvalid)
}

/// RFC 9112 §3.2.2 lets the authority win over `Host`; the application behind may see it the other way round.
pub(in crate::proxy) fn same_host(authority: &[u8], host: &[u8], default_port: u16) -> Result<bool, Fault> {
    let (authority, host) = (parse_host(authority)?, parse_host(host)?);
    let port = |port: Option<u16>| port.unwrap_or(default_port);
    Ok(authority.name.eq_ignore_ascii_case(host.name) && port(authority.port) == port(host.port))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only forms that name a path on one host are taken.
    #[test]
    fn takes_three_forms() {
        let check = |method: &str, target: &str| check(method.as_bytes(), target.as_bytes());
        assert_eq!(check("GET", "/a?b=c"), Ok(None));
        assert_eq!(check("OPTIONS", "*"), Ok(None));
        let authority = |range, default_port| Ok(Some(Absolute { authority: range, default_port }));
        assert_eq!(check("GET", "http://a.b:80/c"), authority(7..13, 80));
        assert_eq!(check("GET", "HTTPS://a.b?c"), authority(8..11, 443));
        assert_eq!(check("GET", "http://a.b"), authority(7..10, 80));
        assert_eq!(check("GET", "*"), Err(Fault::TargetForm));
        assert_eq!(check("GET", "a.b:80"), Err(Fault::TargetForm));
        assert_eq!(check("GET", "ftp://a.b/"), Err(Fault::TargetForm));
        assert_eq!(check("GET", "http:///a"), Err(Fault::HostInvalid));
        assert_eq!(check("GET", "http://user@a.b/"), Err(Fault::HostInvalid));
        assert_eq!(check("GET", "http://a#b/"), Err(Fault::HostInvalid));
        assert_eq!(check("GET", "/a#b"), Err(Fault::Target));
        assert_eq!(check("GET", "/a?b#c"), Err(Fault::Target));
        assert_eq!(check("CONNECT", "a.b:80"), Err(Fault::Connect));
    }

    /// A default port is no difference, another host or port is.
    #[test]
    fn compares_hosts() {
        let same = |a: &str, h: &str| same_host(a.as_bytes(), h.as_bytes(), 80);
        assert_eq!(same("A.b", "a.B:80"), Ok(true));
        assert_eq!(same("a.b.", "a.b"), Ok(true));
        assert_eq!(same("a.b:81", "a.b"), Ok(false));
        assert_eq!(same("a.b", "c.b"), Ok(false));
    }
}
