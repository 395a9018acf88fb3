//! One path: the form that routes, limits and detectors see.
//!
//! The target that is forwarded stays as it came; only this reading of it is folded. Two spellings that an
//! application would serve alike get one reading, so that no spelling escapes the limit of its route.
//! A spelling that applications read in different ways is refused (RFC 3986 §6.2.2, §5.2.4).

use std::borrow::Cow;

use thiserror::Error;

pub use super::host::{HostFault, host};

/// How spellings of a path are folded together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathRules {
    pub trailing_slash: TrailingSlash,
    pub case: Case,
    pub parameters: Parameters,
}

/// Whether `/a/` is `/a`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrailingSlash {
    #[default]
    Ignore,
    Distinct,
}

/// Whether `/Login` is `/login`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Case {
    #[default]
    Sensitive,
    Insensitive,
}

/// Whether `/login;x=1` is `/login` (RFC 3986 §3.3 path parameters, which Java servers cut off).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parameters {
    #[default]
    Keep,
    Strip,
}

/// Why a path has no single reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathFault {
    #[error("the path does not begin with a slash")]
    NotRooted,
    #[error("a percent sign in the path is not followed by two hexadecimal digits")]
    InvalidEncoding,
    #[error("the path holds a NUL")]
    Nul,
    #[error("the path holds a backslash or an encoded slash or backslash")]
    EncodedSlash,
    #[error("the path holds a dot segment beside an encoded slash")]
    EncodedDotSegment,
    #[error("the path goes up (..) after an empty segment (//), which servers resolve in different ways")]
    DotsAfterEmptySegment,
}

/// The canonical spelling of `raw`, the path of a request target without its query.
///
/// - Encoded octets that may stand in a path (RFC 3986 `pchar`) are decoded; every other octet, raw or
///   encoded, ends as upper-case `%XX`. What `%25` hides is not decoded a second time.
/// - Empty and dot segments are resolved; `..` above the root stays at the root.
/// - Trailing slash, case and `;parameters` follow `rules`.
/// - `%2F`, `%5C` and a raw backslash are refused unless `allow_encoded_slashes`; then they end as `%2F`, `%5C`.
///
/// `*` (RFC 9112 §3.2.4) stays `*`, an empty path is `/`. Idempotent. Borrows, after one scan, when `raw` is
/// canonical already.
pub fn normalise<'a>(
    raw: &'a str,
    rules: &PathRules,
    allow_encoded_slashes: bool,
) -> Result<Cow<'a, str>, PathFault> {
    if raw.is_empty() {
        return Ok(Cow::Borrowed("/"));
    }
    if raw == "*" {
        return Ok(Cow::Borrowed(raw));
    }
    if !raw.starts_with('/') {
        return Err(PathFault::NotRooted);
    }
    if is_canonical(raw.as_bytes(), *rules) {
        return Ok(Cow::Borrowed(raw));
    }
    // The usual reason why it is not.
    if let Some(rest) = raw.strip_suffix('/')
        && rules.trailing_slash == TrailingSlash::Ignore
        && is_canonical(rest.as_bytes(), *rules)
    {
        return Ok(Cow::Borrowed(rest));
    }
    Writer::new(raw.len(), *rules, allow_encoded_slashes).write(raw).map(Cow::Owned)
}

/// One segment as [`normalise`] would leave it, for templates. May be empty, `.` or `..`.
pub(super) fn normalise_segment(raw: &str, rules: PathRules) -> Result<String, PathFault> {
    let mut writer = Writer::new(raw.len(), rules, true);
    writer.decode(raw)?;
    Ok(writer.path)
}

/// `pchar` without `%` (RFC 3986 §3.3), and no slash.
const PCHAR: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0_u8;
    while b < 128 {
        table[b as usize] = b.is_ascii_alphanumeric()
            || matches!(b, b'-' | b'.' | b'_' | b'~')
            || matches!(b, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
            || matches!(b, b':' | b'@');
        b += 1;
    }
    table
};

const fn is_pchar(b: u8) -> bool {
    PCHAR[b as usize]
}

/// Whether `path`, which begins with a slash, is sure to be canonical. Errs towards `false`.
fn is_canonical(path: &[u8], rules: PathRules) -> bool {
    let upper_is_plain = rules.case == Case::Sensitive;
    let semicolon_is_plain = rules.parameters == Parameters::Keep;
    let mut bytes = path.iter().copied().enumerate();
    let mut after_slash = false;
    while let Some((at, b)) = bytes.next() {
        let plain = match b {
            // An empty segment, and perhaps a dot segment.
            b'/' | b'.' => !after_slash,
            b'%' => bytes.nth(1).is_some() && path.get(at + 1..at + 3).is_some_and(is_canonical_escape),
            b';' => semicolon_is_plain,
            b'A'..=b'Z' => upper_is_plain,
            _ => is_pchar(b),
        };
        if !plain {
            return false;
        }
        after_slash = b == b'/';
    }
    !after_slash || path.len() == 1 || rules.trailing_slash == TrailingSlash::Distinct
}

