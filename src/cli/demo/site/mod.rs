//! The app of the demo: a help centre of two hundred articles, with assets, search, sign-in and an API.
//!
//! [`answer`] is a pure function from a request to an answer; `server` puts it behind a socket.

mod api;
mod articles;
mod pages;
mod server;

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};

pub(super) use articles::Library;
pub(super) use server::Site;

/// What the site says to one request.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub content_type: &'static str,
    pub body: Bytes,
    /// Where a browser is sent next, after signing in.
    pub location: Option<&'static str>,
    pub work: Work,
}

/// How much an answer asks of the app, which has only a few workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// A file that is simply sent: no worker.
    File,
    /// A page that is put together.
    Page,
    /// A search through everything.
    Search,
}

impl Work {
    /// For how long it occupies a worker.
    pub(super) const fn time(self) -> Duration {
        match self {
            Work::File => Duration::ZERO,
            Work::Page => Duration::from_millis(4),
            Work::Search => Duration::from_millis(25),
        }
    }
}

/// Answers one request. `path` is as it came, without the query; `body` is a form, where there is one.
pub(super) fn answer(library: &Library, method: &Method, path: &str, query: &str, body: &[u8]) -> Answer {
    if path == "/login" && *method == Method::POST {
        return sign_in(body);
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Answer::new(StatusCode::METHOD_NOT_ALLOWED, TEXT, "Only GET and HEAD here.\n", Work::File);
    }
    page(library, path, query)
        .or_else(|| file(library, path))
        .unwrap_or_else(|| Answer::new(StatusCode::NOT_FOUND, HTML, pages::not_found(), Work::File))
}

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const SVG: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

impl Answer {
    fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>, work: Work) -> Self {
        Answer { status, content_type, body: body.into(), location: None, work }
    }

    fn found(content_type: &'static str, body: impl Into<Bytes>, work: Work) -> Self {
        Answer::new(StatusCode::OK, content_type, body, work)
    }
}

/// What the app has to put together.
fn page(library: &Library, path: &str, query: &str) -> Option<Answer> {
    let html = |html: String| Answer::found(HTML, html, Work::Page);
    let json = |json: serde_json::Value| Answer::found(JSON, format!("{json:#}\n"), Work::Page);
    if let Some(slug) = path.strip_prefix("/articles/") {
        return library.by_slug(slug).map(|article| html(pages::article(library, article)));
    }
    if let Some(slug) = path.strip_prefix("/topics/") {
        return articles::topic(slug).map(|topic| html(pages::topic(library, topic)));
    }
    if let Some(id) = path.strip_prefix("/api/v1/articles/") {
        return library.by_id(id.parse().ok()?).map(|article| json(api::article(article)));
    }
    match path {
        "/" => Some(html(pages::home(library))),
        "/search" => {
            let words = parameter(query, "q").unwrap_or_default();
            Some(Answer::found(HTML, pages::search(library, &words), Work::Search))
        }
        "/login" => Some(html(pages::login(None))),
        "/api/v1/articles" => Some(json(api::articles(library, query))),
        _ => None,
    }
}

/// What is only sent.
fn file(library: &Library, path: &str) -> Option<Answer> {
    if let Some(slug) = path.strip_prefix("/images/").and_then(|name| name.strip_suffix(".svg")) {
        return articles::topic(slug).map(|topic| Answer::found(SVG, pages::illustration(topic), Work::File));
    }
    let (content_type, body) = match path {
        "/assets/site.css" => ("text/css; charset=utf-8", include_str!("assets/site.css")),
        "/assets/site.js" => ("text/javascript; charset=utf-8", include_str!("assets/site.js")),
        "/assets/logo.svg" | "/favicon.ico" => (SVG, include_str!("assets/logo.svg")),
        "/robots.txt" => (TEXT, pages::ROBOTS_TXT),
        "/healthz" => (TEXT, "well\n"),
        "/sitemap.xml" => return Some(Answer::found("application/xml", pages::sitemap(library), Work::File)),
        _ => return None,
    };
    Some(Answer::found(content_type, body, Work::File))
}

