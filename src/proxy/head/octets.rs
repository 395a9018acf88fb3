//! Which octets may stand where in a head. Nothing here is wider than what the types of `http` accept.

/// RFC 9110 §5.6.2 `tchar`: methods and field names.
pub(super) const fn is_token(b: u8) -> bool {
    TOKEN[b as usize]
}

/// RFC 9112 §2.2 forbids bare CR, RFC 9110 §5.5 NUL and the other controls. HTAB is white space.
pub(super) const fn is_control(b: u8) -> bool {
    (b < b' ' && b != b'\t') || b == 0x7f
}

/// Where the first control octet is. Eight octets at a time: this reads most of every head.
pub(in crate::proxy) fn find_control(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let mut words = bytes.chunks_exact(8);
    let mut at = 0;
    for word in &mut words {
        let octets = word.try_into().map_or(0, u64::from_le_bytes);
        let below_space = octets.wrapping_sub(ONES * 0x20) & !octets;
        let delete = (octets ^ (ONES * 0x7f)).wrapping_sub(ONES) & !octets;
        let marks = (below_space | delete) & HIGH;
        if marks != 0 {
            // A borrow may mark an octet above a marked one, never below: the first mark is true, but for HTAB.
            let first = marks.trailing_zeros() as usize / 8;
            if word.get(first).is_some_and(|&b| is_control(b)) {
                return Some(at + first);
            }
            if let Some(within) = word.iter().position(|&b| is_control(b)) {
                return Some(at + within);
            }
        }
        at += 8;
    }
    words.remainder().iter().position(|&b| is_control(b)).map(|within| at + within)
}

/// Whether a path and query, without fragment, hold only what may stand there raw. Wider than RFC 3986 by what
/// browsers send: `"`, `{`, `}`, `|`, `\`, `^`, `[` and `]` in the path, and also `` ` `` in the query.
pub(super) fn is_path_and_query(target: &[u8]) -> bool {
    let path_end = target.iter().position(|&b| !PATH[usize::from(b)]);
    match path_end.and_then(|at| target.get(at..)).and_then(<[u8]>::split_first) {
        None => true,
        Some((b'?', query)) => query.iter().all(|&b| QUERY[usize::from(b)]),
        Some(_) => false,
    }
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0_u8;
    while b < 128 {
        table[b as usize] = b.is_ascii_alphanumeric()
            || matches!(b, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+')
            || matches!(b, b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~');
        b += 1;
    }
    table
};

const PATH: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0_u8;
    while b < 128 {
        table[b as usize] = b.is_ascii_graphic() && !matches!(b, b'#' | b'<' | b'>' | b'?' | b'`');
        b += 1;
    }
    table
};

const QUERY: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0_u8;
    while b < 128 {
        table[b as usize] = b.is_ascii_graphic() && !matches!(b, b'"' | b'#' | b'<' | b'>');
        b += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// What a scan passes, `http::Uri` must accept.
    #[test]
    fn passes_no_target_that_http_refuses() {
        for b in 0..=255_u8 {
            for target in [vec![b'/', b], vec![b'/', b'?', b]] {
                if is_path_and_query(&target) {
                    let uri = http::Uri::try_from(target.as_slice()).unwrap();
                    assert_eq!(uri.to_string().as_bytes(), target, "{b:#04x}");
                }
            }
        }
    }

    /// What a scan passes, the names and values of `http` must accept.
    #[test]
    fn passes_no_field_that_http_refuses() {
        for b in 0..=255_u8 {
            assert!(!is_token(b) || http::HeaderName::from_bytes(&[b]).is_ok(), "{b:#04x}");
            assert!(!is_token(b) || http::Method::from_bytes(&[b]).is_ok(), "{b:#04x}");
            assert!(is_control(b) || http::HeaderValue::from_bytes(&[b]).is_ok(), "{b:#04x}");
        }
    }

    /// Reading by words finds what reading by octets does, at every place in a word and after every octet.
    #[test]
    fn finds_controls_by_words() {
        for before in [b'\t', b' ', b'a', b'~', 0x80, 0xff] {
            for b in 0..=255_u8 {
                for at in 0..20 {
                    let mut bytes = [before; 20];
                    bytes[at] = b;
                    assert_eq!(find_control(&bytes), is_control(b).then_some(at), "{before:#04x} {b:#04x}");
                }
            }
        }
    }
}