/// Whether `%` and these two digits must stay as they are.
fn is_canonical_escape(digits: &[u8]) -> bool {
    digits.iter().all(|d| matches!(d, b'0'..=b'9' | b'A'..=b'F'))
        && decode_octet(digits).is_some_and(|b| !is_pchar(b) && !matches!(b, 0 | b'/' | b'\\'))
}

fn decode_octet(digits: &[u8]) -> Option<u8> {
    let [high, low] = digits else { return None };
    let digit = |d: u8| char::from(d).to_digit(16).and_then(|v| u8::try_from(v).ok());
    Some(digit(*high)? << 4 | digit(*low)?)
}

/// Builds the canonical path, one segment after the other.
struct Writer {
    path: String,
    rules: PathRules,
    allow_encoded_slashes: bool,
}

/// What the decoded segment at the end of the path is.
enum Kind {
    Name,
    Empty,
    Here,
    Up,
}

impl Writer {
    fn new(capacity: usize, rules: PathRules, allow_encoded_slashes: bool) -> Self {
        Writer { path: String::with_capacity(capacity), rules, allow_encoded_slashes }
    }

    fn write(mut self, raw: &str) -> Result<String, PathFault> {
        let mut empty_seen = false;
        let mut ends_in_slash = false;
        let mut segments = raw.split('/').skip(1).peekable();
        while let Some(segment) = segments.next() {
            let start = self.path.len();
            self.path.push('/');
            self.decode(segment)?;
            let kind = self.kind_of_segment_at(start + 1)?;
            ends_in_slash = !matches!(kind, Kind::Name);
            match kind {
                Kind::Name => {}
                Kind::Here => self.path.truncate(start),
                Kind::Empty => {
                    // The last one is only a trailing slash.
                    empty_seen |= segments.peek().is_some();
                    self.path.truncate(start);
                }
                Kind::Up if empty_seen => return Err(PathFault::DotsAfterEmptySegment),
                Kind::Up => {
                    self.path.truncate(start);
                    let parent = self.path.rfind('/').unwrap_or(0);
                    self.path.truncate(parent);
                }
            }
        }
        let slash_counts = ends_in_slash && self.rules.trailing_slash == TrailingSlash::Distinct;
        if slash_counts || self.path.is_empty() {
            self.path.push('/');
        }
        Ok(self.path)
    }

    /// Appends `segment`, decoded, folded, and cut at its parameters.
    fn decode(&mut self, segment: &str) -> Result<(), PathFault> {
        let bytes = segment.as_bytes();
        let mut rest = bytes;
        while let Some((&b, tail)) = rest.split_first() {
            rest = tail;
            let octet = if b == b'%' {
                let (digits, tail) = tail.split_at_checked(2).ok_or(PathFault::InvalidEncoding)?;
                rest = tail;
                decode_octet(digits).ok_or(PathFault::InvalidEncoding)?
            } else {
                b
            };
            match octet {
                0 => return Err(PathFault::Nul),
                b'/' | b'\\' if !self.allow_encoded_slashes => return Err(PathFault::EncodedSlash),
                // Encoded too: some servers cut before they decode, some after.
                b';' if self.rules.parameters == Parameters::Strip => {
                    return check_encodings(rest);
                }
                _ => self.push(octet),
            }
        }
        Ok(())
    }

    fn push(&mut self, octet: u8) {
        if is_pchar(octet) {
            let folded = match self.rules.case {
                Case::Sensitive => octet,
                Case::Insensitive => octet.to_ascii_lowercase(),
            };
            self.path.push(char::from(folded));
        } else {
            self.path.push('%');
            for nibble in [octet >> 4, octet & 15] {
                let digit = if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 };
                self.path.push(char::from(digit));
            }
        }
    }

    fn kind_of_segment_at(&self, start: usize) -> Result<Kind, PathFault> {
        let segment = self.path.get(start..).unwrap_or_default();
        match segment {
            "" => Ok(Kind::Empty),
            "." => Ok(Kind::Here),
            ".." => Ok(Kind::Up),
            _ if self.allow_encoded_slashes && hides_dot_segment(segment) => {
                Err(PathFault::EncodedDotSegment)
            }
            _ => Ok(Kind::Name),
        }
    }
}