fn sign_in(body: &[u8]) -> Answer {
    let form = String::from_utf8_lossy(body);
    let is_demo = |name| parameter(&form, name).as_deref() == Some("demo");
    if is_demo("name") && is_demo("password") {
        let answer = Answer::new(StatusCode::SEE_OTHER, TEXT, "Welcome.\n", Work::Page);
        return Answer { location: Some("/"), ..answer };
    }
    let notice = "That name and password do not go together.";
    Answer::new(StatusCode::UNAUTHORIZED, HTML, pages::login(Some(notice)), Work::Page)
}

/// The decoded value of the first `name` in a query string or form.
fn parameter(query: &str, name: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(decode(value))
}

/// Undoes form encoding; what is not valid stays as it is.
fn decode(value: &str) -> String {
    let (mut decoded, mut rest) = (Vec::with_capacity(value.len()), value.as_bytes());
    while let [first, tail @ ..] = rest {
        rest = tail;
        let hex = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match (first, tail) {
            (b'+', _) => decoded.push(b' '),
            (b'%', [high, low, after @ ..]) if hex(high).is_some() && hex(low).is_some() => {
                decoded.push(hex(high).unwrap_or(0) << 4 | hex(low).unwrap_or(0));
                rest = after;
            }
            _ => decoded.push(*first),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeSet, VecDeque};

    fn get(library: &Library, target: &str) -> Answer {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        answer(library, &Method::GET, path, query, b"")
    }

    /// Every `href`, `src`, `action`, `<loc>` and JSON path in a body.
    fn links(body: &str) -> Vec<String> {
        let opens =
            ["href=\"", "src=\"", "action=\"", "<loc>", "\"url\": \"", "\"self\": \"", "\"next\": \""];
        let after = opens.iter().flat_map(|open| body.split(open).skip(1));
        after.map(|rest| rest.split(['"', '<']).next().unwrap_or_default().to_owned()).collect()
    }

    /// Promise: the site serves every link that it prints, and they lead to every article.
    #[test]
    fn every_link_is_served() {
        let library = Library::new();
        let mut queue: VecDeque<String> = ["/", "/robots.txt", "/sitemap.xml"].map(str::to_owned).into();
        let mut seen: BTreeSet<String> = queue.iter().cloned().collect();
        while let Some(target) = queue.pop_front() {
            let found = get(&library, &target);
            assert_eq!(found.status, StatusCode::OK, "{target}");
            for link in links(&String::from_utf8_lossy(&found.body)) {
                assert!(link.starts_with('/') || link.starts_with("http://www.sitemaps.org/"), "{link}");
                if link.starts_with('/') && seen.insert(link.clone()) {
                    queue.push_back(link);
                }
            }
        }
        for article in library.all() {
            assert!(seen.contains(&format!("/articles/{}", article.slug)), "{}", article.slug);
            assert!(seen.contains(&format!("/api/v1/articles/{}", article.id)), "{}", article.id);
        }
    }

    /// Promise: what does not exist is a 404, and what cannot be done a 405.
    #[test]
    fn unknown_paths_are_refused() {
        let library = Library::new();
        for path in
            ["/articles/", "/articles/nothing", "/api/v1/articles/0", "/api/v1/articles/x", "/images/x.svg"]
        {
            assert_eq!(get(&library, path).status, StatusCode::NOT_FOUND, "{path}");
        }
        let deleted = answer(&library, &Method::DELETE, "/", "", b"");
        assert_eq!(deleted.status, StatusCode::METHOD_NOT_ALLOWED);
    }

    /// Promise: only the right password signs in.
    #[test]
    fn sign_in_checks_the_password() {
        let post = |form: &str| answer(&Library::new(), &Method::POST, "/login", "", form.as_bytes());
        assert_eq!(post("name=demo&password=guess").status, StatusCode::UNAUTHORIZED);
        assert_eq!(post("").status, StatusCode::UNAUTHORIZED);
        let welcome = post("name=demo&password=%64emo");
        assert_eq!((welcome.status, welcome.location), (StatusCode::SEE_OTHER, Some("/")));
    }

    /// Promise: decoding takes any input and changes only what is validly encoded.
    #[test]
    fn decoding_is_total() {
        assert_eq!(decode("a+b%20c"), "a b c");
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%4"), "%4");
        assert_eq!(decode("%zz"), "%zz");
        assert_eq!(decode("%C3%A9"), "é");
    }
}
