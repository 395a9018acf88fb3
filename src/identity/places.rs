//! Places of a request where a credential may stand.

use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};

use super::cookies;
use crate::policy::identity::Place;

/// A credential in a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    sent: &'a [u8],
    meant: &'a [u8],
}

impl<'a> Value<'a> {
    /// What the app takes it for. Never empty.
    pub(super) fn meant(&self) -> &'a [u8] {
        self.meant
    }

    /// How it was written, where that is something else.
    pub(super) fn sent(&self) -> Option<&'a [u8]> {
        (self.sent != self.meant).then_some(self.sent)
    }
}

/// Hands every value that stands at `place` to `found`, in the order in which they came, until that fails. An empty
/// value is none. A value may hold any octet that a field may (RFC 9110 §5.5), ASCII or not.
pub(super) fn each<E>(
    headers: &HeaderMap,
    place: &Place,
    mut found: impl FnMut(Value<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut plain = |value: &[u8]| {
        if value.is_empty() { Ok(()) } else { found(Value { sent: value, meant: value }) }
    };
    match place {
        Place::Bearer => headers
            .get_all(AUTHORIZATION)
            .iter()
            .filter_map(|field| bearer(field.as_bytes()))
            .try_for_each(plain),
        Place::Header(name) => {
            headers.get_all(name).iter().try_for_each(|field| plain(field.as_bytes().trim_ascii()))
        }
        Place::Cookie(name) => {
            for field in headers.get_all(COOKIE) {
                for (_, sent) in cookies::pairs(field.as_bytes()).filter(|(n, _)| *n == name.as_bytes()) {
                    let meant = cookies::meaning(sent);
                    if !meant.is_empty() {
                        found(Value { sent, meant: &meant })?;
                    }
                }
            }
            Ok(())
        }
    }
}

/// The token of `Bearer` credentials (RFC 6750 §2.1). The scheme's case does not count (RFC 9110 §11.1), and any
/// blank sets it apart: some apps are as lenient.
fn bearer(field: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = field.trim_ascii().split_at_checked("bearer".len())?;
    let apart = token.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'));
    (scheme.eq_ignore_ascii_case(b"bearer") && apart).then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn values(place: &Place, fields: &[(&'static str, &'static [u8])]) -> Vec<Vec<u8>> {
        let headers: HeaderMap = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap()))
            .collect();
        let mut values = Vec::new();
        let Ok::<(), ()>(()) = each(&headers, place, |value| {
            values.push(value.meant().to_vec());
            Ok(())
        }) else {
            panic!("nothing failed");
        };
        values
    }

    /// Promise: a bearer token is found in every spelling that RFC 9110 allows for its scheme, on every line, and
    /// nothing else is taken for one.
    #[test]
    fn bearer_tokens_are_found() {
        for (field, token) in [
            (&b"Bearer abc"[..], Some(&b"abc"[..])),
            (b"bearer abc", Some(b"abc")),
            (b"BEARER \t abc ", Some(b"abc")),
            (b"Bearer a b", Some(b"a b")),
            (b"Bearer \xff\xfe", Some(b"\xff\xfe")),
            (b"Bearer", None),
            (b"Bearerabc", None),
            (b"Basic YTpi", None),
            (b"", None),
        ] {
            assert_eq!(bearer(field), token, "{field:?}");
        }
        let lines = [("authorization", &b"Bearer one"[..]), ("authorization", b"Bearer two")];
        assert_eq!(values(&Place::Bearer, &lines), [b"one", b"two"]);
        assert!(values(&Place::Bearer, &[("authorization", b"Bearer  ")]).is_empty());
    }

    /// Promise: a header's value counts whole, on every line; an empty one is none.
    #[test]
    fn header_values_are_found() {
        let place = Place::Header(HeaderName::from_static("x-api-key"));
        let lines = [("x-api-key", &b"one"[..]), ("x-api-key", b""), ("x-api-key", b"two, three\xe9")];
        assert_eq!(values(&place, &lines), [&b"one"[..], b"two, three\xe9"]);
    }

    /// Promise: a cookie is found by its exact name, on every line and however often.
    #[test]
    fn cookies_are_found() {
        let place = Place::Cookie("sid".into());
        let lines = [("cookie", &b"a=1; sid=one; SID=x"[..]), ("cookie", b"sid=; xsid=y;sid=two")];
        assert_eq!(values(&place, &lines), [b"one", b"two"]);
    }
}