/// Cut parameters have no say in the reading, but an invalid encoding or a NUL in them is refused all the same.
fn check_encodings(mut rest: &[u8]) -> Result<(), PathFault> {
    while let Some(at) = memchr::memchr(b'%', rest) {
        let digits = rest.get(at + 1..at + 3).ok_or(PathFault::InvalidEncoding)?;
        match decode_octet(digits).ok_or(PathFault::InvalidEncoding)? {
            0 => return Err(PathFault::Nul),
            _ => rest = rest.get(at + 3..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// Whether a server that decodes slashes first would find a dot segment in this one.
fn hides_dot_segment(segment: &str) -> bool {
    if !segment.contains("%2F") && !segment.contains("%5C") {
        return false;
    }
    segment.replace("%5C", "%2F").split("%2F").any(|piece| matches!(piece, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: PathRules = PathRules {
        trailing_slash: TrailingSlash::Ignore,
        case: Case::Sensitive,
        parameters: Parameters::Keep,
    };

    fn read(raw: &str) -> Result<String, PathFault> {
        normalise(raw, &PLAIN, false).map(Cow::into_owned)
    }

    /// Spellings that an application serves alike have one reading.
    #[test]
    fn folds_spellings() {
        for (raw, canonical) in [
            ("/login", "/login"),
            ("/%6Cogin", "/login"),
            ("/%6cogin/", "/login"),
            ("//login", "/login"),
            ("/./login", "/login"),
            ("/x/../login", "/login"),
            ("/x/%2e%2E/login", "/login"),
            ("/../../login", "/login"),
            ("/login/.", "/login"),
            ("/login/x/..", "/login"),
            ("/%3Aa%40b%21", "/:a@b!"),
            ("/a b", "/a%20b"),
            ("/a%20b", "/a%20b"),
            ("/%7euser", "/~user"),
            ("/é", "/%C3%A9"),
            ("/%c3%a9", "/%C3%A9"),
            ("/%252e", "/%252e"),
            ("/.well-known/x", "/.well-known/x"),
            ("/...", "/..."),
            ("", "/"),
            ("/", "/"),
            ("/.", "/"),
            ("//", "/"),
            ("*", "*"),
        ] {
            assert_eq!(read(raw).as_deref(), Ok(canonical), "{raw}");
        }
    }

    /// A spelling that servers read in different ways has no reading.
    #[test]
    fn refuses_what_has_two_readings() {
        for (raw, fault) in [
            ("login", PathFault::NotRooted),
            ("/a%2Fb", PathFault::EncodedSlash),
            ("/a%5cb", PathFault::EncodedSlash),
            ("/a\\b", PathFault::EncodedSlash),
            ("/a%00b", PathFault::Nul),
            // Found by fuzzing: kept as %00, which a second reading refuses.
            ("/a\0b", PathFault::Nul),
            ("/a%0", PathFault::InvalidEncoding),
            ("/a%", PathFault::InvalidEncoding),
            ("/a%+1", PathFault::InvalidEncoding),
            ("/a%zz", PathFault::InvalidEncoding),
            ("/a%é", PathFault::InvalidEncoding),
            ("/login//..", PathFault::DotsAfterEmptySegment),
            ("/a//b/../../login", PathFault::DotsAfterEmptySegment),
        ] {
            assert_eq!(read(raw), Err(fault), "{raw}");
        }
    }

    /// A route that allows encoded slashes gets one spelling of them, and no hidden dot segments.
    #[test]
    fn keeps_encoded_slashes_where_allowed() {
        let read = |raw| normalise(raw, &PLAIN, true).map(Cow::into_owned);
        assert_eq!(read("/a%2fb").as_deref(), Ok("/a%2Fb"));
        assert_eq!(read("/a\\b%5c").as_deref(), Ok("/a%5Cb%5C"));
        assert_eq!(read("/public/..%2fadmin"), Err(PathFault::EncodedDotSegment));
        assert_eq!(read("/public%5C%2e%2e"), Err(PathFault::EncodedDotSegment));
        assert_eq!(read("/a%00b"), Err(PathFault::Nul));
    }

    /// Each rule folds what it names, encoded or not, and nothing else.
    #[test]
    fn follows_the_rules() {
        let distinct = PathRules { trailing_slash: TrailingSlash::Distinct, ..PLAIN };
        let insensitive = PathRules { case: Case::Insensitive, ..PLAIN };
        let strip = PathRules { parameters: Parameters::Strip, ..PLAIN };
        for (rules, raw, canonical) in [
            (distinct, "/a/", "/a/"),
            (distinct, "/a//", "/a/"),
            (distinct, "/a/.", "/a/"),
            (distinct, "/a/b/..", "/a/"),
            (distinct, "/a", "/a"),
            (insensitive, "/LoGin", "/login"),
            (insensitive, "/%4Cogin%c3", "/login%C3"),
            (strip, "/login;x=1/y", "/login/y"),
            (strip, "/login%3bx", "/login"),
            (strip, "/a/..;x/login", "/login"),
            (strip, "/a/;x/b", "/a/b"),
            (PLAIN, "/login;x=1", "/login;x=1"),
            (PLAIN, "/login%3Bx", "/login;x"),
        ] {
            assert_eq!(normalise(raw, &rules, false).as_deref(), Ok(canonical), "{raw}");
        }
        assert_eq!(normalise("/a;%0", &strip, false), Err(PathFault::InvalidEncoding));
        assert_eq!(normalise("/a;%00", &strip, false), Err(PathFault::Nul));
    }

    /// The common request costs one scan and no allocation.
    #[test]
    fn borrows_what_is_canonical() {
        for raw in ["/", "/api/v1/exports/17", "/a%20b", "/A/b;c=1", "/file.tar.gz"] {
            assert!(matches!(normalise(raw, &PLAIN, false), Ok(Cow::Borrowed(_))), "{raw}");
        }
    }
}
