//! A request as detectors see it: hashes and small numbers, nothing that was written in it.

use std::hash::{BuildHasher as _, Hasher as _};

use ahash::RandomState;
use memchr::memchr;

use super::signatures::{Signature, Signatures};

/// What is read of a request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    /// Normalised, without the query.
    pub path: &'a str,
    pub query: Option<&'a str>,
    /// The field as it came; `None` when absent or `-`.
    pub referer: Option<&'a str>,
}

/// A request as detectors see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Path and query.
    pub target: u64,
    /// The path with what looks like an id taken out.
    pub template: u64,
    /// The number in the path or the query that was taken out last.
    pub id: Option<u64>,
    pub kind: Kind,
    pub referer: Referer,
    pub method: MethodClass,
    /// A known attack.
    pub signature: Option<Signature>,
    /// A path that nobody is ever led to, as configured. The reader does not know those: whoever calls it does.
    pub is_trap: bool,
    /// Asked to be left alone by the site's robots.txt, for a crawler of this name. The same.
    pub is_disallowed: bool,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything that is none of the others.
    Page,
    /// What a page is made of: styles, scripts, images, fonts, media.
    Asset,
    RobotsTxt,
    /// What programs ask for and no browser shows: the site's API. Neither a Referer nor assets are to be expected.
    Call,
    /// `/favicon.ico` and the like, which browsers fetch unasked and without a Referer.
    Icon,
}

/// Where the request says it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referer {
    None,
    /// A page of some host, by hashes of the host and of path and query.
    Page {
        host: u64,
        target: u64,
        is_root: bool,
        /// A style that loads a font, not a page.
        is_asset: bool,
        /// No browser writes it so: without the `/` that every address has behind its host (WHATWG URL, 4.5).
        is_forged: bool,
    },
    /// Unreadable.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodClass {
    Get,
    Head,
    Post,
    /// PUT, PATCH, DELETE, OPTIONS: what APIs use.
    Api,
    /// Anything else.
    Odd,
}

/// Reads requests. The same reader must read everything that one engine sees.
#[derive(Clone, Debug)]
pub struct Reader {
    hasher: RandomState,
    signatures: Signatures,
}

impl Reader {
    /// Hashes by a key of its own: nobody can choose paths that collide.
    pub fn new(key: u64) -> Self {
        let hasher = RandomState::with_seeds(key, !key, key.rotate_left(32), 0x5765_6972);
        Reader { hasher, signatures: Signatures::new() }
    }

    pub fn read(&self, request: &Request<'_>) -> Sight {
        let Request { path, query, .. } = *request;
        let (template, id) = self.template(path, query);
        Sight {
            target: self.target(path, query),
            template,
            id,
            kind: kind(path),
            referer: self.referer(request.referer),
            method: method(request.method),
            signature: self.signatures.find(path, query),
            is_trap: false,
            is_disallowed: false,
        }
    }

    pub fn host(&self, host: &str) -> u64 {
        let host = host.as_bytes();
        let host = memchr(b':', host).map_or(host, |port| &host[..port]);
        let host = host.strip_prefix(b"www.").unwrap_or(host);
        let mut hasher = self.hasher.build_hasher();
        if host.iter().any(u8::is_ascii_uppercase) {
            hasher.write(&host.to_ascii_lowercase());
        } else {
            hasher.write(host);
        }
        hasher.finish()
    }

    /// `/a/` is `/a`: of two spellings, requests may have been folded to one, and Referers were not.
    fn target(&self, path: &str, query: Option<&str>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(path.strip_suffix('/').unwrap_or(path).as_bytes());
        if let Some(query) = query {
            hasher.write(b"?");
            hasher.write(query.as_bytes());
        }
        hasher.finish()
    }

