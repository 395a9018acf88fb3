//! Cookies (RFC 6265), read as leniently as apps read them: a spelling that weir did not know would be a way past an
//! account's limits.

use std::borrow::Cow;

/// Name and value of every cookie in a `Cookie` field (§5.4), as written.
pub(super) fn pairs(field: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    field.split(|byte| *byte == b';').filter_map(pair)
}

/// Name and value of the cookie that a `Set-Cookie` field (§5.2) gives to the client, as written; `None` where it takes
/// one away. What stands as value then, such as `deleted`, is nobody's.
pub(super) fn set_by(field: &[u8]) -> Option<(&[u8], &[u8])> {
    let (cookie, attributes) = match memchr::memchr(b';', field) {
        Some(end) => field.split_at_checked(end)?,
        None => (field, &b""[..]),
    };
    let takes_away = |(name, value): (&[u8], &[u8])| {
        // §3.1: by a lifetime that is over, or by a date long past, for which everyone takes the epoch.
        (name.eq_ignore_ascii_case(b"max-age") && (value == b"0" || value.starts_with(b"-")))
            || (name.eq_ignore_ascii_case(b"expires") && memchr::memmem::find(value, b"1970").is_some())
    };
    if pairs(attributes).any(takes_away) { None } else { pair(cookie) }
}

fn pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b'=', text)?;
    let (name, value) = text.split_at_checked(at)?;
    Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
}

/// What an app takes a cookie's value for: without the quotes it may stand in (§4.1.1), and with what is percent-encoded
/// decoded, as most frameworks do, so that one session has one name in whichever spelling.
pub(super) fn meaning(value: &[u8]) -> Cow<'_, [u8]> {
    let bare = match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    };
    if memchr::memchr(b'%', bare).is_none() { Cow::Borrowed(bare) } else { Cow::Owned(decoded(bare)) }
}

/// `%` without two hexadecimal digits stands for itself.
fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let octet = match after {
            [high, low, ..] if *first == b'%' => digit(high).zip(digit(low)).map(|(h, l)| h << 4 | l),
            _ => None,
        };
        decoded.push(octet.unwrap_or(*first));
        rest = if octet.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: every cookie of a field is found as RFC 6265 §4.2.1 writes it, and as sloppier clients do.
    #[test]
    fn pairs_are_found() {
        let field = b"a=1; b=x=y ;c = \"q\";; novalue; =nameless; d=";
        let expected: [(&[u8], &[u8]); 5] =
            [(b"a", b"1"), (b"b", b"x=y"), (b"c", b"\"q\""), (b"", b"nameless"), (b"d", b"")];
        assert_eq!(pairs(field).collect::<Vec<_>>(), expected);
        assert_eq!(pairs(b"").count(), 0);
    }

    /// Promise: of a Set-Cookie field only the first pair is a cookie, the rest are its attributes (§5.2); and a cookie
    /// that is taken away is none.
    #[test]
    fn attributes_are_no_cookies() {
        for set in [&b"sid=abc"[..], b"sid=abc; Path=/; HttpOnly", b"sid=abc; Max-Age=60; a=b"] {
            assert_eq!(set_by(set), Some((&b"sid"[..], &b"abc"[..])));
        }
        for none in [
            &b"Secure"[..],
            b"Secure; sid=abc",
            b"",
            b"sid=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=0; path=/",
            b"sid=; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            b"sid=x; max-age=-1",
        ] {
            assert_eq!(set_by(none), None);
        }
    }

    /// Promise: one value has one meaning, in quotes or not, percent-encoded or not.
    #[test]
    fn spellings_mean_the_same() {
        for spelling in [&b"s:a/b"[..], b"\"s:a/b\"", b"s%3Aa%2fb", b"\"s%3aa/b\"", b"%73:%61/%62"] {
            assert_eq!(*meaning(spelling), *b"s:a/b");
        }
        for itself in [&b"\""[..], b"100%", b"%zz", b"%a", b"a\"b\"", b""] {
            assert_eq!(*meaning(itself), *itself);
        }
        assert_eq!(*meaning(b"\"\""), *b"");
    }
}
