//! A request as detectors see it: hashes and small numbers, nothing that was written in it.

use std::hash::{BuildHasher as _, Hasher as _};

use ahash::RandomState;

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
    pub path: u64,
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
            path: self.hash(path),
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
        let host = host.split(':').next().unwrap_or(host);
        let host = host.strip_prefix("www.").unwrap_or(host);
        let mut hasher = self.hasher.build_hasher();
        host.bytes().for_each(|byte| hasher.write_u8(byte.to_ascii_lowercase()));
        hasher.finish()
    }

    fn hash(&self, text: &str) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(text.as_bytes());
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
        for segment in path.split('/') {
            if is_id(segment) {
                id = segment.parse().ok().or(id);
                hasher.write(b"{}");
            } else {
                hasher.write(segment.as_bytes());
            }
            hasher.write_u8(b'/');
        }
        for parameter in query.unwrap_or_default().split('&').filter(|p| !p.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            hasher.write(name.as_bytes());
            hasher.write_u8(b'&');
            if !SIZES.contains(&name) {
                id = value.parse().ok().or(id);
            }
        }
        (hasher.finish(), id)
    }

    fn referer(&self, referer: Option<&str>) -> Referer {
        let Some(referer) = referer.filter(|text| !text.is_empty()) else { return Referer::None };
        let Some(rest) = referer.strip_prefix("http://").or_else(|| referer.strip_prefix("https://")) else {
            return Referer::Other;
        };
        let slash = rest.find('/');
        let is_forged = slash.is_none();
        let (host, target) = slash.map_or((rest, "/"), |at| rest.split_at(at));
        let target = target.split('#').next().unwrap_or(target);
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
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
fn is_id(segment: &str) -> bool {
    let stem = segment.split('.').next().unwrap_or(segment);
    let bytes = stem.as_bytes();
    !bytes.is_empty()
        && (bytes.iter().all(u8::is_ascii_digit)
            || (bytes.len() >= 16
                && bytes.iter().any(u8::is_ascii_digit)
                && bytes.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-')))
}

/// Parameters that say how many are wanted, not which.
const SIZES: [&str; 8] = ["per_page", "perpage", "page_size", "pagesize", "limit", "size", "count", "rows"];

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
    let name = path.rsplit('/').next().unwrap_or(path);
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    if ASSETS.iter().any(|asset| asset.eq_ignore_ascii_case(ending)) {
        Kind::Asset
    } else if ending.eq_ignore_ascii_case("json") || path.split('/').skip(1).take(2).any(names_api) {
        Kind::Call
    } else {
        Kind::Page
    }
}

/// Whether a segment near the root says that an API is below it: `api`, `graphql` and the like, or a version.
fn names_api(segment: &str) -> bool {
    let is_version = || {
        let digits = segment.strip_prefix('v').unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    ["api", "graphql", "rest", "rpc", "ajax"].contains(&segment) || is_version()
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