    /// The shape of a path: segments that are numbers, dates, hashes or UUIDs are all one. The names of the query's
    /// parameters belong to it, their values do not.
    fn template(&self, path: &str, query: Option<&str>) -> (u64, Option<u64>) {
        let mut hasher = self.hasher.build_hasher();
        let mut id = None;
        for segment in path.as_bytes().split(|byte| *byte == b'/') {
            if is_id(segment) {
                id = number(segment).or(id);
                hasher.write(b"{}");
            } else {
                hasher.write(segment);
            }
            hasher.write_u8(b'/');
        }
        let parameters = query.unwrap_or_default().as_bytes().split(|byte| *byte == b'&');
        for parameter in parameters.filter(|parameter| !parameter.is_empty()) {
            let (name, value) = split_once(parameter, b'=').unwrap_or((parameter, b""));
            hasher.write(name);
            hasher.write_u8(b'&');
            if let Some(number) = number(value).filter(|_| !SIZES.contains(&name)) {
                id = Some(number);
            }
        }
        (hasher.finish(), id)
    }

    fn referer(&self, referer: Option<&str>) -> Referer {
        let Some(referer) = referer.filter(|text| !text.is_empty()) else { return Referer::None };
        let Some(rest) = referer.strip_prefix("http://").or_else(|| referer.strip_prefix("https://")) else {
            return Referer::Other;
        };
        let slash = memchr(b'/', rest.as_bytes());
        let is_forged = slash.is_none();
        let (host, target) = slash.map_or((rest, "/"), |at| rest.split_at(at));
        let target = memchr(b'#', target.as_bytes()).map_or(target, |at| target.split_at(at).0);
        let (path, query) = match memchr(b'?', target.as_bytes()) {
            Some(at) => (target.split_at(at).0, Some(target.split_at(at + 1).1)),
            None => (target, None),
        };
        Referer::Page {
            host: self.host(host),
            target: self.target(path, query),
            is_root: path == "/",
            is_asset: kind(path) == Kind::Asset,
            is_forged,
        }
    }
}

/// Whether a segment names one thing among many alike: digits, or long enough and of hexadecimal digits and dashes.
fn is_id(segment: &[u8]) -> bool {
    // Most segments are words.
    if !segment.first().is_some_and(|first| first.is_ascii_hexdigit() || *first == b'-') {
        return false;
    }
    let stem = split_once(segment, b'.').map_or(segment, |(stem, _)| stem);
    stem.iter().all(u8::is_ascii_digit)
        || (stem.len() >= 16
            && stem.iter().any(u8::is_ascii_digit)
            && stem.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-'))
}

/// A decimal number of 64 bits, as `str::parse` reads it.
fn number(text: &[u8]) -> Option<u64> {
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    let add = |number: u64, digit: &u8| {
        let digit = digit.wrapping_sub(b'0');
        if digit < 10 { number.checked_mul(10)?.checked_add(digit.into()) } else { None }
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, add) }
}

fn split_once(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = text.iter().position(|byte| *byte == at)?;
    Some((&text[..place], &text[place + 1..]))
}

/// Parameters that say how many are wanted, not which.
const SIZES: [&[u8]; 8] =
    [b"per_page", b"perpage", b"page_size", b"pagesize", b"limit", b"size", b"count", b"rows"];

/// Endings of what pages are made of.
const ASSETS: &[&str] = &[
    "css", "js", "mjs", "map", "png", "jpg", "jpeg", "gif", "svg", "ico", "webp", "avif", "bmp", "woff",
    "woff2", "ttf", "otf", "eot", "mp4", "webm", "mp3", "ogg", "wav", "wasm", "swf", "cur",
];

fn kind(path: &str) -> Kind {
    if path.eq_ignore_ascii_case("/robots.txt") {
        return Kind::RobotsTxt;
    }
    if path.starts_with("/favicon") || path.starts_with("/apple-touch-icon") {
        return Kind::Icon;
    }
    let path = path.as_bytes();
    let ending = ending(path);
    if is_asset(ending) {
        Kind::Asset
    } else if ending.eq_ignore_ascii_case(b"json")
        || path.split(|byte| *byte == b'/').skip(1).take(2).any(names_api)
    {
        Kind::Call
    } else {
        Kind::Page
    }
}

/// What comes after the last dot of the last segment; nothing where there is no dot.
fn ending(path: &[u8]) -> &[u8] {
    let last = path.iter().rposition(|byte| matches!(byte, b'.' | b'/'));
    match last {
        Some(at) if path[at] == b'.' => &path[at + 1..],
        _ => b"",
    }
}

