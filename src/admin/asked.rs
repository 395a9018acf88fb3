//! One request to the admin listener, read as far as its answers need it.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, request};

/// What is asked, and by whom.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    /// Without the question mark; empty if there is none.
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    /// Of a POST; else empty.
    pub(super) body: Bytes,
    pub(super) from: IpAddr,
}

impl Asked {
    /// A request that was read, and whose it is.
    pub(super) fn of(parts: request::Parts, body: Bytes, from: IpAddr) -> Self {
        Asked {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body,
            from,
        }
    }

    /// The values of a parameter of the query, decoded as forms are (WHATWG URL standard, §5.1).
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = String> + 'a {
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.filter(move |(its, _)| decoded(its) == name).map(|(_, value)| decoded(value))
    }

    pub(super) fn one(&self, name: &str) -> Option<String> {
        self.all(name).next()
    }

    /// The names of all parameters.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| decoded(pair.split('=').next().unwrap_or_default()))
    }
}

/// Percent signs that are not followed by two digits stand for themselves; what is not UTF-8 is replaced.
pub(super) fn decoded(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|b| char::from(*b).to_digit(16));
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        let (value, length) = match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => (u8::try_from(high * 16 + low).unwrap_or(byte), 3),
            (b'+', ..) => (b' ', 1),
            _ => (byte, 1),
        };
        out.push(value);
        at += length;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked(query: &str) -> Asked {
        Asked {
            method: Method::GET,
            path: "/".to_owned(),
            query: query.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            from: IpAddr::from([127, 0, 0, 1]),
        }
    }

    /// Promise: parameters are read as a form sends them, also twice and without a value.
    #[test]
    fn parameters_are_decoded() {
        let asked = asked("path=%2Fapi%2fv1&a=x+y&&b&a=%zz%C3%A4%");
        assert_eq!(asked.one("path").as_deref(), Some("/api/v1"));
        assert_eq!(asked.all("a").collect::<Vec<_>>(), ["x y", "%zzä%"]);
        assert_eq!(asked.one("b").as_deref(), Some(""));
        assert_eq!(asked.one("c"), None);
        assert_eq!(asked.names().collect::<Vec<_>>(), ["path", "a", "b", "a"]);
    }

    proptest! {
        /// Promise: no query makes the reader panic.
        #[test]
        fn any_query_is_read(query in ".*") {
            asked(&query).all("a").count();
        }
    }
}