fn is_asset(ending: &[u8]) -> bool {
    (1..=ASSET_BYTES_MAX).contains(&ending.len()) && ASSET_WORDS.contains(&word(ending))
}

/// The longest of [`ASSETS`].
const ASSET_BYTES_MAX: usize = 5;

/// [`ASSETS`], each in one word: to compare with all of them is quick then.
const ASSET_WORDS: [u64; ASSETS.len()] = {
    let mut words = [0; ASSETS.len()];
    let mut at = 0;
    while at < ASSETS.len() {
        assert!(ASSETS[at].len() <= ASSET_BYTES_MAX);
        words[at] = word(ASSETS[at].as_bytes());
        at += 1;
    }
    words
};

/// A few bytes in lower case as one number, a one before them: of different lengths none are the same.
const fn word(text: &[u8]) -> u64 {
    let (mut word, mut at) = (1, 0);
    while at < text.len() {
        word = word << 8 | text[at].to_ascii_lowercase() as u64;
        at += 1;
    }
    word
}

/// Whether a segment near the root says that an API is below it: `api`, `graphql` and the like, or a version.
fn names_api(segment: &[u8]) -> bool {
    match segment {
        b"api" | b"graphql" | b"rest" | b"rpc" | b"ajax" => true,
        [b'v', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn method(method: &str) -> MethodClass {
    match method {
        "GET" => MethodClass::Get,
        "HEAD" => MethodClass::Head,
        "POST" => MethodClass::Post,
        "PUT" | "PATCH" | "DELETE" | "OPTIONS" => MethodClass::Api,
        _ => MethodClass::Odd,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(path: &str, query: Option<&str>, referer: Option<&str>) -> Sight {
        let request = Request { method: "GET", path, query, referer };
        Reader::new(1).read(&request)
    }

    /// Promise: things of one kind have one template, whatever their ids, and different kinds do not.
    #[test]
    fn ids_are_taken_out() {
        let article = sight("/articles/17", None, None);
        assert_eq!(article.template, sight("/articles/99", None, None).template);
        assert_eq!(article.id, Some(17));
        assert_ne!(article.template, sight("/users/17", None, None).template);
        assert_eq!(
            sight("/search", Some("q=a&page=2"), None).template,
            sight("/search", Some("q=b&page=3"), None).template
        );
        assert_eq!(sight("/x", Some("page=3"), None).id, Some(3));
        assert_eq!(sight("/x", Some("page=3&per_page=10"), None).id, Some(3));
        let uuid = "/u/3f2504e0-4f89-11d3-9a0c-0305e82c3301";
        assert_eq!(
            sight(uuid, None, None).template,
            sight("/u/3f2504e0-4f89-11d3-9a0c-0305e82c3399", None, None).template
        );
    }

    /// Promise: a referer names the same page that the request for it named, on the host with or without `www.`.
    #[test]
    fn referers_name_pages() {
        let page = sight("/a/b", Some("c=1"), None);
        let next = sight("/d", None, Some("https://www.example.com/a/b?c=1#top"));
        let Referer::Page { host, target, is_root, .. } = next.referer else { panic!("{next:?}") };
        assert_eq!((target, is_root), (page.target, false));
        assert_eq!(host, Reader::new(1).host("EXAMPLE.com:443"));
        assert_eq!(sight("/", None, Some("android-app://x")).referer, Referer::Other);
    }

    /// Promise: assets are told by their ending, whatever its case, and APIs by how they are called.
    #[test]
    fn assets_and_pages() {
        assert_eq!(kind("/img/Logo.PNG"), Kind::Asset);
        assert_eq!(kind("/v1.2/docs"), Kind::Page);
        assert_eq!(kind("/ROBOTS.txt"), Kind::RobotsTxt);
        assert_eq!(kind("/v1/items"), Kind::Call);
        assert_eq!(kind("/shop/API/"), Kind::Page);
        assert_eq!(kind("/shop/api/items/3"), Kind::Call);
        assert_eq!(kind("/vault/data.JSON"), Kind::Call);
    }
}
